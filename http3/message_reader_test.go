package http3

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// bytesStream is a stream that has arrived already: Read returns at most chunk
// bytes of it at a time.
type bytesStream struct {
	in    []byte
	chunk int
	out   bytes.Buffer
	final bool   // the sending part was ended
	codes string // what Reset and StopReading said

	priorities []string // what SetPriority said
}

func (s *bytesStream) ID() int64                        { return 0 }
func (s *bytesStream) Context() context.Context         { return context.Background() }
func (s *bytesStream) SetReadDeadline(time.Time) error  { return nil }
func (s *bytesStream) SetWriteDeadline(time.Time) error { return nil }
func (s *bytesStream) Reset(code uint64)                { s.codes += fmt.Sprint("reset ", ErrorCode(code), " ") }
func (s *bytesStream) SetReliableBoundary()             { s.codes += "boundary " }
func (s *bytesStream) StopReading(code uint64)          { s.codes += fmt.Sprint("stop ", ErrorCode(code), " ") }
func (s *bytesStream) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *bytesStream) AfterReadable(f func())           { go f() }
func (s *bytesStream) Close() error                     { s.final = true; return nil }
func (s *bytesStream) Await(<-chan struct{}) error      { return io.ErrNoProgress }

func (s *bytesStream) SetPriority(urgency int, incremental bool) {
	s.priorities = append(s.priorities, fmt.Sprint(urgency, incremental))
}

func (s *bytesStream) WriteFinal(p []byte) (int, error) {
	s.final = true
	return s.out.Write(p)
}

func (s *bytesStream) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.chunk)], s.in)
	s.in = s.in[n:]
	return n, nil
}

// newTestExchange is an exchange on bytes, without a connection.
func newTestExchange(s *bytesStream) *exchange {
	c := &serverConn{srv: &Server{}, remote: "192.0.2.1:1", tls: &tls.ConnectionState{HandshakeComplete: true}}
	c.limit, c.counters = 1<<16, &compressionCounters{}
	c.decoder().replies.opening = true // there is no connection that the stream could be opened on
	return newExchange(c, context.Background(), s)
}

func frameOf(t h3.FrameType, payload string) []byte {
	b := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: t, Length: int64(len(payload))})
	return append(b, payload...)
}

func requestOf(more ...qpack.Field) []byte {
	fields := append([]qpack.Field{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "localhost"}, {Name: ":path", Value: "/a?b"}}, more...)
	return frameOf(h3.FrameHeaders, string(qpack.AppendFieldSection(nil, fields)))
}

// readWhole reads a message in chunks and tells what it was.
func readWhole(data []byte, chunk int, start h3.MessageState) string {
	const limit = 5000
	var out strings.Builder
	r := messageReader{s: &bytesStream{in: data, chunk: chunk}, grammar: h3.Message{State: start}}
	defer r.free()
	for {
		part, err := r.next()
		switch {
		case err != nil:
			fmt.Fprint(&out, err)
			return out.String()
		case part == h3.PartData:
			content := make([]byte, r.left)
			n, err := io.ReadFull(reader(r.read), content)
			fmt.Fprintf(&out, "data %q %v\n", content[:n], err)
			if err != nil {
				return out.String()
			}
		default:
			section, err := r.section(limit)
			fmt.Fprintf(&out, "%v %x %v\n", part, section, err)
			if err != nil {
				return out.String()
			}
		}
	}
}

type reader func(p []byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// FuzzMessageReader: how the bytes of a message are cut must not matter, and
// nothing may be made of more bytes than there are.
func FuzzMessageReader(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(requestOf(), uint8(1))
	f.Add(bytes.Join([][]byte{frameOf(0x21, "grease"), requestOf(), frameOf(h3.FrameData, "hello"), frameOf(0x5f, ""),
		frameOf(h3.FrameData, ""), frameOf(h3.FrameData, " world"), frameOf(h3.FrameHeaders, "\x00\x00")}, nil), uint8(3))
	f.Add(append(requestOf(), 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), uint8(2))
	f.Add(frameOf(h3.FrameHeaders, strings.Repeat("x", 4000)), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, chunk uint8) {
		if len(data) > 1<<16 || hugeData(data) {
			return
		}
		for _, start := range []h3.MessageState{h3.RequestStart, h3.ResponseStart} {
			whole := readWhole(data, len(data)+1, start)
			if cut := readWhole(data, int(chunk)+1, start); cut != whole {
				t.Errorf("in pieces of %d:\n%s\nat once:\n%s", int(chunk)+1, cut, whole)
			}
		}
	})
}

