package http3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/quic"
)

// fetch gets path with more fields and reads the response to its end.
func fetch(t testing.TB, c *http.Client, url string, fields ...string) *http.Response {
	t.Helper()
	req, _ := http.NewRequest("GET", url, nil)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res
}

func TestBothSidesUseTheDynamicTable(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Mine") != "what the client always says" || r.Header.Get("Authorization") != "Basic c2VjcmV0" {
			t.Errorf("got %v", r.Header)
		}
		w.Header().Set("Server", "a server with a name")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "always the same sum")
	}))
	cc := http3.NewClientConn(h.dial(t))
	client := &http.Client{Transport: cc}
	const n = 30
	for i := range n {
		res := fetch(t, client, fmt.Sprint(h.URL, "/", i), "X-Mine", "what the client always says", "Authorization", "Basic c2VjcmV0")
		if res.Header.Get("Server") != "a server with a name" || res.Trailer.Get("X-Sum") != "always the same sum" {
			t.Fatalf("request %d: %v, %v", i, res.Header, res.Trailer)
		}
	}
	waitFor(t, "the tables are used", func() bool {
		fetch(t, client, h.URL, "X-Mine", "what the client always says", "Authorization", "Basic c2VjcmV0")
		c, s := cc.Compression(), h.Server.Stats().Compression
		return c.Sections > 0 && s.Sections > 0 && c.PeerSections > 0 && s.PeerSections > 0 &&
			c.Inserted > 0 && c.Inserted == s.PeerInserted && s.Inserted > 0 && s.Inserted == c.PeerInserted
	})
	t.Logf("client %+v, server %+v", cc.Compression(), h.Server.Stats().Compression)
}

func TestManyRequestsAtOnceShareTheTables(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("X-Echo"))
		w.Header().Set("Content-Type", "text/"+r.Header.Get("X-Echo"))
		if r.Header.Get("X-Panic") != "" {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, r.URL.Path)
	}))
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 100 {
				echo := fmt.Sprint("value-", (g+i)%7, "-", i/30)
				req, _ := http.NewRequest("GET", fmt.Sprint(h.URL, "/", g, "/", i), nil)
				req.Header.Set("X-Echo", echo)
				if i%10 == 9 {
					req.Header.Set("X-Panic", "please")
				}
				res, err := h.Client.Do(req)
				if i%10 == 9 {
					if err == nil {
						t.Error("no error from a handler that panics")
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if string(b) != req.URL.Path || res.Header.Get("X-Echo") != echo || res.Header.Get("Content-Type") != "text/"+echo {
					t.Errorf("%s: %q, %v", req.URL, b, res.Header)
				}
			}
		})
	}
	wg.Wait()
	if c := h.Server.Stats().Compression; c.PeerSections == 0 || c.Sections == 0 {
		t.Errorf("%+v", c)
	}
}

// acceptUni takes the stream of a type that the peer opens, with its type read.
func acceptUni(t testing.TB, c *quic.Conn, typ h3.StreamType) *quic.Stream {
	t.Helper()
	for {
		s, err := c.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 1)
		if io.ReadFull(s, b); b[0] == byte(typ) {
			return s
		}
	}
}

// What follows is a client that fills the server's table by hand.

// insertion inserts server=value, or sets the capacity first.
func insertion(value string) []byte {
	return append([]byte{0xc0 | 0x3f, 92 - 63, byte(len(value))}, value...)
}

var fullCapacity = []byte{0x3f, 0xe1, 0x1f} // 4096

// indexed is the HEADERS frame of a GET with required as the section's Required
// Insert Count and the newest of these entries as its last field.
func indexed(required int) []byte {
	lines := getHeaders()[4:] // behind the frame header and the prefix
	return frame(h3.FrameHeaders, append(append([]byte{byte(required + 1), 0}, lines...), 0x80)...)
}

var serverField = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Server")) })

