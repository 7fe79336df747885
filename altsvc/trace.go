package altsvc

import (
	"time"

	"github.com/godwit-net/godwit/quic"
)

// Trace is told what a Transport does, for tools that show it: to those who only
// send requests, alternatives are not visible. Its functions may be nil, and are
// called by any goroutine.
type Trace struct {
	// Learned is called with the alternatives that a response named, all of
	// them; none means that it took back what was known. origin is "host:port".
	Learned func(origin string, services []Service)

	// Connected is called when a connection to an alternative stands; at is
	// where: "host:port".
	Connected func(origin, at string, c *quic.Conn)

	// Failed is called when HTTP/3 has failed at an alternative. It is not used
	// before until, which is zero when it is not certain whose fault it was.
	Failed func(origin, at string, err error, until time.Time)
}

func (t *Trace) learned(o origin, services []Service) {
	if t != nil && t.Learned != nil {
		t.Learned(o.String(), services)
	}
}

func (t *Trace) connected(o origin, r route, c *quic.Conn) {
	if t != nil && t.Connected != nil {
		t.Connected(o.String(), r.String(), c)
	}
}

func (t *Trace) failed(o origin, r route, err error, until time.Time) {
	if t != nil && t.Failed != nil {
		t.Failed(o.String(), r.String(), err, until)
	}
}
