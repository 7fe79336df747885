package tunnel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// freeAddr is an address on which nobody listens. A socket that is connected to somewhere else has it until free, or the end
// of the test.
func freeAddr(t testing.TB) (addr string, free func()) {
	t.Helper()
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String(), func() { c.Close() }
}

func hi(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") }

func TestTheEntryDoesNotNeedItsExitToStart(t *testing.T) {
	goroutinesReturn(t)
	w := &world{t: t, log: new(logBuffer)}
	k := NewKey()
	addr, free := freeAddr(t)
	w.startEntry(tokenFor(t, k, addr))
	res, body := w.get("/")
	if after, err := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode != 503 || err != nil || after < 1 || after > 5 {
		t.Errorf("status %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if got := res.Header.Get("Proxy-Status"); got != "godwit-entry; error=destination_unavailable" {
		t.Errorf("Proxy-Status: %s", got)
	}
	why := "no answer over UDP from " + addr
	if runtime.GOOS == "linux" { // where the system tells more
		why = addr + " cannot be reached: nobody listens on that UDP port"
	}
	if want := "godwit tunnel: the tunnel is away: " + why + "\n"; body != want {
		t.Errorf("%q, want %q", body, want)
	}
	free()
	w.exit = w.startExit(addr, k)
	eventually(t, "the tunnel comes up by itself", func() bool { return strings.Contains(w.log.String(), "tunnel up") })
	if res, _ := w.get("/"); res.StatusCode != 502 { // there is no platform
		t.Errorf("status %d", res.StatusCode)
	}
	if n := strings.Count(w.log.String(), "tunnel away"); n != 1 {
		t.Errorf("%d lines about one absence: %s", n, w.log)
	}
}

// A killed exit says no goodbye. The one that takes its place has the same key and none of the connections.
func TestTheEntryComesBackAfterARestart(t *testing.T) {
	for _, how := range []string{"shut down", "closed", "killed"} {
		t.Run(how, func(t *testing.T) {
			goroutinesReturn(t)
			w := &world{t: t, log: new(logBuffer)}
			r := newRelay(t)
			k := NewKey()
			first := w.startExit("127.0.0.1:0", k)
			r.to(first.Addr())
			w.startEntry(tokenFor(t, k, r.addr()))
			w.get("/")
			if how == "killed" {
				r.to(nil)
				r.renew() // its last words go nowhere
			}
			if how == "shut down" {
				if err := first.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
			first.Close()
			r.to(w.startExit(first.Addr().String(), k).Addr())
			// No request fails: GET may be sent again.
			if res, body := w.get("/"); res.StatusCode != 502 {
				t.Errorf("status %d: %s", res.StatusCode, body)
			}
			// The request may be through before the line is written.
			eventually(t, "the tunnel is up the second time", func() bool { return strings.Count(w.log.String(), "tunnel up") == 2 })
			reason := map[string]string{"shut down": "the exit is shutting down", "closed": "the exit is shutting down", "killed": "the exit was restarted"}[how]
			contains(t, w.log.String(), `reason="`+reason+`"`)
		})
	}
}

// What was under way when the exit vanished ends with an error, and is not sent a second time.
func TestRequestsUnderWayFailWhenTheExitVanishes(t *testing.T) {
	goroutinesReturn(t)
	var posts atomic.Int64
	arrived, done := make(chan struct{}), make(chan struct{})
	defer close(done)
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		if r.URL.Path == "/half" {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		} else {
			io.ReadAll(r.Body)
			arrived <- struct{}{}
		}
		<-done
	})
	r := newRelay(t)
	r.to(w.exit.Addr())
	w.startEntry(tokenFor(t, w.exit.Key(), r.addr()))

	half, err := w.client.Do(w.request("POST", "/half", strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	defer half.Body.Close()
	whole := make(chan string, 1)
	go func() {
		defer close(whole) // even when do gives up
		res, body := w.do(w.request("POST", "/", strings.NewReader("x")))
		whole <- res.Status + " " + res.Header.Get("Proxy-Status") + " " + body
	}()
	<-arrived
	r.to(nil)
	contains(t, <-whole, "502", "godwit-entry; error=connection_terminated", "the exit was silent for 3s; the request may have been processed\n")
	if _, err := io.ReadAll(half.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a response ends with %v", err)
	}
	if n := posts.Load(); n != 2 {
		t.Errorf("the platform saw %d requests", n)
	}
}

// A network that is away for a moment costs no connection as long as nobody waits, nor one that is silent for a good reason.
func TestASilentPlatformIsNoSilentExit(t *testing.T) {
	answer := make(chan struct{})
	give := sync.OnceFunc(func() { close(answer) })
	w := &world{t: t, log: new(logBuffer)}
	w.platform = newPlatform(t, func(w http.ResponseWriter, r *http.Request) { <-answer })
	w.exit = w.startExit("127.0.0.1:0", NewKey())
	e, err := ListenEntry("127.0.0.1:0", EntryConfig{Token: w.token(), Silence: time.Second, Logger: w.logger()})
	if err != nil {
		t.Fatal(err)
	}
	go e.Serve()
	defer e.Close()
	defer give() // the platform waits for its handlers
	w.URL, w.client = "http://"+e.Addr().String(), http.DefaultClient
	status := make(chan int, 1)
	go func() {
		defer close(status) // even when get gives up
		res, _ := w.get("/")
		status <- res.StatusCode
	}()
	// The exit is asked for signs of life, and gives them.
	eventually(t, "there were three hellos", func() bool { return w.exit.server.Stats().Requests >= 1+1+3 })
	give()
	if got := <-status; got != 200 {
		t.Errorf("status %d", got)
	}
}

func TestTheFirstAddressThatAnswersIsUsed(t *testing.T) {
	w := build(t, hi)
	other := w.startExit("127.0.0.1:0", NewKey())
	silent, _ := freeAddr(t)
	w.startEntry(tokenFor(t, w.exit.Key(), silent, other.Addr().String(), w.exit.Addr().String()))
	if _, body := w.get("/"); body != "hi" {
		t.Errorf("body %q", body)
	}
	contains(t, w.log.String(), `"tunnel up" exit=`+w.exit.Addr().String())
}

// The exit that shuts down lets requests end, and those that come too late are told that they may come again.
func TestAnExitThatShutsDownEndsWhatItBegan(t *testing.T) {
	goroutinesReturn(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	w := &world{t: t, log: new(logBuffer), timing: timing{attemptTimeout, patience}} // nobody refuses: the exit is silent
	w.build(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "be")
			w.(http.Flusher).Flush()
			close(begun)
			<-finish
			io.WriteString(w, "gun")
		}
	})
	slow, err := w.client.Do(w.request("GET", "/slow", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	<-begun
	shut := make(chan error)
	go func() { shut <- w.exit.Shutdown(context.Background()) }()
	eventually(t, "requests are refused", func() bool {
		res, body := w.do(w.request("POST", "/", strings.NewReader("x")))
		if res.StatusCode == 503 {
			contains(t, body, "the tunnel is away")
		}
		return res.StatusCode == 503
	})
	close(finish)
	if body, err := io.ReadAll(slow.Body); string(body) != "begun" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

// Nothing answers any more, and a request never ends: the grace period is the end of both sides all the same.
func TestShutdownEndsInTimeWhenTheOtherSideHasVanished(t *testing.T) {
	goroutinesReturn(t)
	begun, done := make(chan struct{}), make(chan struct{})
	w := build(t, func(w http.ResponseWriter, r *http.Request) { close(begun); <-done })
	defer close(done)
	r := newRelay(t)
	r.to(w.exit.Addr())
	w.startEntry(tokenFor(t, w.exit.Key(), r.addr()))
	ended := make(chan error)
	go func() {
		res, err := w.client.Do(w.request("POST", "/", strings.NewReader("x")))
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	<-begun
	r.to(nil)
	grace, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := w.entry.Shutdown(grace); err != context.DeadlineExceeded {
		t.Errorf("the entry: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the client got a response")
	}
	if err := w.exit.Shutdown(grace); err != context.DeadlineExceeded {
		t.Errorf("the exit: %v", err)
	}
}

// A server that refuses each request unprocessed is asked a few times, not for ever; one that has read of the body is
// asked once.
func TestARequestIsNotSentForEver(t *testing.T) {
	k, ctx := NewKey(), t.Context()
	e, err := quic.Listen("127.0.0.1:0", k.exitTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var requests atomic.Int64
	go func() {
		c, err := e.Accept(ctx)
		if err != nil {
			return
		}
		c.HandleStreams(func(s *quic.Stream) {
			if s.IsUni() {
				return
			}
			if requests.Add(1) > maxAttempts {
				io.Copy(io.Discard, s) // of the request with a body
			}
			s.StopReading(uint64(http3.RequestRejected))
			s.Reset(uint64(http3.RequestRejected))
		})
	}()
	token := tokenFor(t, k, e.Addr().String())
	q, err := quic.Dial(ctx, e.Addr().String(), token.entryTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(token, forever, slog.New(slog.DiscardHandler))
	l.cur = newSession(q, "", forever)
	defer l.cur.close()
	for _, c := range []struct {
		body io.Reader
		want int64
	}{{nil, maxAttempts}, {strings.NewReader("x"), 1}} {
		before := requests.Load()
		req, err := http.NewRequestWithContext(ctx, "POST", "https://h/", c.body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.RoundTrip(req)
		if _, away := err.(*awayError); !away || requests.Load()-before != c.want {
			t.Errorf("sent %d times, then %v; want %d", requests.Load()-before, err, c.want)
		}
	}
}
