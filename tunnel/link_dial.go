package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// attempt is the outcome of trying one address.
type attempt struct {
	at  int // index of the address
	s   *session
	err error
}

// dial tries the token's addresses, the one that answered last before the others, each a moment after the one before it,
// and takes the first that proves to be the exit.
func (l *link) dial(ctx context.Context) (*session, *dialError) {
	ctx, cancel := context.WithTimeout(ctx, l.attempt)
	defer cancel()
	n := len(l.token.Addrs)
	results := make(chan attempt, n)
	started, pending := 0, 0
	start := func() {
		at := (l.first + started) % n
		started++
		pending++
		go func() {
			a := attempt{at: at, err: errors.New(aBug)}
			defer func() { results <- a }()
			defer l.guard(nil)
			a.s, a.err = l.dialOne(ctx, l.token.Addrs[at])
		}()
	}
	failed := make([]error, n)
	start()
	for pending > 0 {
		var next <-chan time.Time
		if started < n {
			next = time.After(attemptStagger)
		}
		select {
		case <-next:
			start()
		case r := <-results:
			pending--
			if r.err == nil {
				cancel()
				go closeLosers(results, pending)
				l.first = r.at
				return r.s, nil
			}
			failed[r.at] = r.err
			if started < n {
				start()
			}
		}
	}
	return nil, l.reason(failed)
}

// closeLosers waits for the attempts that came too late.
func closeLosers(results <-chan attempt, pending int) {
	for range pending {
		if r := <-results; r.s != nil {
			r.s.close()
		}
	}
}

// dialOne connects to one address and makes sure that the exit there takes us.
func (l *link) dialOne(ctx context.Context, addr string) (*session, error) {
	q, err := quic.Dial(ctx, addr, l.tls, &quic.Config{
		HandshakeTimeout: l.attempt,
		MaxIdleTimeout:   idleTimeout,
		KeepAlive:        keepAlive,
		Windows:          windows,
		MaxStreams:       -1, // the exit opens none
		Logger:           l.log,
	})
	if err != nil {
		return nil, err
	}
	s := newSession(q, addr, l.silence)
	proved := false
	defer func() {
		if !proved { // after a panic as well
			s.close()
		}
	}()
	if err := s.hello(ctx); err != nil {
		// What ended the connection tells more than what became of the request.
		if cause := q.Err(); cause != nil {
			err = cause
		}
		return nil, err
	}
	proved = true
	return s, nil
}

// How much the failure of an address tells, from "nothing" to "that is it".
const (
	toldNothing = iota
	toldLittle
	toldWrongPeer
	toldRefused
)

// dialError says, in one line, why no address was the exit.
type dialError struct {
	told int // how much that tells
	text string
}

// reason makes one line of why all addresses failed: of the one that tells most. Addresses that only kept silent are
// listed together.
func (l *link) reason(failed []error) *dialError {
	best := dialError{told: -1}
	for i, err := range failed {
		if told, text := explainAttempt(l.token.Addrs[i], err); told > best.told {
			best = dialError{told, oneLine(text)}
		}
	}
	if best.told == toldNothing {
		best.text = "no answer over UDP from " + strings.Join(l.token.Addrs, ", ")
	}
	return &best
}

// How a peer tells who it is not: CONNECTION_REFUSED (RFC 9000, section 20.1), and TLS alerts (RFC 8446, section 6), which
// have 0x100 added as QUIC errors.
const (
	connectionRefused        = 0x02
	alertBadCertificate      = 0x100 + 42
	alertHandshakeFailure    = 0x100 + 40
	alertCertificateRequired = 0x100 + 116
	alertNoProtocol          = 0x100 + 120
)

// explainAttempt says why one address was not the exit.
func explainAttempt(addr string, err error) (told int, text string) {
	if e, ok := errors.AsType[*pinError](err); ok {
		return toldRefused, fmt.Sprintf("%s is not the exit of this token: its key is %s", addr, e.got)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.Remote {
		switch e.Code {
		case connectionRefused:
			return toldLittle, addr + " takes no new connection: it is shutting down, or has too many"
		case alertBadCertificate, alertCertificateRequired:
			return toldRefused, addr + " does not know this token: ask its exit for a new one"
		case alertNoProtocol, alertHandshakeFailure:
			return toldWrongPeer, addr + " is no tunnel exit, but speaks another protocol"
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return toldLittle, fmt.Sprintf("the name %s cannot be resolved (%s)", e.Name, e.Err)
	}
	e, dial := errors.AsType[*quic.DialError](err)
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, quic.ErrHandshakeTimeout)
	switch {
	case late && dial && !e.Answered:
		return toldNothing, ""
	case late:
		return toldLittle, addr + " answers, but too slowly for a connection"
	case errors.Is(err, context.Canceled):
		return toldNothing, ""
	case errors.Is(err, quic.ErrRefused):
		return toldLittle, addr + " cannot be reached: nobody listens on that UDP port"
	case dial:
		return toldLittle, fmt.Sprintf("%s cannot be reached: %v", addr, e.Err)
	}
	return toldLittle, fmt.Sprintf("%s: %v", addr, err)
}
