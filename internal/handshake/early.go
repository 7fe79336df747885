package handshake

import (
	"bytes"
	"crypto/tls"
)

// EarlyData is what 0-RTT needs from the connection (RFC 9001, section 4.6). Both functions are called while Next or SendTicket
// runs.
type EarlyData struct {
	// Store returns what is to be kept with a session: by a server inside the ticket that it issues, encrypted, by a client
	// beside the ticket in its ClientSessionCache. false: 0-RTT will not be possible with that session.
	Store func() (state []byte, ok bool)

	// Resume says whether 0-RTT may be used with a session that Store returned state for. A server must say yes to no session
	// twice: this is where replay is stopped. It is asked before TLS has verified that the client knows the session's secret
	// and, since TLS does not tell, whether or not the client means to send early data.
	Resume func(state []byte) bool
}

// EnableEarlyData allows 0-RTT. Without it a client offers none and a server accepts none, whatever the session says. It is called
// before Start.
func (h *Handshake) EnableEarlyData(e EarlyData) { h.early = &e }

// extraPrefix marks our entry of tls.SessionState.Extra, which other packages may add to.
const extraPrefix = "godwit 0-RTT 1\x00"

// extraOf finds our entry.
func extraOf(s *tls.SessionState) (state []byte, ok bool) {
	for _, e := range s.Extra {
		if state, ok := bytes.CutPrefix(e, []byte(extraPrefix)); ok {
			return state, true
		}
	}
	return nil, false
}

func extra(state []byte) []byte { return append([]byte(extraPrefix), state...) }

// resume decides about 0-RTT with a session that is being resumed. s is this connection's own.
func (h *Handshake) resume(s *tls.SessionState) {
	if !s.EarlyData {
		return
	}
	state, ok := extraOf(s)
	s.EarlyData = ok && h.early != nil && h.early.Resume(state)
}

// allowEarly lets the ticket that a server issues be used for 0-RTT.
func (h *Handshake) allowEarly(o *tls.QUICSessionTicketOptions) {
	if h.early == nil {
		return
	}
	if state, ok := h.early.Store(); ok {
		o.EarlyData, o.Extra = true, append(o.Extra, extra(state))
	}
}

// store puts a session that the server offers into the cache.
func (h *Handshake) store(s *tls.SessionState) {
	if h.early != nil && s.EarlyData {
		s.Extra = append(s.Extra, h.arrived())
		h.session = s
		h.StoreAgain()
		return
	}
	h.quic.StoreSession(s) // fails on servers alone
}

// StoreAgain puts the newest session into a client's cache once more, with what EarlyData.Store returns now: an application
// learns some of what it has to remember after the ticket has come. It does nothing where there is no session.
func (h *Handshake) StoreAgain() {
	if h.session == nil || h.closed || h.rested != nil {
		return
	}
	s := *h.session // what is in the cache may be in use
	if state, ok := h.early.Store(); ok {
		s.Extra = append(s.Extra[:len(s.Extra):len(s.Extra)], extra(state))
	}
	h.quic.StoreSession(&s)
}

// sessions is a client's session cache that lets 0-RTT be tried once with a session.
//
// RFC 8446, appendix C.4: "Clients SHOULD NOT reuse a ticket for multiple connections." A server that guards against replay would
// reject the second attempt. The session stays in the cache for plain resumption, until the new connection brings another.
type sessions struct {
	tls.ClientSessionCache
	h *Handshake
}

// Get returns a session that is this connection's own, for crypto/tls lets EarlyData be changed on what Get returns.
func (c sessions) Get(key string) (*tls.ClientSessionState, bool) {
	cs, ok := c.ClientSessionCache.Get(key)
	if !ok || cs == nil {
		return cs, ok
	}
	ticket, state, err := cs.ResumptionState()
	if err != nil || state == nil || !state.EarlyData {
		return cs, ok
	}
	ours, plain := *state, *state
	if _, known := extraOf(state); known && c.h.early != nil {
		plain.EarlyData = false
		if cs, err := tls.NewResumptionState(ticket, &plain); err == nil {
			c.ClientSessionCache.Put(key, cs)
		}
	}
	c.h.lagFor(&ours)
	cs, err = tls.NewResumptionState(ticket, &ours)
	return cs, err == nil
}
