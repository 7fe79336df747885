package http3

// Error is an HTTP/3 error (RFC 9114, section 8): what one side told the other
// when it gave up a request or the connection.
type Error struct {
	// Code is the code of RFC 9114, section 8.1 (H3_REQUEST_REJECTED is 0x10b).
	Code uint64

	// Stream is the ID of the request's stream, or -1 for the whole connection.
	Stream int64

	// Remote is true when the peer raised the error.
	Remote bool

	// Reason is what the side that raised it had to say; often empty.
	Reason string
}

// Error says who raised what, with the code's name in the RFC.
func (e *Error) Error() string { panic("BUG: not yet") }

// Unprocessed reports whether err proves that the server did nothing with the
// request that failed, so that even a POST may be sent again: the request was
// rejected (H3_REQUEST_REJECTED), lies behind a GOAWAY, or was never sent.
func Unprocessed(err error) bool { panic("BUG: not yet") }
