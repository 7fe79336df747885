package udp

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// batch is the memory of one sendmmsg and what it came to. The headers point into the arrays, so that a batch is made
// once and never moves.
type batch struct {
	s     *Socket
	hdrs  [maxBatch]mmsghdr
	iovs  [maxBatch]unix.Iovec
	names [maxBatch]sockaddr
	ctls  [maxBatch][controlSize]byte
	runs  [maxBatch]run
	n     int // headers filled

	try   func(fd uintptr)      // b.attempt, made once
	retry func(fd uintptr) bool // b.attempt until it does not say EAGAIN, made once
	sent  int
	errno syscall.Errno
	tries int // of a call that failed for a reason that may be an earlier datagram's

	// A kernel that refuses a GSO message with EINVAL may mean that it cannot split, or that the segments do not fit
	// the interface. The datagrams up to trialEnd are sent as singles, and how the first fares decides: if it goes
	// out, splitting was at fault.
	trial    bool
	trialEnd cursor
}

// cursor is a place in the messages of a Send: bytes of msgs[msg] that are dealt with.
type cursor struct{ msg, offset int }

func (c cursor) before(d cursor) bool {
	return c.msg < d.msg || c.msg == d.msg && c.offset < d.offset
}

// run is what one header carries.
type run struct {
	end       cursor
	bytes     int
	datagrams int
	segmented bool
}

func newBatch(s *Socket) *batch {
	b := &batch{s: s}
	for i := range b.hdrs {
		h := &b.hdrs[i].msg
		h.Name = &b.names[i][0]
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Control = &b.ctls[i][0]
	}
	b.try = b.attempt
	b.retry = func(fd uintptr) bool {
		b.attempt(fd)
		return b.errno != syscall.EAGAIN
	}
	return b
}

// sendBatches is Send by sendmmsg. Every caller has a batch of its own and none waits for another: RawConn.Control keeps
// the socket open but, unlike RawConn.Write, does not admit one at a time.
func (s *Socket) sendBatches(msgs []Message) (int, error) {
	b := s.kernel.batches.Get().(*batch)
	defer b.release()
	b.trial, b.trialEnd, b.tries = false, cursor{}, 0
	at := cursor{}
	for at.msg < len(msgs) {
		b.fill(msgs, at)
		if err := s.kernel.raw.Control(b.try); err != nil {
			return at.msg, closed(err)
		}
		if b.errno == syscall.EAGAIN {
			if err := s.kernel.raw.Write(b.retry); err != nil {
				return at.msg, closed(err)
			}
		}
		at = b.settle(at, msgs)
	}
	return len(msgs), nil
}

// release gives the batch back. It must not keep the payloads of the caller alive.
func (b *batch) release() {
	clear(b.iovs[:])
	b.s.kernel.batches.Put(b)
}

// attempt is one sendmmsg.
func (b *batch) attempt(fd uintptr) {
	for {
		b.sent, b.errno = b.s.kernel.send(fd, b.hdrs[:b.n])
		if b.errno != syscall.EINTR {
			return
		}
	}
}

// fill writes headers for what begins at the cursor, as many as there is room for.
func (b *batch) fill(msgs []Message, at cursor) {
	b.n = 0
	for b.n < maxBatch && at.msg < len(msgs) {
		m := &msgs[at.msg]
		rest := m.Payload[at.offset:]
		r := run{bytes: len(rest), datagrams: 1, end: cursor{msg: at.msg + 1}}
		segment := 0
		if 0 < m.Segment && m.Segment < len(rest) {
			r.bytes = m.Segment
			if fit := min(maxSegments, maxPayload/m.Segment); fit > 1 && b.s.segments() && !at.before(b.trialEnd) {
				segment, r.segmented = m.Segment, true
				r.bytes = min(len(rest), fit*m.Segment)
				r.datagrams = (r.bytes + m.Segment - 1) / m.Segment
			}
			if r.bytes < len(rest) {
				r.end = cursor{at.msg, at.offset + r.bytes}
			}
		}
		b.put(m, rest[:r.bytes], segment)
		b.runs[b.n] = r
		b.n++
		at = r.end
	}
}

// put fills the next header.
func (b *batch) put(m *Message, payload []byte, segment int) {
	i := b.n
	b.iovs[i].Base = nil
	if len(payload) > 0 {
		b.iovs[i].Base = &payload[0]
	}
	b.iovs[i].SetLen(len(payload))
	h := &b.hdrs[i].msg
	h.Namelen = b.names[i].encode(m.Remote, b.s.kernel.v6)
	h.SetControllen(len(appendControl(b.ctls[i][:0], m, segment)))
}

// settle counts what the attempt came to and returns the cursor behind what is dealt with.
func (b *batch) settle(at cursor, msgs []Message) cursor {
	s, first := b.s, b.runs[0]
	if b.errno != 0 && b.tries < maxRefusals && s.passing(b.errno) {
		b.tries++
		return at
	}
	b.tries = 0
	if b.errno == 0 {
		if b.trial && !first.segmented {
			s.kernel.gso.Store(false)
		}
		b.trial = false
		datagrams, bytes := 0, 0
		for _, r := range b.runs[:b.sent] {
			datagrams += r.datagrams
			bytes += r.bytes
		}
		s.count.sent(datagrams, bytes)
		if b.sent == 0 {
			return at
		}
		return b.runs[b.sent-1].end
	}
	switch {
	case first.segmented && b.errno == syscall.EIO:
		// The interface cannot do the checksums that splitting needs (udp(7)), and that will not change.
		s.kernel.gso.Store(false)
		return at
	case first.segmented && b.errno == syscall.EINVAL:
		b.trial, b.trialEnd = true, first.end
		return at
	}
	b.trial = false
	s.count.refused(first.datagrams, b.errno)
	if b.errno == syscall.EMSGSIZE {
		msgs[at.msg].TooLong = true
	}
	return first.end
}

// closed returns the error of a RawConn, which has only one to give.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	return err
}
