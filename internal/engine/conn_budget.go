package engine

// Memory for what peers send is shared by the connections of an endpoint, which only the endpoint can see. It sets a ceiling on
// the window of a connection as a whole, by what the connection says of itself. Windows of streams need none: what a stream
// may send counts against the connection's window as well.
//
// A ceiling never takes back what the peer was promised. RFC 9000, section 4.1: "Once a receiver advertises a limit for the
// connection or a stream, it is not an error to advertise a smaller limit, but the smaller limit has no effect." A ceiling
// works as the application reads: what is read is not promised anew before the rest is less than the ceiling.

// Receiving is what a connection's receive window comes to, in bytes.
type Receiving struct {
	Buffered int64 // received and not read: gaps before what came out of order are counted as well
	Promised int64 // Buffered, and what the peer may send beyond it
	Wanted   int64 // what would be promised without a ceiling, with nothing buffered
	Consumed int64 // what the application has read or given up since the connection began
}

// Receiving says how the connection's receive window stands. When the connection is over nothing is promised any more; what
// had arrived is kept if it was the peer who closed.
func (c *Conn) Receiving() Receiving {
	f := &c.flow
	switch {
	case c.life.state == lifeDraining:
		return Receiving{Buffered: f.received - f.consumed, Promised: f.received - f.consumed, Consumed: f.consumed}
	case c.life.state != lifeOpen:
		return Receiving{Consumed: f.consumed}
	}
	return Receiving{Buffered: f.received - f.consumed, Promised: f.window.limit - f.consumed, Wanted: f.window.size, Consumed: f.consumed}
}

// SetReceiveCeiling bounds what the peer is promised from now on, in bytes as Receiving.Promised counts them; 0: no bound but
// Config.MaxConnWindow. A window with a ceiling moves here and nowhere else, when it is worth a frame: by what was read since the
// last ceiling was set, that one would promise too much. So one has to be set after every Read.
func (c *Conn) SetReceiveCeiling(n int64) {
	w := &c.flow.window
	w.ceiling = n
	w.renew(c.flow.consumed)
}

// renew keeps the limit ahead of what was consumed, in steps of a quarter of the window at least, and reports whether it moved.
func (w *recvWindow) renew(consumed int64) bool {
	size := w.effective()
	if ahead := w.limit - consumed; ahead > size-size/4 || ahead >= size {
		return false
	}
	w.limit = consumed + size
	w.announce.set()
	return true
}

// effective is how far ahead of what was consumed the limit is kept.
func (w *recvWindow) effective() int64 {
	if w.ceiling > 0 {
		return min(w.size, w.ceiling)
	}
	return w.size
}
