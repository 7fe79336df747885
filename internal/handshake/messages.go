package handshake

import (
	"errors"
	"fmt"
)

// The types of TLS handshake messages (RFC 8446, section 4) that matter after the handshake.
const (
	typeNewSessionTicket   = 4
	typeCertificateRequest = 13
	typeKeyUpdate          = 24
)

const messageHeaderLen = 4 // type, and a length of three bytes

// A messages follows the boundaries of TLS messages through a stream of bytes that arrives in pieces of any size. It looks at
// the messages that come after the handshake, because crypto/tls keeps the alerts these cause to itself (the error that it
// returns says internal_error, whatever it was), and because it ends a connection at its seventeenth session ticket.
type messages struct {
	typ     uint8
	header  int // bytes of the header seen
	left    int // bytes of the body to come
	tickets int
}

// next splits data after the bytes that belong to the current message. first says that the message begins with them.
func (m *messages) next(data []byte) (run, rest []byte, first bool) {
	if m.header == messageHeaderLen && m.left == 0 {
		m.header = 0
	}
	first = m.header == 0
	n := 0
	for ; n < len(data) && m.header < messageHeaderLen; n++ {
		if m.header == 0 {
			m.typ, m.left = data[n], 0
		} else {
			m.left = m.left<<8 | int(data[n])
		}
		m.header++
	}
	if m.header == messageHeaderLen {
		body := min(m.left, len(data)-n)
		m.left -= body
		n += body
	}
	return data[:n], data[n:], first
}

// receiveLate takes CRYPTO bytes that arrive after the handshake.
func (h *Handshake) receiveLate(data []byte) error {
	for len(data) > 0 {
		var run []byte
		var first bool
		run, data, first = h.late.next(data)
		if first {
			if err := h.judgeLate(); err != nil {
				return h.fail(err)
			}
		}
		if h.late.tickets > maxTickets || h.rested != nil {
			continue
		}
		if err := h.quic.HandleData(AppLevel.tls(), run); err != nil {
			return h.fail(err)
		}
	}
	return h.blame()
}

// judgeLate says whether the message that has just begun may come after the handshake. A client takes session tickets; nobody
// takes anything else.
func (h *Handshake) judgeLate() error {
	switch typ := h.late.typ; {
	case typ == typeKeyUpdate:
		// Section 6: "Endpoints MUST treat the receipt of a TLS KeyUpdate message as a connection error of type 0x010a,
		// equivalent to a fatal TLS alert of unexpected_message".
		return &Error{Alert: alertUnexpectedMessage, Err: errors.New("TLS KeyUpdate message in QUIC")}
	case typ == typeCertificateRequest && !h.server:
		// Section 4.4: "servers MUST NOT send post-handshake TLS CertificateRequest messages, and clients MUST treat receipt
		// of such messages as a connection error of type PROTOCOL_VIOLATION."
		return violation("TLS CertificateRequest message after the handshake")
	case typ == typeNewSessionTicket && !h.server:
		h.late.tickets++
		return nil
	default:
		return &Error{Alert: alertUnexpectedMessage, Err: fmt.Errorf("TLS message of type %d after the handshake", typ)}
	}
}
