package http3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// RFC 9114, section 7.2.4.2, and RFC 9204, section 3.2.3: a server that accepts 0-RTT and has changed its settings since.
func TestAServerThatAcceptsEarlyDataMustKeepItsSettings(t *testing.T) {
	before := frame(h3.FrameSettings, 0x01, 0x50, 0x00, 0x06, 0x80, 0x01, 0x00, 0x00, 0x07, 0x10)
	for _, test := range []struct {
		name string
		now  []byte
		code h3.ErrorCode // 0: it may
	}{
		{"the same", before, 0},
		{"more of everything but the table", frame(h3.FrameSettings, 0x01, 0x50, 0x00, 0x06, 0x80, 0x02, 0x00, 0x00, 0x07, 0x20), 0},
		{"a smaller table", frame(h3.FrameSettings, 0x01, 0x48, 0x00, 0x06, 0x80, 0x01, 0x00, 0x00, 0x07, 0x10), h3.QPACKDecoderStreamError},
		{"a larger table", frame(h3.FrameSettings, 0x01, 0x60, 0x00, 0x06, 0x80, 0x01, 0x00, 0x00, 0x07, 0x10), h3.QPACKDecoderStreamError},
		{"no table", frame(h3.FrameSettings, 0x06, 0x80, 0x01, 0x00, 0x00, 0x07, 0x10), h3.QPACKDecoderStreamError},
		{"fewer blocked streams", frame(h3.FrameSettings, 0x01, 0x50, 0x00, 0x06, 0x80, 0x01, 0x00, 0x00, 0x07, 0x0f), h3.H3SettingsError},
		{"smaller sections", frame(h3.FrameSettings, 0x01, 0x50, 0x00, 0x06, 0x80, 0x00, 0xff, 0xff, 0x07, 0x10), h3.H3SettingsError},
		{"nothing of it", settings, h3.QPACKDecoderStreamError},
	} {
		t.Run(test.name, func(t *testing.T) {
			var say atomic.Pointer[[]byte]
			say.Store(&before)
			conf := &quic.Config{Resumption: quic.Resumption{EarlyData: true}}
			e, err := quic.Listen("127.0.0.1:0", serverTLS(), conf)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			conns := make(chan *quic.Conn, 10)
			go func() {
				for {
					c, err := e.Accept(context.Background())
					if err != nil {
						return
					}
					conns <- c
					go func() {
						// Before that, a close of the client's could not tell its code (RFC 9000, section 10.2.3).
						c.HandshakeDone(context.Background())
						sayOn(c, uni(h3.StreamControl, *say.Load()))
						for s := nextRequest(c); s != nil; s = nextRequest(c) {
							s.WriteFinal(ok200)
						}
					}()
				}
			}()
			clientConf := clientTLS()
			puts := make(chan struct{}, 100)
			clientConf.ClientSessionCache = tellingCache{tls.NewLRUClientSessionCache(4), puts}
			tr := &http3.Transport{TLSClientConfig: clientConf, QUIC: conf}
			defer tr.Close()
			client, url := &http.Client{Transport: tr}, "https://"+e.Addr().String()
			fetch(t, client, url)
			<-conns
			<-puts // the ticket
			<-puts // and once more, with the settings
			tr.CloseIdleConnections()

			say.Store(&test.now)
			res, err := client.Get(url)
			if err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			c := <-conns
			if !c.EarlyData() {
				t.Fatal("0-RTT was not accepted")
			}
			if test.code == 0 {
				if err != nil || c.Err() != nil {
					t.Errorf("%v, %v", err, c.Err())
				}
				return
			}
			select {
			case <-c.Context().Done():
			case <-time.After(patience):
				t.Fatalf("the connection lives, want %v", test.code)
			}
			var closed *quic.ApplicationError
			if !errors.As(c.Err(), &closed) || h3.ErrorCode(closed.Code) != test.code {
				t.Errorf("closed with %v, want %v", c.Err(), test.code)
			}
		})
	}
}
