package udp

import (
	"errors"
	"net"
	"net/netip"
)

// readPortably receives one datagram.
func (r *Reader) readPortably() ([]Message, error) {
	for failed := 0; ; failed++ {
		n, _, _, remote, err := r.s.conn.ReadMsgUDPAddrPort(r.slab, nil)
		if err == nil {
			r.s.count.received(1, n)
			r.msgs[0] = Message{Payload: r.slab[:n:n], Remote: unmap(remote), Local: r.s.boundAddr()}
			return r.msgs, nil
		}
		if errors.Is(err, net.ErrClosed) || failed == maxReadErrors {
			return nil, err
		}
	}
}

// sendPortably sends every datagram by a call of its own. The portable path cannot choose the source address.
func (s *Socket) sendPortably(msgs []Message) (int, error) {
	for i := range msgs {
		m := &msgs[i]
		for rest, first := m.Payload, true; first || len(rest) > 0; first = false {
			n := len(rest)
			if 0 < m.Segment && m.Segment < n {
				n = m.Segment
			}
			_, _, err := s.conn.WriteMsgUDPAddrPort(rest[:n], nil, m.Remote)
			switch {
			case err == nil:
				s.count.sent(1, n)
			case errors.Is(err, net.ErrClosed):
				return i, net.ErrClosed
			default:
				s.count.refused(1, err)
				m.TooLong = m.TooLong || errors.Is(err, errMessageTooLong)
			}
			rest = rest[n:]
		}
	}
	return len(msgs), nil
}

// boundAddr returns the only address that the socket can have received on, if there is only one.
func (s *Socket) boundAddr() netip.Addr {
	if a := s.local.Addr(); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
