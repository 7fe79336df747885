package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// An exchange is one Conn and a peer that a test plays by hand. The peer speaks TLS for real and keeps keys, but has no
// rules of its own: it sends exactly the frames it is told to, and every frame the connection sends waits in a queue until
// the test says what it wants to see. Nothing in the connection knows of it.
type exchange struct {
	t        *testing.T
	now      instant.Time
	conn     *Conn
	server   bool // the connection is the server
	buf      []byte
	story    []string // the conversation, printed when the test fails
	queue    []sentFrame
	sizes    []int    // of the datagrams sent
	runs     []int    // how many datagrams each Compose wrote
	paths    []Path   // and where they went
	dsts     []string // and the connection IDs that they went to, those with short headers
	marks    []uint8  // and how they were marked
	events   []Event
	path     Path // where the peer's datagrams come from
	acking   bool // the peer acknowledges what it receives
	peer     *handshake.Handshake
	read     [wire.NumSpaces]*seal.Keys
	write    [wire.NumSpaces]*seal.Keys
	next     [wire.NumSpaces]int64
	seen     [wire.NumSpaces]rangeset.Set
	out      [wire.NumSpaces]int64  // CRYPTO bytes the peer has sent
	in       [wire.NumSpaces]int64  // CRYPTO bytes the peer has taken
	pending  [wire.NumSpaces][]byte // CRYPTO bytes the peer's TLS has produced
	phase    bool
	src      wire.ConnID // the peer's first, of a length that ours never has
	dst      wire.ConnID // the connection's
	params   wire.TransportParams
	learned  wire.TransportParams
	header   func(h *wire.LongHeader) // changes the long headers of the peer's packets; nil: none
	reserved byte                     // bits set in the first byte of the peer's packets
	unfixed  bool                     // the fixed bit of the peer's packets is 0, but for a client's first
	version  uint32                   // of the packets the peer sends
	readable uint32                   // the version whose Initial packets read[0] opens
	heard    []heardHeader            // the long headers of the connection's packets
	original wire.ConnID              // what the keys of Initial packets derive from
	tolerant bool                     // what the connection sends may be nonsense to TLS
}

// heardHeader is what a long header of the connection's said.
type heardHeader struct {
	typ     wire.PacketType
	version uint32
}

// speak has the peer send packets of a version from now on.
func (x *exchange) speak(version uint32) {
	x.version = version
	client, server := seal.Of(version).Initial(x.original.Bytes())
	if x.write[0] = server; x.server {
		x.write[0] = client
	}
}

// understand readies the peer for an Initial packet of a version. A client among the peers answers in kind.
func (x *exchange) understand(version uint32) {
	if version == x.readable {
		return
	}
	x.readable = version
	client, server := seal.Of(version).Initial(x.original.Bytes())
	if x.read[0] = client; x.server {
		x.read[0] = server
		x.speak(version)
	}
}

// sentFrame is a frame the connection sent.
type sentFrame struct {
	space  wire.Space
	number int64
	text   string
	raw    []byte
}

type option func(x *exchange, config *Config)

func withConfig(f func(*Config)) option { return func(_ *exchange, c *Config) { f(c) } }
func withParams(f func(*wire.TransportParams)) option {
	return func(x *exchange, _ *Config) { f(&x.params) }
}

