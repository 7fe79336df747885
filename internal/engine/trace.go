package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// What is here only runs for connections that are traced: it reads packets a second time, for the trace, so that the paths
// packets take do not have to know of it.

// traceSent records packet i of a datagram, which is not encrypted yet.
func (c *Conn) traceSent(now instant.Time, d *datagram, i, size int) {
	if c.trace == nil {
		return
	}
	p := &d.packets[i]
	q := qlog.Packet{
		Type: p.typ.String(), Number: p.number, Size: size, Coalesced: d.n > 1, KeyPhase: c.phase.phase,
		DstID: c.ids.destination(d), Frames: c.traceFrames(d.buf[p.payload:p.end]),
	}
	if p.typ != wire.Packet1RTT {
		q.SrcID = c.ids.local[0].id.Bytes()
	}
	c.trace.PacketSent(now, q)
}

// traceReceived records a packet that was opened.
func (c *Conn) traceReceived(now instant.Time, p *opened) {
	if c.trace == nil {
		return
	}
	c.trace.PacketReceived(now, qlog.Packet{
		Type: p.typ.String(), Number: p.number, Size: p.size, SrcID: p.header.SrcID, DstID: p.header.DstID,
		Frames: c.traceFrames(p.payload), KeyPhase: c.phase.phase,
	})
}

// traceFrames reads the frames of a payload, up to the first that is malformed.
func (c *Conn) traceFrames(b []byte) (list []qlog.Frame) {
	for len(b) > 0 {
		f, n := c.traceFrame(b)
		if n <= 0 {
			return append(list, qlog.Frame{Type: "unknown", Code: uint64(b[0])})
		}
		list = append(list, f)
		b = b[n:]
	}
	return list
}

func (c *Conn) traceFrame(b []byte) (q qlog.Frame, n int) {
	typ, size := wire.ConsumeFrameType(b)
	if size < 0 {
		typ = uint64(b[0])
	}
	q.Type = wire.FrameName(typ)
	switch typ {
	case wire.FramePadding:
		for n = 1; n < len(b) && b[n] == 0; n++ {
		}
		q.Length = int64(n)
	case wire.FramePing, wire.FrameHandshakeDone, wire.FrameImmediateAck:
		n = 1
	case wire.FrameAck, wire.FrameAckECN:
		var f wire.Ack
		f, q.Ranges, n = wire.ConsumeAck(b, nil)
		q.Delay = time.Duration(min(f.Delay, maxDelayField)<<uint(c.peer.AckDelayExponent)) * time.Microsecond
		q.ECN, q.ECT0, q.ECT1, q.CE = f.ECN, f.ECT0, f.ECT1, f.CE
	case wire.FrameAckFrequency:
		var f wire.AckFrequency
		f, n = wire.ConsumeAckFrequency(b)
		q.Seq, q.Max, q.Delay = f.Seq, f.Threshold, f.MaxAckDelay
	case wire.FrameCrypto:
		var f wire.Crypto
		f, n = wire.ConsumeCrypto(b)
		q.Offset, q.Length = f.Offset, int64(len(f.Data))
	case wire.FrameNewToken:
		q.Bytes, n = wire.ConsumeNewToken(b)
	case wire.FrameConnectionClose, wire.FrameConnectionCloseApp:
		var f wire.ConnectionClose
		f, n = wire.ConsumeConnectionClose(b)
		q.App, q.Code, q.ID, q.Reason = f.App, f.Code, int64(f.FrameType), string(f.Reason)
	default:
		if typ&^7 == wire.FrameStream {
			var f wire.Stream
			f, n = wire.ConsumeStream(b)
			q.ID, q.Offset, q.Length, q.Fin = f.ID, f.Offset, int64(len(f.Data)), f.Fin
			return q, n
		}
		return traceControlFrame(q, typ, b)
	}
	return q, n
}

