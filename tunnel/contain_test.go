package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// burningLog is a slog.Handler that panics at the first line that begins with what, once; other lines go to next.
type burningLog struct {
	slog.Handler
	what chan string // holds it until then
}

func newBurningLog(next io.Writer, what string) burningLog {
	b := burningLog{slog.NewTextHandler(next, nil), make(chan string, 1)}
	b.what <- what
	return b
}

func (b burningLog) Handle(ctx context.Context, r slog.Record) error {
	select {
	case what := <-b.what:
		if strings.HasPrefix(r.Message, what) {
			panic("the log has burnt down")
		}
		b.what <- what
	default:
	}
	return b.Handler.Handle(ctx, r)
}

// oneStack wants one line with the stack of a panic in a log.
func oneStack(t *testing.T, log *logBuffer) {
	t.Helper()
	eventually(t, "a line with a stack", func() bool { return strings.Contains(log.String(), "stack=") })
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "burnt down") || !strings.Contains(text, "contain_test.go") {
		t.Errorf("the log says: %s", text)
	}
}

// TestAnEntryThatPanicsWhileItConnectsConnectsAnew has the one goroutine panic that all requests wait for.
func TestAnEntryThatPanicsWhileItConnectsConnectsAnew(t *testing.T) {
	for _, line := range []string{"tunnel up", "tunnel away"} {
		t.Run(line, func(t *testing.T) {
			w := build(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "here") })
			log := new(logBuffer)
			addrs := []string{w.exit.Addr().String()}
			if line == "tunnel away" {
				w.exit.Close() // which the entry finds out
			}
			e, err := ListenEntry("127.0.0.1:0", EntryConfig{Token: tokenFor(t, w.exit.Key(), addrs...), Logger: slog.New(newBurningLog(log, line))})
			if err != nil {
				t.Fatal(err)
			}
			e.link.timing = timing{forever, forever}
			go e.Serve()
			t.Cleanup(func() { e.Close() })
			oneStack(t, log)
			if line == "tunnel away" {
				w.startExit(addrs[0], w.exit.Key())
			}
			w.URL = "http://" + e.Addr().String()
			eventually(t, "an answer", func() bool {
				_, body := w.get("/")
				return body == "here"
			})
		})
	}
}

// TestAnExitThatPanicsLosesOneEntry has an exit panic as an entry comes, while another one has half of an answer.
func TestAnExitThatPanicsLosesOneEntry(t *testing.T) {
	content := make([]byte, 1<<20)
	rand.Read(content)
	wait := make(chan struct{})
	log := new(logBuffer)
	handler := newBurningLog(log, "entry connected")
	<-handler.what // not yet
	w := &world{t: t, log: new(logBuffer)}
	w.exitLog = slog.New(handler)
	w.build(func(rw http.ResponseWriter, r *http.Request) {
		rw.Write(content[:len(content)/2])
		http.NewResponseController(rw).Flush()
		<-wait
		rw.Write(content[len(content)/2:])
	})
	res, err := w.client.Do(w.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(content)/2)
	if _, err := io.ReadFull(res.Body, got); err != nil {
		t.Fatal(err)
	}
	handler.what <- "entry connected"
	client := w.client
	w.startEntry(w.token())
	oneStack(t, log)
	close(wait)
	rest, err := io.ReadAll(res.Body)
	if res.Body.Close(); err != nil || !bytes.Equal(append(got, rest...), content) {
		t.Errorf("what came is not what was sent: %v", err)
	}
	for _, c := range []*http.Client{client, w.client} { // the other entry has connected anew
		req := w.request("GET", "/", nil)
		if c == client {
			req.URL = res.Request.URL
		}
		if res, err := c.Do(req); err != nil {
			t.Error(err)
		} else if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if s := w.exit.endpoint.Stats(); s.Panicked != 1 {
		t.Errorf("%+v", s)
	}
}
