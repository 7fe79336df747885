package engine

// What is here gives every path a connection ID of its own, so that nobody who watches two paths can tell by them that they
// are one connection's. RFC 9000, section 9.5: "An endpoint MUST NOT reuse a connection ID when sending from more than one
// local address [...]. Similarly, an endpoint MUST NOT reuse a connection ID when sending to more than one destination
// address."
//
// Deviation: where the peer has given none to spare, the one in use goes along. The alternative is silence, which would end
// the connection of a client that a NAT has moved. A peer with a zero-length ID has only that one.

// bind returns the index of the ID for a path: the one it has, else one to spare, else the one in use.
func (x *connIDs) bind(c *Conn, to Path) int {
	for i := range x.remote {
		if r := &x.remote[i]; r.used && samePath(r.path, to) {
			return i
		}
	}
	return max(x.bindSpare(c, to), 0)
}

// bindSpare returns the index of an ID that was to spare, the oldest, and is the path's now; -1: there is none.
func (x *connIDs) bindSpare(c *Conn, to Path) int {
	spare := -1
	for i := range x.remote {
		if r := &x.remote[i]; !r.used && (spare < 0 || r.seq < x.remote[spare].seq) {
			spare = i
		}
	}
	if spare >= 0 {
		r := &x.remote[spare]
		r.used, r.path = true, to
		r.watch(c, EventTokenAdded)
	}
	return spare
}

// use makes the ID of a path the one in use.
func (x *connIDs) use(c *Conn, to Path) {
	i := x.bind(c, to)
	x.remote[0], x.remote[i] = x.remote[i], x.remote[0]
	x.remote[0].path = to
}

// sendBy addresses a datagram that goes to another path than the one in use.
func (x *connIDs) sendBy(c *Conn, d *datagram, to Path) {
	d.away, d.dst = true, x.remote[x.bind(c, to)].id
}

// destination returns the destination connection ID of a datagram's packets.
func (x *connIDs) destination(d *datagram) []byte {
	if d.away {
		return d.dst.Bytes()
	}
	return x.remote[0].id.Bytes()
}

// spares returns how many further paths can have an ID of their own.
func (x *connIDs) spares() (n int) {
	for i := range x.remote {
		if !x.remote[i].used {
			n++
		}
	}
	return n
}

// retireIDs gives up the IDs of paths that are not used any more; the peer replaces them.
//
// RFC 9000, section 5.1.2: "An endpoint SHOULD limit the number of connection IDs it has retired locally for which
// RETIRE_CONNECTION_ID frames have not yet been acknowledged." An address that changes faster than the peer acknowledges
// leaves IDs unretired, and later paths without any of their own.
func (c *Conn) retireIDs() {
	x := &c.ids
	for i := len(x.remote) - 1; i > 0; i-- {
		if r := x.remote[i]; r.used && !c.path.uses(r.path) && x.mayRetire() {
			x.giveUp(c, i)
		}
	}
}

// mayRetire reports whether the peer acknowledges what is retired.
func (x *connIDs) mayRetire() bool { return len(x.retire) < maxRetiring/2 }

// giveUp retires an ID that is not in use any more.
func (x *connIDs) giveUp(c *Conn, i int) {
	r := x.remote[i]
	r.watch(c, EventTokenRemoved)
	x.remote = append(x.remote[:i], x.remote[i+1:]...)
	x.retire = append(x.retire, retirement{seq: r.seq, send: unsent})
	x.retired.Add(r.seq, r.seq+1)
	if len(x.retired) > maxRetiredRanges {
		x.retired.Add(x.retired[0].Start, x.retired[1].End)
	}
}

// uses reports whether anything may still be sent to a path.
func (p *pathState) uses(to Path) bool {
	return samePath(to, p.Path) || (!p.validated || p.recall) && samePath(to, p.previous) ||
		samePath(to, p.ahead.path) || p.move.check.active() && samePath(to, p.move.to)
}
