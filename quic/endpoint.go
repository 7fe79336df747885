package quic

import (
	"context"
	"crypto/tls"
	"net"
)

// Endpoint is one UDP socket and the connections on it. Its methods may be called by many goroutines at once.
type Endpoint struct{}

// Listen opens a UDP socket that accepts connections. addr is as for net.ListenPacket("udp", addr): ":8443" listens on
// every address of both families, "127.0.0.1:0" picks a free port. tlsConf needs a certificate and NextProtos; TLS 1.3
// is the floor whatever it says. c may be nil.
func Listen(addr string, tlsConf *tls.Config, c *Config) (*Endpoint, error) { panic("BUG: not yet") }

// NewEndpoint opens a UDP socket that only dials: connections made with its Dial share it. addr is as for Listen; ":0"
// is the usual choice. c may be nil; the connections dialled get their own Config.
func NewEndpoint(addr string, c *Config) (*Endpoint, error) { panic("BUG: not yet") }

// Dial opens a connection from the endpoint's socket; see the function Dial.
func (e *Endpoint) Dial(ctx context.Context, addr string, tlsConf *tls.Config, c *Config) (*Conn, error) {
	panic("BUG: not yet")
}

// Accept waits for the next connection whose handshake is done. It fails with ErrClosed once the endpoint is closed or
// shutting down, and with the context's error.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) { panic("BUG: not yet") }

// Addr returns the local address of the socket, a *net.UDPAddr.
func (e *Endpoint) Addr() net.Addr { panic("BUG: not yet") }

// Close closes every connection with code 0, telling each peer once, and then the socket. It waits for no peer.
func (e *Endpoint) Close() error { panic("BUG: not yet") }

// Shutdown refuses new connections, waits until the present ones have ended, and then closes the endpoint. When ctx is
// done first it closes what is left at once and returns the context's error.
func (e *Endpoint) Shutdown(ctx context.Context) error { panic("BUG: not yet") }

// Features describes the socket in one line for a log: buffer sizes, offloads, and what is missing.
func (e *Endpoint) Features() string { panic("BUG: not yet") }

// Stats returns the endpoint's counters, which are always on.
func (e *Endpoint) Stats() EndpointStats { panic("BUG: not yet") }

// Dial opens a connection to addr, "host:port", from a socket of its own that is closed with the connection, and
// returns when the handshake is done. A host name may have several addresses: they are tried in turn. When
// tlsConf.ServerName is empty the host of addr is used; tlsConf.NextProtos must name at least one protocol. c may be nil.
func Dial(ctx context.Context, addr string, tlsConf *tls.Config, c *Config) (*Conn, error) {
	panic("BUG: not yet")
}
