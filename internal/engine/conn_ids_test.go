package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

func resetToken(n byte) (t [16]byte) {
	for i := range t {
		t[i] = n
	}
	return t
}

// newID makes a NEW_CONNECTION_ID frame of the peer's.
func newID(seq, retirePriorTo int64) []byte {
	return wire.AppendNewConnectionID(nil, wire.NewConnectionID{
		Seq: seq, RetirePriorTo: retirePriorTo, ID: peerID(seq), ResetToken: resetToken(byte(seq)),
	})
}

// peerID is the peer's connection ID with a sequence number; as long as x.src.
func peerID(seq int64) wire.ConnID { return wire.MakeConnID([]byte{0xb0, 0xb1, 0xb2, 0xb3, byte(seq)}) }

// tokens returns the reset tokens that the events say are watched for, given those before.
func (x *exchange) tokens() (list [][16]byte) {
	for _, e := range x.events {
		switch e.Kind {
		case EventTokenAdded:
			list = append(list, e.Token)
		case EventTokenRemoved:
			for i := range list {
				if list[i] == e.Token {
					list = append(list[:i], list[i+1:]...)
					break
				}
			}
		}
	}
	return list
}

func TestRetirePriorToMovesTheIDInUse(t *testing.T) {
	// Rules: 9000:5.1.2/3, 9000:19.15/8
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, newID(1, 0))
	if x.conn.ids.remoteID() != x.src {
		t.Error("a new ID is used without need")
	}
	x.receive(wire.AppSpace, newID(2, 1))
	x.want("the old one is given up", wire.AppSpace, "retire_connection_id 0")
	if got := x.conn.ids.remoteID(); got != peerID(1) {
		t.Errorf("the ID in use is %v", got)
	}
	x.receive(wire.AppSpace, newID(4, 4))
	x.want("those between too", wire.AppSpace, "retire_connection_id 1")
	x.want("those between too", wire.AppSpace, "retire_connection_id 2")
	x.receive(wire.AppSpace, newID(3, 0))
	x.want("and one that comes late is given up at once", wire.AppSpace, "retire_connection_id 3")
	if got := x.conn.ids.remoteID(); got != peerID(4) {
		t.Errorf("the ID in use is %v", got)
	}
}

func TestResetTokensAreWatchedForWhileTheirIDIsUsed(t *testing.T) {
	// Rules: 9000:10.3.1/2, 9000:10.3.1/4
	// RFC 9000, section 10.3.1: "An endpoint MUST NOT check for any stateless reset tokens associated with connection IDs
	// it has not used or for connection IDs that have been retired."
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.HasResetToken, p.ResetToken = true, resetToken(100) }))
	x.playHandshake()
	if got := x.tokens(); len(got) != 1 || got[0] != resetToken(100) {
		t.Fatalf("after the handshake %x is watched for", got)
	}
	x.receive(wire.AppSpace, newID(1, 0))
	if got := x.tokens(); len(got) != 1 || got[0] != resetToken(100) {
		t.Errorf("with another ID that is not used, %x is watched for", got)
	}
	reset := func(n byte) []byte {
		b, tok := append([]byte{0x40}, make([]byte, 30)...), resetToken(n)
		return append(b, tok[:]...)
	}
	x.receiveDatagram(reset(1))
	if x.conn.Err() != nil {
		t.Fatal("a reset of an ID that was not used is believed")
	}
	x.receive(wire.AppSpace, newID(2, 1))
	if got := x.tokens(); len(got) != 1 || got[0] != resetToken(1) {
		t.Errorf("with the other in use %x is watched for", got)
	}
	x.receiveDatagram(reset(100))
	if x.conn.Err() != nil {
		t.Fatal("a reset of an ID that was retired is believed")
	}
	x.receiveDatagram(reset(1))
	if x.conn.Err() != ErrStatelessReset {
		t.Errorf("a reset of the ID in use: %v", x.conn.Err())
	}
	x.advanceToDeadline()
	if got := x.tokens(); len(got) != 0 {
		t.Errorf("after the end %x is watched for", got)
	}
}

func TestIDOfThePreferredAddressIsHeld(t *testing.T) {
	// RFC 9000, section 5.1.1: "If the preferred_address transport parameter is sent, the sequence number of the supplied
	// connection ID is 1." We do not move there, but the server may want the ID back.
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) {
		p.PreferredAddress = &wire.PreferredAddress{ID: peerID(1), ResetToken: resetToken(1)}
	})).handshake()
	x.receive(wire.AppSpace, newID(2, 2))
	x.want("the first ID is given up", wire.AppSpace, "retire_connection_id 0")
	x.want("and that of the preferred address", wire.AppSpace, "retire_connection_id 1")
}

func TestConnectionIDLimit(t *testing.T) {
	// Rules: 9000:5.1.1/3, 9000:5.1.1/4, 9000:5.1.1/5, 9000:9.5/5
	// RFC 9000, section 5.1.1.
	x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.ActiveConnIDLimit = 100 })).handshake()
	if n := len(x.conn.ids.local); n != maxLocalIDs {
		t.Errorf("the peer, who would take 100 IDs, was given %d, want %d", n, maxLocalIDs)
	}
	for seq := int64(1); seq < maxRemoteIDs; seq++ {
		x.receive(wire.AppSpace, newID(seq, 0))
	}
	if x.conn.Err() != nil {
		t.Fatalf("as many IDs as the limit: %v", x.conn.Err())
	}
	x.receive(wire.AppSpace, newID(maxRemoteIDs, 0))
	x.wantClose("one ID too many", wire.ConnectionIDLimitError)

	x = newExchange(t, true).handshake()
	if n := len(x.conn.ids.local); n != 2 {
		t.Errorf("a peer that says nothing takes two IDs and was given %d", n)
	}
}

