package h3

// RequestFields validates the header section of a request while its fields stream in: Add for each, then Done. After
// Done without an error, the exported fields are what the request says.
type RequestFields struct {
	// Field receives each regular field that passed, in order, with its name in lower case. Some are seen to here:
	// host only counts towards Authority; of several equal content-length fields one arrives, as plain digits; cookie
	// arrives once, from Done, with all its crumbs. nil: regular fields are checked and dropped.
	Field func(name, value string)

	// ExtendedConnect says that we sent SETTINGS_ENABLE_CONNECT_PROTOCOL = 1; without it, :protocol is undefined.
	ExtendedConnect bool

	Method    string
	Scheme    string // "http" and "https" always in lower case; empty for CONNECT without Protocol
	Authority string // from the host field if there is no :authority
	Path      string // empty for CONNECT without Protocol
	Protocol  string // of extended CONNECT (RFC 9220); otherwise empty

	// ContentLength is -1 if the request does not say, and for CONNECT, whose DATA frames are no content.
	ContentLength int64

	rules   fieldRules
	seen    pseudo
	host    string
	hasHost bool
	cookie  string
	crumbs  []byte // all cookies joined, once there are two
}

// pseudo is a set of pseudo-header fields.
type pseudo uint8

const (
	pseudoMethod pseudo = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoStatus
)

var (
	errMethod       = malformed("invalid or missing :method")
	errScheme       = malformed("invalid or missing :scheme")
	errPath         = malformed("invalid or missing :path")
	errAuthority    = malformed("invalid or missing :authority or host")
	errHostMismatch = malformed("host differs from :authority")
	errHostTwice    = malformed("host occurs twice")
	errProtocol     = malformed("invalid or unexpected :protocol")
	errConnect      = malformed(":scheme or :path in a CONNECT request")
)

// Add judges the next field. The error is an *Error of the stream, H3_MESSAGE_ERROR.
func (r *RequestFields) Add(name, value string) error {
	if isPseudo(name) {
		return r.addPseudo(name, value)
	}
	if err := r.rules.check(name, value); err != nil {
		return err
	}
	switch name {
	case "host":
		// RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code [...] to any request message
		// that contains more than one Host header field line".
		if r.hasHost {
			return errHostTwice
		}
		r.host, r.hasHost = value, true
		return nil
	case "cookie":
		r.addCookie(value)
		return nil
	case "te":
		// "it MUST NOT contain any value other than "trailers"" (RFC 9114, section 4.2).
		if !equalFold(value, "trailers") {
			return errTE
		}
	case "content-length":
		first, err := r.rules.contentLength(value)
		if err != nil || !first {
			return err
		}
		value, _, _ = cutComma(value)
	}
	r.emit(name, value)
	return nil
}

func (r *RequestFields) addPseudo(name, value string) error {
	// "Any request or response that contains a pseudo-header field that appears in a header section after a regular
	// header field MUST be treated as malformed" (RFC 9114, section 4.3).
	if r.rules.regular {
		return errPseudoLate
	}
	var bit pseudo
	var into *string
	switch name {
	case ":method":
		bit, into = pseudoMethod, &r.Method
	case ":scheme":
		bit, into = pseudoScheme, &r.Scheme
	case ":authority":
		bit, into = pseudoAuthority, &r.Authority
	case ":path":
		bit, into = pseudoPath, &r.Path
	case ":protocol":
		bit, into = pseudoProtocol, &r.Protocol
	default:
		return errPseudoUnknown
	}
	if r.seen&bit != 0 {
		return errPseudoTwice
	}
	r.seen |= bit
	*into = value
	return nil
}

// addCookie joins crumbs: "If a decompressed field section contains multiple cookie field lines, these MUST be
// concatenated into a single byte string using the two-byte delimiter of "; " (ASCII 0x3b, 0x20) before being passed into
// a context other than HTTP/2 or HTTP/3" (RFC 9114, section 4.2.1).
func (r *RequestFields) addCookie(value string) {
	switch {
	case len(r.crumbs) > 0:
		r.crumbs = append(append(r.crumbs, "; "...), value...)
	case r.cookie != "":
		r.crumbs = append(append(append(r.crumbs, r.cookie...), "; "...), value...)
	default:
		r.cookie = value
	}
}

func (r *RequestFields) emit(name, value string) {
	if r.Field != nil {
		r.Field(name, value)
	}
}

// Done judges the section as a whole, after its last field. The error is an *Error of the stream, H3_MESSAGE_ERROR.
func (r *RequestFields) Done() error {
	if !validToken(r.Method) {
		return errMethod
	}
	if equalFold(r.Scheme, "https") {
		r.Scheme = "https"
	} else if equalFold(r.Scheme, "http") {
		r.Scheme = "http"
	}
	connect := r.Method == "CONNECT"
	var err error
	switch {
	case r.seen&pseudoProtocol != 0:
		if !connect || !r.ExtendedConnect || !validProtocol(r.Protocol) {
			return errProtocol
		}
		err = r.checkTarget()
	case connect:
		err = r.checkConnect()
	default:
		err = r.checkTarget()
	}
	if err != nil {
		return err
	}
	if r.Authority == "" {
		r.Authority = r.host
	}
	r.ContentLength = r.rules.knownLength()
	if connect {
		r.ContentLength = -1
	}
	switch {
	case len(r.crumbs) > 0:
		r.emit("cookie", string(r.crumbs))
	case r.cookie != "":
		r.emit("cookie", r.cookie)
	}
	return nil
}

// checkTarget judges the target of a request that has one in full (RFC 9114, section 4.3.1).
func (r *RequestFields) checkTarget() error {
	if !validScheme(r.Scheme) {
		return errScheme
	}
	if r.seen&pseudoPath == 0 {
		return errPath
	}
	if r.Scheme != "http" && r.Scheme != "https" {
		// "The :scheme pseudo-header is not restricted to URIs with scheme "http" and "https"". What an authority and a path
		// look like is then the scheme's business; they must be safe to repeat.
		if !charPath.all(r.Path) || !charValue.all(r.Authority) {
			return errPath
		}
		return r.checkHost()
	}
	if !validPath(r.Method, r.Path) {
		return errPath
	}
	// "If the :scheme pseudo-header field identifies a scheme that has a mandatory authority component (including "http" and
	// "https"), the request MUST contain either an :authority pseudo-header field or a Host header field. If these fields
	// are present, they MUST NOT be empty."
	if r.seen&pseudoAuthority == 0 && !r.hasHost ||
		r.seen&pseudoAuthority != 0 && !validAuthority(r.Authority, false) ||
		r.hasHost && !validAuthority(r.host, false) {
		return errAuthority
	}
	return r.checkHost()
}

// checkConnect judges a CONNECT request: "The :scheme and :path pseudo-header fields are omitted", and "The :authority
// pseudo-header field contains the host and port to connect to" (RFC 9114, section 4.4).
func (r *RequestFields) checkConnect() error {
	if r.seen&(pseudoScheme|pseudoPath) != 0 {
		return errConnect
	}
	if !validAuthority(r.Authority, true) {
		return errAuthority
	}
	return r.checkHost()
}

// checkHost: "If both fields are present, they MUST contain the same value" (RFC 9114, section 4.3.1).
func (r *RequestFields) checkHost() error {
	if r.hasHost && r.seen&pseudoAuthority != 0 && r.host != r.Authority {
		return errHostMismatch
	}
	return nil
}
