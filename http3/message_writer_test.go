package http3

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/h3"
)

// writeLog is a stream that notes the writes it gets.
type writeLog struct {
	bytesStream
	writes []int
}

func (s *writeLog) Write(p []byte) (int, error) {
	s.writes = append(s.writes, len(p))
	return s.bytesStream.Write(p)
}

func (s *writeLog) WriteFinal(p []byte) (int, error) {
	s.writes = append(s.writes, len(p))
	return s.bytesStream.WriteFinal(p)
}

// answerOn lets h answer a GET on s.
func answerOn(s *writeLog, h func(w http.ResponseWriter)) {
	x := newTestExchange(&s.bytesStream)
	x.s = s
	x.req = &http.Request{Method: "GET"}
	x.res.init(x, x.req)
	h(&x.res)
	x.res.finish()
}

func TestResponsesLeaveByFewWrites(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(w http.ResponseWriter)
		writes int
		body   int
		frames int // of DATA
	}{
		{"nothing", func(w http.ResponseWriter) {}, 1, 0, 0},
		{"1 KiB", func(w http.ResponseWriter) { w.Write(make([]byte, 1024)) }, 1, 1024, 1},
		{"many small pieces", func(w http.ResponseWriter) {
			for range 1000 {
				io.WriteString(w, "abcd")
			}
		}, 1, 4000, 1},
		{"32 KiB at once", func(w http.ResponseWriter) { w.Write(make([]byte, 32<<10-300)) }, 1, 32<<10 - 300, 1},
		{"1 MiB at once", func(w http.ResponseWriter) { w.Write(make([]byte, 1<<20)) }, 2, 1 << 20, 1},
		{"io.Copy of 320 KiB", func(w http.ResponseWriter) {
			io.Copy(w, struct{ io.Reader }{bytes.NewReader(make([]byte, 320<<10))})
		}, 10, 320 << 10, 10},
		{"a flush between", func(w http.ResponseWriter) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		}, 2, 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(writeLog)
			answerOn(s, test.handle)
			body, frames := 0, 0
			for b := s.out.Bytes(); len(b) > 0; {
				h, n := h3.ConsumeFrameHeader(b)
				if h.Type == h3.FrameData {
					frames++
					body += int(h.Length)
				}
				b = b[n+int(h.Length):]
			}
			// The end travels with the last bytes or, after a long write, alone.
			if len(s.writes) > test.writes+1 || body != test.body || frames != test.frames || !s.final {
				t.Errorf("%d writes %v, %d bytes in %d frames, final %v; want %d, %d in %d", len(s.writes), s.writes, body,
					frames, s.final, test.writes, test.body, test.frames)
			}
		})
	}
}

func TestASmallResponseIsOneWrite(t *testing.T) {
	s := new(writeLog)
	answerOn(s, func(w http.ResponseWriter) { w.Write(make([]byte, 1024)) })
	if len(s.writes) != 1 || !s.final {
		t.Errorf("writes: %v", s.writes)
	}
}

func TestFrameHeadersAreAsShortAsTheyCanBe(t *testing.T) {
	for _, n := range []int{1, 63, 64, 16383, 16384, 30000} {
		b := placeDataHeader(make([]byte, frameRoom+n))
		want := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameData, Length: int64(n)})
		if !bytes.HasPrefix(b, want) || len(b) != len(want)+n {
			t.Errorf("%d bytes: % x", n, b[:min(len(b), 10)])
		}
	}
}

func TestWriteHeaderRefusesCodesThatDoNotExist(t *testing.T) {
	for _, status := range []int{0, 99, 101, 1000} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("WriteHeader(%d) does not panic", status)
				}
			}()
			answerOn(new(writeLog), func(w http.ResponseWriter) { w.WriteHeader(status) })
		}()
	}
}

func TestStatusTexts(t *testing.T) {
	for status := 100; status <= 999; status++ {
		if got := statusText(status); got != fmt.Sprint(status) {
			t.Errorf("%d is %q", status, got)
		}
	}
}

func TestAuthorities(t *testing.T) {
	for host, want := range map[string]string{
		"Example.com": "example.com:443", "example.com:8443": "example.com:8443", "example.com:": "example.com:443",
		"[::1]": "[::1]:443", "[::1]:1": "[::1]:1", "127.0.0.1": "127.0.0.1:443",
	} {
		if got := authority(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	if got := removeZone("[fe80::1%25eth0]:443"); got != "[fe80::1]:443" {
		t.Errorf("removeZone: %q", got)
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	for want, err := range map[string]error{
		"http3: the peer ended stream 4: H3_REQUEST_REJECTED":      &Error{Code: RequestRejected, Stream: 4, Remote: true},
		"http3: we closed the connection: H3_NO_ERROR: it is late": &Error{Code: NoError, Stream: -1, Reason: "it is late"},
		"http3: the peer closed the connection: 0x21":              &Error{Code: 0x21, Stream: -1, Remote: true},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !strings.Contains((&badRequest{431}).Error(), "Too Large") {
		t.Error("badRequest")
	}
}
