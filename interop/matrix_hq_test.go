package interop

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/godwit-net/godwit/quic"
)

// hq-interop is what the public interop runner has in place of HTTP/3: a stream for each file, "GET /NAME" and the end of the
// stream one way, the file and the end the other way.
const hqInterop = "hq-interop"

// serveHQ serves the files by hq-interop.
func (c *cell) serveHQ(tlsConf *tls.Config, conf *quic.Config) error {
	tlsConf.NextProtos = []string{hqInterop}
	e, err := quic.Listen(netip.AddrPortFrom(c.loopback(), 0).String(), tlsConf, conf)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			q, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			q.HandleStreams(c.answerHQ)
		}
	}()
	c.server = e.Addr().(*net.UDPAddr).AddrPort()
	c.closers = append(c.closers, func() {
		c.ours.wait() // the clients have gone, and have said so
		e.Close()
		<-done
	})
	return nil
}

func (c *cell) answerHQ(s *quic.Stream) {
	line, err := io.ReadAll(io.LimitReader(s, 4096))
	name, isGET := strings.CutPrefix(strings.TrimSpace(string(line)), "GET /")
	if err != nil || !isGET {
		s.Reset(1)
		return
	}
	content, err := os.ReadFile(filepath.Join(c.dir.host, "docs", filepath.Base(name)))
	if err != nil {
		s.Reset(1)
		return
	}
	s.WriteFinal(content)
}

// hqConn asks by hq-interop as if it were HTTP.
type hqConn struct{ *quic.Conn }

func dialHQ(ctx context.Context, to netip.AddrPort, tlsConf *tls.Config, conf *quic.Config,
	dial func(context.Context, string, *tls.Config, *quic.Config) (*quic.Conn, error)) (hqConn, error) {
	tlsConf = tlsConf.Clone()
	tlsConf.NextProtos = []string{hqInterop}
	q, err := dial(ctx, to.String(), tlsConf, conf)
	return hqConn{q}, err
}

func (h hqConn) RoundTrip(req *http.Request) (*http.Response, error) {
	s, err := h.OpenStream(req.Context())
	if err != nil {
		return nil, err
	}
	if _, err := s.WriteFinal([]byte("GET " + req.URL.Path + "\r\n")); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(s)}, nil
}