func TestABlockedRequestIsAnsweredWhenItsEntriesArrive(t *testing.T) {
	h := start(t, serverField)
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	encoder := openUni(t, c, uni(h3.StreamQPACKEncoder, fullCapacity))
	var requests []*quic.Stream
	for i := range 16 {
		s := openRequest(t, c, indexed(i+1))
		s.Close()
		requests = append(requests, s)
	}
	waitFor(t, "all requests are blocked", func() bool { return h.Server.Stats().Compression.Blocked == 16 })
	if n := h.Server.Stats().Requests; n != 0 {
		t.Fatalf("%d requests were handled", n)
	}
	for i, s := range requests {
		value := fmt.Sprint("value ", i)
		for _, x := range insertion(value) {
			encoder.Write([]byte{x})
		}
		s.SetReadDeadline(time.Now().Add(patience))
		if fields, body := parseResponse(t, s); fields[":status"] != "200" || body != value {
			t.Errorf("request %d: %v %q, want %q", i, fields, body, value)
		}
	}
	if s := h.Server.Stats(); s.Compression.PeerSections != 16 || s.Compression.PeerInserted != 16 {
		t.Errorf("%+v", s.Compression)
	}
}

func TestMoreBlockedStreamsThanAllowed(t *testing.T) {
	h := start(t, serverField)
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	for range 17 {
		openRequest(t, c, indexed(1))
	}
	closedWith(t, c, h3.QPACKDecompressionFailed)
}

func TestABlockedRequestEndsWhenItIsNotWaitedForAnyMore(t *testing.T) {
	h := start(t, serverField, func(s *http3.Server) { s.ReadHeaderTimeout = 50 * time.Millisecond })
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	t.Run("its time is over", func(t *testing.T) {
		// Again and again: each gives its place among the blocked ones back.
		for range 20 {
			s := openRequest(t, c, indexed(1))
			resetWith(t, s, h3.H3RequestIncomplete)
		}
	})
	t.Run("the client resets it", func(t *testing.T) {
		for range 20 {
			s := openRequest(t, c, indexed(1))
			s.Reset(uint64(h3.H3RequestCancelled))
		}
		waitFor(t, "all are forgotten", func() bool { return h.Server.Stats().Running == 0 })
	})
	if c.Err() != nil {
		t.Error(c.Err())
	}
	// The encoder is told of all of them, so that it may evict what they refer to.
	decoder := acceptUni(t, c, h3.StreamQPACKDecoder)
	told := map[byte]bool{}
	for b := make([]byte, 1); len(told) < 14; { // IDs of a single byte
		if _, err := io.ReadFull(decoder, b); err != nil {
			t.Fatalf("%v after the cancellation of %d streams", err, len(told))
		}
		if b[0] >= 0x40 && b[0] < 0x7f {
			told[b[0]] = true
		}
	}
}

func TestTheServerRepliesOnItsDecoderStream(t *testing.T) {
	h := start(t, serverField)
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	openUni(t, c, uni(h3.StreamQPACKEncoder, fullCapacity, insertion("one"), insertion("two"), insertion("three")))
	if fields, body := exchangeRaw(t, c, indexed(3)); fields[":status"] != "200" || body != "three" { // stream 0
		t.Errorf("%v %q", fields, body)
	}
	s := openRequest(t, c, getHeaders()[:5]) // stream 4
	s.Reset(uint64(h3.H3RequestCancelled))
	var got []byte
	want := func() bool { // an increment of 3 in one or in parts, an acknowledgment and a cancellation
		sum := 0
		for _, x := range got {
			if x < 0x40 {
				sum += int(x)
			}
		}
		return sum == 3 && bytes.IndexByte(got, 0x80) >= 0 && bytes.IndexByte(got, 0x44) >= 0
	}
	decoder := acceptUni(t, c, h3.StreamQPACKDecoder)
	for b := make([]byte, 1); !want(); got = append(got, b...) {
		if _, err := io.ReadFull(decoder, b); err != nil {
			t.Fatalf("%v after %x", err, got)
		}
	}
}

