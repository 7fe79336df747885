package http3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/quic"
)

// What follows builds the bytes of a peer that need not keep any rule.

// frame is one frame with the length it has.
func frame(t h3.FrameType, payload ...byte) []byte {
	return append(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: t, Length: int64(len(payload))}), payload...)
}

// announced is a frame header whose payload does not follow.
func announced(t h3.FrameType, length int64) []byte {
	return h3.AppendFrameHeader(nil, h3.FrameHeader{Type: t, Length: length})
}

// headers is a HEADERS frame of names and values.
func headers(fields ...string) []byte {
	b := qpack.AppendPrefix(nil)
	for i := 0; i < len(fields); i += 2 {
		b = qpack.AppendField(b, fields[i], fields[i+1], false)
	}
	return frame(h3.FrameHeaders, b...)
}

// getHeaders is the HEADERS frame of a request, with more fields behind.
func getHeaders(more ...string) []byte {
	return headers(append([]string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/"}, more...)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// id is a payload that is one identifier.
func id(v uint64) []byte { return varint.Append(nil, v) }

// uni is the beginning of a unidirectional stream.
func uni(t h3.StreamType, rest ...[]byte) []byte {
	return join(h3.AppendStreamType(nil, t), join(rest...))
}

var settings = frame(h3.FrameSettings)

// openUni opens a unidirectional stream that begins with b.
func openUni(t testing.TB, c *quic.Conn, b []byte) *quic.Stream {
	t.Helper()
	s, err := c.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(b)
	return s
}

// openRequest opens a request stream that begins with b.
func openRequest(t testing.TB, c *quic.Conn, b []byte) *quic.Stream {
	t.Helper()
	s, err := c.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(b)
	return s
}

// closedWith waits until the peer has closed c with a code.
func closedWith(t testing.TB, c *quic.Conn, code h3.ErrorCode) {
	t.Helper()
	select {
	case <-c.Context().Done():
	case <-time.After(patience):
		t.Fatalf("the connection lives, want %v", code)
	}
	var e *quic.ApplicationError
	if !errors.As(c.Err(), &e) || h3.ErrorCode(e.Code) != code || !e.Remote {
		t.Errorf("closed with %v, want %v", c.Err(), code)
	}
}

// resetWith reads s until the peer resets it with a code.
func resetWith(t testing.TB, s *quic.Stream, code h3.ErrorCode) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(s)
	var e *quic.StreamError
	if !errors.As(err, &e) || h3.ErrorCode(e.Code) != code || !e.Remote {
		t.Errorf("after %d bytes %v, want %v", len(b), err, code)
	}
}

// readAnything is a handler that reads the request and says what came of it.
var readAnything = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // too late: the stream is reset already
	}
	w.Write(b)
})

