package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// lifeState is how far a connection's life has come (RFC 9000, section 10).
type lifeState uint8

const (
	// lifeOpen: we send and receive.
	lifeOpen lifeState = iota
	// lifeClosing: we closed. We send CONNECTION_CLOSE once, and again, ever more rarely, in answer to packets that the
	// peer sent before it knew (section 10.2.1).
	lifeClosing
	// lifeDraining: the peer closed. We send nothing (section 10.2.2).
	lifeDraining
	// lifeDone: nothing more will happen.
	lifeDone
	numLifeStates
)

// lifeInput is what can end a connection.
type lifeInput uint8

const (
	inClose     lifeInput = iota // the application, or a fault of the peer's, ends it
	inPeerClose                  // CONNECTION_CLOSE or a stateless reset came
	inVanish                     // a timeout ends it in silence
	inExpired                    // the closing or draining period is over
	numLifeInputs
)

// A cell is the next state plus one; zero changes nothing.
var lifeTable = [numLifeStates][numLifeInputs]lifeState{
	lifeOpen:     {inClose: lifeClosing + 1, inPeerClose: lifeDraining + 1, inVanish: lifeDone + 1},
	lifeClosing:  {inPeerClose: lifeDraining + 1, inExpired: lifeDone + 1},
	lifeDraining: {inExpired: lifeDone + 1},
}

func (s *lifeState) on(in lifeInput) bool {
	next := lifeTable[*s][in]
	if next == 0 {
		return false
	}
	*s = next - 1
	return true
}

func (s lifeState) String() string {
	return [...]string{"open", "closing", "draining", "done"}[s]
}

func (i lifeInput) String() string {
	return [...]string{"close", "peer_close", "vanish", "expired"}[i]
}

// lifetime is the end of a connection: how far it has come, and why.
type lifetime struct {
	state lifeState
	err   error
	frame wire.ConnectionClose // what we tell the peer
	until instant.Time         // when the closing or draining period ends

	announce bool // a CONNECTION_CLOSE is owed
	told     bool // one was sent; those that follow are answers
	heard    int  // datagrams received since we closed
	answerAt int  // the next one is answered when so many were heard
	room     int  // how many bytes may still be sent in answer

	numbersEnd int64 // endOfNumbers
}

// Close ends the connection with an application's code and a reason phrase of at most 512 bytes.
func (c *Conn) Close(now instant.Time, code uint64, reason string) {
	c.closeWith(c.advance(now), &ApplicationError{Code: code, Reason: reason})
}

// Abort ends the connection with a code of QUIC's own, such as an internal error.
func (c *Conn) Abort(now instant.Time, code wire.ErrorCode, reason string) {
	c.closeWith(c.advance(now), &TransportError{Code: code, Reason: reason})
}

// closeWith enters the closing period and has err told to the peer.
func (c *Conn) closeWith(now instant.Time, err error) {
	if !c.life.state.on(inClose) {
		return
	}
	c.life.frame = closeFrame(err)
	c.life.announce, c.life.answerAt = true, 1
	c.over(now, err, now.Add(c.closingPeriod()))
}

// closeFrame makes the CONNECTION_CLOSE frame that says err.
func closeFrame(err error) wire.ConnectionClose {
	var f wire.ConnectionClose
	var reason string
	switch e := err.(type) {
	case *ApplicationError:
		f.App, f.Code, reason = true, e.Code, e.Reason
	case *TransportError:
		f.Code, f.FrameType, reason = uint64(e.Code), e.Frame, e.Reason
	default:
		panic("BUG: a connection is closed with an error that no frame can carry")
	}
	f.Reason = []byte(reason[:min(len(reason), maxCloseReason)])
	return f
}

// closingPeriod is how long state is kept to answer stray packets.
//
// RFC 9000, section 10.2: "These states SHOULD persist for at least three times the current PTO interval".
func (c *Conn) closingPeriod() time.Duration { return 3 * c.ledger.PTO() }

// handleConnectionClose takes the peer's CONNECTION_CLOSE.
func (c *Conn) handleConnectionClose(now instant.Time, f wire.ConnectionClose) {
	reason := string(f.Reason[:min(len(f.Reason), maxCloseReason)])
	if f.App {
		c.drain(now, &ApplicationError{Code: f.Code, Reason: reason, Remote: true})
		return
	}
	c.drain(now, &TransportError{Code: wire.ErrorCode(f.Code), Frame: f.FrameType, Reason: reason, Remote: true})
}

// drain enters the draining period.
func (c *Conn) drain(now instant.Time, err error) {
	if c.life.state.on(inPeerClose) {
		c.over(now, err, now.Add(c.closingPeriod()))
	}
}

// vanish ends the connection without a word, as after the idle timeout (RFC 9000, section 10.1).
func (c *Conn) vanish(now instant.Time, err error) {
	if c.life.state.on(inVanish) {
		c.over(now, err, instant.Never)
		c.retireAll()
	}
}

// over tells the application that the connection has ended, once, and lets go of all that only an open one needs.
func (c *Conn) over(now instant.Time, err error, until instant.Time) {
	c.life.until = until
	if c.life.err != nil {
		return
	}
	c.life.err = err
	c.traceClosed(now, err)
	c.events.push(Event{Kind: EventClosed})
	c.streams.end(&c.pool, c.life.state == lifeDraining)
	c.pool = chunkPool{}
	c.shake.early = nil
	c.shake.tls.Close()
}

