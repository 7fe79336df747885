package http3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/quic"
)

var withDatagrams = &quic.Config{Protocol: quic.Protocol{Datagrams: true}}

// speaksDatagrams has a server take datagrams, and protocols that may use them.
func speaksDatagrams(s *http3.Server) {
	s.QUIC = withDatagrams
	s.ConnectProtocols = []string{"connect-udp", "websocket"}
}

// echoDatagrams sends back each datagram of a tunnel.
var echoDatagrams = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Capsule-Protocol", "?1")
	tunnel, err := http3.TakeTunnel(w)
	if err != nil {
		return
	}
	c, err := tunnel.Capsules(nil)
	if err != nil {
		return
	}
	for {
		p, err := c.Receive(r.Context())
		if err != nil {
			return
		}
		c.Send(p)
	}
})

func openCapsules(t testing.TB, h *host, handle func(uint64, io.Reader) error) *http3.Capsules {
	t.Helper()
	c, err := openTunnel(t, h, "connect-udp").Capsules(handle)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantEcho sends a datagram, again and again since it may be lost, until it comes back.
func wantEcho(t testing.TB, c *http3.Capsules, p []byte) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := c.Send(p); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got, err := c.Receive(ctx)
		for err == nil && !bytes.Equal(got, p) { // of an earlier attempt
			got, err = c.Receive(ctx)
		}
		cancel()
		if err == nil {
			return
		}
		if err != context.DeadlineExceeded {
			t.Fatal(err)
		}
	}
	t.Fatalf("no echo of %d bytes", len(p))
}

func TestHTTPDatagrams(t *testing.T) {
	for _, test := range []struct {
		name           string
		client, server *quic.Config
		inPackets      bool
	}{
		{"both take QUIC's", withDatagrams, withDatagrams, true},
		{"the server does not", withDatagrams, nil, false},
		{"the client does not", nil, withDatagrams, false},
		{"neither does", nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, echoDatagrams, speaksDatagrams, func(s *http3.Server) { s.QUIC = test.server })
			h.Transport.QUIC = test.client
			c := openCapsules(t, h, nil)
			sizes := []int{0, 1, 100, 1100, 20_000, 65535}
			if test.inPackets {
				sizes = []int{0, 1, 100, 1100}
				// The server may learn of our SETTINGS only now: until then it answers in capsules.
				waitFor(t, "the server's SETTINGS", func() bool { return c.MaxSize() < 10_000 })
				if err := c.Send(make([]byte, 10_000)); !errors.Is(err, quic.ErrDatagramTooLarge) {
					t.Errorf("10000 bytes: %v", err)
				}
			} else if n := c.MaxSize(); n != 65535 {
				t.Errorf("MaxSize %d", n)
			}
			for _, size := range sizes {
				wantEcho(t, c, bytes.Repeat([]byte{'x'}, size))
			}
			if n := h.Endpoint.Stats().Datagrams.Received; test.inPackets != (n > 0) {
				t.Errorf("%d QUIC datagrams came", n)
			}
			if err := c.Send(make([]byte, 65536)); !errors.Is(err, quic.ErrDatagramTooLarge) {
				t.Errorf("65536 bytes: %v", err)
			}
			c.Close()
			if err := c.Send([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Send after Close: %v", err)
			}
			if _, err := c.Receive(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Receive after Close: %v", err)
			}
		})
	}
}