func TestADecoderStreamThatIsNotRead(t *testing.T) {
	h := start(t, serverField)
	c, err := quic.Dial(t.Context(), h.Addr, clientTLS(), &quic.Config{Windows: quic.Windows{StreamWindow: 64, MaxStreamWindow: 64}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	openUni(t, c, uni(h3.StreamControl, settings))
	openUni(t, c, uni(h3.StreamQPACKEncoder, fullCapacity, insertion("one")))
	for c.Err() == nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := c.OpenStream(ctx)
		if cancel(); ctx.Err() == context.DeadlineExceeded {
			b := make([]byte, 1<<20)
			t.Logf("%s", b[:runtime.Stack(b, true)])
			t.Fatalf("%+v %+v", h.Server.Stats(), c.Stats())
		}
		if err != nil {
			break
		}
		s.Write(indexed(1)[:5])
		s.Reset(uint64(h3.H3RequestCancelled))
		s.StopReading(uint64(h3.H3RequestCancelled))
	}
	closedWith(t, c, h3.H3ExcessiveLoad)
}

func TestAPeerWithoutCapacityGetsNoInstructions(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Server", "a server") }))
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	for range 20 {
		if fields, _ := exchangeRaw(t, c, getHeaders("x-mine", "again and again")); fields["server"] != "a server" {
			t.Fatalf("%v", fields)
		}
	}
	if n := h.Server.Stats().Compression; n != (http3.CompressionStats{}) {
		t.Errorf("%+v", n)
	}
	control, err := c.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, _ := control.Read(b)
	if !bytes.HasPrefix(b[:n], []byte{byte(h3.StreamControl)}) || !bytes.Contains(b[:n], []byte{0x01, 0x50, 0x00}) {
		t.Errorf("%x does not announce a capacity of 4096", b[:n])
	}
}

func TestCancellationsWaitForTheTable(t *testing.T) {
	h := start(t, readAnything)
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, settings))
	for range 10 {
		openRequest(t, c, getHeaders()[:5]).Reset(uint64(h3.H3RequestCancelled))
	}
	exchangeRaw(t, c, getHeaders())
	streams := make(chan *quic.Stream, 10)
	go func() {
		for {
			s, err := c.AcceptStream(t.Context())
			if err != nil {
				return
			}
			streams <- s
		}
	}()
	<-streams // control
	select {
	case s := <-streams:
		t.Errorf("stream %d was opened", s.ID())
	case <-time.After(100 * time.Millisecond):
	}
	openUni(t, c, uni(h3.StreamQPACKEncoder, fullCapacity, insertion("one")))
	decoder := <-streams
	b := make([]byte, 100)
	decoder.SetReadDeadline(time.Now().Add(patience))
	// The type, and in any order ten cancellations and an increment.
	n, err := io.ReadFull(decoder, b[:12])
	slices.Sort(b[1:n])
	if want := []byte{0x03, 0x01, 0x40, 0x44, 0x48, 0x4c, 0x50, 0x54, 0x58, 0x5c, 0x60, 0x64}; err != nil || !bytes.Equal(b[:n], want) {
		t.Errorf("%x, %v, want %x in any order", b[:n], err, want)
	}
}

