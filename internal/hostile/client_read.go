package hostile

import (
	"fmt"
	"math"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// long is how long something is waited for that has to come: nothing is measured by it. With another server it may never come.
var long = patient(2*time.Minute, 10*time.Second)

func patient(own, other time.Duration) time.Duration {
	if ours() {
		return own
	}
	return other
}

// hear takes what comes until nothing has for so long, or the connection is closed.
func (c *client) hear(quiet time.Duration) { c.hearFor(quiet, math.MaxInt64) }

// hearFor is hear until most bytes have come in all.
func (c *client) hearFor(quiet time.Duration, most int64) {
	b := make([]byte, 64<<10)
	for !c.closed && c.gotBytes < most {
		early := !c.done
		c.conn.SetReadDeadline(time.Now().Add(quiet))
		n, err := c.conn.Read(b)
		if err != nil {
			return
		}
		c.gotBytes += int64(n)
		c.take(b[:n])
		c.acknowledge()
		if early {
			return // there may be something to say first
		}
	}
}

// ending says how the server has ended the connection.
func (c *client) ending() string {
	switch {
	case !c.closed:
		return "not closed"
	case c.closeApp:
		return fmt.Sprintf("closed with %v", h3.ErrorCode(c.closeCode))
	}
	return fmt.Sprintf("closed with %v", wire.ErrorCode(c.closeCode))
}

// acknowledge acknowledges everything, unless the client is silent.
func (c *client) acknowledge() {
	for space := range c.seen {
		if !c.silent && len(c.seen[space]) > 0 {
			c.send(wire.Space(space), wire.AppendAck(nil, wire.Ack{}, c.claims(c.seen[space]), 1000))
		}
	}
}

// claims is what the client says has come.
func (c *client) claims(seen rangeset.Set) rangeset.Set {
	switch {
	case c.blanket:
		return rangeset.Set{{Start: 0, End: seen.End()}}
	case c.sparse:
		var even rangeset.Set
		for _, r := range seen {
			for n := r.Start + r.Start&1; n < r.End; n += 2 {
				even.Add(n, n+1)
			}
		}
		if len(even) > 0 {
			return even
		}
	}
	return seen
}

// take opens the packets of a datagram.
func (c *client) take(b []byte) {
	for len(b) > 0 {
		space, offset, size := wire.AppSpace, 1+c.src.Len(), len(b)
		if wire.IsLong(b[0]) {
			h, n := wire.ConsumeLongHeader(b)
			switch {
			case n < 0 || h.Type == wire.PacketVersionNegotiation:
				return
			case h.Type == wire.PacketRetry:
				c.retry(h)
				return
			case h.Type == wire.PacketHandshake:
				space = wire.HandshakeSpace
			default:
				space = wire.InitialSpace
			}
			c.dst = wire.MakeConnID(h.SrcID)
			offset, size = h.PNOffset, n
		}
		c.takePacket(space, b[:size], offset)
		b = b[size:]
	}
}

// retry begins again with the token of a Retry packet.
func (c *client) retry(h wire.LongHeader) {
	if c.retried {
		return
	}
	c.retried = true
	c.token = append([]byte(nil), h.Token...)
	c.readdress(wire.MakeConnID(h.SrcID))
	hello := c.hello
	c.send(wire.InitialSpace, append(wire.AppendCryptoHeader(nil, 0, len(hello)), hello...))
}

// keyPhase is the bit of a short header that says which keys protect the packet.
const keyPhase = 0x04

func (c *client) takePacket(space wire.Space, b []byte, offset int) {
	keys := c.read[space]
	if keys == nil {
		return
	}
	truncated, width, ok := keys.Unprotect(b, offset)
	if !ok {
		return
	}
	largest := int64(-1)
	if len(c.seen[space]) > 0 {
		largest = c.seen[space].End() - 1
	}
	number := wire.DecodePacketNumber(largest, truncated, width)
	update := space == wire.AppSpace && b[0]&keyPhase != 0 != c.phase
	if update {
		keys = keys.Next()
	}
	payload, ok := keys.Open(b, offset+width, number)
	if !ok || c.seen[space].Contains(number) {
		return
	}
	if update { // RFC 9001, section 6.2
		c.phase, c.read[space], c.write[space] = !c.phase, keys, c.write[space].Next()
	}
	complete := true
	for len(payload) > 0 {
		n := c.takeFrame(space, payload, &complete)
		if n <= 0 {
			return
		}
		payload = payload[n:]
	}
	if complete { // a CRYPTO frame that came too early is not acknowledged and comes again
		c.seen[space].Add(number, number+1)
	}
}

// takeFrame notes what a frame says, and returns its length.
func (c *client) takeFrame(space wire.Space, b []byte, complete *bool) (n int) {
	switch t := uint64(b[0]); {
	case t == wire.FramePadding || t == wire.FramePing:
		return 1
	case t == wire.FrameHandshakeDone:
		c.done = true
		return 1
	case t == wire.FrameAck || t == wire.FrameAckECN:
		var a wire.Ack
		var ranges []rangeset.Range
		a, ranges, n = wire.ConsumeAck(b, nil)
		c.ackRanges = max(c.ackRanges, len(ranges))
		if space == wire.AppSpace {
			c.acked = max(c.acked, a.Largest)
		}
	case t == wire.FrameCrypto:
		var f wire.Crypto
		if f, n = wire.ConsumeCrypto(b); n > 0 {
			*complete = c.takeCrypto(space, f) && *complete
		}
	case t >= wire.FrameStream && t <= wire.FrameStream+7:
		var f wire.Stream
		f, n = wire.ConsumeStream(b)
		c.streamBytes += int64(len(f.Data))
	case t == wire.FramePathResponse:
		var data [8]byte
		data, n = wire.ConsumePathResponse(b)
		if c.responses++; c.answered[data] {
			c.repeated++
		}
		c.answered[data] = true
	case t == wire.FramePathChallenge:
		_, n = wire.ConsumePathChallenge(b)
	case t == wire.FrameNewConnectionID:
		var f wire.NewConnectionID
		f, n = wire.ConsumeNewConnectionID(b)
		c.issued = append(c.issued, f.Seq)
	case t == wire.FrameConnectionClose || t == wire.FrameConnectionCloseApp:
		var f wire.ConnectionClose
		f, n = wire.ConsumeConnectionClose(b)
		c.closed, c.closeCode, c.closeApp = true, f.Code, f.App
	default:
		return c.takeLimit(b)
	}
	return n
}

// takeLimit is takeFrame for what is about streams and limits.
func (c *client) takeLimit(b []byte) (n int) {
	switch uint64(b[0]) {
	case wire.FrameResetStream:
		var f wire.ResetStream
		f, n = wire.ConsumeResetStream(b)
		c.resets[f.ID] = true
	case wire.FrameStopSending:
		var f wire.StopSending
		f, n = wire.ConsumeStopSending(b)
		c.resets[f.ID] = true
	case wire.FrameMaxStreamsBidi, wire.FrameMaxStreamsUni:
		var f wire.MaxStreams
		if f, n = wire.ConsumeMaxStreams(b); !f.Uni {
			c.maxStreams = max(c.maxStreams, f.Max)
		}
	case wire.FrameMaxData:
		_, n = wire.ConsumeMaxData(b)
	case wire.FrameMaxStreamData:
		_, n = wire.ConsumeMaxStreamData(b)
	case wire.FrameDataBlocked:
		_, n = wire.ConsumeDataBlocked(b)
	case wire.FrameStreamDataBlocked:
		_, n = wire.ConsumeStreamDataBlocked(b)
	case wire.FrameStreamsBlockedBidi, wire.FrameStreamsBlockedUni:
		_, n = wire.ConsumeStreamsBlocked(b)
	case wire.FrameNewToken:
		var token []byte
		token, n = wire.ConsumeNewToken(b)
		c.newToken = append([]byte(nil), token...)
	case wire.FrameRetireConnectionID:
		_, n = wire.ConsumeRetireConnectionID(b)
	}
	return n
}

func (c *client) takeCrypto(space wire.Space, f wire.Crypto) bool {
	if f.Offset > c.in[space] {
		return false
	}
	if done := c.in[space] - f.Offset; done < int64(len(f.Data)) && !c.done {
		c.in[space] += int64(len(f.Data)) - done
		level := [wire.NumSpaces]handshake.Level{handshake.InitialLevel, handshake.HandshakeLevel, handshake.AppLevel}[space]
		if c.tls.Receive(level, f.Data[done:]) == nil {
			c.pump()
		}
	}
	return true
}