// What a client says that has no rules: its requests, and datagrams beside them.
func connectUDP(more ...string) []byte {
	return headers(append([]string{":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "https", ":authority", "localhost", ":path", "/"}, more...)...)
}

func dialDatagrams(t testing.TB, h *host) *quic.Conn {
	t.Helper()
	c, err := quic.Dial(t.Context(), h.Addr, clientTLS(), withDatagrams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDatagramsThatBreakARule(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), speaksDatagrams)
	for _, test := range []struct {
		name string
		b    []byte
		code h3.ErrorCode
	}{
		{"too short for an ID", nil, h3.H3DatagramError},
		{"half an ID", []byte{0x40}, h3.H3DatagramError},
		{"an ID beyond 2^60-1", varint.Append(nil, 1<<60), h3.H3DatagramError},
		{"a stream beyond the limit", varint.Append(nil, 100), h3.H3IDError},
	} {
		c := dialDatagrams(t, h)
		if err := c.SendDatagram(test.b); err != nil {
			t.Fatal(err)
		}
		t.Log(test.name)
		closedWith(t, c, test.code)
	}
	// "the request stream MUST be aborted with H3_DATAGRAM_ERROR" (RFC 9297, section 2).
	for _, request := range [][]byte{
		getHeaders(),
		headers(":method", "CONNECT", ":authority", "localhost:80"),
		headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "localhost", ":path", "/"),
	} {
		c := dialDatagrams(t, h)
		s := openRequest(t, c, request)
		over := make(chan bool)
		go func() {
			resetWith(t, s, h3.H3DatagramError)
			close(over)
		}()
		for sent := false; !sent; {
			c.SendDatagram([]byte{0, 'x'}) // which may come before the request, and be forgotten
			select {
			case <-over:
				sent = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		// After that it is dropped.
		c.SendDatagram([]byte{0, 'x'})
		exchangeRaw(t, c, headers(":method", "OPTIONS", ":scheme", "https", ":authority", "localhost", ":path", "*"))
	}
}

// A client, to which the server sends what it did not ask for.
func TestDatagramsForAnOrdinaryRequest(t *testing.T) {
	e, err := quic.Listen("127.0.0.1:0", serverTLS(), withDatagrams)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	go func() {
		c, err := e.Accept(context.Background())
		if err != nil {
			return
		}
		sayOn(c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x33, 0x01)))
		for s := nextRequest(c); s != nil && s.Context().Err() == nil; {
			c.SendDatagram([]byte{0, 'x'})
			time.Sleep(10 * time.Millisecond)
		}
	}()
	tr := &http3.Transport{TLSClientConfig: clientTLS(), QUIC: withDatagrams}
	defer tr.Close()
	_, err = (&http.Client{Transport: tr}).Get("https://" + e.Addr().String())
	var own *http3.Error
	if !errors.As(err, &own) || own.Code != h3.H3DatagramError {
		t.Errorf("%v, want %v", err, h3.H3DatagramError)
	}
}

// "QUIC DATAGRAM frames MUST NOT be sent until the SETTINGS_H3_DATAGRAM setting has been both sent and received with a value
// of 1" (RFC 9297, section 2.1.1), whatever the transport says.
func TestDatagramsWaitForTheSetting(t *testing.T) {
	for _, say := range [][]byte{settings, frame(h3.FrameSettings, 0x33, 0x00)} {
		h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tunnel, err := http3.TakeTunnel(w)
			if err != nil {
				t.Error(err)
				return
			}
			io.ReadFull(tunnel, make([]byte, 1)) // the client's SETTINGS came before
			c, err := tunnel.Capsules(nil)
			if err != nil {
				t.Error(err)
				return
			}
			c.Send([]byte("hello"))
		}), speaksDatagrams)
		c := dialDatagrams(t, h)
		openUni(t, c, uni(h3.StreamControl, say))
		s := openRequest(t, c, join(connectUDP(), frame(h3.FrameData, 'x')))
		if _, body := parseResponse(t, s); body != "\x00\x05hello" {
			t.Errorf("%q, want a DATAGRAM capsule", body)
		}
	}
}

func TestDatagramsThatNobodyReceives(t *testing.T) {
	received := make(chan string, 1)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		over := make(chan bool)
		c, err := tunnel.Capsules(func(uint64, io.Reader) error { close(over); return nil })
		if err != nil {
			t.Error(err)
			return
		}
		<-over
		first, _ := c.Receive(r.Context())
		n := 1
		for p := first; string(p) != "99"; n++ {
			p, _ = c.Receive(r.Context())
		}
		received <- fmt.Sprintf("%d, from %s on, %d dropped", n, first, c.Dropped())
	}), speaksDatagrams)
	c := openCapsules(t, &host{URL: h.URL, Transport: &http3.Transport{TLSClientConfig: clientTLS()}}, nil) // in capsules: none is lost on the way
	for i := range 100 {
		c.Send(fmt.Append(nil, i))
	}
	c.WriteCapsule(77, nil)
	if got, want := <-received, "64, from 36 on, 36 dropped"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The latest 16 wait for their request, and for the handler to make a tunnel of it.
func TestDatagramsBeforeTheirTunnel(t *testing.T) {
	entered, ready, received := make(chan bool), make(chan bool), make(chan string, 100)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			return
		}
		<-ready
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		c, err := tunnel.Capsules(nil)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			p, err := c.Receive(r.Context())
			if err != nil {
				return
			}
			received <- string(p)
		}
	}), speaksDatagrams)
	c := dialDatagrams(t, h)
	s, err := c.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := openRequest(t, c, getHeaders())
	<-entered
	for i := range 20 {
		c.SendDatagram(append([]byte{0}, fmt.Sprint(i)...))
	}
	// They have been looked at when a later one has had its effect.
	c.SendDatagram([]byte{1})
	resetWith(t, other, h3.H3DatagramError)
	s.Write(connectUDP())
	<-entered
	close(ready)
	if got := <-received; got != "4" {
		t.Errorf("the first is %s, want 4 of 0 to 19", got)
	}
	for got := ""; got != "19"; {
		got = <-received
	}
	s.Reset(uint64(h3.H3RequestCancelled))
}