func TestRetirementIsBounded(t *testing.T) {
	// Rules: 9000:5.1.2/4, 9000:5.1.2/5, 9000:5.1.2/6
	x := newExchange(t, true).handshake()
	x.conn.spaces[wire.AppSpace].acks.receive(x.now, wire.AppSpace, 0, false, 0)
	seq := int64(1)
	for ; x.conn.Err() == nil && seq < 100; seq++ {
		x.receive(wire.AppSpace, newID(seq, seq)) // and no acknowledgment of the retirements
	}
	x.wantClose("a peer that feeds IDs faster than it acknowledges", wire.ConnectionIDLimitError)
	if seq < 2*maxRemoteIDs {
		t.Errorf("closed after %d retirements; section 5.1.2 wants twice the active limit", seq)
	}
}

func TestRetiredIDsAreReplaced(t *testing.T) {
	// Rules: 9000:5.1.1/6
	x := newExchange(t, true).handshake()
	old := x.conn.ids.local[0].id
	x.dst = x.conn.ids.local[1].id
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.want("another ID takes its place", wire.AppSpace, "new_connection_id 2")
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.wantNothing("a repetition is ignored")
	x.advance(10 * time.Second)
	if e := x.wantEvent("the old one leads here no longer", EventIDRetired); e.ID != old {
		t.Errorf("but %v", e.ID)
	}
}

func TestAnIDThatIsGivenUpLeadsHereAWhile(t *testing.T) {
	x := newExchange(t, true).handshake()
	old := x.conn.ids.local[0].id
	x.dst = x.conn.ids.local[1].id
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.ack(wire.AppSpace)
	received := func() int64 {
		before := x.conn.Stats().PacketsReceived
		x.dst, old = old, x.dst
		x.receive(wire.AppSpace, ping)
		x.dst, old = old, x.dst
		return x.conn.Stats().PacketsReceived - before
	}
	if received() != 1 {
		t.Error("a late packet to it is dropped")
	}
	for x.conn.ids.left != nil {
		if slices.ContainsFunc(x.events, func(e Event) bool { return e.Kind == EventIDRetired }) {
			t.Fatal("it leads here no longer, as the events have it")
		}
		x.advanceToDeadline()
	}
	x.wantEvent("when its time is over, it leads here no longer", EventIDRetired)
	if received() != 0 {
		t.Error("a packet to it is taken when its time is over")
	}
	for seq := int64(1); seq < 100; seq++ {
		x.dst = x.conn.ids.local[1].id
		x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, seq))
	}
	if n := len(x.conn.ids.left); x.conn.Err() != nil || n != maxLeftIDs {
		t.Errorf("%d are kept: %v", n, x.conn.Err())
	}
	x.events = nil
	x.conn.Close(x.now, 0, "")
	x.advance(10 * time.Second)
	gone := map[wire.ConnID]bool{}
	for _, e := range x.events {
		if e.Kind == EventIDRetired {
			gone[e.ID] = true
		}
	}
	if len(gone) != maxLeftIDs+len(x.conn.ids.local) {
		t.Errorf("at the end %d are retired", len(gone))
	}
}

func TestFaultsAboutConnectionIDs(t *testing.T) {
	// Rules: 9000:19.15/1, 9000:19.15/6, 9000:19.16/1, 9000:19.16/2
	for _, c := range []struct {
		sentence string
		frames   [][]byte
		want     wire.ErrorCode
	}{
		{"the retirement of the ID that its packet was sent to", [][]byte{wire.AppendRetireConnectionID(nil, 0)}, wire.ProtocolViolation},
		{"the retirement of an ID never issued", [][]byte{wire.AppendRetireConnectionID(nil, 2)}, wire.ProtocolViolation},
		{"a sequence number used twice", [][]byte{newID(1, 0), wire.AppendNewConnectionID(nil, wire.NewConnectionID{Seq: 1, ID: peerID(2)})}, wire.ProtocolViolation},
		{"an ID with two sequence numbers", [][]byte{newID(1, 0), wire.AppendNewConnectionID(nil, wire.NewConnectionID{Seq: 2, ID: peerID(1)})}, wire.ProtocolViolation},
		{"an empty ID", [][]byte{append([]byte{byte(wire.FrameNewConnectionID), 1, 0, 0}, make([]byte, 16)...)}, wire.FrameEncodingError},
		{"an ID of 21 bytes", [][]byte{append([]byte{byte(wire.FrameNewConnectionID), 1, 0, 21}, make([]byte, 37)...)}, wire.FrameEncodingError},
		{"a demand to retire what is not issued yet", [][]byte{append([]byte{byte(wire.FrameNewConnectionID), 1, 2, 4}, make([]byte, 20)...)}, wire.FrameEncodingError},
	} {
		x := newExchange(t, true).handshake()
		x.dst = x.conn.ids.local[0].id
		x.receive(wire.AppSpace, c.frames...)
		x.wantClose(c.sentence, c.want)
	}
}

func TestARepeatedNewConnectionIDIsHarmless(t *testing.T) {
	// Rules: 9000:19.15/4
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, newID(1, 0), newID(1, 0))
	x.wantNothing("it says nothing new")
	if n := len(x.conn.ids.remote); n != 2 || x.conn.Err() != nil {
		t.Errorf("%d IDs, %v", n, x.conn.Err())
	}
}