func TestPeersThatBreakARule(t *testing.T) {
	request := func(b ...[]byte) func(*testing.T, *quic.Conn) {
		return func(t *testing.T, c *quic.Conn) { openRequest(t, c, join(b...)).Close() }
	}
	control := func(b ...[]byte) func(*testing.T, *quic.Conn) {
		return func(t *testing.T, c *quic.Conn) { openUni(t, c, uni(h3.StreamControl, b...)) }
	}
	empty := func(n int, t h3.FrameType) []byte { return bytes.Repeat(frame(t), n) }
	for _, test := range []struct {
		name string
		code h3.ErrorCode
		do   func(t *testing.T, c *quic.Conn)
	}{
		{"the control stream begins with another frame", h3.H3MissingSettings, control(frame(h3.FrameGoAway, id(0)...))},
		{"the control stream begins with an unknown frame", h3.H3MissingSettings, control(frame(0x21), settings)},
		{"two control streams", h3.H3StreamCreationError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamControl, settings))
			openUni(t, c, uni(h3.StreamControl, settings))
		}},
		{"the control stream ends", h3.H3ClosedCriticalStream, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamControl, settings)).Close()
		}},
		{"an encoder stream ends", h3.H3ClosedCriticalStream, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKEncoder)).Close()
		}},
		{"our control stream is stopped", h3.H3ClosedCriticalStream, func(t *testing.T, c *quic.Conn) {
			for {
				s, err := c.AcceptStream(t.Context())
				if err != nil {
					return
				}
				s.StopReading(uint64(h3.H3NoError))
			}
		}},
		{"a second SETTINGS frame", h3.H3FrameUnexpected, control(settings, settings)},
		{"a setting of HTTP/2", h3.H3SettingsError, control(frame(h3.FrameSettings, 0x02, 0x01))},
		{"a setting twice", h3.H3SettingsError, control(frame(h3.FrameSettings, 0x21, 0x01, 0x21, 0x01))},
		{"a truncated setting", h3.H3FrameError, control(frame(h3.FrameSettings, 0x21))},
		{"SETTINGS of a gigabyte", h3.H3ExcessiveLoad, control(announced(h3.FrameSettings, 1<<30))},
		{"DATA on the control stream", h3.H3FrameUnexpected, control(settings, frame(h3.FrameData))},
		{"HEADERS on the control stream", h3.H3FrameUnexpected, control(settings, getHeaders())},
		{"a frame type of HTTP/2 on the control stream", h3.H3FrameUnexpected, control(settings, frame(0x06))},
		{"MAX_PUSH_ID decreases", h3.H3IDError, control(settings, frame(h3.FrameMaxPushID, 5), frame(h3.FrameMaxPushID, 4))},
		{"CANCEL_PUSH of nothing", h3.H3IDError, control(settings, frame(h3.FrameCancelPush, 0))},
		{"GOAWAY increases", h3.H3IDError, control(settings, frame(h3.FrameGoAway, 0), frame(h3.FrameGoAway, 4))},
		{"GOAWAY with more than an ID", h3.H3FrameError, control(settings, frame(h3.FrameGoAway, 0, 0))},
		{"empty frames on the control stream for ever", h3.H3ExcessiveLoad, control(settings, empty(1100, 0x21))},
		{"PRIORITY_UPDATE beyond the limit of streams", h3.H3IDError, control(settings, frame(h3.FramePriorityUpdateRequest, join(id(400), []byte("u=1"))...))},
		{"PRIORITY_UPDATE of no request", h3.H3IDError, control(settings, frame(h3.FramePriorityUpdateRequest, 2))},
		{"PRIORITY_UPDATE of a push", h3.H3IDError, control(settings, frame(h3.FramePriorityUpdatePush, 0))},
		{"PRIORITY_UPDATE on a request stream", h3.H3FrameUnexpected, request(getHeaders(), frame(h3.FramePriorityUpdateRequest, 0))},
		{"a push stream from a client", h3.H3StreamCreationError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamPush, id(0)))
		}},
		{"an insertion into the dynamic table", h3.QPACKEncoderStreamError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKEncoder, []byte{0xc0, 0x00}))
		}},
		{"an acknowledgment of nothing", h3.QPACKDecoderStreamError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKDecoder, []byte{0x80}))
		}},

		{"DATA before HEADERS", h3.H3FrameUnexpected, request(frame(h3.FrameData, 'x'), getHeaders())},
		{"SETTINGS on a request stream", h3.H3FrameUnexpected, request(settings)},
		{"a frame type of HTTP/2 on a request stream", h3.H3FrameUnexpected, request(getHeaders(), frame(0x09))},
		{"PUSH_PROMISE from a client", h3.H3FrameUnexpected, request(getHeaders(), frame(h3.FramePushPromise, 0, 0, 0))},
		{"DATA after the trailers", h3.H3FrameUnexpected, request(getHeaders(), headers("a", "b"), frame(h3.FrameData, 'x'))},
		{"HEADERS after the trailers", h3.H3FrameUnexpected, request(getHeaders(), headers("a", "b"), headers("a", "b"))},
		{"the stream ends inside HEADERS", h3.H3FrameError, request(getHeaders()[:5])},
		{"the stream ends inside a frame header", h3.H3FrameError, request([]byte{0x01})},
		{"the stream ends inside DATA", h3.H3FrameError, request(getHeaders(), announced(h3.FrameData, 9), []byte("short"))},
		{"the stream ends inside an unknown frame", h3.H3FrameError, request(getHeaders(), announced(0x21, 9), []byte("short"))},
		{"a field section that is none", h3.QPACKDecompressionFailed, request(frame(h3.FrameHeaders, 0, 0, 0x80))},
		{"trailers that are none", h3.QPACKDecompressionFailed, request(getHeaders(), frame(h3.FrameHeaders, 0xff))},
		{"empty frames on a request stream for ever", h3.H3ExcessiveLoad, request(empty(1100, 0x21))},
		{"empty DATA for ever", h3.H3ExcessiveLoad, request(getHeaders(), empty(1100, h3.FrameData))},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, readAnything).dial(t)
			test.do(t, c)
			closedWith(t, c, test.code)
		})
	}
}

