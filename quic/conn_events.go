package quic

import (
	"context"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// dispatch takes the core's events and wakes exactly those whom they concern. mu is held.
func (c *Conn) dispatch() {
	c.countDatagrams()
	for {
		e, ok := c.core.Event()
		if !ok {
			return
		}
		switch e.Kind {
		case engine.EventHandshakeDone:
			c.handshakeDone()
		case engine.EventEarlyData:
			c.earlyData()
		case engine.EventAnswered:
			c.answered()
		case engine.EventEarlyRejected:
			c.early = false
			c.ep.count.earlyRejected.Add(1)
		case engine.EventStreamOpened:
			c.streamOpened(e.Stream)
		case engine.EventReadable, engine.EventStreamReset:
			c.asked = false
			if s := c.streams[e.Stream]; s != nil {
				s.readable()
				if e.Kind == engine.EventStreamReset {
					s.done(&engine.StreamError{Stream: e.Stream, Code: e.Code, Remote: true})
				}
			}
		case engine.EventWritable, engine.EventStreamStopped:
			if s := c.streams[e.Stream]; s != nil {
				s.writing.wake()
				if e.Kind == engine.EventStreamStopped {
					s.done(&engine.StreamError{Stream: e.Stream, Code: e.Code, Remote: true})
				}
			}
		case engine.EventStreamDone:
			if s := c.streams[e.Stream]; s != nil {
				delete(c.streams, e.Stream)
				s.done(context.Canceled)
			}
		case engine.EventStreamsAvailable:
			if e.Uni {
				c.opening[1].wake()
			} else {
				c.opening[0].wake()
			}
		case engine.EventDatagramReady:
			c.datagramReady()
		case engine.EventIDIssued, engine.EventIDRetired, engine.EventTokenAdded, engine.EventTokenRemoved:
			c.route(e)
		case engine.EventNewToken:
			c.store.put(tokenName(c.storeName, c.core.Stats().Version), c.core.TakeToken())
		case engine.EventPathChanged:
			c.path = c.core.Path()
			c.moving.wake()
		case engine.EventMigrationFailed:
			c.moveFailures++
			c.moving.wake()
		case engine.EventHandshakeConfirmed, engine.EventIDToSpare:
			c.moving.wake()
		case engine.EventClosed:
			c.end(c.core.Err())
		case engine.EventDrained:
			c.end(c.core.Err()) // no news unless it never was a connection
			c.forget()
		case engine.EventNone:
		}
	}
}

// route has the endpoint lead other datagrams here than before.
func (c *Conn) route(e engine.Event) {
	switch e.Kind {
	case engine.EventIDIssued:
		c.ep.addID(c, e.ID)
	case engine.EventIDRetired:
		c.ep.removeID(c, e.ID)
	case engine.EventTokenAdded:
		c.ep.addToken(c, e.Token)
	case engine.EventTokenRemoved:
		c.ep.removeToken(c, e.Token)
	}
}

// answered offers a connection to Accept whose handshake has begun, if that is asked for.
func (c *Conn) answered() {
	if c.ep.conf.AcceptEarly {
		c.tlsState = c.core.TLS()
		c.offer()
	}
}

func (c *Conn) handshakeDone() {
	c.handshook = true
	c.took = c.latest.Sub(c.began)
	c.tlsState = c.core.TLS()
	c.ready.wake()
	c.ep.admit(c)
	if !c.client {
		c.offer()
	} else if c.early {
		c.ep.count.earlyAccepted.Add(1)
	}
}

// offer lets Accept return a connection that a client has begun, once.
func (c *Conn) offer() {
	if c.offered || c.err != nil {
		return
	}
	if c.offered = true; !c.ep.enqueueAccept(c) {
		c.refuse()
	}
}

// refuse ends a connection that there is no room for.
func (c *Conn) refuse() {
	c.ep.count.refused.Add(1)
	err := &engine.TransportError{Code: wire.ConnectionRefused, Reason: "too many connections wait to be accepted"}
	c.end(err)
	c.core.Abort(c.latest, err.Code, err.Reason)
	c.again = true // whoever sends now, or next, has composed already
}

// end makes the connection's end known to the application: every waiting call returns err. The core may still have to
// send, and to stay a little while for what is in flight.
func (c *Conn) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.blame(err)
	if c.handshook {
		c.ep.count.closed.Add(1)
	} else {
		c.ep.count.handshakesFailed.Add(1)
	}
	c.ready.wake()
	c.accepting.wake()
	c.datagramReady()
	c.hearing.wake()
	c.moving.wake()
	for i := range c.opening {
		c.opening[i].wake()
	}
	if c.cancel != nil {
		c.cancel(err)
	}
	for _, s := range c.streams {
		s.readable()
		s.writing.wake()
		s.done(err)
	}
	c.ep.ended(c)
}

// forget takes the connection out of the endpoint: nothing more will come of it.
func (c *Conn) forget() {
	if c.gone {
		return
	}
	c.gone = true
	c.repay()
	c.disarm()
	c.ep.remove(c)
}
