package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// The TLS alerts (RFC 8446, section 6) that this package raises itself.
const (
	alertUnexpectedMessage uint8 = 10
	alertInternalError     uint8 = 80
)

// The transport error codes of RFC 9000, section 20.1, that a handshake can end with.
const (
	codeProtocolViolation uint64 = 0x0a
	codeCrypto            uint64 = 0x0100
)

// An Error is why a handshake failed. It unwraps to the cause: errors.As finds a *tls.CertificateVerificationError, a
// *PanicError, or whatever error a callback of the tls.Config returned.
type Error struct {
	Alert uint8 // the TLS alert to send to the peer
	Err   error

	// Violation: the RFC asks for PROTOCOL_VIOLATION, not for an alert. Alert is then the nearest one.
	Violation bool
}

// Code returns the QUIC transport error code: CRYPTO_ERROR, "The AlertDescription value is added to 0x0100" (RFC 9001,
// section 4.8), or PROTOCOL_VIOLATION.
func (e *Error) Code() uint64 {
	if e.Violation {
		return codeProtocolViolation
	}
	return codeCrypto + uint64(e.Alert)
}

// Error returns the cause and the alert, on one line whatever the cause contains.
func (e *Error) Error() string {
	text := strings.Join(strings.FieldsFunc(e.Err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if e.Violation {
		return text + " (PROTOCOL_VIOLATION)"
	}
	return fmt.Sprintf("%s (alert %d, %s)", text, e.Alert, strings.TrimPrefix(tls.AlertError(e.Alert).Error(), "tls: "))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// newError gives err the alert it carries. One that carries none is ours, not the peer's, as is a panic in a callback:
// crypto/tls would report one in VerifyConnection as a bad certificate, which the peer's certificate need not be.
func newError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	if _, ok := errors.AsType[*PanicError](err); ok {
		return &Error{Alert: alertInternalError, Err: err}
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return &Error{Alert: uint8(alert), Err: err}
	}
	return &Error{Alert: alertInternalError, Err: err}
}

func violation(text string) *Error {
	return &Error{Alert: alertUnexpectedMessage, Err: errors.New(text), Violation: true}
}
