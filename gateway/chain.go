package gateway

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// handler is the way of a request through the gateway, the same over every protocol: from the outside to the inside the
// access log, the Alt-Svc field, the site. altSvc is "" where none is sent.
func (s *Server) handler(altSvc string) http.Handler {
	h := s.site
	if altSvc != "" {
		h = advertise(h, altSvc)
	}
	if s.plan.AccessLog {
		h = logRequests(h, s.plan.Logger)
	}
	return h
}

// advertise adds the Alt-Svc field to every answer (RFC 7838).
func advertise(h http.Handler, altSvc string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&reply{ResponseWriter: w, altSvc: altSvc}, r)
	})
}

// logRequests writes a line for each request when it is over. A request that was aborted has status 0.
func logRequests(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		out := &reply{ResponseWriter: w}
		over := false
		defer func() {
			if !over {
				out.status = 0
			}
			log.Info("request", "proto", r.Proto, "remote", r.RemoteAddr, "method", r.Method, "host", r.Host,
				"uri", r.RequestURI, "status", out.status, "bytes", out.bytes, "ms", milliseconds(time.Since(began)))
		}()
		h.ServeHTTP(out, r)
		out.begin(http.StatusOK)
		over = true
	})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reply is a ResponseWriter that looks at what passes. The field is added when the header leaves and not before: what
// stands in the header until then may be cleared, which httputil.ReverseProxy does after a 1xx answer.
type reply struct {
	http.ResponseWriter
	altSvc string

	status int // 0: the header has not left
	bytes  int64
}

// begin notes that the header leaves with this status, unless it has left.
func (w *reply) begin(status int) {
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status = status
	if w.altSvc != "" {
		w.Header().Set("Alt-Svc", w.altSvc)
	}
}

func (w *reply) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *reply) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError serves http.ResponseController.
func (w *reply) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack serves http.ResponseController. Connections are hijacked for one reason here, an upgrade.
func (w *reply) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begin(http.StatusSwitchingProtocols)
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap serves http.ResponseController.
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }
