package quic

import (
	"errors"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// ErrorCode is a QUIC transport error code (RFC 9000, section 20.1); String gives its RFC name.
type ErrorCode = wire.ErrorCode

// TransportError says that QUIC itself ended the connection: a protocol violation, a TLS alert, a refusal. Remote tells
// who noticed.
type TransportError = engine.TransportError

// ApplicationError says that an application ended the connection with CloseWithError. Remote tells which side's.
type ApplicationError = engine.ApplicationError

// StreamError says that a stream was reset, or that the peer asked us to stop sending on it.
type StreamError = engine.StreamError

// VersionError says that client and server have no version of QUIC in common.
type VersionError = engine.VersionError

// What ends a connection without a code.
var (
	ErrIdleTimeout      = engine.ErrIdleTimeout      // nothing was heard from the peer for the idle timeout
	ErrHandshakeTimeout = engine.ErrHandshakeTimeout // the handshake was not done within Config.HandshakeTimeout
	ErrRefused          = engine.ErrRefused          // Dial: the host says that nobody listens on that port (ICMP), on Linux
	ErrStatelessReset   = engine.ErrStatelessReset   // the peer has lost its state, most likely in a restart

	ErrNoDatagrams      = engine.ErrNoDatagrams      // the peer takes no datagrams
	ErrDatagramTooLarge = engine.ErrDatagramTooLarge // it is larger than Conn.MaxDatagramSize

	// ErrClosed is returned by the calls of an endpoint that is closed or shutting down.
	ErrClosed = errors.New("quic: endpoint is closed")
)
