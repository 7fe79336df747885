package quic

import (
	"errors"
	"log/slog"
	"net"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/udp"
)

// A received datagram, in the order in which it passes through this file: read, receive, sort, and then either the
// connection it belongs to or stranger.

// intake is what the reader keeps from batch to batch, so that a batch costs no memory.
type intake struct {
	sock      *socket
	runs      []run             // datagrams of connections, those of one connection in a row under one lock
	datagrams []engine.Datagram // what runs index
	strangers []engine.Datagram // datagrams that no connection has asked for
	touched   []*Conn           // connections that may have something to send
	holds     []*Conn           // those whose sending token the reader holds
	answers   int               // stateless replies in this batch
}

type run struct {
	conn     *Conn
	from, to int
	reset    bool // a stateless reset of the connection
}

// read is the endpoint's one goroutine that is always there, one for each socket.
func (e *Endpoint) read(s *socket, r *udp.Reader) {
	defer close(s.ended)
	in := intake{sock: s}
	for {
		msgs, err := r.Read()
		if err != nil {
			if !e.expected(s) {
				e.readFailed(err)
			}
			return
		}
		e.take(&in, msgs)
		e.refused(r.Refused())
	}
}

// readFailed ends the connections of a socket that broke. Closing it is the usual reason to be here.
func (e *Endpoint) readFailed(err error) {
	e.mu.Lock()
	expected := e.closed
	e.closed = true
	left := e.refuse()
	e.mu.Unlock()
	if expected && errors.Is(err, net.ErrClosed) {
		return
	}
	e.say(slog.LevelError, "quic: the UDP socket failed", "addr", e.sock.LocalAddr().String(), "error", err)
	_ = e.closeSockets()
	for _, c := range left {
		c.Close()
		c.abandon()
	}
}

// receive takes one batch: every datagram to its connection first, then one flush for each connection, all in as few
// system calls as possible.
func (e *Endpoint) receive(now instant.Time, in *intake, msgs []udp.Message) {
	in.answers = 0
	e.sort(in, msgs)
	out := newOutbox()
	for _, r := range in.runs {
		if r.reset {
			r.conn.resetByPeer(now)
		} else {
			r.conn.receive(now, in.datagrams[r.from:r.to])
		}
		if !r.conn.touched {
			r.conn.touched = true
			in.touched = append(in.touched, r.conn)
		}
	}
	for _, d := range in.strangers {
		e.stranger(now, in, d, out)
	}
	for _, c := range in.touched {
		e.collect(now, in, c, out)
	}
	e.send(out)
	out.free()
	for _, c := range in.holds {
		c.settle(now)
	}
	for _, c := range in.touched {
		c.touched = false
	}
	clear(in.runs)
	clear(in.datagrams)
	clear(in.strangers)
	clear(in.touched)
	clear(in.holds)
	in.runs, in.datagrams, in.strangers = in.runs[:0], in.datagrams[:0], in.strangers[:0]
	in.touched, in.holds = in.touched[:0], in.holds[:0]
}

// collect composes what c has to send into the batch, which is sent whenever it is full.
func (e *Endpoint) collect(now instant.Time, in *intake, c *Conn, out *outbox) {
	held := false
	for {
		if !out.room() {
			e.send(out)
		}
		holds, more := c.lend(now, out, held)
		if holds && !held {
			in.holds = append(in.holds, c)
		}
		held = holds
		if !more {
			return
		}
	}
}

// sort cuts the messages into datagrams and finds the connection of each, all under one lock. A connection that is in
// its handshake gets a copy into its inbox, for a worker.
func (e *Endpoint) sort(in *intake, msgs []udp.Message) {
	bytes := 0
	e.mu.Lock()
	defer e.mu.Unlock()
	var last []byte // the ID of the last run
	count := 0
	for i := range msgs {
		m := &msgs[i]
		path := engine.Path{Local: in.sock.localOf(m), Remote: m.Remote}
		size := m.Segment
		if size <= 0 {
			size = len(m.Payload)
		}
		for rest := m.Payload; len(rest) > 0; {
			d := engine.Datagram{Payload: rest[:min(size, len(rest))], Path: path, ECN: m.ECN}
			rest = rest[len(d.Payload):]
			bytes += len(d.Payload)
			count++
			id, ok := e.demux.DstID(d.Payload)
			if !ok {
				e.count.drop(dropMalformed)
				continue
			}
			if n := len(in.runs); n > 0 && last != nil && string(id) == string(last) {
				in.datagrams = append(in.datagrams, d)
				in.runs[n-1].to++
				continue
			}
			last = nil
			c, reset := e.find(d.Payload)
			switch {
			case c == nil:
				in.strangers = append(in.strangers, d)
			case c.handshaking: // a stateless reset must not overtake what came before it either
				e.post(c, d)
			default:
				if !reset {
					last = id
				}
				n := len(in.datagrams)
				in.datagrams = append(in.datagrams, d)
				in.runs = append(in.runs, run{conn: c, from: n, to: n + 1, reset: reset})
			}
		}
	}
	e.count.datagramsIn.Add(int64(count))
	e.count.bytesIn.Add(int64(bytes))
}

// find returns the connection of a datagram: by connection ID, or by the token in which a stateless reset ends. mu is
// held.
//
// Deviation: RFC 9000, section 10.3.1 says of reset tokens that "endpoints MUST perform the comparison without leaking
// information about the value of the token". The demux hashes the token with a key that is random per process before it
// compares; what an equal hash could leak in time drowns in the system calls around it.
func (e *Endpoint) find(datagram []byte) (c *Conn, reset bool) {
	if c, ok := e.demux.Find(datagram); ok {
		return c, false
	}
	return e.demux.FindReset(datagram)
}

// stranger judges a datagram that belongs to no connection: a new one begins, a stateless answer joins the batch, or
// nothing happens.
func (e *Endpoint) stranger(now instant.Time, in *intake, d engine.Datagram, out *outbox) {
	if e.again(d) {
		return
	}
	if !out.room() {
		e.send(out)
	}
	v := e.judge(now, d, out.space())
	switch v.Kind {
	case engine.Accept:
		if reason := e.begin(now, v.Incoming, d); reason != "" {
			e.count.drop(reason)
		}
	case engine.Reply:
		if in.answers++; in.answers > maxReplies && v.Reason != engine.AnswerRetry {
			// A Retry packet is answered however many there are: it is a tenth of what it answers, and the way in for those
			// who mean it.
			e.count.drop(dropFlood)
			return
		}
		e.count.drop(dropReason(v.Reason))
		out.add(nil, engine.Transmit{Path: d.Path, Size: v.Size, Segment: v.Size})
	default:
		e.count.drop(dropReason(v.Reason))
	}
}

// again looks a second time: an earlier datagram of the same batch may have begun the connection.
func (e *Endpoint) again(d engine.Datagram) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acceptor.HalfOpen = e.halfOpen // which only the reader looks at
	c, _ := e.find(d.Payload)
	if c == nil {
		return false
	}
	e.post(c, d)
	return true
}
