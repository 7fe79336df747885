package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/quic"
)

// burningLog is a slog.Handler that panics at the first line that begins with what it is lit with, once; others go to next.
type burningLog struct {
	slog.Handler
	what chan string
}

func (b burningLog) Enabled(context.Context, slog.Level) bool { return true }

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

// TestAPanicCostsOneRequestOrConnection has the gateway panic in the middle of a request, in the handler or where the upstream's
// transport reads the content of a client that breaks a rule, while downloads are half done, one over each protocol.
func TestAPanicCostsOneRequestOrConnection(t *testing.T) {
	content := make([]byte, 1<<20)
	rand.Read(content)
	for _, c := range []struct {
		name, line, want string
		victim           func(t *testing.T, s *running)
	}{
		{"the access log, HTTP/1.1", "request", "", func(t *testing.T, s *running) { s.fails(t, "HTTP/1.1") }},
		{"the access log, HTTP/2", "request", "", func(t *testing.T, s *running) { s.fails(t, "HTTP/2.0") }},
		{"the access log, HTTP/3", "request", "requests.panicked=1", func(t *testing.T, s *running) { s.fails(t, "HTTP/3.0") }},
		{"the content on its way to the upstream", "http3: the peer", "connections.panicked=1", func(t *testing.T, s *running) {
			q, err := quic.Dial(within(t), s.Addr().String(), http3.ConfigureTLS(&tls.Config{InsecureSkipVerify: true}), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			stream, err := q.OpenStream(within(t))
			if err != nil {
				t.Fatal(err)
			}
			section := qpack.AppendPrefix(nil)
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/sink"}} {
				section = qpack.AppendField(section, f[0], f[1], false)
			}
			b := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: int64(len(section))})
			b = append(b, section...)
			stream.Write(h3.AppendFrameHeader(b, h3.FrameHeader{Type: h3.FrameSettings})) // which has no place here
			<-q.Context().Done()
			if e, ok := q.Err().(*quic.ApplicationError); !ok || http3.ErrorCode(e.Code) != http3.InternalError {
				t.Errorf("the connection ended with %v", q.Err())
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wait := make(chan struct{})
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/sink":
					io.Copy(io.Discard, r.Body)
				case "/halves":
					w.Write(content[:len(content)/2])
					http.NewResponseController(w).Flush()
					<-wait
					w.Write(content[len(content)/2:])
				}
			}))
			t.Cleanup(upstream.Close)
			log := new(logBuffer)
			burning := burningLog{slog.NewTextHandler(log, nil), make(chan string, 1)}
			s := start(t, Config{To: upstream.URL, AccessLog: true, Logger: slog.New(burning)})
			var finish []func()
			for _, protocol := range protocols {
				finish = append(finish, s.halfADownload(t, transport(t, protocol), content))
			}
			burning.what <- c.line
			c.victim(t, s)
			for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), "burnt down") && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			close(wait)
			for _, f := range finish {
				f()
			}
			for _, protocol := range protocols {
				if a := s.do(transport(t, protocol), "GET", "/sink", nil, nil); a.status != http.StatusOK {
					t.Errorf("%s: status %d afterwards", protocol, a.status)
				}
			}
			s.LogCounters("counted")
			if text := log.String(); strings.Count(text, "the log has burnt down") != 1 || !strings.Contains(text, "contain_test.go") || !strings.Contains(text, c.want) {
				t.Errorf("the log says: %s", text)
			}
		})
	}
}

// fails has a request fail over one protocol.
func (r *running) fails(t *testing.T, protocol string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), "GET", r.base+"/sink", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := transport(t, protocol).RoundTrip(req); err == nil { // the log is written behind the answer
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// halfADownload gets the first half; finish the second.
func (r *running) halfADownload(t *testing.T, rt http.RoundTripper, content []byte) (finish func()) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), "GET", r.base+"/halves", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(content)/2)
	if _, err := io.ReadFull(res.Body, got); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		rest, err := io.ReadAll(res.Body)
		if res.Body.Close(); err != nil || !bytes.Equal(append(got, rest...), content) {
			t.Errorf("what came is not what was sent: %v", err)
		}
	}
}