func TestRequestsThatBreakARule(t *testing.T) {
	pseudo := []string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/"}
	without := func(name string) (fields []string) {
		for i := 0; i < len(pseudo); i += 2 {
			if pseudo[i] != name {
				fields = append(fields, pseudo[i], pseudo[i+1])
			}
		}
		return fields
	}
	h := start(t, readAnything, func(s *http3.Server) { s.MaxHeaderBytes = 10_000 })
	c := h.dial(t)
	for _, test := range []struct {
		name  string
		code  h3.ErrorCode
		bytes []byte
	}{
		{"nothing", h3.H3RequestIncomplete, nil},
		{"an unknown frame only", h3.H3RequestIncomplete, frame(0x21, 1, 2, 3)},
		{"no method", h3.H3MessageError, headers(without(":method")...)},
		{"no scheme", h3.H3MessageError, headers(without(":scheme")...)},
		{"no path", h3.H3MessageError, headers(without(":path")...)},
		{"neither authority nor host", h3.H3MessageError, headers(without(":authority")...)},
		{"authority and host differ", h3.H3MessageError, getHeaders("host", "other")},
		{"a method that is none", h3.H3MessageError, headers(append(without(":method"), ":method", "G T")...)},
		{"a path that is none", h3.H3MessageError, headers(append(without(":path"), ":path", "index.html")...)},
		{"an unknown pseudo-header field", h3.H3MessageError, headers(append(pseudo, ":proto", "x")...)},
		{"a status in a request", h3.H3MessageError, headers(append(pseudo, ":status", "200")...)},
		{"a pseudo-header field twice", h3.H3MessageError, headers(append(pseudo, ":path", "/")...)},
		{"a pseudo-header field after a field", h3.H3MessageError,
			headers(append([]string{"accept", "*/*"}, pseudo...)...)},
		{"a capital in a name", h3.H3MessageError, getHeaders("Accept", "*/*")},
		{"a name that is none", h3.H3MessageError, getHeaders("a b", "c")},
		{"an empty name", h3.H3MessageError, getHeaders("", "c")},
		{"a line feed in a value", h3.H3MessageError, getHeaders("a", "b\nc: d")},
		{"a connection field", h3.H3MessageError, getHeaders("connection", "close")},
		{"a transfer-encoding field", h3.H3MessageError, getHeaders("transfer-encoding", "chunked")},
		{"te other than trailers", h3.H3MessageError, getHeaders("te", "gzip")},
		{"content lengths that differ", h3.H3MessageError, getHeaders("content-length", "1", "content-length", "2")},
		{"a negative content length", h3.H3MessageError, getHeaders("content-length", "-1")},
		{"more content than declared", h3.H3MessageError, join(getHeaders("content-length", "2"), frame(h3.FrameData, 1, 2, 3))},
		{"less content than declared", h3.H3MessageError, join(getHeaders("content-length", "2"), frame(h3.FrameData, 1))},
		{"a pseudo-header field in the trailers", h3.H3MessageError, join(getHeaders(), headers(":path", "/"))},
		{"a connection field in the trailers", h3.H3MessageError, join(getHeaders(), headers("upgrade", "x"))},
		{"trailers that are too large", h3.H3ExcessiveLoad, join(getHeaders(), announced(h3.FrameHeaders, 1<<40))},
		{"trailers that decode to too much", h3.H3ExcessiveLoad,
			join(getHeaders(), frame(h3.FrameHeaders, append([]byte{0, 0}, bytes.Repeat([]byte{0xc0 | 29}, 400)...)...))},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openRequest(t, c, test.bytes)
			s.Close()
			resetWith(t, s, test.code)
		})
	}
	if err := c.Err(); err != nil {
		t.Error("a malformed request ended the connection:", err)
	}
}

