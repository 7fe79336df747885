package handshake

import (
	"crypto/tls"
	"slices"
)

// "TLS session tickets and NEW_TOKEN tokens are specific to the QUIC version of the connection that provided them. Clients
// MUST NOT use a session ticket or token from a QUIC version 1 connection to initiate a QUIC version 2 connection, and vice
// versa. [...] Servers MUST validate the originating version of any session ticket or token and not accept one issued from a
// different version." (RFC 9369, section 5)

// SetVersion says which QUIC version the connection uses: before Start the version of its first packet, which a ticket must
// have come from to be used, and again when another one is negotiated, which tickets belong to from then on. Without it the
// version is 1.
func (h *Handshake) SetVersion(v uint32) { h.version = v }

// ticketMark is what the tickets of version 2 carry, and those of version 1 do not.
var ticketMark = []byte("godwit: QUIC version 2")

// sessionScope begins the keys under which a client's cache keeps the sessions of a version.
func (h *Handshake) sessionScope() string {
	if h.isVersion1() {
		return ""
	}
	return "quic v2 "
}

func (h *Handshake) isVersion1() bool { return h.version <= 1 }

// scopeTickets makes a server's Config, a copy, refuse tickets of other versions.
//
// Deviation: where the application chooses a Config for each client, it is not known here whose keys a ticket is under.
// There version 2 has no tickets at all, which is always allowed.
func (h *Handshake) scopeTickets(c *tls.Config) {
	if c.GetConfigForClient != nil {
		h.perClient = true
	} else if h.perClient {
		c.SessionTicketsDisabled = c.SessionTicketsDisabled || !h.isVersion1()
		return
	}
	unwrap := c.UnwrapSession
	if unwrap == nil {
		unwrap = c.DecryptTicket
	}
	c.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		s, err := unwrap(identity, cs)
		if err != nil || s == nil {
			return s, err
		}
		marked := slices.ContainsFunc(s.Extra, func(b []byte) bool { return string(b) == string(ticketMark) })
		if marked == h.isVersion1() {
			return nil, nil // "A rejected ticket results in falling back to a full TLS handshake"
		}
		return s, nil
	}
}

// ticketOptions says what the ticket of this connection carries; false: it has none.
func (h *Handshake) ticketOptions() (o tls.QUICSessionTicketOptions, ok bool) {
	if h.isVersion1() {
		return o, true
	}
	o.Extra = [][]byte{ticketMark}
	return o, !h.perClient
}

// sessionCache is a client's cache of sessions as one connection sees it: those of its version.
type sessionCache struct {
	tls.ClientSessionCache
	h *Handshake
}

func (c sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	return c.ClientSessionCache.Get(c.h.sessionScope() + key)
}

func (c sessionCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(c.h.sessionScope()+key, s)
}
