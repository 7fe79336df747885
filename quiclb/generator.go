package quiclb

import "fmt"

// A Generator makes the connection IDs of one server, and is a quic.ConnIDGenerator. It is for one endpoint, and for one
// goroutine at a time.
type Generator struct {
	codec    *codec // nil: no configuration
	length   int
	serverID [maxServerID]byte

	nonce, first [maxPlain]byte // the next one, as a counter of NonceLen bytes, and the one that it began with
	begun, over  bool
}

// NewGenerator returns a generator of IDs that lead to the server with an ID, which is c.ServerIDLen bytes long.
func NewGenerator(c Config, serverID []byte) (*Generator, error) {
	k, err := newCodec(c)
	if err != nil {
		return nil, err
	}
	if len(serverID) != c.ServerIDLen {
		return nil, fmt.Errorf("quiclb: the server ID has %d bytes, and the configuration's have %d", len(serverID), c.ServerIDLen)
	}
	g := &Generator{codec: k, length: k.length}
	copy(g.serverID[:], serverID)
	return g, nil
}

// NewUnroutable returns a generator for a server that has no configuration: its IDs, 8 to 20 bytes long, tell load balancers
// to go by addresses.
//
// Section 3.2: "Servers with no active configuration MUST issue connection IDs with the reserved value of the three most significant
// bits set to 0b111 to signify the connection ID is unroutable. These connection IDs MUST self-encode their length". They "SHOULD
// provide the client exactly one CID over the life of the connection" and "SHOULD send the "disable_active_migration" transport
// parameter": quic.Routing.Stationary sees to both.
func NewUnroutable(length int) (*Generator, error) {
	if length < 8 || length > maxLen {
		return nil, fmt.Errorf("quiclb: IDs of %d bytes, not of 8 to %d", length, maxLen)
	}
	return &Generator{length: length, over: true}, nil
}

// Len returns the length of the IDs.
func (g *Generator) Len() int { return g.length }

// Generate makes an ID in id, which has Len bytes, all of them random.
//
// Section 5.4: "If there is no key in the configuration, the server MUST fill the Nonce field with bytes that have no observable relationship to the
// field in previously issued connection IDs." So it stays as it comes. With a key it counts, from where the first random one
// was: section 9.6: "servers SHOULD start with a random nonce value, in which case the configuration is usable until the nonce
// value wraps around to zero and then reaches the initial value again." Then "A server that has exhausted its nonces MUST either
// switch to a different configuration, or if none exists, use the 4-tuple routing config rotation codepoint."
func (g *Generator) Generate(id []byte) {
	if g.over {
		id[0] = unroutable<<idShift | byte(len(id)-1)
		return
	}
	k := g.codec
	id[0] = byte(k.ID)<<idShift | id[0]&lenMask
	if k.TellsLen {
		id[0] = byte(k.ID)<<idShift | byte(len(id)-1)
	}
	copy(id[1:], g.serverID[:k.ServerIDLen])
	if k.block == nil {
		return
	}
	nonce := id[1+k.ServerIDLen : 1+k.plain]
	if !g.begun {
		g.begun = true
		copy(g.nonce[:], nonce)
		g.first = g.nonce
	}
	copy(nonce, g.nonce[:k.NonceLen])
	g.count()
	k.encrypt(id[1 : 1+k.plain])
}

// count goes on to the next nonce.
func (g *Generator) count() {
	n := g.nonce[:g.codec.NonceLen]
	for i := len(n) - 1; i >= 0; i-- {
		if n[i]++; n[i] != 0 {
			break
		}
	}
	g.over = g.nonce == g.first
}

// Exhausted reports whether the nonces are used up, so that no further ID leads to the server: it needs another key.
func (g *Generator) Exhausted() bool { return g.over }
