package altsvc

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Service is one alternative service of an origin (RFC 7838, section 2): where
// else it can be reached, and by which protocol.
type Service struct {
	// Protocol is the ALPN name, decoded: "h3".
	Protocol string

	// Host is the host, in lower case and without brackets; "" is the origin's
	// own. Port is never 0.
	Host string
	Port uint16

	// MaxAge is how long the service is fresh, from the generation of the
	// response on ("ma"). 24 hours when nothing was said.
	MaxAge time.Duration

	// Persist says that it is good on other networks too ("persist=1").
	Persist bool
}

// ErrSyntax is returned by Parse for a field that does not follow the grammar.
var ErrSyntax = errors.New("altsvc: the Alt-Svc field is malformed")

// Parse reads the lines of a response's Alt-Svc field (RFC 7838, section 3).
// clear says that all alternatives of the origin are void, whatever else the
// field has. At most 32 services are returned, the most preferred first, and
// those of protocols that nobody knows are among them. A field of more than 8
// KiB is an error, as is one in which anything is malformed: who writes such a
// thing may mean anything by it.
func Parse(lines []string) (services []Service, clear bool, err error) {
	p := parser{text: strings.Join(lines, ",")}
	if len(p.text) > maxFieldBytes {
		return nil, false, ErrSyntax
	}
	if strings.Trim(p.text, " \t") == "clear" { // the usual form; it is the only one in which it stands alone
		return nil, true, nil
	}
	for {
		p.space()
		switch {
		case p.text == "":
			if clear {
				return nil, true, nil
			}
			return services, false, nil
		case p.take(','): // "A recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110, section 5.6.1.2)
			continue
		}
		s, isClear, ok := p.value()
		if !ok {
			return nil, false, ErrSyntax
		}
		if isClear {
			clear = true
		} else if len(services) < maxServices {
			services = append(services, s)
		}
		if p.space(); p.text != "" && !p.take(',') {
			return nil, false, ErrSyntax
		}
	}
}

// parser takes a field apart from the front.
type parser struct{ text string }

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \t") }

func (p *parser) take(c byte) bool {
	if p.text == "" || p.text[0] != c {
		return false
	}
	p.text = p.text[1:]
	return true
}

// token takes a token (RFC 9110, section 5.6.2), "" if there is none.
func (p *parser) token() string {
	n := 0
	for n < len(p.text) && isTokenChar(p.text[n]) {
		n++
	}
	t := p.text[:n]
	p.text = p.text[n:]
	return t
}

func isTokenChar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted takes a quoted-string (RFC 9110, section 5.6.4): "Recipients that
// process the value of a quoted-string MUST handle a quoted-pair as if it were
// replaced by the octet following the backslash."
func (p *parser) quoted() (s string, ok bool) {
	if !p.take('"') {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '"':
			p.text = p.text[i+1:]
			return b.String(), true
		case c == '\\':
			if i++; i == len(p.text) {
				return "", false
			}
			c = p.text[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}

// value takes an alt-value, or the word "clear".
func (p *parser) value() (s Service, isClear, ok bool) {
	id := p.token()
	if !p.take('=') {
		return s, true, id == "clear"
	}
	s.MaxAge = defaultMaxAge
	if s.Protocol, ok = decodeProtocol(id); !ok {
		return s, false, false
	}
	authority, ok := p.quoted()
	if !ok {
		return s, false, false
	}
	if s.Host, s.Port, ok = splitAuthority(authority); !ok {
		return s, false, false
	}
	for {
		p.space()
		if !p.take(';') {
			return s, false, true
		}
		p.space()
		name := p.token()
		if name == "" || !p.take('=') {
			return s, false, false
		}
		value := p.token()
		if value == "" {
			if value, ok = p.quoted(); !ok {
				return s, false, false
			}
		}
		if !s.parameter(name, value) {
			return s, false, false
		}
	}
}

// parameter notes a parameter. "Unknown parameters MUST be ignored." (section 3)
// "Clients MUST ignore "persist" parameters with values other than "1"."
// (section 3.1)
func (s *Service) parameter(name, value string) bool {
	switch strings.ToLower(name) {
	case "persist":
		s.Persist = value == "1"
	case "ma":
		var ok bool
		s.MaxAge, ok = deltaSeconds(value)
		return ok
	}
	return true
}

// deltaSeconds reads a delta-seconds (RFC 9111, section 1.2.2): "If a cache
// receives a delta-seconds value greater than the greatest integer it can
// represent [...], the cache MUST consider the value to be 2147483648 (2^31) or
// the greatest positive integer it can conveniently represent."
func deltaSeconds(s string) (d time.Duration, ok bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		n = math.MaxInt32
	}
	return time.Duration(n) * time.Second, true
}

// decodeProtocol reads a protocol-id. There is "precisely one way to represent
// any ALPN protocol name" (section 3): whatever a token can carry stands for
// itself, but for "%", and hex digits are in upper case.
func decodeProtocol(id string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		c := id[i]
		if c == '%' {
			if i+2 >= len(id) || !isUpperHex(id[i+1]) || !isUpperHex(id[i+2]) {
				return "", false
			}
			n, _ := strconv.ParseUint(id[i+1:i+3], 16, 8)
			c = byte(n)
			if isTokenChar(c) && c != '%' {
				return "", false
			}
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String(), id != ""
}

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// splitAuthority reads an alt-authority: [ uri-host ] ":" port.
func splitAuthority(s string) (host string, port uint16, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || len(s) > maxAuthorityBytes {
		return "", 0, false
	}
	host, digits := strings.ToLower(s[:colon]), s[colon+1:]
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, false
	}
	if inside, found := strings.CutPrefix(host, "["); found {
		inside, found = strings.CutSuffix(inside, "]")
		addr, err := netip.ParseAddr(inside)
		return inside, uint16(n), found && err == nil && addr.Is6() && addr.Zone() == ""
	}
	return host, uint16(n), isHostName(host)
}

// isHostName reports whether host can be a name in the DNS, an IPv4 address, or
// "". Names are expected as A-labels (section 8).
func isHostName(host string) bool {
	for i := range len(host) {
		c := host[i]
		if ('0' > c || c > '9') && ('a' > c || c > 'z') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}
