package tunnel

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
)

// serverName is what the handshake calls the exit, whatever its address: the name is sent in the clear, and means nothing.
const serverName = "godwit-tunnel.invalid"

// exitTLS is the exit's side of the handshake. crypto/tls makes sure that the peer has the private key of the certificate
// that it shows, checkPin that the key is the entry's. VerifyConnection runs in every handshake, unlike
// VerifyPeerCertificate, which a resumed session skips; there are no tickets to resume with all the same.
func (k *Key) exitTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{protocol},
		Certificates:           []tls.Certificate{certificate(k.private())},
		ClientAuth:             tls.RequireAnyClientCert,
		VerifyConnection:       checkPin(pinOf(k.secret.entryKey())),
		SessionTicketsDisabled: true,
	}
}

// entryTLS is the entry's side. InsecureSkipVerify stands for "no authority vouches for it": checkPin does.
func (t Token) entryTLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{protocol},
		ServerName:         serverName,
		Certificates:       []tls.Certificate{certificate(t.Secret.entryKey())},
		InsecureSkipVerify: true,
		VerifyConnection:   checkPin(t.Exit),
	}
}

// pinError says that the peer has another key than the pinned one.
type pinError struct{ got Pin }

func (e *pinError) Error() string {
	return fmt.Sprintf("tunnel: the peer's key is %s, not the pinned one", e.got)
}

// checkPin accepts the one key.
func checkPin(want Pin) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if s.NegotiatedProtocol != protocol {
			return errors.New("tunnel: the peer does not speak " + protocol)
		}
		if len(s.PeerCertificates) == 0 {
			return errors.New("tunnel: the peer shows no certificate")
		}
		got := Pin(sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return &pinError{got}
		}
		return nil
	}
}
