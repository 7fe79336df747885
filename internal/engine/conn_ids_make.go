package engine

import "github.com/godwit-net/godwit/internal/wire"

// An IDGenerator makes the connection IDs that one endpoint, its Acceptor, its Demux and all its connections, wants to be
// reached by. Len is constant: a short header does not tell how long its ID is. A server's IDs have at least one byte; a
// client that has its socket to itself may do without.
type IDGenerator interface {
	// Len is the length of every ID, 0 to 20 bytes.
	Len() int
	// Generate makes an ID of the Len random bytes in id, in place.
	Generate(id []byte)
}

// IDConfig is the part of a Config that says how connection IDs are made.
type IDConfig struct {
	IDs     IDGenerator            // nil: 8 random bytes
	ClaimID func(wire.ConnID) bool // reports whether an ID of ours leads nowhere yet, and makes it lead here; nil: it always does
	OneID   bool                   // the peer has one ID at a time and is asked not to migrate
}

// idLen returns the length of the IDs of g; nil stands for random ones.
func idLen(g IDGenerator) int {
	if g == nil {
		return DefaultIDLen
	}
	return g.Len()
}

// makeID makes an ID of random bytes.
func makeID(g IDGenerator, random []byte) wire.ConnID {
	if g != nil {
		g.Generate(random)
	}
	return wire.MakeConnID(random)
}

// maxIDTries is how many IDs are made until one leads nowhere yet. Only short ones, or a generator that repeats itself,
// need more than one.
const maxIDTries = 16

// newID makes an ID that leads nowhere yet; false: none could be found.
func (x *connIDs) newID(c *Conn) (wire.ConnID, bool) {
	for range maxIDTries {
		var b [wire.MaxConnIDLen]byte
		c.rand.Read(b[:x.length])
		id := makeID(c.config.IDs, b[:x.length])
		if !x.isLocal(id.Bytes()) && (c.config.ClaimID == nil || c.config.ClaimID(id)) {
			return id, true
		}
	}
	return wire.ConnID{}, false
}

// addLocal adds an ID of ours, which datagrams can be sent to from now on; nil: there is none to be had.
func (x *connIDs) addLocal(c *Conn) *localID {
	id, ok := x.newID(c)
	if !ok {
		return nil
	}
	x.local = append(x.local, localID{seq: x.localNext, id: id})
	x.localNext++
	c.events.push(Event{Kind: EventIDIssued, ID: id})
	return &x.local[len(x.local)-1]
}

// errNoID is why a connection does not begin.
var errNoID = &TransportError{Code: wire.InternalError, Reason: "no connection ID is free"}

// newID makes the ID that a Retry packet asks for, another than the client's; false: none could be found.
//
// RFC 9000, section 17.2.5.1: "This value MUST NOT be equal to the Destination Connection ID field of the packet sent by the
// client."
func (a *Acceptor) newID(random uint64, client []byte) (wire.ConnID, bool) {
	for range maxIDTries {
		var b [wire.MaxConnIDLen]byte
		n := idLen(a.IDs)
		for i := range b[:n] {
			random = random*6364136223846793005 + 1442695040888963407 // only has to be another than the client's
			b[i] = byte(random >> 56)
		}
		if id := makeID(a.IDs, b[:n]); string(id.Bytes()) != string(client) {
			return id, true
		}
	}
	return wire.ConnID{}, false
}
