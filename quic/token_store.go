package quic

import (
	"container/list"
	"sync"
)

// AddressValidation says when a server has clients prove their address, by answering a Retry packet, before it keeps
// anything of them. The proof costs a client a round trip, unless it has a token from an earlier connection.
type AddressValidation uint8

const (
	// ValidateAuto asks for the proof only while more handshakes are under way than a server that is not attacked has.
	ValidateAuto AddressValidation = iota
	// ValidateAlways asks everybody.
	ValidateAlways
	// ValidateNever asks nobody: an unproved address is sent at most three times what came from it.
	ValidateNever
)

// A TokenStore remembers, in memory, the tokens that servers give a client for its next connections to them: with one of
// them a server that is under attack lets the client in without a further round trip. A server may recognise a client by
// its token, as by a TLS session ticket, so clients that are to be strangers to each other have stores of their own.
// Connections may share a store and use it at the same time.
type TokenStore struct {
	mu      sync.Mutex // a leaf: nothing is taken under it
	max     int
	byName  map[string]*list.Element
	ordered list.List // of *storedToken, the latest used first
}

type storedToken struct {
	name  string
	token []byte
}

// NewTokenStore returns a TokenStore for the given number of servers, of which the longest unused is forgotten first. Zero
// or less: 64. Each costs about 200 bytes.
func NewTokenStore(servers int) *TokenStore {
	if servers <= 0 {
		servers = 64
	}
	return &TokenStore{max: servers, byName: make(map[string]*list.Element)}
}

// put remembers the newest token of a server. RFC 9000, section 8.1.3: "sending the most recent unused token is most
// likely to be effective."
func (s *TokenStore) put(name string, token []byte) {
	if s == nil || len(token) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byName[name]; e != nil {
		s.ordered.Remove(e)
	} else if len(s.byName) >= s.max {
		oldest := s.ordered.Remove(s.ordered.Back()).(*storedToken)
		delete(s.byName, oldest.name)
	}
	s.byName[name] = s.ordered.PushFront(&storedToken{name, token})
}

// take returns the token of a server, nil when there is none, and forgets it. RFC 9000, section 8.1.3: "A client SHOULD NOT
// reuse a token from a NEW_TOKEN frame for different connection attempts."
func (s *TokenStore) take(name string) []byte {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[name]
	if e == nil {
		return nil
	}
	delete(s.byName, name)
	return s.ordered.Remove(e).(*storedToken).token
}
