package gateway

import "time"

// What a client or an upstream can make us hold or wait for.
const (
	// readHeaderTimeout is how long a TCP client may take over the header of a request: without it, silent connections
	// collect until no file descriptor is left. http3 has the same for streams. TestTheTCPServerHasTimeouts.
	readHeaderTimeout = 10 * time.Second

	// idleTimeout closes connections without a request. Browsers come back within seconds or not at all.
	// TestTheTCPServerHasTimeouts.
	idleTimeout = 2 * time.Minute

	// keepAlive holds HTTP/3 connections open while a request runs on which nothing is sent, an event stream for one:
	// QUIC would end them after 30 seconds, and TCP would not. idleTimeout closes those that run none.
	keepAlive = 20 * time.Second

	// dialTimeout is how long an upstream may take to accept a connection: it is close by, or something is wrong.
	dialTimeout = 5 * time.Second

	// maxIdleUpstream is how many idle connections to the upstream are kept, and idleUpstreamTimeout for how long. A
	// burst of requests as wide as this finds its connections again.
	maxIdleUpstream     = 512
	idleUpstreamTimeout = 90 * time.Second

	// maxUpstreamHeader bounds the header of an upstream's answer, as net/http does for requests.
	// TestAnUpstreamThatBreaksHTTP.
	maxUpstreamHeader = 1 << 20

	// copyBuffer is the size of the pooled buffers that bodies go through: the largest DATA frame of package http3.
	copyBuffer = 32 << 10
)

// What the demo site gives away. TestDemoLimits.
const (
	demoTiles     = 180
	demoMaxBytes  = 1 << 30 // of /bytes/N
	demoMaxEvents = 60      // of /events, one per second

	demoMaxMessage = 64 << 10 // of /ws, a frame's payload
)
