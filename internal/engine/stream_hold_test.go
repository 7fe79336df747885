package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// The limit of streams is on what the application is busy with, not on what the peer has not ended yet.
func TestAStreamCountsUntilItIsReleased(t *testing.T) {
	x := newExchange(t, true, withConfig(func(c *Config) { c.MaxStreamsUni, c.HoldStreams = 2, true })).handshake()
	x.receive(wire.AppSpace, streamFrame(2, 0, "x", true))
	x.wantRead("the stream is read to its end", 2, "x", true)
	x.wantNothing("it counts all the same")
	if !x.conn.Release(x.now, 2) {
		t.Error("released after its end: the peer is not to be told")
	}
	x.drain()
	x.wantAmong("it counts no longer", "max_streams 3 uni=true")

	x.receive(wire.AppSpace, streamFrame(6, 0, "y", false))
	if x.conn.Release(x.now, 6) {
		t.Error("released before its end: the peer is to be told")
	}
	x.wantNothing("it has not ended")
	x.receive(wire.AppSpace, streamFrame(6, 1, "", true))
	x.wantRead("the second stream is read to its end", 6, "y", true)
	x.drain()
	x.wantAmong("it counts no longer", "max_streams 4 uni=true")
}