// exchangeRaw sends the bytes of a request and returns the response.
func exchangeRaw(t testing.TB, c *quic.Conn, b []byte) (fields map[string]string, body string) {
	t.Helper()
	s := openRequest(t, c, b)
	s.Close()
	s.SetReadDeadline(time.Now().Add(patience))
	return parseResponse(t, s)
}

// parseResponse reads a whole response.
func parseResponse(t testing.TB, r io.Reader) (fields map[string]string, body string) {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("response: %v", err)
	}
	fields = make(map[string]string)
	for len(b) > 0 {
		h, n := h3.ConsumeFrameHeader(b)
		payload := b[n : n+int(h.Length)]
		b = b[n+int(h.Length):]
		switch h.Type {
		case h3.FrameHeaders:
			var d qpack.Decoder
			if err := d.Decode(payload, func(name, value string) error { fields[name] = value; return nil }); err != nil {
				t.Fatal(err)
			}
		case h3.FrameData:
			body += string(payload)
		}
	}
	return fields, body
}

func TestWhatAServerMustTolerate(t *testing.T) {
	h := start(t, readAnything)
	t.Run("unknown frames, streams and settings", func(t *testing.T) {
		c := h.dial(t)
		openUni(t, c, nil).Close()
		openUni(t, c, []byte{0x40}).Reset(0x21)
		grease := openUni(t, c, uni(0x21, []byte("whatever")))
		openUni(t, c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x21, 0x07), frame(0x21, 1, 2, 3),
			announced(0x40, 3<<20), make([]byte, 3<<20), frame(h3.FrameMaxPushID, 3), frame(h3.FrameGoAway, 0),
			bytes.Repeat(frame(h3.FramePriorityUpdateRequest, []byte("\x00u=1")...), 3000)))
		openUni(t, c, uni(h3.StreamQPACKEncoder, []byte{0x20}))
		openUni(t, c, uni(h3.StreamQPACKDecoder, []byte{0x44}))
		<-grease.Context().Done()
		fields, body := exchangeRaw(t, c, join(frame(0x21), announced(0x40, 3<<20), make([]byte, 3<<20), getHeaders(),
			frame(h3.FrameData), frame(0x5f, 1), frame(h3.FrameData, []byte("hel")...), frame(0x21, 2),
			frame(h3.FrameData, []byte("lo")...), headers("x-sum", "5"), frame(0x21, 3)))
		if fields[":status"] != "200" || body != "hello" {
			t.Errorf("%v %q", fields, body)
		}
	})
	t.Run("one byte at a time", func(t *testing.T) {
		c := h.dial(t)
		control := openUni(t, c, nil)
		for _, x := range uni(h3.StreamControl, frame(h3.FrameSettings, 0x40, 0x21, 0x07), frame(0x40, 1, 2, 3)) {
			control.Write([]byte{x})
			time.Sleep(100 * time.Microsecond)
		}
		s := openRequest(t, c, nil)
		for _, x := range join(getHeaders(), frame(0x21, 1, 2), frame(h3.FrameData, []byte("hello")...)) {
			s.Write([]byte{x})
			time.Sleep(100 * time.Microsecond)
		}
		s.Close()
		if fields, body := parseResponse(t, s); fields[":status"] != "200" || body != "hello" {
			t.Errorf("%v %q", fields, body)
		}
	})
}

