package hostile

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// client is a QUIC client without rules: it sends the frames it is told to, and remembers what came back. One goroutine
// uses it.
type client struct {
	conn    *net.UDPConn
	tls     *handshake.Handshake
	read    [wire.NumSpaces]*seal.Keys
	write   [wire.NumSpaces]*seal.Keys
	next    [wire.NumSpaces]int64
	seen    [wire.NumSpaces]rangeset.Set
	in, out [wire.NumSpaces]int64 // CRYPTO bytes taken and sent
	pending [wire.NumSpaces][]byte
	src     wire.ConnID
	dst     wire.ConnID
	token   []byte
	hello   []byte                 // the ClientHello, for a second Initial packet
	said    [wire.NumSpaces][]byte // of CRYPTO, to be said again
	phase   bool                   // the key phase of either direction
	silent  bool                   // nothing is acknowledged
	blanket bool                   // all is acknowledged up to the largest number that came, whether it came or not
	sparse  bool                   // packets with odd numbers are not acknowledged
	heard
}

// heard is what the server has said.
type heard struct {
	sentBytes, gotBytes int64
	retried, done       bool
	closed              bool
	closeCode           uint64
	closeApp            bool
	responses           int // PATH_RESPONSE frames
	answered            map[[8]byte]bool
	repeated            int     // those that had come before
	ackRanges           int     // in one ACK frame, at most
	issued              []int64 // sequence numbers of NEW_CONNECTION_ID frames
	maxStreams          int64   // bidirectional
	resets              map[int64]bool
	streamBytes         int64
	acked               int64  // the largest packet number with a short header
	newToken            []byte // of a NEW_TOKEN frame
}

var errNoHandshake = errors.New("the handshake did not end")

// newClient makes a client that has sent nothing yet. params changes its transport parameters; nil: all is generous.
func newClient(addr netip.AddrPort, local netip.Addr, params func(*wire.TransportParams)) (*client, error) {
	return newRawClient(addr, local, params, func(raw []byte) []byte { return raw })
}

// newRawClient is newClient with a change to its encoded transport parameters.
func newRawClient(addr netip.AddrPort, local netip.Addr, params func(*wire.TransportParams), change func([]byte) []byte) (*client, error) {
	conn, err := open(addr, local)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, src: randomID(5)}
	c.resets, c.answered = map[int64]bool{}, map[[8]byte]bool{}
	p := wire.DefaultTransportParams()
	p.InitialSrcID = c.src.AppendTo(nil)
	p.InitialMaxData, p.InitialMaxStreamDataBidiLocal, p.InitialMaxStreamDataUni = 1<<40, 1<<40, 1<<20
	p.InitialMaxStreamsUni = 10
	p.MaxIdleTimeout = 30 * time.Second
	if params != nil {
		params(&p)
	}
	c.tls = handshake.NewClient(&tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: []string{"h3"},
		CurvePreferences: []tls.CurveID{tls.X25519}, // a ClientHello that fits into one packet
	}, change(p.AppendTo(nil, 1)))
	c.readdress(randomID(8))
	if err := c.tls.Start(); err != nil {
		return nil, err
	}
	err = c.pump()
	c.hello = append([]byte(nil), c.pending[wire.InitialSpace]...)
	return c, err
}

// dial makes a client, plays its handshake, and takes what the server says behind it.
func dial(addr netip.AddrPort, params func(*wire.TransportParams)) (*client, error) {
	c, err := connect(addr, netip.Addr{}, params)
	if err == nil {
		c.hear(100 * time.Millisecond)
	}
	return c, err
}

// connect is dial for those who need nothing of what comes after the handshake.
func connect(addr netip.AddrPort, local netip.Addr, params func(*wire.TransportParams)) (*client, error) {
	c, err := newClient(addr, local, params)
	if err != nil {
		return nil, err
	}
	if !c.shake(func() bool {
		return c.done && c.write[wire.AppSpace] != nil && len(c.pending[wire.HandshakeSpace]) == 0
	}) {
		c.close()
		return nil, errNoHandshake
	}
	return c, nil
}

// shake plays the handshake until something is so; what may have been lost is said again each second. false: it never was.
func (c *client) shake(so func() bool) bool {
	again := time.Now().Add(time.Second)
	for end := time.Now().Add(long); !so() && !c.closed && time.Now().Before(end); {
		if time.Now().After(again) {
			again = time.Now().Add(time.Second)
			for space, said := range c.said {
				c.pending[space], c.said[space], c.out[space] = append(said, c.pending[space]...), nil, 0
			}
		}
		c.sayCrypto()
		c.hear(100 * time.Millisecond)
	}
	return so()
}

