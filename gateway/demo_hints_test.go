package gateway

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"

	"github.com/godwit-net/godwit/http3"
)

// 103 and trailers are the same over each protocol.
func TestDemoHints(t *testing.T) {
	s := start(t, Config{})
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		link := ""
		ctx := httptrace.WithClientTrace(within(t), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
			if status == http.StatusEarlyHints {
				link = h.Get("Link")
			}
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, "GET", s.base+"/hints", nil)
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if link != "</tile/7>; rel=preload; as=fetch" {
			t.Errorf("103 with Link %q", link)
		}
		if _, err := io.ReadAll(res.Body); err != nil || len(res.Trailer.Get("Content-Digest")) < 40 {
			t.Errorf("trailers %v, %v", res.Trailer, err)
		}
	})
}

// maskedFrame makes a WebSocket frame as clients send it.
func maskedFrame(first byte, payload []byte) []byte {
	b := appendFrame(nil, first, payload)
	b[1] |= wsMasked
	head := len(b) - len(payload)
	mask := []byte{1, 2, 3, 4}
	masked := append(bytes.Clone(b[:head]), mask...)
	for i, c := range payload {
		masked = append(masked, c^mask[i%4])
	}
	return masked
}

func TestDemoWebSocket(t *testing.T) {
	s := start(t, Config{})
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		tr, ok := rt.(*http3.Transport)
		if !ok {
			return
		}
		open := func() *http3.Tunnel {
			req, _ := http.NewRequestWithContext(within(t), "CONNECT", s.base+"/ws", nil)
			req.Header.Set(":protocol", "websocket")
			tunnel, _, err := tr.OpenTunnel(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tunnel.Close() })
			return tunnel
		}
		c := open()
		for _, test := range []struct {
			in, out byte
			size    int
		}{
			{wsFinal | wsText, wsFinal | wsText, 5},
			{wsText, wsText, 125}, {wsFinal, wsFinal, 126}, // in two frames
			{wsFinal | wsPing, wsFinal | wsPong, 7},
			{wsFinal | wsBinary, wsFinal | wsBinary, demoMaxMessage},
			{wsFinal | wsClose, wsFinal | wsClose, 2},
		} {
			payload := bytes.Repeat([]byte("x"), test.size)
			c.Write(maskedFrame(test.in, payload))
			want := appendFrame(nil, test.out, payload)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%#x with %d bytes: %v", test.in, test.size, err)
			}
		}
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the close %d bytes, %v", n, err)
		}
		for name, frame := range map[string][]byte{
			"a frame that is not masked": appendFrame(nil, wsFinal|wsText, []byte("x")),
			"a frame that is too long":   maskedFrame(wsFinal|wsText, make([]byte, demoMaxMessage+1))[:14],
			"an unknown frame":           maskedFrame(wsFinal|0x3, nil),
			"a long ping":                maskedFrame(wsFinal|wsPing, make([]byte, 126)),
		} {
			c := open()
			c.Write(frame)
			if n, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
		}
	})
	if res := s.do(transport(t, "HTTP/1.1"), "GET", "/ws", nil, nil); res.status != http.StatusMethodNotAllowed {
		t.Errorf("GET /ws: %d", res.status)
	}
}
