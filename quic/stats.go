package quic

import (
	"time"

)

// ConnStats is what a connection has measured and counted.
type ConnStats struct {
	Version    uint32 // the QUIC version
	ALPN       string // the protocol TLS agreed on
	Resumed    bool   // the TLS session was resumed
	Handshake  time.Duration
	Controller string // the congestion controller's name

	RTT      congestionRTT
	Window   int // congestion window in bytes
	InFlight int // bytes sent and neither acknowledged nor lost

	PacketsSent, PacketsReceived, PacketsLost int64
	BytesSent, BytesReceived                  int64 // UDP payload
	PathChanges                               int64
}

// EndpointStats counts what happened on a socket since it was opened.
type EndpointStats struct {
	DatagramsIn, DatagramsOut int64
	BytesIn, BytesOut         int64 // UDP payload

	// Dropped counts datagrams that reached no connection, by reason: a word such as "malformed" or "unknown_id".
	Dropped map[string]int64

	Accepted         int64 // connections handed to Accept
	Dialled          int64 // handshakes started by Dial
	Refused          int64 // connections closed with CONNECTION_REFUSED
	HandshakesFailed int64 // connections that ended before their handshake was done
	Closed           int64 // connections that ended after it
	Panicked         int64 // connections closed because the code that drives them panicked
	Open             int64 // connections at this moment, handshaking ones among them
}