func traceControlFrame(q qlog.Frame, typ uint64, b []byte) (_ qlog.Frame, n int) {
	switch typ {
	case wire.FrameResetStream:
		var f wire.ResetStream
		f, n = wire.ConsumeResetStream(b)
		q.ID, q.Code, q.Length = f.ID, f.Code, f.FinalSize
	case wire.FrameResetStreamAt:
		var f wire.ResetStreamAt
		f, n = wire.ConsumeResetStreamAt(b)
		q.ID, q.Code, q.Length, q.Max = f.ID, f.Code, f.FinalSize, f.ReliableSize
	case wire.FrameStopSending:
		var f wire.StopSending
		f, n = wire.ConsumeStopSending(b)
		q.ID, q.Code = f.ID, f.Code
	case wire.FrameMaxData:
		q.Max, n = wire.ConsumeMaxData(b)
	case wire.FrameMaxStreamData:
		var f wire.MaxStreamData
		f, n = wire.ConsumeMaxStreamData(b)
		q.ID, q.Max = f.ID, f.Max
	case wire.FrameMaxStreamsBidi, wire.FrameMaxStreamsUni:
		var f wire.MaxStreams
		f, n = wire.ConsumeMaxStreams(b)
		q.Uni, q.Max = f.Uni, f.Max
	case wire.FrameDataBlocked:
		q.Max, n = wire.ConsumeDataBlocked(b)
	case wire.FrameStreamDataBlocked:
		var f wire.StreamDataBlocked
		f, n = wire.ConsumeStreamDataBlocked(b)
		q.ID, q.Max = f.ID, f.Limit
	case wire.FrameStreamsBlockedBidi, wire.FrameStreamsBlockedUni:
		var f wire.StreamsBlocked
		f, n = wire.ConsumeStreamsBlocked(b)
		q.Uni, q.Max = f.Uni, f.Limit
	case wire.FrameNewConnectionID:
		var f wire.NewConnectionID
		f, n = wire.ConsumeNewConnectionID(b)
		q.Seq, q.RetirePriorTo, q.Bytes = f.Seq, f.RetirePriorTo, f.ID.AppendTo(nil)
	case wire.FrameDatagram, wire.FrameDatagramLen:
		var data []byte
		data, n = wire.ConsumeDatagram(b)
		q.Length = int64(len(data))
	case wire.FrameRetireConnectionID:
		q.Seq, n = wire.ConsumeRetireConnectionID(b)
	case wire.FramePathChallenge, wire.FramePathResponse:
		var data [8]byte
		data, n = wire.ConsumePathChallenge(b)
		if typ == wire.FramePathResponse {
			data, n = wire.ConsumePathResponse(b)
		}
		q.Bytes = data[:]
	}
	return q, n
}

// traceParams shows transport parameters.
func traceParams(p *wire.TransportParams) qlog.Params {
	return qlog.Params{
		OriginalDstID: p.OriginalDstID, InitialSrcID: p.InitialSrcID, RetrySrcID: p.RetrySrcID,
		DisableActiveMigration: p.DisableActiveMigration,
		MaxIdleTimeout:         p.MaxIdleTimeout, MaxAckDelay: p.MaxAckDelay,
		MaxUDPPayloadSize: p.MaxUDPPayloadSize, AckDelayExponent: p.AckDelayExponent, ActiveConnIDLimit: p.ActiveConnIDLimit,
		InitialMaxData:                 p.InitialMaxData,
		InitialMaxStreamDataBidiLocal:  p.InitialMaxStreamDataBidiLocal,
		InitialMaxStreamDataBidiRemote: p.InitialMaxStreamDataBidiRemote,
		InitialMaxStreamDataUni:        p.InitialMaxStreamDataUni,
		InitialMaxStreamsBidi:          p.InitialMaxStreamsBidi, InitialMaxStreamsUni: p.InitialMaxStreamsUni,
		MaxDatagramFrameSize: p.MaxDatagramFrameSize, GreaseQUICBit: p.GreaseQUICBit, ResetStreamAt: p.ResetStreamAt,
	}
}
