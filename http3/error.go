package http3

import (
	"errors"
	"fmt"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/quic"
)

// ErrorCode is a code of RFC 9114, section 8.1. Its String is the name there.
type ErrorCode = h3.ErrorCode

// The codes that a program may want to tell apart; all others are bugs of one
// side or the other.
const (
	NoError           = h3.H3NoError          // nothing is wrong, but it ends here
	InternalError     = h3.H3InternalError    // the handler panicked, or the like
	ExcessiveLoad     = h3.H3ExcessiveLoad    // the peer asks for too much
	RequestRejected   = h3.H3RequestRejected  // the server did nothing with the request
	RequestCancelled  = h3.H3RequestCancelled // nobody wants the response any more
	RequestIncomplete = h3.H3RequestIncomplete
	MessageError      = h3.H3MessageError // a malformed request or response
	VersionFallback   = h3.H3VersionFallback
)

// Error is an HTTP/3 error (RFC 9114, section 8): what one side told the other
// when it gave up a request or the connection.
type Error struct {
	// Code is the code of RFC 9114, section 8.1. Codes that nobody knows are
	// "treated as equivalent to H3_NO_ERROR", but shown as they came.
	Code ErrorCode

	// Stream is the ID of the request's stream, or -1 for the whole connection.
	Stream int64

	// Remote is true when the peer raised the error.
	Remote bool

	// Reason is what the side that raised it had to say; often empty.
	Reason string

	cause error // package quic's or internal/h3's
}

// Error says who raised what, with the code's name in the RFC.
func (e *Error) Error() string {
	who, what := "we", "closed the connection"
	if e.Remote {
		who = "the peer"
	}
	if e.Stream >= 0 {
		what = fmt.Sprintf("ended stream %d", e.Stream)
	}
	text := fmt.Sprintf("http3: %s %s: %v", who, what, e.Code)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap returns the error of package quic that brought e, if one did.
func (e *Error) Unwrap() error { return e.cause }

// Unprocessed reports whether err proves that the server did nothing with the
// request that failed, so that even a POST may be sent again: the request was
// rejected (H3_REQUEST_REJECTED), lies behind a GOAWAY, or was never sent.
func Unprocessed(err error) bool {
	// RFC 9114, section 4.1.1: "The client can treat requests rejected by the
	// server as though they had never been sent at all".
	var u *unprocessedError
	var e *Error
	return errors.As(err, &u) || errors.As(err, &e) && e.Remote && e.Stream >= 0 && e.Code == RequestRejected
}

// unprocessedError marks the failure of a request that was not processed.
type unprocessedError struct{ error }

func (e *unprocessedError) Unwrap() error { return e.error }

// publicError turns an error of package quic that carries a code of ours into
// an *Error. Others stay.
func publicError(err error) error {
	switch e := err.(type) {
	case *quic.StreamError:
		return &Error{Code: ErrorCode(e.Code), Stream: e.Stream, Remote: e.Remote, cause: err}
	case *quic.ApplicationError:
		return &Error{Code: ErrorCode(e.Code), Stream: -1, Remote: e.Remote, Reason: e.Reason, cause: err}
	}
	return err
}

// violation says which rule of HTTP/3 an error found broken: nil if the peer
// broke none and err comes from below.
func violation(err error) *h3.Error {
	switch e := err.(type) {
	case *h3.Error:
		return e
	case *qpack.DecompressionError:
		return &h3.Error{Code: h3.QPACKDecompressionFailed, Reason: e.Reason}
	case *qpack.EncoderStreamError:
		return &h3.Error{Code: h3.QPACKEncoderStreamError, Reason: e.Reason}
	case *qpack.DecoderStreamError:
		return &h3.Error{Code: h3.QPACKDecoderStreamError, Reason: e.Reason}
	}
	if err == qpack.ErrTooLarge {
		return errSectionTooLong
	}
	return nil
}
