package hostile

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

var stateAttacks = []attack{
	{"streams in every illegal order", 48 << 20, illegalOrders},
	{"streams that end in every legal way", 48 << 20, legalEnds},
	{"the last byte of every stream alone", 40 << 20, lastBytes},
}

// An offence is a packet of 1-RTT frames that no client may send.
type offence struct {
	sentence string
	frames   []byte
	codes    []wire.ErrorCode // with one of which the connection has to be closed
}

// data makes STREAM frames one after the other; fin is of the last.
func data(id, offset int64, size int, fin bool) []byte {
	return wire.AppendStream(nil, wire.Stream{ID: id, Offset: offset, Data: make([]byte, size), Fin: fin})
}

func reset(id, size int64) []byte {
	return wire.AppendResetStream(nil, wire.ResetStream{ID: id, Code: 0x10c, FinalSize: size})
}

func stop(id int64) []byte { return wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: 0x10c}) }

func maxStreamData(id int64) []byte {
	return wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 1 << 30})
}

func dataBlocked(id int64) []byte {
	return wire.AppendStreamDataBlocked(nil, wire.StreamDataBlocked{ID: id, Limit: 1})
}

func all(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// number makes a frame that is its type and one integer, whatever that is.
func number(typ byte, v uint64) []byte { return varint.Append([]byte{typ}, v) }

// offences are the orders that RFC 9000 forbids in sections 3, 4.5, 4.6 and 19, as far as a client can offend.
func offences() []offence {
	const (
		far   = 1 << 40        // beyond any window
		last  = varint.Max - 1 // the last byte of any stream
		first = 400_000        // bidirectional streams beyond the limit begin below this
		mine  = 2              // unidirectional, of the client
		its   = 1              // bidirectional, of the server, which has opened none
		uni   = 3              // unidirectional, of the server
	)
	size, state, limit, flow := wire.FinalSizeError, wire.StreamStateError, wire.StreamLimitError, wire.FlowControlError
	encoding, violation := wire.FrameEncodingError, wire.ProtocolViolation
	one := func(c wire.ErrorCode) []wire.ErrorCode { return []wire.ErrorCode{c} }
	return []offence{
		{"data beyond the FIN", all(data(0, 0, 5, true), data(0, 5, 5, false)), one(size)},
		{"a second FIN elsewhere", all(data(0, 10, 0, true), data(0, 0, 5, true)), one(size)},
		{"a FIN before what came", all(data(0, 0, 9, false), data(0, 0, 5, true)), one(size)},
		{"a RESET_STREAM below what came", all(data(0, 0, 9, false), reset(0, 5)), one(size)},
		{"a RESET_STREAM that contradicts the FIN", all(data(0, 9, 1, true), reset(0, 20)), one(size)},
		{"two RESET_STREAM of two sizes", all(data(0, 5, 1, false), reset(0, 10), reset(0, 20)), []wire.ErrorCode{size}},
		{"data beyond the size of a RESET_STREAM", all(reset(0, 10), data(0, 20, 1, false)), one(size)},
		{"data beyond the window", data(0, far, 1, false), one(flow)},
		{"a FIN beyond the window", data(0, far, 0, true), one(flow)},
		{"a RESET_STREAM beyond the window", reset(0, far), one(flow)},
		{"the last byte there can be", data(0, last, 1, false), []wire.ErrorCode{flow, encoding}},
		{"data beyond the last byte there can be", data(0, last+1, 5, false), []wire.ErrorCode{flow, encoding}},
		{"streams that are beyond the connection's window together", allFull(), one(flow)},
		{"data on a stream of the server's that it never opened", data(its, 0, 1, false), one(state)},
		{"data on a stream that only the server sends on", data(uni, 0, 1, false), one(state)},
		{"RESET_STREAM of the server's stream", reset(its, 0), one(state)},
		{"RESET_STREAM where only the server sends", reset(uni, 0), one(state)},
		{"STREAM_DATA_BLOCKED where only the server sends", dataBlocked(uni), one(state)},
		{"STREAM_DATA_BLOCKED of a stream never opened", dataBlocked(its), one(state)},
		{"STOP_SENDING of a stream never opened", stop(its), one(state)},
		{"STOP_SENDING where only the client sends", stop(mine), one(state)},
		{"MAX_STREAM_DATA of a stream never opened", maxStreamData(its), one(state)},
		{"MAX_STREAM_DATA where only the client sends", maxStreamData(mine), one(state)},
		{"data beyond the limit of streams", data(first, 0, 1, false), one(limit)},
		{"RESET_STREAM beyond the limit of streams", reset(first, 0), one(limit)},
		{"STOP_SENDING beyond the limit of streams", stop(first), one(limit)},
		{"MAX_STREAM_DATA beyond the limit of streams", maxStreamData(first), one(limit)},
		{"STREAM_DATA_BLOCKED beyond the limit of streams", dataBlocked(first), one(limit)},
		{"data beyond the limit of unidirectional streams", data(first+2, 0, 1, false), one(limit)},
		{"MAX_STREAMS of more than there can be", number(byte(wire.FrameMaxStreamsBidi), 1<<60+1), one(encoding)},
		{"STREAMS_BLOCKED of more than there can be", number(byte(wire.FrameStreamsBlockedUni), 1<<60+1), []wire.ErrorCode{encoding, limit}},
		{"HANDSHAKE_DONE from a client", []byte{byte(wire.FrameHandshakeDone)}, one(violation)},
		{"NEW_TOKEN from a client", wire.AppendNewToken(nil, []byte("token")), one(violation)},
		{"RETIRE_CONNECTION_ID of one never issued", wire.AppendRetireConnectionID(nil, 1<<20), one(violation)},
		{"NEW_CONNECTION_ID without an ID", all(number(byte(wire.FrameNewConnectionID), 1), make([]byte, 18)), one(encoding)},
		{"a sequence number that is given twice", all(newID(1, "other"), newID(1, "again")), one(violation)},
		{"a frame type that is not known", []byte{0x3f}, one(encoding)},
		{"a frame that is cut off", []byte{byte(wire.FrameResetStream), 0, 0xc0, 0}, one(encoding)},
	}
}

func newID(seq int64, id string) []byte {
	return wire.AppendNewConnectionID(nil, wire.NewConnectionID{Seq: seq, ID: wire.MakeConnID([]byte(id))})
}

// allFull opens twenty streams that keep to their windows, and together reach far.
func allFull() (b []byte) {
	for i := range int64(20) {
		b = append(b, data(4*i, 500_000, 1, false)...)
	}
	return b
}

// illegalOrders commits each offence on a connection of its own.
func illegalOrders(addr netip.AddrPort) (report, error) {
	var sum report
	var wrong []string
	list := offences()
	for _, o := range list {
		c, err := connect(addr, netip.Addr{}, nil)
		if err != nil {
			return sum, fmt.Errorf("%s: %w", o.sentence, err)
		}
		ok := false
		if c.insist(wire.AppSpace, o.frames); c.closed && !c.closeApp {
			for _, code := range o.codes {
				ok = ok || c.closeCode == uint64(code)
			}
		}
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: %s", o.sentence, c.ending()))
		}
		c.close()
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
	}
	sum.what = fmt.Sprintf("%d of %d were closed with the code of the RFC", len(list)-len(wrong), len(list))
	sum.why = strings.Join(wrong, "; ")
	return sum, nil
}