func newExchange(t *testing.T, server bool, opts ...option) *exchange {
	x := &exchange{t: t, now: 1e9, server: server, version: wire.Version1, readable: wire.Version1, buf: make([]byte, 64<<10), acking: true}
	t.Cleanup(func() {
		if t.Failed() || testing.Verbose() {
			t.Log("\n  " + strings.Join(x.story, "\n  "))
		}
	})
	x.src = wire.MakeConnID([]byte{0xa0, 0xa1, 0xa2, 0xa3, 0xa4})
	x.params = wire.DefaultTransportParams()
	p := &x.params
	p.InitialSrcID = x.src.AppendTo(nil)
	p.InitialMaxData, p.InitialMaxStreamDataBidiLocal = 1<<20, 1<<18
	p.InitialMaxStreamDataBidiRemote, p.InitialMaxStreamDataUni = 1<<18, 1<<18
	p.InitialMaxStreamsBidi, p.InitialMaxStreamsUni = 10, 10
	p.MaxIdleTimeout = 30 * time.Second
	config := &Config{Seed: [32]byte{3}, StreamWindow: 1 << 16, ConnWindow: 1 << 17, StreamConfig: StreamConfig{MaxStreamsBidi: 10, MaxStreamsUni: 10}}
	for _, o := range opts {
		o(x, config)
	}
	if server {
		if config.TLS == nil {
			config.TLS = serverTLS()
		}
		x.path = Path{Local: serverAddr, Remote: clientAddr}
		original := wire.MakeConnID([]byte("original"))
		x.dst, x.original = original, original
		c, s := seal.Of(x.version).Initial(original.Bytes())
		x.read[0], x.write[0] = s, c
		conn, err := NewServer(x.now, config, Incoming{Path: x.path, DstID: original, SrcID: x.src, Version: x.version})
		x.start(conn, err)
		x.peer = handshake.NewClient(clientTLS(), p.AppendTo(nil, 1))
	} else {
		config.TLS = clientTLS()
		x.path = Path{Local: clientAddr, Remote: serverAddr}
		conn, err := NewClient(x.now, config, x.path)
		x.start(conn, err)
		original := conn.ids.original
		x.original = original
		p.OriginalDstID = original.AppendTo(nil)
		c, s := seal.Initial(original.Bytes())
		x.read[0], x.write[0] = c, s
		x.dst = conn.ids.local[0].id
		x.peer = handshake.NewServer(serverTLS(), p.AppendTo(nil, 1))
	}
	if err := x.peer.Start(); err != nil {
		t.Fatal(err)
	}
	x.pump()
	return x
}

func (x *exchange) start(c *Conn, err error) {
	if err != nil {
		x.t.Fatal(err)
	}
	x.conn = c
}

// pump does what the peer's TLS wants.
func (x *exchange) pump() {
	for {
		e, ok := x.peer.Next()
		if !ok {
			return
		}
		space, _ := spaceOf(e.Level)
		switch e.Kind {
		case handshake.ReadKeys, handshake.WriteKeys:
			k, err := seal.Of(x.version).New(e.Suite, e.Secret)
			if err != nil {
				x.t.Fatal(err)
			}
			if e.Kind == handshake.ReadKeys {
				x.read[space] = k
			} else {
				x.write[space] = k
			}
		case handshake.Data:
			x.pending[space] = append(x.pending[space], e.Data...)
		case handshake.PeerParams:
			x.learned, _ = wire.ConsumeTransportParams(e.Data, x.server)
		}
	}
}

// handshake plays the handshake to its end and forgets what was said.
func (x *exchange) handshake() *exchange {
	x.t.Helper()
	x.playHandshake()
	if !x.conn.shake.confirmed {
		x.t.Fatalf("the handshake was not confirmed: %v", x.conn.Err())
	}
	x.ack(wire.AppSpace)
	x.advance(100 * time.Millisecond)
	x.queue, x.events, x.sizes, x.runs, x.paths, x.dsts = nil, nil, nil, nil, nil, nil
	return x
}

// playHandshake plays the handshake as far as it goes.
func (x *exchange) playHandshake() {
	x.t.Helper()
	for range 20 {
		x.drain()
		x.sayCrypto()
		if x.server && x.conn.shake.confirmed && x.conn.HandshakeDone() {
			break
		}
		if !x.server && x.conn.HandshakeDone() && !x.conn.shake.confirmed {
			x.receive(wire.AppSpace, []byte{byte(wire.FrameHandshakeDone)})
		}
	}
	x.drain()
}

// sayCrypto sends what the peer's TLS has to say.
func (x *exchange) sayCrypto() {
	x.t.Helper()
	for space := range x.pending {
		for len(x.pending[space]) > 0 {
			x.receive(wire.Space(space), x.crypto(wire.Space(space)))
		}
	}
}

// crypto makes the next CRYPTO frame of the peer's.
func (x *exchange) crypto(space wire.Space) []byte {
	b := x.pending[space]
	n := min(len(b), 1000)
	f := append(wire.AppendCryptoHeader(nil, x.out[space], n), b[:n]...)
	x.pending[space] = b[n:]
	x.out[space] += int64(n)
	return f
}

