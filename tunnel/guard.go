package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/godwit-net/godwit/http3"
)

// What runs for many requests, or for none, has goroutines of its own. A panic there is a bug of ours, or comes from the Logger: it
// ends the connection that it happened on, if there is one, and the tunnel connects anew. Requests have the recover boundaries of
// net/http and http3.

// guard is deferred by what connects. s is the session that it is about; nil: none.
func (l *link) guard(s *session) {
	r := recover()
	switch {
	case r == nil:
	case s != nil:
		s.conn().Panicked(r)
		s.conn().CloseWithError(uint64(http3.InternalError), aBug)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cur == s {
			l.cur, l.away, l.logged = nil, &awayError{reason: aBug}, aBug
			l.notify()
		}
	default:
		say(l.log, "tunnel: connecting panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

const aBug = "a bug in this entry; its log has the stack"

// say writes to a log that may be what has panicked.
func say(log *slog.Logger, msg string, args ...any) {
	defer func() { _ = recover() }()
	log.Log(context.Background(), slog.LevelError, msg, args...)
}
