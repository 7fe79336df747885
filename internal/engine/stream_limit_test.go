package engine

import (
	"fmt"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// Three streams of four last. The peer has one left to come and go on, each time anew.
func TestStreamsThatLastDoNotKeepTheRoomOfOthers(t *testing.T) {
	x := newExchange(t, true, withConfig(func(c *Config) { c.MaxStreamsUni = 4 })).handshake()
	for id := int64(2); id <= 10; id += 4 {
		x.receive(wire.AppSpace, streamFrame(id, 0, "lasts", false))
	}
	for n := int64(4); n < 8; n++ {
		id := (n-1)<<2 | 2
		x.receive(wire.AppSpace, streamFrame(id, 0, "x", true))
		x.wantRead("the stream is read to its end", id, "x", true)
		x.wantAmong("and another one allowed", fmt.Sprintf("max_streams %d uni=true", n+1))
	}
}