// receive hands the connection a packet with these frames.
func (x *exchange) receive(space wire.Space, frames ...[]byte) {
	x.t.Helper()
	x.receiveDatagram(x.packet(space, frames...))
}

// packet makes a protected packet.
func (x *exchange) packet(space wire.Space, frames ...[]byte) []byte {
	number := x.next[space]
	x.next[space]++
	return x.packetNumbered(space, number, frames...)
}

func (x *exchange) packetNumbered(space wire.Space, number int64, frames ...[]byte) []byte {
	payload := bytes.Join(frames, nil)
	x.story = append(x.story, fmt.Sprintf("%8.3f ms  -> %s %d: %s", x.ms(), space, number, strings.Join(describeAll(payload), ", ")))
	if space == wire.InitialSpace && x.server {
		payload = append(payload, make([]byte, max(0, 1250-len(payload)))...)
	}
	payload = append(payload, make([]byte, max(0, 4-len(payload)))...)
	if space == wire.AppSpace {
		b := wire.AppendShortHeader(nil, x.dst.Bytes(), x.phase, number, 4)
		b[0] = b[0]&^x.cleared() | x.reserved
		b = append(b, payload...)
		return x.write[space].Seal(append(b, make([]byte, 16)...)[:len(b)], 1+x.dst.Len(), 4, number)
	}
	typ := wire.PacketInitial
	if space == wire.HandshakeSpace {
		typ = wire.PacketHandshake
	}
	h := wire.LongHeader{Type: typ, Version: x.version, DstID: x.dst.Bytes(), SrcID: x.src.Bytes()}
	if x.header != nil {
		x.header(&h)
	}
	b, at := wire.AppendLongHeader(nil, h, number, 4)
	off := len(b) - 4
	b[0] = b[0]&^x.cleared() | x.reserved
	b = append(b, payload...)
	wire.SetLength(b, at, len(b)-off+seal.Overhead)
	return x.write[space].Seal(append(b, make([]byte, 16)...)[:len(b)], off, 4, number)
}

// cleared returns the bits of a packet's first byte that the peer clears.
func (x *exchange) cleared() byte {
	if x.unfixed {
		return wire.FixedBit
	}
	return 0
}

func (x *exchange) ms() float64 { return float64(x.now-1e9) / 1e6 }

// receiveDatagram hands the connection a datagram as it stands.
func (x *exchange) receiveDatagram(b []byte) {
	x.conn.Receive(x.now, Datagram{Payload: b, Path: x.path})
	x.drain()
}

// ack acknowledges all that the connection has sent in a space.
func (x *exchange) ack(space wire.Space) {
	if len(x.seen[space]) > 0 && x.write[space] != nil {
		x.receive(space, wire.AppendAck(nil, wire.Ack{}, x.seen[space], 1000))
	}
}

// advance lets time pass, with timers firing as they are due.
func (x *exchange) advance(d time.Duration) {
	for end := x.now.Add(d); ; {
		at := x.conn.Deadline()
		if at == instant.Never || at > end {
			x.now = end
			break
		}
		x.now = max(x.now, at)
		x.conn.Expire(x.now)
		x.drain()
	}
	x.drain()
}

// advanceToDeadline lets the next timer fire.
func (x *exchange) advanceToDeadline() {
	x.t.Helper()
	at := x.conn.Deadline()
	if at == instant.Never {
		x.t.Fatal("no timer is set")
	}
	x.now = max(x.now, at)
	x.conn.Expire(x.now)
	x.drain()
}

// drain takes what the connection says.
func (x *exchange) drain() {
	for {
		t := x.conn.Compose(x.now, x.buf)
		if t.Size == 0 {
			break
		}
		x.runs = append(x.runs, (t.Size+t.Segment-1)/t.Segment)
		for b := x.buf[:t.Size]; len(b) > 0; {
			n := min(len(b), t.Segment)
			x.sizes = append(x.sizes, n)
			x.paths = append(x.paths, t.Path)
			x.dsts = append(x.dsts, string(b[1:1+x.conn.ids.remote[0].id.Len()]))
			x.marks = append(x.marks, t.ECN)
			x.hear(bytes.Clone(b[:n]))
			b = b[n:]
		}
	}
	for {
		e, ok := x.conn.Event()
		if !ok {
			return
		}
		x.events = append(x.events, e)
	}
}

