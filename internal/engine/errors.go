package engine

import (
	"errors"
	"fmt"

	"github.com/godwit-net/godwit/internal/wire"
)

// TransportError is a connection error of QUIC itself: ours when we found fault, the peer's when Remote.
type TransportError struct {
	Code   wire.ErrorCode
	Frame  uint64 // type of the frame at fault; 0: unknown
	Reason string // one line, may be empty
	Remote bool
	Cause  error // what failed underneath, such as a certificate's verification; nil when nothing more is known
}

func (e *TransportError) Error() string {
	who := "closed the connection"
	if e.Remote {
		who = "the peer closed the connection"
	}
	s := fmt.Sprintf("quic: %s: %s", who, e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Cause }

// ApplicationError is the application's own close of a connection, with the application's code.
type ApplicationError struct {
	Code   uint64
	Reason string
	Remote bool
}

func (e *ApplicationError) Error() string {
	who := "we closed the connection"
	if e.Remote {
		who = "the peer closed the connection"
	}
	s := fmt.Sprintf("quic: %s with application code %#x", who, e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// StreamError is the end of one part of one stream: reset or stopped, by the peer when Remote.
type StreamError struct {
	Stream int64
	Code   uint64
	Remote bool
}

func (e *StreamError) Error() string {
	who := "we"
	if e.Remote {
		who = "the peer"
	}
	return fmt.Sprintf("quic: %s cancelled stream %d with code %#x", who, e.Stream, e.Code)
}

// VersionError says that the server does not speak the version that a client began with.
type VersionError struct {
	Ours, Theirs []uint32
	Common       uint32 // the version to try instead; 0: there is none in common
}

func (e *VersionError) Error() string {
	if e.Common != 0 {
		return fmt.Sprintf("quic: the server wants version %#x", e.Common)
	}
	return fmt.Sprintf("quic: no version in common: we speak %#x, the server %#x", e.Ours, e.Theirs)
}

// Ends of a connection that nobody closed, and faults of a caller.
var (
	ErrIdleTimeout      = errors.New("quic: nothing was heard from the peer within the idle timeout")
	ErrHandshakeTimeout = errors.New("quic: the handshake did not finish in time")
	ErrRefused          = errors.New("quic: nobody listens on that UDP port")
	ErrStatelessReset   = errors.New("quic: the peer lost its state and reset the connection")
	ErrUnknownStream    = errors.New("quic: no such stream, or it has ended")
	ErrStreamFinished   = errors.New("quic: write after the stream was finished")
	ErrWrongDirection   = errors.New("quic: the stream does not go in that direction")
)

// violation is a fault found in what the peer sent; it becomes the connection's TransportError.
func violation(code wire.ErrorCode, frame uint64, reason string) *TransportError {
	return &TransportError{Code: code, Frame: frame, Reason: reason}
}
