// Package handshake is TLS 1.3 for QUIC (RFC 9001, section 4): crypto/tls.QUICConn behind a synchronous face.
//
// A Handshake takes the bytes of CRYPTO frames, in order and level by level, and hands back events: keys, bytes to send, the
// peer's transport parameters, and that it is done. No method waits for the peer. crypto/tls keeps a goroutine for each
// handshake under way; every method returns only when that goroutine waits for more input, and it ends with the handshake,
// with an error or with Close. A connection whose handshake is done owns no goroutine.
//
// A method does run the callbacks of the tls.Config (GetCertificate and the others) and the signature before it returns.
package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"
)

// Handshake is one side of one connection's TLS. Its methods are called by one goroutine at a time; after Start, Receive and
// SendTicket the caller takes events from Next until there are none.
type Handshake struct {
	quic   *tls.QUICConn
	server bool
	path   path

	version   uint32 // of QUIC; see SetVersion
	perClient bool   // a server: the application chooses a Config for each client

	started    bool
	complete   bool // TLS says the handshake is complete
	told       bool // Done was delivered
	ticketSent bool
	closed     bool

	readLevel Level // what Receive takes; tls moves it by handing out read keys
	late      messages
	err       *Error
	panicked  *PanicError // what an interface of the Config did; see blame

	caches bool                 // a client that keeps session tickets
	rested *tls.ConnectionState // what is left of quic after Rest

	early   *EarlyData        // nil: no 0-RTT
	session *tls.SessionState // a client's newest, when it allows 0-RTT; never changed once it is here

	clock func() time.Time // a client's: the Config's
	lag   time.Duration    // of what crypto/tls is told, until the handshake is complete; see ticket_age.go
}

// NewClient returns a client's Handshake. params is the encoding of our transport parameters. conf is honoured as it stands,
// but for the minimum version, which becomes TLS 1.3 on a copy: "Clients MUST NOT offer TLS versions older than 1.3" (section
// 4.2). A nil conf is the zero Config.
func NewClient(conf *tls.Config, params []byte) *Handshake {
	h := &Handshake{caches: conf != nil && conf.ClientSessionCache != nil}
	h.quic = tls.QUICClient(&tls.QUICConfig{TLSConfig: h.prepare(conf), EnableSessionEvents: true})
	h.quic.SetTransportParameters(params)
	return h
}

// NewServer returns a server's Handshake; see NewClient. The Configs that conf.GetConfigForClient returns are treated alike.
// With params nil they may depend on the client's: NeedParams asks for them after PeerParams.
func NewServer(conf *tls.Config, params []byte) *Handshake {
	h := &Handshake{server: true}
	h.quic = tls.QUICServer(&tls.QUICConfig{TLSConfig: h.prepare(conf), EnableSessionEvents: true})
	if params != nil {
		h.quic.SetTransportParameters(params)
	}
	return h
}

// SetParams answers NeedParams with the encoding of our transport parameters, and goes on with the handshake.
func (h *Handshake) SetParams(params []byte) {
	if h.started && !h.closed && h.err == nil {
		h.quic.SetTransportParameters(params)
	}
}

// SetPath says between which addresses the connection runs, for callbacks: they find them in ClientHelloInfo.Conn, of which
// nothing else works. Without it that field is nil, as crypto/tls leaves it. Call it before Start.
func (h *Handshake) SetPath(local, remote netip.AddrPort) {
	h.path = path{local: local, remote: remote, known: true}
}

// Start begins the handshake; a client then has its ClientHello to send. It is called once. Errors are of type *Error.
func (h *Handshake) Start() error {
	if h.started {
		panic("BUG: handshake: started twice")
	}
	if h.closed {
		return errClosed
	}
	h.started = true
	if err := h.quic.Start(context.Background()); err != nil {
		return h.fail(err)
	}
	return h.blame()
}

