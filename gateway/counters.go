package gateway

import (
	"log/slog"
	"maps"
	"runtime"
	"slices"
)

// LogCounters logs one line that says what has happened on UDP since Listen: connections, requests over HTTP/3, datagrams,
// and what reached no connection, by reason, among it what got a stateless answer such as Retry. Serve logs one when it
// ends. It must not be called before Listen.
func (s *Server) LogCounters(message string) {
	q, h := s.udp.Stats(), s.h3.Stats()
	total, dropped := int64(0), []any{}
	for _, reason := range slices.Sorted(maps.Keys(q.Dropped)) {
		total += q.Dropped[reason]
		dropped = append(dropped, reason, q.Dropped[reason])
	}
	s.plan.Logger.Info(message,
		slog.Group("connections", "accepted", q.Accepted, "open", q.Open, "handshakes_failed", q.HandshakesFailed, "refused", q.Refused, "panicked", q.Panicked),
		slog.Group("requests", "handled", h.Requests, "running", h.Running, "rejected", h.Rejected, "panicked", h.Panics),
		slog.Group("datagrams", "in", q.DatagramsIn, "out", q.DatagramsOut, "unsendable", q.DatagramsRefused, "unclaimed", total),
		slog.Group("bytes", "in", q.BytesIn, "out", q.BytesOut),
		slog.Group("unclaimed", dropped...),
		slog.Group("process", "goroutines", runtime.NumGoroutine()),
	)
}
