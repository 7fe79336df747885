package h3

import "fmt"

// ErrorCode is an HTTP/3 application error code (RFC 9114, section 8.1; RFC 9204, section 6; RFC 9297, section 5.2).
type ErrorCode uint64

const (
	H3DatagramError          ErrorCode = 0x33
	H3NoError                ErrorCode = 0x100
	H3GeneralProtocolError   ErrorCode = 0x101
	H3InternalError          ErrorCode = 0x102
	H3StreamCreationError    ErrorCode = 0x103
	H3ClosedCriticalStream   ErrorCode = 0x104
	H3FrameUnexpected        ErrorCode = 0x105
	H3FrameError             ErrorCode = 0x106
	H3ExcessiveLoad          ErrorCode = 0x107
	H3IDError                ErrorCode = 0x108
	H3SettingsError          ErrorCode = 0x109
	H3MissingSettings        ErrorCode = 0x10a
	H3RequestRejected        ErrorCode = 0x10b
	H3RequestCancelled       ErrorCode = 0x10c
	H3RequestIncomplete      ErrorCode = 0x10d
	H3MessageError           ErrorCode = 0x10e
	H3ConnectError           ErrorCode = 0x10f
	H3VersionFallback        ErrorCode = 0x110
	QPACKDecompressionFailed ErrorCode = 0x200
	QPACKEncoderStreamError  ErrorCode = 0x201
	QPACKDecoderStreamError  ErrorCode = 0x202
)

// String returns the code's name in the registry, or its number in hexadecimal.
func (c ErrorCode) String() string {
	switch c {
	case H3DatagramError:
		return "H3_DATAGRAM_ERROR"
	case H3NoError:
		return "H3_NO_ERROR"
	case H3GeneralProtocolError:
		return "H3_GENERAL_PROTOCOL_ERROR"
	case H3InternalError:
		return "H3_INTERNAL_ERROR"
	case H3StreamCreationError:
		return "H3_STREAM_CREATION_ERROR"
	case H3ClosedCriticalStream:
		return "H3_CLOSED_CRITICAL_STREAM"
	case H3FrameUnexpected:
		return "H3_FRAME_UNEXPECTED"
	case H3FrameError:
		return "H3_FRAME_ERROR"
	case H3ExcessiveLoad:
		return "H3_EXCESSIVE_LOAD"
	case H3IDError:
		return "H3_ID_ERROR"
	case H3SettingsError:
		return "H3_SETTINGS_ERROR"
	case H3MissingSettings:
		return "H3_MISSING_SETTINGS"
	case H3RequestRejected:
		return "H3_REQUEST_REJECTED"
	case H3RequestCancelled:
		return "H3_REQUEST_CANCELLED"
	case H3RequestIncomplete:
		return "H3_REQUEST_INCOMPLETE"
	case H3MessageError:
		return "H3_MESSAGE_ERROR"
	case H3ConnectError:
		return "H3_CONNECT_ERROR"
	case H3VersionFallback:
		return "H3_VERSION_FALLBACK"
	case QPACKDecompressionFailed:
		return "QPACK_DECOMPRESSION_FAILED"
	case QPACKEncoderStreamError:
		return "QPACK_ENCODER_STREAM_ERROR"
	case QPACKDecoderStreamError:
		return "QPACK_DECODER_STREAM_ERROR"
	}
	return fmt.Sprintf("%#x", uint64(c))
}

// Error is what the peer did wrong.
type Error struct {
	Code   ErrorCode
	Reason string // for people; it may travel in CONNECTION_CLOSE

	// Stream errors end the stream they happened on: it is reset and no longer read, both with Code. All others end the
	// connection (RFC 9114, section 8).
	Stream bool
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Reason }

func connError(code ErrorCode, reason string) *Error { return &Error{Code: code, Reason: reason} }

func streamError(code ErrorCode, reason string) *Error {
	return &Error{Code: code, Reason: reason, Stream: true}
}

// ErrTruncatedFrame is for a stream that ends inside a frame: "When a stream terminates cleanly, if the last frame on
// the stream was truncated, this MUST be treated as a connection error of type H3_FRAME_ERROR" (RFC 9114, section 7.1).
// Only the reader of the stream can see that.
var ErrTruncatedFrame = connError(H3FrameError, "the stream ends inside a frame")
