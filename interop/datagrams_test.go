package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	quicgoquic "github.com/quic-go/quic-go"

	"github.com/godwit-net/godwit/quic"
)

// Datagrams (RFC 9221) with others. They may be lost, so each is sent until its answer has come.

var siduckClient = &peer{name: "aioquic's siduck_client.py", path: aioquicExamples + "/siduck_client.py"}

// datagramConn is what the two stacks have in common.
type datagramConn interface {
	SendDatagram([]byte) error
	ReceiveDatagram(context.Context) ([]byte, error)
}

// protocol is a TLS configuration for one protocol.
func protocol(conf *tls.Config, name string) *tls.Config {
	conf.NextProtos = []string{name}
	return conf
}

// wantAnswer sends a datagram until an answer with the wanted content comes.
func wantAnswer(t *testing.T, c datagramConn, question, answer []byte) {
	t.Helper()
	ctx := within(t, patience)
	for ctx.Err() == nil {
		if err := c.SendDatagram(question); err != nil {
			t.Fatal(err)
		}
		try, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		got, err := c.ReceiveDatagram(try)
		for err == nil && !bytes.Equal(got, answer) { // the answer to an earlier one
			got, err = c.ReceiveDatagram(try)
		}
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("no answer to %.20q", question)
}

// wantEchoes sends datagrams of many sizes, the largest first that both take.
func wantEchoes(t *testing.T, c datagramConn) {
	t.Helper()
	for size := 1100; size > 0; size -= 100 {
		p := bytes.Repeat([]byte{byte(size / 100)}, size)
		wantAnswer(t, c, p, p)
	}
}

// echoDatagrams sends back what comes until the connection ends.
func echoDatagrams(c datagramConn) {
	for {
		p, err := c.ReceiveDatagram(context.Background())
		if err != nil || c.SendDatagram(p) != nil {
			return
		}
	}
}

// takingDatagrams is the configuration of our ends.
func takingDatagrams() *quic.Config { return &quic.Config{Protocol: quic.Protocol{Datagrams: true}} }

// listenForDatagrams answers the datagrams of every connection.
func listenForDatagrams(t *testing.T, name string, serve func(*quic.Conn)) net.Addr {
	t.Helper()
	e, err := quic.Listen("127.0.0.1:0", protocol(ca.server(), name), takingDatagrams())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	go func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return e.Addr()
}

func TestDatagramsWithQuicGo(t *testing.T) {
	t.Run("quic-go asks", func(t *testing.T) {
		addr := listenForDatagrams(t, "echo", func(c *quic.Conn) { echoDatagrams(c) })
		c, err := quicgoquic.DialAddr(within(t, patience), addr.String(), protocol(ca.client(), "echo"), &quicgoquic.Config{EnableDatagrams: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		wantEchoes(t, c)
	})
	t.Run("quic-go answers", func(t *testing.T) {
		l, err := quicgoquic.ListenAddr("127.0.0.1:0", protocol(ca.server(), "echo"), &quicgoquic.Config{EnableDatagrams: true})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if c, err := l.Accept(context.Background()); err == nil {
				echoDatagrams(c)
			}
		}()
		c, err := quic.Dial(within(t, patience), l.Addr().String(), protocol(ca.client(), "echo"), takingDatagrams())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wantEchoes(t, c)
	})
}

// aioquic's examples speak SiDUCK: a quack is answered by a quack-ack.
func TestDatagramsWithAioquic(t *testing.T) {
	t.Run("aioquic asks", func(t *testing.T) {
		need(t, siduckClient)
		heard := make(chan []byte, 10)
		addr := listenForDatagrams(t, "siduck", func(c *quic.Conn) {
			for {
				p, err := c.ReceiveDatagram(context.Background())
				if err != nil {
					return
				}
				heard <- p
				c.SendDatagram(append(p, "-ack"...))
			}
		})
		succeed(within(t, 60*time.Second), t, python(siduckClient, nil, "--insecure", "127.0.0.1", fmt.Sprint(addr.(*net.UDPAddr).Port)))
		if p := <-heard; string(p) != "quack" {
			t.Errorf("it sent %q", p)
		}
	})
	t.Run("aioquic answers", func(t *testing.T) {
		need(t, aioquicServer)
		s := startAioquic(t)
		c, err := quic.Dial(within(t, patience), s.addr, protocol(ca.client(), "siduck"), takingDatagrams())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wantAnswer(t, c, []byte("quack"), []byte("quack-ack"))
	})
}
