package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	quicgoquic "github.com/quic-go/quic-go"
	quicgohttp3 "github.com/quic-go/quic-go/http3"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// WebSocket over HTTP/3 (RFC 9220) and HTTP datagrams (RFC 9297). The WebSocket frames are those of gobwas/ws, a library that takes
// any net.Conn; the tunnel is one.

// echoMessages is a WebSocket server: it sends back each message until the client closes, and returns how many there were.
func echoMessages(w http.ResponseWriter, r *http.Request) (n int) {
	if protocols := r.Header.Get("Sec-Websocket-Protocol"); strings.Contains(protocols, "chat") {
		w.Header().Set("Sec-WebSocket-Protocol", "chat")
	}
	tunnel, err := http3.TakeTunnel(w)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return 0
	}
	for ; ; n++ {
		message, op, err := wsutil.ReadClientData(tunnel) // it answers pings and the close
		if err != nil {
			return n
		}
		if err := wsutil.WriteServerMessage(tunnel, op, message); err != nil {
			return n
		}
	}
}

func serveMessages(t *testing.T) *site {
	s, _ := run(t, &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { echoMessages(w, r) }), ConnectProtocols: []string{"websocket"}}, nil)
	return s
}

// openWebSocket opens a WebSocket with our client.
func openWebSocket(t *testing.T, url string) *http3.Tunnel {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: ca.client()}
	t.Cleanup(func() { tr.Close() })
	req, err := http.NewRequestWithContext(within(t, patience), http.MethodConnect, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(":protocol", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Protocol", "chat")
	tunnel, res, err := tr.OpenTunnel(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Errorf("%v", res.Header)
	}
	return tunnel
}

// converse sends messages of many sizes and expects each back, and closes as WebSocket does.
func converse(t *testing.T, c net.Conn, sizes ...int) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	for _, size := range sizes {
		message := bytes.Repeat([]byte("m"), size)
		if err := wsutil.WriteClientMessage(c, ws.OpText, message); err != nil {
			t.Fatal(err)
		}
		got, op, err := wsutil.ReadServerData(c)
		if err != nil || op != ws.OpText || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes of %d as %v, %v", len(got), size, op, err)
		}
	}
	if err := wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye")); err != nil {
		t.Fatal(err)
	}
	frame, err := ws.ReadFrame(c) // wsutil would answer it once more
	if code, _ := ws.ParseCloseFrameData(frame.Payload); err != nil || frame.Header.OpCode != ws.OpClose || code != ws.StatusNormalClosure {
		t.Errorf("the closing handshake: %+v, %v", frame.Header, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestWebSocket(t *testing.T) {
	converse(t, openWebSocket(t, serveMessages(t).url+"/ws"), 0, 1, 125, 126, 65535, 65536, 3_000_000)
}

func TestAioquicSpeaksWebSocketWithGodwit(t *testing.T) {
	need(t, aioquicClient)
	served := make(chan int, 1)
	s, _ := run(t, &http3.Server{ConnectProtocols: []string{"websocket"}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served <- echoMessages(w, r)
	})}, nil)
	// http3_client.py sends two messages, and asserts that each comes back and that the protocol is "chat".
	aioquicTo(t, newShare(t), "wss://"+s.addr+"/ws")
	if n := <-served; n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestGodwitSpeaksWebSocketWithAioquic(t *testing.T) {
	need(t, aioquicServer)
	// Its example server answers each part of a message that comes in several packets as a message of its own.
	converse(t, openWebSocket(t, startAioquic(t).url+"/ws"), 0, 1, 126, 1000)
}

// HTTP datagrams with quic-go. They may be lost, so each is sent until its answer has come.

func TestHTTPDatagramsWithQuicGo(t *testing.T) {
	t.Run("quic-go asks", func(t *testing.T) {
		s, _ := run(t, &http3.Server{ConnectProtocols: []string{"connect-udp"}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
				c.Send(p)
			}
		})}, &quic.Config{Protocol: quic.Protocol{Datagrams: true}})
		conn, err := quicgoquic.DialAddr(within(t, patience), s.addr, protocol(ca.client(), "h3"), &quicgoquic.Config{EnableDatagrams: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseWithError(0, "")
		cc := (&quicgohttp3.Transport{EnableDatagrams: true}).NewClientConn(conn)
		select {
		case <-cc.ReceivedSettings():
		case <-within(t, patience).Done():
			t.Fatal("no SETTINGS")
		}
		if s := cc.Settings(); !s.EnableExtendedConnect || !s.EnableDatagrams {
			t.Errorf("quic-go reads our SETTINGS as %+v", s)
		}
		str, err := cc.OpenRequestStream(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest(http.MethodConnect, s.url+"/udp", nil)
		req.Proto = "connect-udp"
		if err := str.SendRequestHeader(req); err != nil {
			t.Fatal(err)
		}
		if res, err := str.ReadResponse(); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		wantEchoes(t, str)
	})
	t.Run("quic-go answers", func(t *testing.T) {
		server := &quicgohttp3.Server{EnableDatagrams: true, TLSConfig: quicgohttp3.ConfigureTLSConfig(ca.server())}
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			str, err := w.(quicgohttp3.HTTPStreamer).HTTPStream()
			if err != nil {
				t.Error(err)
				return
			}
			for {
				p, err := str.ReceiveDatagram(r.Context())
				if err != nil {
					return
				}
				str.SendDatagram(p)
			}
		})
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		go server.Serve(pc)
		defer server.Close()
		tr := &http3.Transport{TLSClientConfig: ca.client(), QUIC: &quic.Config{Protocol: quic.Protocol{Datagrams: true}}}
		defer tr.Close()
		req, _ := http.NewRequestWithContext(within(t, patience), http.MethodConnect, fmt.Sprintf("https://%s/udp", pc.LocalAddr()), nil)
		req.Header.Set(":protocol", "connect-udp")
		tunnel, _, err := tr.OpenTunnel(req)
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		c, err := tunnel.Capsules(func(uint64, io.Reader) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if n := c.MaxSize(); n < 1100 || n > 1500 {
			t.Errorf("MaxSize %d", n)
		}
		wantEchoes(t, capsuleConn{c})
	})
}

// capsuleConn has the names of quic-go's streams.
type capsuleConn struct{ *http3.Capsules }

func (c capsuleConn) SendDatagram(p []byte) error { return c.Send(p) }
func (c capsuleConn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	return c.Receive(ctx)
}
