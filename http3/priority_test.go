package http3_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

const (
	narrow = 64 << 10 // the window of a client that reads only what a test wants
	bulk   = 1 << 20  // what is behind a narrow window
	small  = 50 << 10 // fits in one
)

// contest is a server with a large response that fills the client's window, and
// a small one that waits behind it.
type contest struct {
	*host
	t       *testing.T
	conn    *quic.Conn
	control *quic.Stream
	bulk    *quic.Stream
	written chan struct{} // the small response is written
	release chan struct{} // its handler may return
}

func newContest(t *testing.T, smallPriority string, tune ...func(*http3.Server)) *contest {
	c := &contest{t: t, written: make(chan struct{}), release: make(chan struct{})}
	c.host = start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Write(make([]byte, bulk))
			return
		}
		if smallPriority != "" {
			w.Header().Set("Priority", smallPriority)
		}
		w.Write(make([]byte, small))
		http.NewResponseController(w).Flush()
		close(c.written)
		<-c.release
	}), tune...)
	q, err := quic.Dial(t.Context(), c.Addr, clientTLS(), &quic.Config{Windows: quic.Windows{ConnWindow: narrow, MaxConnWindow: narrow}})
	if err != nil {
		t.Fatal(err)
	}
	c.conn = q
	t.Cleanup(func() { q.Close() })
	c.control = openUni(t, q, uni(h3.StreamControl, settings))
	c.bulk = openRequest(t, q, getHeaders())
	c.bulk.Close()
	waitFor(t, "the large response fills the window", func() bool { return q.Stats().Unread > narrow-2000 })
	return c
}

// request asks for the small response and waits until all of it stands behind
// the large one.
func (c *contest) request(priority ...string) *quic.Stream {
	fields := []string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/small"}
	s := openRequest(c.t, c.conn, headers(append(fields, priority...)...))
	s.Close()
	<-c.written
	return s
}

// update sends a PRIORITY_UPDATE frame and waits until the server has it.
func (c *contest) update(stream uint64, value string) {
	c.t.Helper()
	c.control.Write(frame(h3.FramePriorityUpdateRequest, join(id(stream), []byte(value))...))
	want, _ := h3.ParsePriority(value)
	waitFor(c.t, "the update arrives", func() bool { return c.Server.PriorityUpdates()[int64(stream)] == want })
}

// small reads the beginning of the large response, as much as makes room for the
// small one, and then all of that. If anything more of the large one was
// sent, there is no room.
func (c *contest) small(s *quic.Stream) {
	c.t.Helper()
	close(c.release)
	c.bulk.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c.bulk, make([]byte, narrow-2000)); err != nil {
		c.t.Fatal(err)
	}
	s.SetReadDeadline(time.Now().Add(patience))
	n, err := io.Copy(io.Discard, s)
	if err != nil || n < small {
		c.t.Fatalf("%d bytes of the small response, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, c.bulk); err != nil || n < bulk-narrow {
		c.t.Fatalf("%d bytes of the large response, %v", n, err)
	}
}

func TestTheUrgentResponseGoesFirst(t *testing.T) {
	t.Run("the request's header", func(t *testing.T) {
		c := newContest(t, "")
		c.small(c.request("priority", "u=0"))
	})
	t.Run("the response's header", func(t *testing.T) {
		c := newContest(t, "u=2")
		c.small(c.request("priority", "u=6"))
	})
	t.Run("PRIORITY_UPDATE before the request", func(t *testing.T) {
		c := newContest(t, "")
		c.update(4, "u=1")
		c.small(c.request("priority", "u=7"))
	})
	t.Run("PRIORITY_UPDATE after the request", func(t *testing.T) {
		c := newContest(t, "")
		s := c.request()
		c.update(4, "u=1, x=2")
		c.small(s)
	})
	t.Run("PRIORITY_UPDATE of the other", func(t *testing.T) {
		c := newContest(t, "")
		s := c.request()
		c.update(0, "u=4")
		c.small(s)
	})
}

func TestPriorityUpdatesAreBounded(t *testing.T) {
	h := start(t, readAnything, func(s *http3.Server) { s.QUIC = &quic.Config{MaxStreams: 1000} })
	c := h.dial(t)
	var frames []byte
	for i := range uint64(1000) {
		frames = append(frames, frame(h3.FramePriorityUpdateRequest, join(id(4*i), []byte("u=1"))...)...)
	}
	openUni(t, c, uni(h3.StreamControl, settings, frames, frame(h3.FramePriorityUpdateRequest, join(id(0), []byte("u=2"))...)))
	waitFor(t, "the last update", func() bool { return h.Server.PriorityUpdates()[0].Urgency == 2 })
	if n := len(h.Server.PriorityUpdates()); n != 256 {
		t.Errorf("%d updates are remembered, want 256", n)
	}
	for range 300 { // those of requests that are over make room
		if fields, _ := exchangeRaw(t, c, getHeaders()); fields[":status"] != "200" {
			t.Fatal(fields)
		}
	}
	waitFor(t, "updates of requests that are over are forgotten", func() bool { return len(h.Server.PriorityUpdates()) == 0 })
}

func TestAClientReprioritizesItsRequests(t *testing.T) {
	arrived, release := make(chan string), make(chan struct{})
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.Header.Get("Priority")
		<-release
	}))
	var later http3.Reprioritizer
	if err := later.Update("u=1,"); err == nil {
		t.Error("a value that is none is taken")
	}
	answered := make(chan error)
	send := func() {
		req, _ := http.NewRequestWithContext(later.Context(t.Context()), "GET", h.URL, nil)
		req.Header.Set("Priority", "u=5, i, x=1")
		res, err := h.Client.Do(req)
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}
	go send()
	if got := <-arrived; got != "u=5, i, x=1" {
		t.Errorf("the server sees a priority of %q", got)
	}
	if got := h.Server.PriorityUpdates(); len(got) != 0 {
		t.Errorf("updates %v before there was one", got)
	}
	for _, value := range []string{"u=1", "u=0, i"} {
		if err := later.Update(value); err != nil {
			t.Fatal(err)
		}
		want, _ := h3.ParsePriority(value)
		waitFor(t, "the update arrives", func() bool { return h.Server.PriorityUpdates()[0] == want })
	}
	go send() // what was said holds for it too
	<-arrived
	waitFor(t, "the update of the second request arrives", func() bool {
		return h.Server.PriorityUpdates()[4] == h3.Priority{Urgency: 0, Incremental: true}
	})
	close(release)
	for range 2 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	if err := later.Update("u=7"); err != nil {
		t.Error("with no request under way:", err)
	}
}
