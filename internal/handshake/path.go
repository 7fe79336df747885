package handshake

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// A path is a net.Conn that knows its addresses and nothing else. Callbacks written for TLS over TCP ask ClientHelloInfo.Conn
// who is calling; in QUIC crypto/tls has no net.Conn to put there.
type path struct {
	local, remote netip.AddrPort
	known         bool
}

var _ net.Conn = (*path)(nil)

// introduce shows the path to a callback. crypto/tls makes a new ClientHelloInfo for each call.
func (p *path) introduce(hello *tls.ClientHelloInfo) {
	if p.known && hello.Conn == nil {
		hello.Conn = p
	}
}

var errNotAStream = errors.New("handshake: a QUIC connection is not a net.Conn; only its addresses are here")

func (p *path) LocalAddr() net.Addr  { return net.UDPAddrFromAddrPort(p.local) }
func (p *path) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(p.remote) }

func (p *path) Read([]byte) (int, error)         { return 0, errNotAStream }
func (p *path) Write([]byte) (int, error)        { return 0, errNotAStream }
func (p *path) Close() error                     { return errNotAStream }
func (p *path) SetDeadline(time.Time) error      { return errNotAStream }
func (p *path) SetReadDeadline(time.Time) error  { return errNotAStream }
func (p *path) SetWriteDeadline(time.Time) error { return errNotAStream }