// hugeData reports whether readWhole would make room for content that is only
// announced: that is the test's way of reading, not the reader's.
func hugeData(data []byte) bool {
	for b := data; len(b) > 0; {
		h, n := h3.ConsumeFrameHeader(b)
		if n == 0 || h.Length > int64(len(b)-n) {
			return n > 0 && h.Length > 1<<20
		}
		b = b[n+int(h.Length):]
	}
	return false
}

// FuzzRequest reads a whole request as the server does.
func FuzzRequest(f *testing.F) {
	f.Add(requestOf())
	f.Add(append(requestOf(qpack.Field{Name: "content-length", Value: "5"}, qpack.Field{Name: "trailer", Value: "x-sum"}),
		append(frameOf(h3.FrameData, "hello"), frameOf(h3.FrameHeaders, string(qpack.AppendFieldSection(nil,
			[]qpack.Field{{Name: "x-sum", Value: "5"}})))...)...))
	f.Add(frameOf(h3.FrameHeaders, "\x00\x00\xd1\xd7\x50\x01a\x51\x01/"))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newTestExchange(&bytesStream{in: data, chunk: 1000})
		req, err := x.readRequest()
		if err != nil {
			var bad *badRequest
			if violation(err) == nil && !errors.As(err, &bad) && err != io.ErrNoProgress { // it waits for the encoder stream
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		x.req = req
		if req.URL == nil || req.Body == nil || req.Header == nil || req.Host == "" || req.Method == "" {
			t.Fatalf("%+v", req)
		}
		for key, values := range req.Header {
			if key != http.CanonicalHeaderKey(key) || len(values) == 0 {
				t.Errorf("header %q: %q", key, values)
			}
		}
		x.body.owner = &ownerOf{x}
		if n, err := io.Copy(io.Discard, req.Body); n > int64(len(data)) || err == nil && req.ContentLength >= 0 && n != req.ContentLength {
			t.Errorf("%d bytes of content, %v; %d declared, %d came", n, err, req.ContentLength, len(data))
		}
	})
}

// ownerOf owns the body of an exchange that has no connection to fail.
type ownerOf struct{ *exchange }

func (o *ownerOf) beforeRead()                {}
func (o *ownerOf) readFailed(err error) error { return err }

func TestAnUnknownFrameOfAnyLengthIsSkippedInBoundedMemory(t *testing.T) {
	b := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: 0x21, Length: 1 << 60})
	r := messageReader{s: &endless{first: b}, grammar: h3.Message{State: h3.RequestStart}}
	r.ahead = &buffer{b: make([]byte, 0, readBufferSize)} // one of the pool may have grown in another test
	if _, err := r.next(); err != io.ErrNoProgress {
		t.Errorf("next = %v", err)
	}
	if n := cap(r.ahead.b); n > readBufferSize {
		t.Errorf("a buffer of %d bytes", n)
	}
}

// endless is a stream of 64 MiB of zeros behind its first bytes.
type endless struct {
	bytesStream
	first []byte
	n     int
}

func (s *endless) Read(p []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	if s.n += len(p); s.n > 64<<20 {
		return 0, io.ErrNoProgress
	}
	return len(p), nil
}

func TestAnAnnouncedHeaderCostsNothingUntilItComes(t *testing.T) {
	b := append(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: 1 << 20}), make([]byte, 100)...)
	r := messageReader{s: &bytesStream{in: b, chunk: 100}, grammar: h3.Message{State: h3.RequestStart}}
	r.ahead = &buffer{b: make([]byte, 0, readBufferSize)} // one of the pool may have grown in another test
	if _, err := r.next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.section(1 << 20); err != h3.ErrTruncatedFrame {
		t.Errorf("section = %v", err)
	}
	if n := cap(r.ahead.b); n > 2*readBufferSize {
		t.Errorf("a buffer of %d bytes", n)
	}
	r.left = 1<<20 + 1
	if _, err := r.section(1 << 20); err != errSectionTooLong {
		t.Errorf("section = %v", err)
	}
}

func TestPaddingNowAndThenIsNoFlood(t *testing.T) {
	e := emptyRun{n: maxEmptyFrames, since: time.Now().Add(-2 * emptyWindow)}
	if e.tooLong() {
		t.Error("a thousand frames over a long time")
	}
	for range maxEmptyFrames - 1 {
		e.tooLong()
	}
	if !e.tooLong() && !e.tooLong() {
		t.Error("no flood after two thousand")
	}
}