func TestAHeaderThatIsTooLargeIsAnsweredWith431(t *testing.T) {
	h := start(t, readAnything, func(s *http3.Server) { s.MaxHeaderBytes = 10_000 })
	c := h.dial(t)
	for _, test := range []struct {
		name  string
		bytes []byte
	}{
		{"announced and never sent", announced(h3.FrameHeaders, 1<<60)},
		{"encoded", getHeaders("x", strings.Repeat("x", 20_000))},
		{"decoded", frame(h3.FrameHeaders, append(getHeaders()[2:], bytes.Repeat([]byte{0xc0 | 29}, 400)...)...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openRequest(t, c, test.bytes)
			s.SetReadDeadline(time.Now().Add(patience))
			if fields, _ := parseResponse(t, s); fields[":status"] != "431" {
				t.Errorf("%v", fields)
			}
		})
	}
	if fields, _ := exchangeRaw(t, c, getHeaders("x", strings.Repeat("x", 9_000))); fields[":status"] != "200" {
		t.Errorf("below the limit: %v", fields)
	}
}

func TestAHeaderThatNeverEndsIsRefused(t *testing.T) {
	h := start(t, readAnything, func(s *http3.Server) { s.ReadHeaderTimeout = 50 * time.Millisecond })
	s := openRequest(t, h.dial(t), getHeaders()[:5])
	resetWith(t, s, h3.H3RequestIncomplete)
	waitFor(t, "the request is forgotten", func() bool { return h.Server.Stats().Running == 0 })
}

func TestRequestsAfterGOAWAYAreRejected(t *testing.T) {
	entered, leave := make(chan bool, 1), make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-leave
	}))
	c := h.dial(t)
	first := openRequest(t, c, getHeaders())
	first.Close()
	<-entered
	down := make(chan error, 1)
	go func() { down <- h.Server.Shutdown(t.Context()) }()
	control, err := c.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	goAway := frame(h3.FrameGoAway, 4)
	got := make([]byte, 0, 100)
	for !bytes.HasSuffix(got, goAway) {
		n, err := control.Read(got[len(got):cap(got)])
		if got = got[:len(got)+n]; err != nil {
			t.Fatal(err)
		}
	}
	second := openRequest(t, c, getHeaders())
	resetWith(t, second, h3.H3RequestRejected)
	close(leave)
	if fields, _ := parseResponse(t, first); fields[":status"] != "200" {
		t.Errorf("%v", fields)
	}
	closedWith(t, c, h3.H3NoError)
	if err := <-down; err != nil {
		t.Error(err)
	}
	if n := h.Server.Stats().Rejected; n != 1 {
		t.Errorf("%d rejected", n)
	}
}

// CVE-2023-44487 in HTTP/2's terms. The client has its limit of requests at the start, and one more for each handler that has
// returned, however many it resets.
func TestRequestsThatAreResetAtOnceAreLimited(t *testing.T) {
	const limit, requests = 10, 10_000
	var running, most atomic.Int64
	entered, leave := make(chan bool, 2*limit), make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n) // the largest, or one that is as bad
		}
		entered <- true
		<-leave
		running.Add(-1)
	}), func(s *http3.Server) { s.QUIC = &quic.Config{MaxStreams: limit} })
	c := h.dial(t)
	reset := func(ctx context.Context) error {
		s, err := c.OpenStream(ctx)
		if err != nil {
			return err
		}
		s.Write(getHeaders())
		<-entered
		s.Reset(uint64(h3.H3RequestCancelled))
		s.StopReading(uint64(h3.H3RequestCancelled))
		return nil
	}
	for range limit {
		if err := reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// While no handler returns there is no stream, however long it waits.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := reset(ctx); err != context.DeadlineExceeded {
		t.Errorf("a request beyond the limit of running handlers: %v", err)
	}
	for range requests - limit {
		leave <- true
		if err := reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(leave)
	if n := most.Load(); n != limit {
		t.Errorf("%d handlers ran at a time, and %d are the limit", n, limit)
	}
	exchangeRaw(t, c, getHeaders())
}

func TestASilentClientThatVanishedDoesNotDelayShutdown(t *testing.T) {
	h := start(t, readAnything)
	c := h.dial(t)
	exchangeRaw(t, c, getHeaders())
	grace, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.Server.Shutdown(grace); err != nil {
		t.Error(err)
	}
}
