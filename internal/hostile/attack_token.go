package hostile

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var tokenAttacks = []attack{
	{"tokens that are forged, cut and shown again", 64 << 20, badTokens},
}

// answer is what a server did with a first packet.
type answer string

const (
	silence  answer = "silence"
	retried  answer = "a Retry packet"
	refused  answer = "INVALID_TOKEN"
	accepted answer = "a handshake"
)

// shown is a first packet with a token.
type shown struct {
	conn  *net.UDPConn // the place it comes from
	token []byte
	dst   wire.ConnID
}

// show begins a connection with a token, and says what came of it, and of a Retry packet its token and connection ID.
func (s *swindler) show(f shown) (answer, shown, error) {
	c, err := newClient(s.addr, netip.Addr{}, nil)
	if err != nil {
		return silence, f, err
	}
	c.conn.Close()
	c.conn, c.token, c.silent = f.conn, f.token, true
	defer c.tls.Close()
	c.readdress(f.dst)
	c.sayCrypto()
	s.sent += c.sentBytes
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		b := next(f.conn, 500*time.Millisecond)
		if b == nil {
			if ours() {
				continue // it never leaves a first packet without an answer, unless it is lost
			}
			break
		}
		s.got += int64(len(b))
		h, n := wire.ConsumeLongHeader(b)
		if n < 0 || string(h.DstID) != string(c.src.Bytes()) {
			continue // an answer to an earlier one
		}
		if h.Type == wire.PacketRetry {
			return retried, shown{f.conn, append([]byte(nil), h.Token...), wire.MakeConnID(h.SrcID)}, nil
		}
		c.take(b)
		switch {
		case c.closed && c.closeCode == uint64(wire.InvalidToken):
			return refused, f, nil
		case c.closed || c.in[wire.InitialSpace] > 0:
			return accepted, f, nil
		}
	}
	return silence, f, nil
}

// swindler shows tokens.
type swindler struct {
	addr      netip.AddrPort
	sent, got int64
	wrong     []string
	tried     int
}

// crowd begins 160 handshakes and leaves them: then clients have to prove their addresses.
func (s *swindler) crowd() error {
	c, err := newClient(s.addr, netip.MustParseAddr("127.9.13.1"), nil)
	if err != nil {
		return err
	}
	defer c.close()
	for range 160 {
		c.readdress(randomID(8))
		c.send(wire.InitialSpace, append(wire.AppendCryptoHeader(nil, 0, len(c.hello)), c.hello...))
		time.Sleep(time.Millisecond) // no more than its socket takes
	}
	s.sent += c.sentBytes
	return nil
}

// retry gets a Retry packet; ok is false when the server sends none, whatever is done.
func (s *swindler) retry(conn *net.UDPConn) (r shown, ok bool, err error) {
	for i := range 20 {
		a, r, err := s.show(shown{conn, nil, randomID(8)})
		if a == retried || err != nil {
			return r, a == retried, err
		}
		if err := s.crowd(); err != nil {
			return r, false, err
		}
		if !ours() && i > 0 {
			break
		}
	}
	return r, false, nil
}

// expect shows a token that must not be taken for proof of an address. When the crowd has meanwhile timed out nobody is asked for
// one: what is accepted is shown again, each time before a crowd that has just come. Only a refusal ends that well: behind a crowd
// a handshake waits, and a Retry packet does not.
func (s *swindler) expect(what string, f shown) error {
	s.tried++
	taken := false
	for range 6 {
		a, _, err := s.show(f)
		if err != nil || a == retried || a == refused {
			return err
		}
		if a == accepted {
			taken = true
			if err := s.crowd(); err != nil {
				return err
			}
		}
	}
	if taken {
		s.wrong = append(s.wrong, what)
	}
	return nil
}

// badTokens shows tokens of Retry packets and of NEW_TOKEN frames as nobody may show them.
func badTokens(addr netip.AddrPort) (report, error) {
	s := &swindler{addr: addr}
	if err := s.swindle(); err != nil {
		return report{}, err
	}
	r := report{sent: s.sent, got: s.got, why: strings.Join(s.wrong, "; ")}
	r.what = fmt.Sprintf("%d of %d were taken for proof of an address", len(s.wrong), s.tried)
	if s.tried == 0 {
		if r.what = "no Retry packets came, so that no token matters"; ours() {
			r.why = r.what
		}
	}
	return r, nil
}

func (s *swindler) swindle() error {
	c, err := dial(s.addr, nil)
	if err != nil {
		return err
	}
	defer c.close()
	c.until(func() bool { return c.newToken != nil || !ours() })
	here, err := open(s.addr, netip.Addr{})
	if err != nil {
		return err
	}
	defer here.Close()
	elsewhere, err := open(s.addr, netip.MustParseAddr("127.9.13.2"))
	if err != nil {
		return err
	}
	defer elsewhere.Close()
	r, ok, err := s.retry(here)
	if err != nil || !ok {
		return err
	}
	if err := s.showRetry(r, elsewhere); err != nil || c.newToken == nil {
		return err
	}
	return s.showNew(c.newToken, here, elsewhere)
}

// showRetry shows what a Retry packet brought in every way but the right one, and at the end in that.
func (s *swindler) showRetry(r shown, elsewhere *net.UDPConn) error {
	for i := range r.token {
		forged := append([]byte(nil), r.token...)
		forged[i] ^= 1
		if err := s.expect(fmt.Sprintf("byte %d forged", i), shown{r.conn, forged, r.dst}); err != nil {
			return err
		}
	}
	for n := 1; n < len(r.token); n += 3 {
		if err := s.expect(fmt.Sprintf("cut to %d bytes", n), shown{r.conn, r.token[:n], r.dst}); err != nil {
			return err
		}
	}
	longer := append(append([]byte(nil), r.token...), 0)
	for _, x := range []struct {
		what string
		f    shown
	}{
		{"a byte longer", shown{r.conn, longer, r.dst}},
		{"300 bytes", shown{r.conn, make([]byte, 300), r.dst}},
		{"shown elsewhere", shown{elsewhere, r.token, r.dst}},
		{"for another connection", shown{r.conn, r.token, randomID(8)}},
	} {
		if err := s.expect(x.what, x.f); err != nil {
			return err
		}
	}
	r, _, err := s.retry(r.conn) // tokens are good for a short time, and machines are slow
	if err != nil {
		return err
	}
	a, _, err := s.show(r)
	if a != accepted && ours() {
		s.wrong = append(s.wrong, "the genuine one: "+string(a))
	}
	return err
}

// showNew shows the token of a NEW_TOKEN frame elsewhere, cut, forged, and twice.
func (s *swindler) showNew(token []byte, here, elsewhere *net.UDPConn) error {
	for i := range token {
		forged := append([]byte(nil), token...)
		forged[i] ^= 1
		if err := s.expect(fmt.Sprintf("byte %d of NEW_TOKEN forged", i), shown{here, forged, randomID(8)}); err != nil {
			return err
		}
	}
	for n := 1; n < len(token); n += 3 {
		if err := s.expect(fmt.Sprintf("NEW_TOKEN cut to %d bytes", n), shown{here, token[:n], randomID(8)}); err != nil {
			return err
		}
	}
	if err := s.expect("NEW_TOKEN shown elsewhere", shown{elsewhere, token, randomID(8)}); err != nil {
		return err
	}
	if a, _, err := s.show(shown{here, token, randomID(8)}); err != nil || a != accepted && ours() {
		s.wrong = append(s.wrong, "the genuine NEW_TOKEN: "+string(a))
		return err
	}
	return s.expect("NEW_TOKEN shown twice", shown{here, token, randomID(8)})
}
