package engine

import "github.com/godwit-net/godwit/internal/instant"

// StreamConfig is the part of a Config that says how many streams the peer may have open.
type StreamConfig struct {
	MaxStreamsBidi, MaxStreamsUni int64 // at once: 100 and 100; negative: none
	HoldStreams                   bool  // one counts until Release, even when it has ended
}

// Release says, with Config.HoldStreams, that the application is done with a stream that the peer opened: it may open another in
// its place once this one has ended. Until then it counts, however it ended, so that what an application does for a stream is
// bounded by the limit on their number and not by how fast a peer can open and reset them (RFC 9000, section 21.9 is about
// attacks of that kind; HTTP/2's was CVE-2023-44487). It is to be called once for each stream. It reports whether the peer has
// to be told.
func (c *Conn) Release(now instant.Time, id int64) bool {
	c.advance(now)
	if c.life.state != lifeOpen || c.isLocal(id) {
		return false
	}
	if s := c.streams.byID[id]; s != nil {
		s.held = false
		return false
	}
	r := &c.streams.remote[directionOf(id)]
	r.streamEnded()
	return r.announce.isUnsent()
}