func TestPeersThatBreakARuleOfQPACK(t *testing.T) {
	encoder := func(b ...[]byte) func(*testing.T, *quic.Conn) {
		return func(t *testing.T, c *quic.Conn) { openUni(t, c, uni(h3.StreamQPACKEncoder, b...)) }
	}
	request := func(b []byte) func(*testing.T, *quic.Conn) {
		return func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKEncoder, fullCapacity, insertion("one"), insertion("two")))
			openRequest(t, c, b).Close()
		}
	}
	var host *host
	section := func(b ...byte) []byte { return frame(h3.FrameHeaders, b...) }
	for _, test := range []struct {
		name string
		code h3.ErrorCode
		do   func(t *testing.T, c *quic.Conn)
	}{
		{"a capacity above the limit", h3.QPACKEncoderStreamError, encoder([]byte{0x3f, 0xe2, 0x1f})},
		{"an entry above the capacity", h3.QPACKEncoderStreamError, encoder([]byte{0x3f, 0x05}, insertion("one"))},
		{"a duplicate of nothing", h3.QPACKEncoderStreamError, encoder(fullCapacity, []byte{0x00})},
		{"a static name that is none", h3.QPACKEncoderStreamError, encoder(fullCapacity, []byte{0xff, 99 - 63, 0x00})},
		{"a value of a gigabyte", h3.QPACKEncoderStreamError, encoder(fullCapacity, []byte{0xc0, 0x7f, 0x81, 0xff, 0xff, 0xff, 0x03})},
		{"a reference beyond the count", h3.QPACKDecompressionFailed, request(section(0x02, 0x01, 0x80))},
		{"a reference to what never was", h3.QPACKDecompressionFailed, request(section(0x03, 0x00, 0x83))},
		{"a count that nobody can need", h3.QPACKDecompressionFailed, request(section(0xff, 0xff, 0x7f, 0x00))},
		{"a count that does not end", h3.QPACKDecompressionFailed, request(section(0xff, 0xff))},
		{"a negative base", h3.QPACKDecompressionFailed, request(section(0x03, 0x82, 0x80))},
		{"trailers that refer to what never was", h3.QPACKDecompressionFailed,
			request(join(getHeaders(), section(0x03, 0x00, 0x83)))},
		{"an increment of zero", h3.QPACKDecoderStreamError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKDecoder, []byte{0x00}))
		}},
		{"an increment beyond what was inserted", h3.QPACKDecoderStreamError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x01, 0x50, 0x00)))
			openUni(t, c, uni(h3.StreamQPACKDecoder, []byte{0x3f, 0x40}))
		}},
		{"two encoder streams", h3.H3StreamCreationError, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKEncoder))
			openUni(t, c, uni(h3.StreamQPACKEncoder))
		}},
		{"a decoder stream ends", h3.H3ClosedCriticalStream, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKDecoder)).Close()
		}},
		{"our encoder stream is stopped", h3.H3ClosedCriticalStream, func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x01, 0x50, 0x00)))
			waitFor(t, "the server has inserted", func() bool {
				exchangeRaw(t, c, getHeaders())
				return host.Server.Stats().Compression.Inserted > 0
			})
			acceptUni(t, c, h3.StreamQPACKEncoder).StopReading(uint64(h3.H3NoError))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			host = start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Server", "a server with a name")
				readAnything(w, r)
			}))
			c := host.dial(t)
			test.do(t, c)
			closedWith(t, c, test.code)
		})
	}
}

func TestAResponseOfManyFieldsUsesTheTable(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; "+strings.Repeat("img-src 'self' data:; ", 20))
		w.Header().Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload")
		w.Header().Set("Server", "a server with a name")
	}))
	c := h.dial(t)
	openUni(t, c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x01, 0x50, 0x00)))
	table := qpack.NewTable(4096)
	decoder := openUni(t, c, uni(h3.StreamQPACKDecoder))
	var literal, section []byte
	waitFor(t, "the server has inserted", func() bool {
		literal, _ = io.ReadAll(closed(openRequest(t, c, getHeaders())))
		return h.Server.Stats().Compression.Inserted == 3
	})
	encoder, buf := acceptUni(t, c, h3.StreamQPACKEncoder), make([]byte, 4096)
	for table.InsertCount() < 3 {
		n, err := encoder.Read(buf)
		if err == nil {
			err = table.Receive(buf[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	decoder.Write(table.AppendIncrement(nil))
	waitFor(t, "the server refers to the table", func() bool {
		b, _ := io.ReadAll(closed(openRequest(t, c, getHeaders())))
		header, n := h3.ConsumeFrameHeader(b)
		section = b[n : n+int(header.Length)]
		return section[0] != 0
	})
	d, fields := qpack.Decoder{Table: table}, 0
	if err := d.Decode(section, func(string, string) error { fields++; return nil }); err != nil || fields != 6 {
		t.Errorf("%d fields, %v", fields, err)
	}
	if len(section) > 50 || len(literal) < 200 {
		t.Errorf("%d bytes with literals, %d with the table", len(literal), len(section))
	}
}

// closed ends the sending part of s.
func closed(s *quic.Stream) *quic.Stream {
	s.Close()
	return s
}
