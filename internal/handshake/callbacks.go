package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"runtime/debug"
)

// A PanicError is a panic of a tls.Config callback, turned into the failure of its handshake.
//
// crypto/tls runs the handshake, and with it the callbacks, in a goroutine of its own, where nobody could recover the panic: it
// would end the process. So each callback is wrapped, and so is what is called through an interface (see guard.go). Fatal to its own
// connection is a callback that calls runtime.Goexit: the handshake waits for it for ever.
type PanicError struct {
	Callback string // the field of tls.Config, with the method where it is an interface
	Value    any    // what it panicked with
	Stack    []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("tls.Config.%s panicked: %v", e.Callback, e.Value)
}

// Unwrap returns the value of the panic if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// contain turns a panic into *err. It is deferred by the wrapped callback.
func contain(callback string, err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Callback: callback, Value: v, Stack: debug.Stack()}
	}
}

// prepare returns the copy of conf that this handshake runs with.
func (h *Handshake) prepare(conf *tls.Config) *tls.Config {
	if conf == nil {
		conf = new(tls.Config)
	}
	if h.server && !conf.SessionTicketsDisabled {
		// The keys of session tickets, where crypto/tls manages them itself, are made and rotated at their first use, and live in
		// the Config. Used for the first time in a copy, they would die with the connection, and no ticket could ever be resumed.
		// This call has no effect but to have the original make or rotate them.
		_, _ = conf.DecryptTicket(nil, tls.ConnectionState{})
	}
	return h.wrap(conf)
}

// wrap copies a Config, raises its minimum version and wraps its callbacks.
func (h *Handshake) wrap(conf *tls.Config) *tls.Config {
	c := conf.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	h.guard(c)
	if h.server {
		h.wrapServer(c)
		h.scopeTickets(c)
	} else {
		h.wrapClient(c)
		h.keepTime(c)
		if c.ClientSessionCache != nil {
			c.ClientSessionCache = sessionCache{c.ClientSessionCache, h}
		}
	}
	h.wrapVerification(c)
	return c
}

func (h *Handshake) wrapServer(c *tls.Config) {
	if f := c.GetConfigForClient; f != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (conf *tls.Config, err error) {
			defer contain("GetConfigForClient", &err)
			h.path.introduce(hello)
			if conf, err = f(hello); conf == nil || err != nil {
				return conf, err
			}
			// crypto/tls would obey its MinVersion: a Config that allows TLS 1.2 must not bring TLS 1.2 to QUIC. Session ticket keys
			// set explicitly on it are copied along; where there are none crypto/tls takes the first Config's.
			return h.wrap(conf), nil
		}
	}
	if f := c.GetCertificate; f != nil {
		c.GetCertificate = func(hello *tls.ClientHelloInfo) (_ *tls.Certificate, err error) {
			defer contain("GetCertificate", &err)
			h.path.introduce(hello)
			cert, err := f(hello)
			return h.guardKey(cert), err
		}
	}
	if f := c.GetEncryptedClientHelloKeys; f != nil {
		c.GetEncryptedClientHelloKeys = func(hello *tls.ClientHelloInfo) (_ []tls.EncryptedClientHelloKey, err error) {
			defer contain("GetEncryptedClientHelloKeys", &err)
			h.path.introduce(hello)
			return f(hello)
		}
	}
	if f := c.WrapSession; f != nil {
		c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) (_ []byte, err error) {
			defer contain("WrapSession", &err)
			return f(cs, s)
		}
	}
	if f := c.UnwrapSession; f != nil {
		c.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (_ *tls.SessionState, err error) {
			defer contain("UnwrapSession", &err)
			return f(identity, cs)
		}
	}
}

func (h *Handshake) wrapClient(c *tls.Config) {
	if c.ClientSessionCache != nil {
		c.ClientSessionCache = sessions{c.ClientSessionCache, h}
	}
	if f := c.GetClientCertificate; f != nil {
		c.GetClientCertificate = func(req *tls.CertificateRequestInfo) (_ *tls.Certificate, err error) {
			defer contain("GetClientCertificate", &err)
			cert, err := f(req)
			return h.guardKey(cert), err
		}
	}
	if f := c.EncryptedClientHelloRejectionVerify; f != nil {
		c.EncryptedClientHelloRejectionVerify = func(cs tls.ConnectionState) (err error) {
			defer contain("EncryptedClientHelloRejectionVerify", &err)
			return f(cs)
		}
	}
}

func (h *Handshake) wrapVerification(c *tls.Config) {
	if f := c.VerifyPeerCertificate; f != nil {
		c.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) (err error) {
			defer contain("VerifyPeerCertificate", &err)
			return f(raw, chains)
		}
	}
	if f := c.VerifyConnection; f != nil {
		c.VerifyConnection = func(cs tls.ConnectionState) (err error) {
			defer contain("VerifyConnection", &err)
			return f(cs)
		}
	}
}
