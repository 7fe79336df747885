package quic

import "errors"

// The error types below become aliases of the engine's, with these very fields, as soon as it is there.

// ErrorCode is a QUIC transport error code (RFC 9000, section 20.1).
type ErrorCode uint64

// TransportError says that QUIC itself ended the connection: a protocol violation, a TLS alert, a refusal. Remote tells
// who noticed.
type TransportError struct {
	Code   ErrorCode
	Frame  uint64
	Reason string
	Remote bool
	Cause  error
}

func (e *TransportError) Error() string { return e.Reason }

// ApplicationError says that an application ended the connection with CloseWithError. Remote tells which side's.
type ApplicationError struct {
	Code   uint64
	Reason string
	Remote bool
}

func (e *ApplicationError) Error() string { return e.Reason }

// StreamError says that a stream was reset, or that the peer asked us to stop sending on it.
type StreamError struct {
	Stream int64
	Code   uint64
	Remote bool
}

func (e *StreamError) Error() string { return "stream error" }

// VersionError says that client and server have no version of QUIC in common.
type VersionError struct{ Ours, Theirs []uint32 }

func (e *VersionError) Error() string { return "version error" }

// What ends a connection without a code.
var (
	ErrIdleTimeout      = errors.New("quic: nothing was heard from the peer within the idle timeout")
	ErrHandshakeTimeout = errors.New("quic: the handshake did not finish in time")
	ErrStatelessReset   = errors.New("quic: the peer lost its state and reset the connection")

	// ErrClosed is returned by the calls of an endpoint that is closed or shutting down.
	ErrClosed = errors.New("quic: endpoint is closed")
)