// hear opens a datagram of the connection's.
func (x *exchange) hear(b []byte) {
	for len(b) > 0 {
		space, pnOffset, size := wire.AppSpace, 1+x.conn.ids.remote[0].id.Len(), len(b)
		if wire.IsLong(b[0]) {
			h, n := wire.ConsumeLongHeader(b)
			if n < 0 {
				x.t.Fatal("the connection sent a malformed long header")
			}
			x.heard = append(x.heard, heardHeader{h.Type, h.Version})
			space = wire.InitialSpace
			if h.Type == wire.PacketHandshake {
				space = wire.HandshakeSpace
			} else {
				x.understand(h.Version)
			}
			if x.server {
				x.dst = wire.MakeConnID(h.SrcID)
			}
			pnOffset, size = h.PNOffset, n
		}
		x.hearPacket(space, b[:size], pnOffset)
		b = b[size:]
	}
}

func (x *exchange) hearPacket(space wire.Space, b []byte, pnOffset int) {
	if x.read[space] == nil {
		return
	}
	truncated, pnLen, _ := x.read[space].Unprotect(b, pnOffset)
	largest := int64(-1)
	if len(x.seen[space]) > 0 {
		largest = x.seen[space].End() - 1
	}
	number := wire.DecodePacketNumber(largest, truncated, pnLen)
	payload, ok := x.read[space].Open(b, pnOffset+pnLen, number)
	if !ok {
		x.t.Fatal("the connection sent a packet that does not open")
	}
	x.story = append(x.story, fmt.Sprintf("%8.3f ms <-  %s %d: %s", x.ms(), space, number, strings.Join(describeAll(payload), ", ")))
	eliciting := false
	for len(payload) > 0 {
		text, n := describe(payload)
		if n <= 0 {
			x.t.Fatalf("the connection sent a malformed frame: %x", payload)
		}
		raw := payload[:n]
		payload = payload[n:]
		if text == "padding" {
			continue
		}
		if strings.HasPrefix(text, "crypto") && !x.conn.shake.confirmed {
			x.takeCrypto(space, raw)
		}
		eliciting = eliciting || !strings.HasPrefix(text, "ack") && !strings.HasPrefix(text, "connection_close")
		x.queue = append(x.queue, sentFrame{space, number, text, raw})
	}
	x.seen[space].Add(number, number+1)
}

func (x *exchange) takeCrypto(space wire.Space, raw []byte) {
	f, _ := wire.ConsumeCrypto(raw)
	if f.Offset > x.in[space] || f.Offset+int64(len(f.Data)) <= x.in[space] {
		return
	}
	data := f.Data[x.in[space]-f.Offset:]
	x.in[space] += int64(len(data))
	if err := x.peer.Receive(levelOf[space], data); err != nil && !x.tolerant {
		x.t.Fatalf("the peer's TLS: %v", err)
	}
	x.pump()
}

// want expects the next frame, ACKs aside, to read like text.
func (x *exchange) want(sentence string, space wire.Space, text string) sentFrame {
	x.t.Helper()
	x.skipAcks()
	if len(x.queue) == 0 {
		x.t.Fatalf("%s\n got nothing\nwant %s %s", sentence, space, text)
	}
	f := x.queue[0]
	x.queue = x.queue[1:]
	if f.space != space || f.text != text {
		x.t.Fatalf("%s\n got %s %s\nwant %s %s", sentence, f.space, f.text, space, text)
	}
	return f
}

// wantAmong expects a frame that reads like text among those that wait, and forgets them all.
func (x *exchange) wantAmong(sentence string, text string) sentFrame {
	x.t.Helper()
	var all []string
	for _, f := range x.queue {
		if f.text == text {
			x.queue = nil
			return f
		}
		all = append(all, f.text)
	}
	x.t.Fatalf("%s\n got %s\nwant %s among them", sentence, strings.Join(all, ", "), text)
	return sentFrame{}
}