// insist sends frames again and again until the server closes the connection.
func (c *client) insist(space wire.Space, frames []byte) {
	for end := time.Now().Add(long); !c.closed && time.Now().Before(end); {
		c.send(space, frames)
		c.hear(300 * time.Millisecond)
	}
}

// close leaves: without a word when there is time, since that is worse, so that the server has to find out.
func (c *client) close() {
	if ours() && !full() && !c.closed {
		c.send(wire.AppSpace, wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Code: 0x100}))
	}
	c.tls.Close()
	c.conn.Close()
}

func randomID(n int) wire.ConnID {
	b := make([]byte, n)
	rand.Read(b)
	return wire.MakeConnID(b)
}

// readdress begins anew towards another connection ID.
func (c *client) readdress(dst wire.ConnID) {
	c.dst = dst
	c.write[wire.InitialSpace], c.read[wire.InitialSpace] = seal.Initial(dst.Bytes())
}

// spaces are the packet number spaces of TLS's levels; there is none of 0-RTT here.
var spaces = map[handshake.Level]wire.Space{
	handshake.InitialLevel: wire.InitialSpace, handshake.HandshakeLevel: wire.HandshakeSpace, handshake.AppLevel: wire.AppSpace,
}

// pump does what TLS wants.
func (c *client) pump() error {
	for {
		e, ok := c.tls.Next()
		if !ok {
			return nil
		}
		space := spaces[e.Level]
		switch e.Kind {
		case handshake.ReadKeys, handshake.WriteKeys:
			k, err := seal.New(e.Suite, e.Secret)
			if err != nil {
				return err
			}
			if e.Kind == handshake.ReadKeys {
				c.read[space] = k
			} else {
				c.write[space] = k
			}
		case handshake.Data:
			c.pending[space] = append(c.pending[space], e.Data...)
		}
	}
}

// sayCrypto sends what TLS has to say.
func (c *client) sayCrypto() {
	for space := range c.pending {
		for len(c.pending[space]) > 0 {
			b := c.pending[space]
			n := min(len(b), 1100)
			f := append(wire.AppendCryptoHeader(nil, c.out[space], n), b[:n]...)
			c.pending[space] = b[n:]
			c.said[space] = append(c.said[space], b[:n]...)
			c.out[space] += int64(n)
			c.send(wire.Space(space), f)
		}
	}
}

// sayInitial sends what TLS has to say in Initial packets, and keeps the rest.
func (c *client) sayInitial() {
	kept := c.pending
	c.pending[wire.HandshakeSpace], c.pending[wire.AppSpace] = nil, nil
	c.sayCrypto()
	c.pending[wire.HandshakeSpace], c.pending[wire.AppSpace] = kept[wire.HandshakeSpace], kept[wire.AppSpace]
}

// send sends one packet with these frames, in a datagram of its own.
func (c *client) send(space wire.Space, frames []byte) {
	if c.write[space] != nil {
		n, _ := c.conn.Write(c.packet(space, frames)) // what the kernel refuses counts as lost
		c.sentBytes += int64(n)
	}
}

// packet makes a protected packet.
func (c *client) packet(space wire.Space, frames []byte) []byte {
	number := c.next[space]
	c.next[space]++
	payload := frames
	if space == wire.InitialSpace {
		payload = append(payload, make([]byte, max(0, 1200-len(payload)))...)
	}
	payload = append(payload, make([]byte, max(0, 4-len(payload)))...)
	if space == wire.AppSpace {
		b := wire.AppendShortHeader(nil, c.dst.Bytes(), c.phase, number, 4)
		b = append(append(b, payload...), make([]byte, seal.Overhead)...)
		return c.write[space].Seal(b[:len(b)-seal.Overhead], 1+c.dst.Len(), 4, number)
	}
	h := wire.LongHeader{Type: wire.PacketInitial, Version: wire.Version1, DstID: c.dst.Bytes(), SrcID: c.src.Bytes(), Token: c.token}
	if space == wire.HandshakeSpace {
		h.Type, h.Token = wire.PacketHandshake, nil
	}
	b, at := wire.AppendLongHeader(nil, h, number, 4)
	offset := len(b) - 4
	b = append(b, payload...)
	wire.SetLength(b, at, len(b)-offset+seal.Overhead)
	b = append(b, make([]byte, seal.Overhead)...)
	return c.write[space].Seal(b[:len(b)-seal.Overhead], offset, 4, number)
}
