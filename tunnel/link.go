package tunnel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// link keeps the entry connected to its exit: one connection at a time, made by one goroutine, for all requests.
type link struct {
	token   Token
	tls     *tls.Config
	silence time.Duration
	timing
	log    *slog.Logger
	kicked chan struct{} // holds one note: a request waits, do not
	first  int           // index of the address that answered last; run's alone

	mu      sync.Mutex
	cur     *session      // nil: away
	away    *awayError    // why; nil before the first attempt has failed
	failed  int           // attempts that have
	again   time.Time     // when the next attempt begins by itself
	changed chan struct{} // closed and replaced when something above has changed
	logged  string        // the last reason for being away that was logged; "" while up
}

// timing is how long an attempt and a waiting request may take. Tests give both more than a slow machine needs.
type timing struct{ attempt, patience time.Duration }

func newLink(t Token, silence time.Duration, log *slog.Logger) *link {
	return &link{
		token:   t,
		tls:     t.entryTLS(),
		silence: silence,
		timing:  timing{attemptTimeout, patience},
		log:     log,
		kicked:  make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
}

// awayError says that the exit cannot be reached: the request was not sent.
type awayError struct {
	reason string        // one line
	retry  time.Duration // when to try again
}

func (e *awayError) Error() string { return "the tunnel is away: " + e.reason }

// run connects, and connects again, until ctx ends.
func (l *link) run(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		backoff = l.round(ctx, began, backoff)
		sleep(ctx, time.Until(began.Add(minAttemptGap)), nil)
	}
}

// round is one attempt and what comes of it. It returns how long to wait when the next one fails.
func (l *link) round(ctx context.Context, began time.Time, backoff time.Duration) (next time.Duration) {
	next = min(2*backoff, maxBackoff) // after a panic as well
	defer l.guard(nil)
	s, err := l.dial(ctx)
	if err == nil {
		l.hold(ctx, s)
		return firstBackoff
	}
	if ctx.Err() != nil {
		return next
	}
	// Many entries may have lost one exit at the same moment: half of the wait is chance.
	wait := backoff/2 + rand.N(backoff/2)
	l.isAway(err, wait)
	sleep(ctx, time.Until(began.Add(minAttemptGap)), nil)
	sleep(ctx, wait, l.kicked)
	return next
}

// hold has requests sent by s until it takes no more. Those under way then may end, unless ctx does before.
func (l *link) hold(ctx context.Context, s *session) {
	defer l.guard(s)
	stop := context.AfterFunc(ctx, s.close)
	context.AfterFunc(s.conn().Context(), func() { stop() })
	l.isUp(s)
	s.wait(ctx)
	if ctx.Err() == nil {
		l.isDown(s)
		s.drain()
	}
}

// sleep waits for d, or less when ctx ends or something comes.
func sleep(ctx context.Context, d time.Duration, come <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-come:
	case <-ctx.Done():
	}
}

// notify tells those who wait that the state has changed. mu is held.
func (l *link) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *link) isUp(s *session) {
	l.mu.Lock()
	l.cur, l.away, l.logged = s, nil, ""
	l.notify()
	l.mu.Unlock()
	l.log.Info("tunnel up", "exit", s.addr, "rtt", s.conn().Stats().RTT.Smoothed.Round(100*time.Microsecond))
}

// isDown notes that a session takes no more requests.
func (l *link) isDown(s *session) {
	reason := s.ended()
	l.mu.Lock()
	l.cur, l.away, l.logged = nil, &awayError{reason: reason}, reason
	l.notify()
	l.mu.Unlock()
	l.log.Warn("tunnel away", "exit", s.addr, "reason", reason)
}

// isAway notes that an attempt failed. While the tunnel stays away only what tells more is logged.
func (l *link) isAway(err *dialError, wait time.Duration) {
	l.mu.Lock()
	news := l.logged == "" || err.told > toldNothing && err.text != l.logged
	if news {
		l.logged = err.text
	}
	l.away, l.again = &awayError{reason: err.text}, time.Now().Add(wait)
	l.failed++
	l.notify()
	l.mu.Unlock()
	if news {
		l.log.Warn("tunnel away", "reason", err.text)
	}
}

// session returns the connection to the exit. When there is none, it has the exit tried at once and waits for the outcome,
// but not for longer than patience. Its error is ctx's, or an *awayError.
func (l *link) session(ctx context.Context) (*session, error) {
	timer := time.NewTimer(l.patience)
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for failed := l.failed; ; {
		if s := l.cur; s != nil {
			if s.usable() {
				return s, nil
			}
			s.retire()
		} else if l.failed != failed {
			return nil, l.isAwayNow()
		} else {
			select {
			case l.kicked <- struct{}{}:
			default: // somebody else has left the note
			}
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			l.mu.Lock()
			return nil, l.isAwayNow()
		case <-ctx.Done():
			l.mu.Lock()
			return nil, context.Cause(ctx)
		}
		l.mu.Lock()
	}
}

// isAwayNow says why there is no connection. mu is held.
func (l *link) isAwayNow() error {
	e := awayError{reason: "the exit has not answered yet"}
	if l.away != nil {
		e.reason = l.away.reason
	}
	e.retry = max(time.Until(l.again), time.Second)
	return &e
}
