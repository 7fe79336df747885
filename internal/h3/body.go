package h3

// BodyLength compares a message's DATA frames with its content-length: "A request or response that is defined as having
// content when it contains a Content-Length header field [...] is malformed if the value of the Content-Length header field
// does not equal the sum of the DATA frame lengths received" (RFC 9114, section 4.1.2).
type BodyLength struct {
	left  int64 // bytes still to come
	known bool
}

// NewBodyLength starts the account. contentLength is in bytes, -1 if the message does not say.
func NewBodyLength(contentLength int64) BodyLength {
	return BodyLength{left: max(contentLength, 0), known: contentLength >= 0}
}

var (
	errBodyLong  = malformed("more content than content-length says")
	errBodyShort = malformed("less content than content-length says")
)

// Add counts n bytes of DATA payload. It may be called with a frame's whole length as soon as its header is there.
func (l *BodyLength) Add(n int64) error {
	if !l.known {
		return nil
	}
	if n > l.left {
		return errBodyLong
	}
	l.left -= n
	return nil
}

// Done judges the end of the content: the end of the stream, or trailers.
func (l *BodyLength) Done() error {
	if l.known && l.left > 0 {
		return errBodyShort
	}
	return nil
}

// Left returns the bytes still to come, -1 if the message does not say.
func (l *BodyLength) Left() int64 {
	if l.known {
		return l.left
	}
	return -1
}
