package h3

// fieldRules are the rules that header and trailer sections of requests and responses have in common (RFC 9114, section
// 4.2).
type fieldRules struct {
	regular bool // a regular field has been seen: pseudo-header fields may no longer come

	hasLength bool
	length    int64
}

var (
	// "Malformed requests or responses that are detected MUST be treated as a stream error of type H3_MESSAGE_ERROR"
	// (RFC 9114, section 4.1.2).
	errFieldName       = malformed("invalid character in a field name")
	errFieldValue      = malformed("invalid character in a field value")
	errPseudoLate      = malformed("pseudo-header field after a regular field")
	errPseudoTwice     = malformed("pseudo-header field occurs twice")
	errPseudoUnknown   = malformed("undefined pseudo-header field")
	errPseudoTrailer   = malformed("pseudo-header field in a trailer section")
	errConnectionField = malformed("connection-specific field")
	errTE              = malformed("te other than trailers")
	errContentLength   = malformed("invalid content-length")
)

func malformed(reason string) *Error { return streamError(H3MessageError, reason) }

// isPseudo reports whether a name is a pseudo-header field's.
func isPseudo(name string) bool { return len(name) > 0 && name[0] == ':' }

// check judges a regular field.
func (r *fieldRules) check(name, value string) error {
	r.regular = true
	if !validName(name) {
		return errFieldName
	}
	if !charValue.all(value) {
		return errFieldValue
	}
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		// "An endpoint MUST NOT generate an HTTP/3 field section containing connection-specific fields; any message
		// containing connection-specific fields MUST be treated as malformed" (section 4.2).
		return errConnectionField
	}
	return nil
}

// contentLength notes a content-length field and reports whether it is the first. Several are one if they say the same:
// "a recipient of a Content-Length header field value consisting of the same decimal value repeated as a
// comma-separated list [...] MAY either reject the message as invalid or replace that invalid field value with a single
// valid Content-Length" (RFC 9110, section 8.6).
func (r *fieldRules) contentLength(value string) (first bool, err error) {
	first = !r.hasLength
	for rest, more := value, true; more; {
		var item string
		if item, rest, more = cutComma(rest); item == "" {
			return false, errContentLength
		}
		n := int64(0)
		for i := range len(item) {
			d := int64(item[i] - '0')
			if chars[item[i]]&charDigit == 0 || n > (1<<63-1-d)/10 {
				return false, errContentLength
			}
			n = n*10 + d
		}
		if r.hasLength && n != r.length {
			return false, errContentLength
		}
		r.length, r.hasLength = n, true
	}
	return first, nil
}

// knownLength returns the content-length, -1 if there is none.
func (r *fieldRules) knownLength() int64 {
	if r.hasLength {
		return r.length
	}
	return -1
}

// cutComma cuts the first item off a comma-separated list, without the white space around it.
func cutComma(s string) (item, rest string, more bool) {
	end := len(s)
	for i := range len(s) {
		if s[i] == ',' {
			end, rest, more = i, s[i+1:], true
			break
		}
	}
	return trimSpace(s[:end]), rest, more
}

// trimSpace removes the optional white space of RFC 9110, section 5.6.3, from both ends.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// equalFold compares ASCII strings without regard to case; lower must be lower case.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
