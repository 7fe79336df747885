package wire

import "fmt"

// ErrorCode is a transport error code (RFC 9000, section 20.1), what a CONNECTION_CLOSE frame of type 0x1c carries.
type ErrorCode uint64

// The transport error codes.
const (
	NoError                 ErrorCode = 0x00
	InternalError           ErrorCode = 0x01
	ConnectionRefused       ErrorCode = 0x02
	FlowControlError        ErrorCode = 0x03
	StreamLimitError        ErrorCode = 0x04
	StreamStateError        ErrorCode = 0x05
	FinalSizeError          ErrorCode = 0x06
	FrameEncodingError      ErrorCode = 0x07
	TransportParameterError ErrorCode = 0x08
	ConnectionIDLimitError  ErrorCode = 0x09
	ProtocolViolation       ErrorCode = 0x0a
	InvalidToken            ErrorCode = 0x0b
	ApplicationError        ErrorCode = 0x0c
	CryptoBufferExceeded    ErrorCode = 0x0d
	KeyUpdateError          ErrorCode = 0x0e
	AEADLimitReached        ErrorCode = 0x0f
	NoViablePath            ErrorCode = 0x10
	VersionNegotiationError ErrorCode = 0x11  // RFC 9368
	CryptoError             ErrorCode = 0x100 // plus the TLS alert, up to 0x1ff
)

var errorNames = [...]string{
	NoError:                 "NO_ERROR",
	InternalError:           "INTERNAL_ERROR",
	ConnectionRefused:       "CONNECTION_REFUSED",
	FlowControlError:        "FLOW_CONTROL_ERROR",
	StreamLimitError:        "STREAM_LIMIT_ERROR",
	StreamStateError:        "STREAM_STATE_ERROR",
	FinalSizeError:          "FINAL_SIZE_ERROR",
	FrameEncodingError:      "FRAME_ENCODING_ERROR",
	TransportParameterError: "TRANSPORT_PARAMETER_ERROR",
	ConnectionIDLimitError:  "CONNECTION_ID_LIMIT_ERROR",
	ProtocolViolation:       "PROTOCOL_VIOLATION",
	InvalidToken:            "INVALID_TOKEN",
	ApplicationError:        "APPLICATION_ERROR",
	CryptoBufferExceeded:    "CRYPTO_BUFFER_EXCEEDED",
	KeyUpdateError:          "KEY_UPDATE_ERROR",
	AEADLimitReached:        "AEAD_LIMIT_REACHED",
	NoViablePath:            "NO_VIABLE_PATH",
	VersionNegotiationError: "VERSION_NEGOTIATION_ERROR",
}

// Alert returns the TLS alert that a CRYPTO_ERROR carries.
func (c ErrorCode) Alert() (alert uint8, ok bool) {
	if c>>8 != CryptoError>>8 {
		return 0, false
	}
	return uint8(c), true
}

// String returns the code's name in the RFC; for CRYPTO_ERROR with its number, for unknown codes only the number.
func (c ErrorCode) String() string {
	if c < ErrorCode(len(errorNames)) {
		return errorNames[c]
	}
	if _, ok := c.Alert(); ok {
		return fmt.Sprintf("CRYPTO_ERROR (0x%x)", uint64(c))
	}
	return fmt.Sprintf("0x%x", uint64(c))
}