// Receive takes CRYPTO bytes of level l, in order; it does not keep data. Errors are of type *Error and final: every later
// call returns the same one. Bytes of a level that TLS does not read from are such an error.
func (h *Handshake) Receive(l Level, data []byte) error {
	switch {
	case !h.started:
		panic("BUG: handshake: Receive before Start")
	case h.err != nil:
		return h.err
	case h.closed:
		return errClosed
	case len(data) == 0:
		return nil
	case l != h.readLevel:
		// Section 4.1.3: "If the packet is from a previously installed encryption level, it MUST NOT contain data that extends
		// past the end of previously received data in that flow. Implementations MUST treat any violations of this
		// requirement as a connection error of type PROTOCOL_VIOLATION."
		return h.fail(violation("CRYPTO data at the " + l.String() + " level while TLS reads from " + h.readLevel.String()))
	case l == AppLevel:
		return h.receiveLate(data)
	}
	if err := h.quic.HandleData(l.tls(), data); err != nil {
		return h.fail(err)
	}
	return h.blame()
}

// Next returns the next event, until ok is false. Keys of a level come before Data of that level. Done comes once and last
// of all that completed the handshake: the keys of both directions and the peer's parameters have been delivered. A handshake
// that resumes a session goes on while events are taken, so that it can fail here: see Err.
func (h *Handshake) Next() (e Event, ok bool) {
	for h.started && !h.closed && h.err == nil && h.rested == nil {
		q := h.quic.NextEvent()
		if h.blame() != nil {
			break
		}
		switch q.Kind {
		case tls.QUICSetReadSecret:
			h.readLevel = Level(q.Level)
			return Event{Kind: ReadKeys, Level: Level(q.Level), Suite: q.Suite, Secret: q.Data}, true
		case tls.QUICSetWriteSecret:
			return Event{Kind: WriteKeys, Level: Level(q.Level), Suite: q.Suite, Secret: q.Data}, true
		case tls.QUICWriteData:
			return Event{Kind: Data, Level: Level(q.Level), Data: q.Data}, true
		case tls.QUICTransportParameters:
			return Event{Kind: PeerParams, Data: q.Data}, true
		case tls.QUICTransportParametersRequired:
			return Event{Kind: NeedParams}, true
		case tls.QUICHandshakeDone:
			h.complete = true // crypto/tls hands out the last read key after this
		case tls.QUICResumeSession:
			h.resume(q.SessionState)
		case tls.QUICStoreSession:
			h.store(q.SessionState)
		case tls.QUICRejectedEarlyData:
			return Event{Kind: EarlyRejected}, true
		case tls.QUICErrorEvent:
			h.fail(q.Err)
		case tls.QUICNoEvent:
			if !h.complete || h.told {
				return Event{}, false
			}
			h.told = true
			return Event{Kind: Done}, true
		}
		// Other kinds are not asked for, or are newer than this code.
	}
	return Event{}, false
}

// Err returns why the handshake failed, nil when it did not. It is for those who have taken all events.
func (h *Handshake) Err() error {
	if h.err == nil {
		return nil
	}
	return h.err
}

// SendTicket queues a session ticket, as Data at the App level. Only a server calls it, after Done; a second call does nothing,
// and so does the first when the Config disables tickets. The ticket allows 0-RTT if EnableEarlyData was called. An error means
// that there is no ticket; the connection itself is as good as before.
func (h *Handshake) SendTicket() error {
	switch {
	case !h.server:
		panic("BUG: handshake: SendTicket on a client")
	case h.err != nil:
		return h.err
	case h.closed:
		return errClosed
	case !h.complete:
		panic("BUG: handshake: SendTicket before Done")
	case h.ticketSent:
		return nil
	}
	h.ticketSent = true
	options, ok := h.ticketOptions()
	if !ok {
		return nil
	}
	h.allowEarly(&options)
	err := h.quic.SendSessionTicket(options)
	if p := h.panicked; p != nil {
		h.panicked, err = nil, p
	}
	if err != nil {
		return newError(err)
	}
	return nil
}

// State returns what is known about the TLS connection; its HandshakeComplete says how final that is.
func (h *Handshake) State() tls.ConnectionState {
	if h.rested != nil {
		return *h.rested
	}
	return h.quic.ConnectionState()
}

// Close ends the handshake and its goroutine. It may be called at any time, and again.
func (h *Handshake) Close() {
	if h.closed {
		return
	}
	h.closed = true
	h.closeTLS() // the error is that of the handshake, told before, or that it was closed
}

// fail makes err the end of the handshake.
func (h *Handshake) fail(err error) error {
	if h.panicked != nil { // of which crypto/tls was told less
		err = h.panicked
	}
	h.err = newError(err)
	h.closeTLS()
	return h.err
}

var errClosed = &Error{Alert: alertInternalError, Err: errors.New("handshake: closed")}