// wantNothing expects that no frame but ACKs waits.
func (x *exchange) wantNothing(sentence string) {
	x.t.Helper()
	if x.skipAcks(); len(x.queue) > 0 {
		x.t.Fatalf("%s\n got %s %s\nwant nothing", sentence, x.queue[0].space, x.queue[0].text)
	}
}

func (x *exchange) skipAcks() {
	for len(x.queue) > 0 && strings.HasPrefix(x.queue[0].text, "ack") {
		x.queue = x.queue[1:]
	}
}

// wantClose expects the connection to have closed itself with a transport error code.
func (x *exchange) wantClose(sentence string, code wire.ErrorCode) {
	x.t.Helper()
	e, ok := x.conn.Err().(*TransportError)
	if !ok || e.Code != code || e.Remote {
		x.t.Fatalf("%s\n got %v\nwant %v", sentence, x.conn.Err(), code)
	}
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, fmt.Sprintf("connection_close code=%#x", uint64(code))) {
			return
		}
	}
	x.t.Fatalf("%s: no CONNECTION_CLOSE with the code was sent", sentence)
}

// wantEvent expects an event of a kind among those that happened, and forgets them all.
func (x *exchange) wantEvent(sentence string, kind EventKind) Event {
	x.t.Helper()
	for _, e := range x.events {
		if e.Kind == kind {
			x.events = nil
			return e
		}
	}
	x.t.Fatalf("%s: no event of kind %d among %+v", sentence, kind, x.events)
	return Event{}
}

func describeAll(b []byte) (all []string) {
	for len(b) > 0 {
		text, n := describe(b)
		if n <= 0 {
			return append(all, fmt.Sprintf("malformed %x", b[:min(len(b), 16)]))
		}
		all = append(all, text)
		b = b[n:]
	}
	return all
}

// describe says what the frame at the front of b is, in the words of the tests.
func describe(b []byte) (string, int) {
	q, n := (&Conn{peer: wire.DefaultTransportParams()}).traceFrame(b)
	s := q.Type
	switch s {
	case "stream":
		s += fmt.Sprintf(" %d [%d,%d)", q.ID, q.Offset, q.Offset+q.Length)
		if q.Fin {
			s += " fin"
		}
	case "crypto":
		s += fmt.Sprintf(" [%d,%d)", q.Offset, q.Offset+q.Length)
	case "reset_stream":
		s += fmt.Sprintf(" %d code=%#x size=%d", q.ID, q.Code, q.Length)
	case "reset_stream_at":
		s += fmt.Sprintf(" %d code=%#x size=%d reliable=%d", q.ID, q.Code, q.Length, q.Max)
	case "stop_sending":
		s += fmt.Sprintf(" %d code=%#x", q.ID, q.Code)
	case "max_data", "data_blocked":
		s += fmt.Sprintf(" %d", q.Max)
	case "max_stream_data", "stream_data_blocked":
		s += fmt.Sprintf(" %d %d", q.ID, q.Max)
	case "max_streams", "streams_blocked":
		s += fmt.Sprintf(" %d uni=%v", q.Max, q.Uni)
	case "new_connection_id", "retire_connection_id":
		s += fmt.Sprintf(" %d", q.Seq)
	case "path_challenge", "path_response":
		s += fmt.Sprintf(" %x", q.Bytes)
	case "connection_close":
		s += fmt.Sprintf(" code=%#x app=%v", q.Code, q.App)
	case "ack":
		for _, r := range q.Ranges {
			s += fmt.Sprintf(" [%d,%d)", r.Start, r.End)
		}
	}
	return s, n
}

type rangeOf = rangeset.Range

// emptyPacket makes a packet with no frame in it.
func (x *exchange) emptyPacket() []byte {
	number := x.next[wire.AppSpace]
	x.next[wire.AppSpace]++
	b := wire.AppendShortHeader(nil, x.dst.Bytes(), x.phase, number, 4)
	return x.write[wire.AppSpace].Seal(append(b, make([]byte, 16)...)[:len(b)], 1+x.dst.Len(), 4, number)
}
