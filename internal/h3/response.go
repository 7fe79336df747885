package h3

// ResponseFields validates the header section of a response, interim or final, while its fields stream in: Add for each,
// then Done. After Done without an error, the exported fields are what the response says.
type ResponseFields struct {
	// Field receives each regular field that passed, in order, with its name in lower case. Of several equal
	// content-length fields one arrives, as plain digits. nil: regular fields are checked and dropped.
	Field func(name, value string)

	Status        int   // 100 to 999, never 101
	ContentLength int64 // -1 if the response does not say; for HEAD and 304 it is the length that GET would have had

	rules fieldRules
	seen  pseudo
}

var (
	errStatus    = malformed("invalid or missing :status")
	errSwitching = malformed("status 101 does not exist in HTTP/3")
)

// Add judges the next field. The error is an *Error of the stream, H3_MESSAGE_ERROR.
func (r *ResponseFields) Add(name, value string) error {
	if isPseudo(name) {
		return r.addPseudo(name, value)
	}
	if err := r.rules.check(name, value); err != nil {
		return err
	}
	switch name {
	case "te": // an exception for requests only (RFC 9114, section 4.2)
		return errConnectionField
	case "content-length":
		first, err := r.rules.contentLength(value)
		if err != nil || !first {
			return err
		}
		value, _, _ = cutComma(value)
	}
	if r.Field != nil {
		r.Field(name, value)
	}
	return nil
}

func (r *ResponseFields) addPseudo(name, value string) error {
	switch {
	case r.rules.regular:
		return errPseudoLate
	case name != ":status":
		return errPseudoUnknown
	case r.seen&pseudoStatus != 0:
		return errPseudoTwice
	case len(value) != 3 || !charDigit.all(value) || value[0] == '0':
		return errStatus
	}
	r.seen |= pseudoStatus
	r.Status = int(value[0]-'0')*100 + int(value[1]-'0')*10 + int(value[2]-'0')
	return nil
}

// Done judges the section as a whole, after its last field. The error is an *Error of the stream, H3_MESSAGE_ERROR.
func (r *ResponseFields) Done() error {
	if r.seen&pseudoStatus == 0 {
		return errStatus
	}
	// "HTTP/3 does not support the HTTP Upgrade mechanism [...] or the 101 (Switching Protocols) informational status code"
	// (RFC 9114, section 4.5).
	if r.Status == 101 {
		return errSwitching
	}
	r.ContentLength = r.rules.knownLength()
	return nil
}

// Interim reports whether another response follows this one.
func (r *ResponseFields) Interim() bool { return r.Status < 200 }

// BodyLength returns what the response's DATA frames may add up to, given the method of the request: "A response that is
// defined as never having content, even when a Content-Length is present, can have a non-zero Content-Length header field
// even though no content is included in DATA frames" (RFC 9114, section 4.1.2).
func (r *ResponseFields) BodyLength(method string) BodyLength {
	switch {
	case method == "HEAD", r.Status < 200, r.Status == 204, r.Status == 304:
		return NewBodyLength(0)
	case method == "CONNECT" && r.Status < 300:
		// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful response to
		// CONNECT" (RFC 9110, section 9.3.6).
		return NewBodyLength(-1)
	}
	return NewBodyLength(r.ContentLength)
}
