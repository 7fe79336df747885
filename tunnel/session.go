package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// session is one connection to the exit.
type session struct {
	cc      *http3.ClientConn
	addr    string        // where the exit was found
	silence time.Duration // how long the exit may be silent while requests are under way

	retireOnce sync.Once
	retired    chan struct{} // closed when it takes no more requests

	sending atomic.Int64 // requests without a response as yet

	// The watch over a silent exit, while requests are under way.
	mu       sync.Mutex
	watching bool
	heard    int64 // packets received when the exit was last looked after
	quiet    int   // how often in a row there was none since
	probing  bool
	silent   bool // it was closed for that
}

// The exit is looked after twelve times within the time that it may be silent. It is asked for a sign of life after a third
// of that, and gone at the last look before the end. Looks are counted, not the time between them: when it is this process
// that was stopped for a while, the answers wait in its socket.
const (
	looks     = 12
	probeLook = looks / 3
	lastLook  = looks - 1
)

func newSession(q *quic.Conn, addr string, silence time.Duration) *session {
	t := &http3.Transport{DisableCompression: true}
	return &session{cc: t.NewClientConn(q), addr: addr, silence: silence, retired: make(chan struct{})}
}

func (s *session) conn() *quic.Conn { return s.cc.Conn() }

// usable reports whether a request may be sent. The exit announces with GOAWAY that it takes no more.
func (s *session) usable() bool { return s.cc.CanTakeRequest() }

// retire has the link replace the session.
func (s *session) retire() { s.retireOnce.Do(func() { close(s.retired) }) }

// wait returns when the session takes no more requests.
func (s *session) wait(ctx context.Context) {
	select {
	case <-s.conn().Context().Done():
	case <-s.retired:
	case <-ctx.Done():
	}
}

// drain lets the requests under way end and then closes the connection.
func (s *session) drain() { s.cc.Shutdown() }

func (s *session) close() { s.cc.Close() }

// ended says in one line why the session is of no more use.
func (s *session) ended() string {
	err := s.conn().Err()
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	app, closed := errors.AsType[*quic.ApplicationError](err)
	switch {
	case silent:
		return fmt.Sprintf("the exit was silent for %v", s.silence)
	case err == nil, closed && (app.Remote || app.Code == uint64(http3.NoError)):
		// Either side may be the one that closes when nothing is under way any more.
		return "the exit is shutting down"
	case errors.Is(err, quic.ErrStatelessReset):
		return "the exit was restarted"
	case errors.Is(err, quic.ErrIdleTimeout):
		return fmt.Sprintf("the exit was silent for %v", idleTimeout)
	}
	return err.Error()
}

// roundTrip sends a request, and watches the exit until the response has ended.
func (s *session) roundTrip(req *http.Request) (*http.Response, error) {
	s.sending.Add(1)
	defer s.sending.Add(-1)
	s.watch()
	return s.cc.RoundTrip(req)
}

// hello asks the exit whether it is there and takes this entry for one of its own.
func (s *session) hello(ctx context.Context) error {
	req := (&http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "https", Host: serverName, Path: "/"},
		Header: http.Header{hello: {protocol}, "User-Agent": {""}},
	}).WithContext(ctx)
	res, err := s.cc.RoundTrip(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent || res.Header.Get(hello) == "" {
		return fmt.Errorf("the exit answered %q to the first greeting", res.Status)
	}
	return nil
}

// watch begins to look after the exit unless it is looked after already. QUIC's idle timeout is too long for a client that
// waits, and were it shorter, each pause of the network would cost an idle tunnel its connection.
func (s *session) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching {
		return
	}
	s.watching = true
	s.heard, s.quiet = s.conn().Stats().PacketsReceived, 0
	s.lookLater()
}

func (s *session) lookLater() { time.AfterFunc(s.silence/looks, s.look) }

// look closes a connection whose exit is silent. It asks for a sign of life first: the exit may have nothing to say for
// hours, as with an event stream.
func (s *session) look() {
	defer s.conn().Contain(uint64(http3.InternalError))
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.conn()
	if q.Err() != nil || s.sending.Load() == 0 && s.cc.Running() == 0 {
		s.watching = false
		return
	}
	s.quiet++
	if n := q.Stats().PacketsReceived; n != s.heard {
		s.heard, s.quiet = n, 0
	}
	if s.quiet >= lastLook {
		s.silent, s.watching = true, false
		q.CloseWithError(uint64(http3.NoError), "silent for too long")
		return
	}
	if s.quiet >= probeLook && !s.probing {
		s.probing = true
		go s.probe()
	}
	s.lookLater()
}

// probe makes the exit say something.
func (s *session) probe() {
	defer s.conn().Contain(uint64(http3.InternalError))
	ctx, cancel := context.WithTimeout(context.Background(), s.silence)
	defer cancel()
	if s.hello(ctx) != nil && !s.usable() {
		s.retire()
	}
	s.mu.Lock()
	s.probing = false
	s.mu.Unlock()
}