// legalEnds ends 600 streams of one connection in six ways, RESET_STREAM as the first frame among them. A server that kept one of
// them would let no others come in their places.
func legalEnds(addr netip.AddrPort) (report, error) {
	c, err := connect(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	ends := []func(id int64) []byte{
		func(id int64) []byte { return reset(id, 0) },
		func(id int64) []byte { return all(reset(id, 10), reset(id, 10), data(id, 0, 10, false)) },
		func(id int64) []byte { return data(id, 0, 0, true) },
		func(id int64) []byte { return all(stop(id), data(id, 0, 0, true)) },
		func(id int64) []byte { return all(stop(id), reset(id, 0), stop(id)) },
		func(id int64) []byte { return all(data(id, 3, 1, true), reset(id, 4)) },
	}
	c.maxStreams = 100
	const total = 600
	for n := int64(0); n < total; n++ {
		if n >= c.maxStreams && !c.until(func() bool { return n < c.maxStreams }) {
			return c.report(false, "after %d streams no further ones were allowed; %s", n, c.ending()), nil
		}
		c.send(wire.AppSpace, ends[n%int64(len(ends))](4*n))
	}
	ok := c.until(func() bool { return c.maxStreams >= total+80 })
	return c.report(ok || !ours(), "of %d streams all but %d were given back", total, total+100-c.maxStreams), nil
}

// lastBytes sends, on each of 100 connections, the last byte alone of 100 streams that fill the connection's window, 75 MiB in all.
// What was not sent must cost nothing.
func lastBytes(addr netip.AddrPort) (report, error) {
	var sum report
	const conns, streams, window = 100, 100, 768 << 10
	said, closed := int64(0), 0
	for i := range conns {
		c, err := connect(addr, netip.Addr{}, nil)
		if err != nil {
			return sum, err
		}
		defer c.close()
		n := int64(streams)
		if i > 0 {
			n = 2 // goroutines of requests would cost more than windows
		}
		each := min(int64(window)/n, 512<<10) - 1
		for id := range n {
			c.send(wire.AppSpace, data(4*id, each-1, 1, false))
			said++
		}
		c.hear(2 * time.Millisecond)
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
		if c.closed {
			closed++
			sum.why = fmt.Sprintf("the connection was closed with %#x", c.closeCode)
		}
	}
	sum.what = fmt.Sprintf("%d bytes sent, at the end of 75 MiB; %d of %d connections closed", said, closed, conns)
	return sum, nil
}