// Abandon ends the goroutine that crypto/tls keeps while a handshake is under way. It is for a connection whose core has panicked,
// of which nothing else is called any more.
func (c *Conn) Abandon() { c.shake.tls.Close() }

// end lets go of all streams. When it was the peer who closed, what had arrived before stays to be read: its last words may
// have been a response, and its close the next packet.
func (set *streamSet) end(pool *chunkPool, keepReceived bool) {
	left := set.byID
	*set = streamSet{}
	if !keepReceived {
		return
	}
	for id, s := range left { // any order: each stream by itself
		s.send.buf.release(pool)
		if s.recv.unread || s.recv.state == recvResetRecvd || !s.recv.readable() {
			delete(left, id)
		}
	}
	set.byID = left
}

// drained ends the closing or draining period.
func (c *Conn) drained() {
	if c.life.state == lifeOpen {
		c.life.state = lifeDone // nothing of it was ever real
		c.life.err = ErrHandshakeTimeout
		c.shake.tls.Close()
	}
	c.life.state.on(inExpired)
	c.life.until = instant.Never
	c.retireAll()
}

// retireAll withdraws the connection IDs and tokens that lead here.
func (c *Conn) retireAll() {
	c.ids.withdraw(c)
	c.events.push(Event{Kind: EventDrained})
}

// receiveClosing decides whether a datagram that came after our close is answered with another. It is not opened.
//
// RFC 9000, section 10.2.1: "An endpoint SHOULD limit the rate at which it generates packets in the closing state. For
// instance, an endpoint could wait for a progressively increasing number of received packets or amount of time before
// responding to received packets." And, as packets that may not be the peer's are not told from those that are: "To avoid being
// used for an amplification attack, such endpoints MUST limit the cumulative size of packets it sends to three times the
// cumulative size of the packets that are received and attributed to the connection."
func (c *Conn) receiveClosing(size int) {
	c.life.heard++
	c.life.room += 3 * size
	if c.life.heard >= c.life.answerAt {
		c.life.answerAt *= 2
		c.life.heard = 0
		c.life.announce = true
	}
}

// composeClose writes the CONNECTION_CLOSE when it is owed.
func (c *Conn) composeClose(now instant.Time, buf []byte) Transmit {
	limit := min(len(buf), minDatagramSize)
	if !c.path.validated {
		limit = min(limit, int(c.path.allowance()))
	}
	if c.life.told {
		limit = min(limit, c.life.room)
	}
	if whole := !c.server && c.spaces[wire.InitialSpace].write != nil; !c.life.announce || whole && limit < minDatagramSize {
		return Transmit{}
	}
	reason := maxCloseReason
	if !c.shake.confirmed {
		reason /= 4 // the frame goes out thrice
	}
	d := &c.draft
	d.begin(buf, limit)
	for space := wire.InitialSpace; space < wire.NumSpaces; space++ {
		// RFC 9000, section 10.2.3: until the handshake is confirmed it is not known which keys the peer has, so the frame
		// goes out under all that we have.
		if c.spaces[space].write == nil || !c.openPacket(d, space) {
			continue
		}
		if d.room() < maxCloseHeader {
			d.abandon()
			continue
		}
		f := c.life.frame
		if f.App && space != wire.AppSpace {
			// "A CONNECTION_CLOSE of type 0x1d MUST be replaced by a CONNECTION_CLOSE of type 0x1c when sending the frame in
			// Initial or Handshake packets. Otherwise, information about the application state might be revealed."
			f = wire.ConnectionClose{Code: uint64(wire.ApplicationError)}
		}
		d.appendClose(f, reason)
		d.close()
	}
	t := Transmit{Path: c.path.Path, Size: c.finish(now, d)}
	t.Segment = t.Size
	c.sent(t.Size)
	if c.life.told {
		c.life.room -= t.Size
	}
	c.life.announce = t.Size == 0 // the amplification limit may allow it later
	c.life.told = c.life.told || !c.life.announce
	return t
}

// traceClosed records why the connection ended.
func (c *Conn) traceClosed(now instant.Time, err error) {
	ev := qlog.Closed{Owner: "local"}
	switch e := err.(type) {
	case *ApplicationError:
		ev.App, ev.Code, ev.Reason = true, e.Code, e.Reason
		if e.Remote {
			ev.Owner = "remote"
		}
	case *TransportError:
		ev.Code, ev.Reason = uint64(e.Code), e.Reason
		if e.Remote {
			ev.Owner = "remote"
		}
	default:
		ev.Trigger = closeTrigger(err)
	}
	c.trace.ConnectionClosed(now, ev)
}

// closeTrigger names, in qlog's words, an end that nobody announced.
func closeTrigger(err error) string {
	switch err {
	case ErrIdleTimeout:
		return "idle_timeout"
	case ErrHandshakeTimeout:
		return "handshake_timeout"
	case ErrStatelessReset:
		return "stateless_reset"
	case ErrRefused, errNumbersSpent:
		return "error" // the schema has no word of its own for it
	}
	return "version_mismatch"
}
