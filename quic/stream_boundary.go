package quic

// SetReliableBoundary promises that what was written so far is delivered even if Reset abandons the stream afterwards: the peer
// reads these bytes, and the *StreamError behind them (RESET_STREAM_AT, draft-ietf-quic-reliable-stream-reset). The boundary can be
// moved forward by a later call, until Reset. Bytes that Write took count, not those that it still waits with.
//
// It does nothing when the peer does not know RESET_STREAM_AT (Conn.ResetsDeliver), and is of no use to a peer that stopped
// reading: what a reset delivers then is left to chance, as without it.
func (s *Stream) SetReliableBoundary() {
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if c.core != nil && !c.broken {
		c.core.SetBoundary(s.id)
	}
}

// ResetsDeliver reports whether the peer knows RESET_STREAM_AT, so that Stream.SetReliableBoundary has an effect on what we send. On
// a client with 0-RTT it is what the server knew before, until the handshake is done.
func (c *Conn) ResetsDeliver() bool {
	c.mu.Lock()
	defer c.leave(nil)
	return c.core != nil && !c.broken && c.core.ResetsDeliver()
}
