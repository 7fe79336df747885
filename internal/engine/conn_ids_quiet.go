package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// quietPeriod is the silence after which a client goes on with another of the server's connection IDs.
//
// RFC 9000, section 9.5: "after a period of network inactivity, NAT rebinding might cause packets to be sent on a new path when the
// client resumes sending", and the ID of the old path would tell whoever watches both that they are one connection's. The
// client does not learn of it before its packets are on their way, so it has to change the ID whenever that may have happened:
// "A client might wish to reduce linkability by switching to a new connection ID, source UDP port, or IP address (see
// [RFC8981]) when sending traffic after a period of inactivity."
//
// Section 10.1.2 says when that is: "experience shows that sending packets every 30 seconds is necessary to prevent the majority of
// middleboxes from losing state for UDP flows". 20 seconds are less than that, so that connections with our idle timeout of 30
// seconds have quiet periods too, and more than the 15 seconds to which that timeout shortens a keep-alive: a connection that is kept
// alive has none, and its PING frames retire nothing.
//
// The port stays: another would be a migration each time. Section 9.5: "addresses SHOULD only be changed infrequently". Only
// clients do it. A server that is sent a packet from another address by that answers to another ID of the client's (conn_ids_path.go).
const quietPeriod = 20 * time.Second

// refreshID goes on with another ID when we are the ones who break a silence. A packet of the server's that breaks it shows
// that the path is as it was, and packets that nobody has acknowledged are no silence.
//
// Nobody is left without: the client keeps one to spare, for another path, and the server has to have one of ours, without
// which its answers would link what our packets do not. The ID that was in use is retired, and the server replaces it.
func (c *Conn) refreshID(now instant.Time) {
	x := &c.ids
	switch {
	case c.server, !c.shake.confirmed, c.idle.sentSince, now.Sub(c.idle.since) < quietPeriod:
	case !c.wantsToSend(wire.AppSpace), c.path.move.check.active(), x.remoteID().Len() == 0:
	case x.spares() < 2, x.length > 0 && len(x.local) < 2, !x.mayRetire():
	default:
		i := x.bindSpare(c, c.path.Path)
		x.remote[0], x.remote[i] = x.remote[i], x.remote[0]
		x.giveUp(c, i)
	}
}