// RFC 9297, sections 3.2 to 3.5, on the wire.
func TestCapsules(t *testing.T) {
	var long [70_000]byte
	for _, test := range []struct {
		name   string
		fields []string
		sent   string
		got    string // what the handler received
		code   h3.ErrorCode
	}{
		{"datagrams", nil, "\x00\x02ab\x00\x00\x00\x01c", "[ab][][c]EOF", 0},
		{"an unknown capsule between", nil, "\x00\x01a\x40\x99\x05abcde\x00\x01b", "[a][b]EOF", 0},
		{"one that is known", nil, "\x29\x03xyz\x29\x00\x00\x01b", "(xy)()[b]EOF", 0},
		{"one that is malformed", nil, "\x2a\x03xyz", "", h3.H3MessageError},
		{"one that makes the handler's function panic", nil, "\x2b\x00", "", h3.H3InternalError},
		{"a datagram too long to be one", nil, "\x00" + string(varint.Append(nil, 70_000)) + string(long[:]) + "\x00\x01b", "[b]EOF", 0},
		{"an end in the type", nil, "\x00\x01a\x40", "[a]", h3.H3MessageError},
		{"an end in the length", nil, "\x00\x01a\x00\x80\x00", "[a]", h3.H3MessageError},
		{"an end in the value", nil, "\x00\x01a\x00\x05abc", "[a]", h3.H3MessageError},
		{"an end in a value that is skipped", nil, "\x40\x99\x05abc", "", h3.H3MessageError},
		{"a Content-Type", []string{"content-type", "x/y"}, "", "", h3.H3MessageError},
		{"a Content-Length", []string{"content-length", "5"}, "", "", h3.H3MessageError},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := make(chan string, 1)
			h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var mu sync.Mutex
				log := ""
				note := func(format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					log += fmt.Sprintf(format, args...)
				}
				defer func() { got <- log }()
				tunnel, err := http3.TakeTunnel(w)
				if err != nil {
					t.Error(err)
					return
				}
				c, err := tunnel.Capsules(func(typ uint64, value io.Reader) error {
					switch typ {
					case 0x29:
						b := make([]byte, 2)
						n, err := io.ReadFull(value, b)
						note("(%s)", b[:n])
						return err
					case 0x2a:
						return errors.New("malformed")
					case 0x2b:
						panic("a capsule too many")
					}
					return nil
				})
				for err == nil {
					var p []byte
					if p, err = c.Receive(r.Context()); err == nil {
						note("[%s]", p)
					} else if err == io.EOF {
						note("EOF")
					}
				}
			}), speaksDatagrams)
			s := openRequest(t, h.dial(t), join(connectUDP(test.fields...), frame(h3.FrameData, []byte(test.sent)...)))
			s.Close()
			if text := <-got; text != test.got {
				t.Errorf("the handler got %s, want %s", text, test.got)
			}
			if test.code != 0 {
				resetWith(t, s, test.code)
			}
		})
	}
}

// "HTTP status codes 204 (No Content), 205 (Reset Content), and 206 (Partial Content) MUST NOT be sent on responses that use the
// Capsule Protocol" (RFC 9297, section 3.2).
func TestCapsulesNeedAStatusWithContent(t *testing.T) {
	for _, status := range []int{204, 205, 206} {
		server := make(chan error, 1)
		h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			tunnel, err := http3.TakeTunnel(w)
			if err == nil {
				_, err = tunnel.Capsules(nil)
			}
			server <- err
			<-r.Context().Done()
		}), speaksDatagrams)
		tunnel := openTunnel(t, h, "connect-udp")
		_, err := tunnel.Capsules(nil)
		if e, ok := errors.AsType[*http3.Error](err); !ok || e.Code != h3.H3MessageError || e.Remote {
			t.Errorf("%d: the client says %v", status, err)
		}
		if err := <-server; err == nil || !strings.Contains(err.Error(), "status") {
			t.Errorf("%d: the server says %v", status, err)
		}
	}
}

func TestUsesCapsules(t *testing.T) {
	for value, want := range map[string]bool{"?1": true, "?0": false, "1": false, "": false, "?1; x=y": true} {
		if got := http3.UsesCapsules(http.Header{"Capsule-Protocol": {value}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if http3.UsesCapsules(http.Header{}) || http3.UsesCapsules(http.Header{"Capsule-Protocol": {"?1", "?1"}}) {
		t.Error("none, or two")
	}
}
