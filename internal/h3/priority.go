package h3

// Priority is what a client wants for a response (RFC 9218, section 4).
type Priority struct {
	Urgency     uint8 // 0 to 7, the smaller the more urgent
	Incremental bool  // the response is useful in parts
}

// DefaultPriority holds for a request that says nothing.
var DefaultPriority = Priority{Urgency: 3}

// ParsePriority reads the value of a Priority header field or of a PRIORITY_UPDATE frame: a Dictionary of structured
// fields (RFC 9651, section 3.2). ok is false, and the default returned, when it is not one. "unknown priority parameters,
// priority parameters with out-of-range values, or values of unexpected types MUST be ignored" (RFC 9218, section 4).
func ParsePriority(value string) (p Priority, ok bool) { return DefaultPriority.Merge(value) }

// Merge reads the value of a response's Priority header field for a request whose priority is p. ok is false, and p returned, when
// it is not a Dictionary. RFC 9218, section 8: "The absence of a priority parameter in an HTTP response indicates the server's
// disinterest in changing the client-provided value."
func (base Priority) Merge(value string) (p Priority, ok bool) {
	p = base
	s := scanner{trimSpaces(value)}
	for s.in != "" {
		key := s.key()
		if key == "" {
			return base, false
		}
		member := "?1" // "u" alone is "u=?1"
		if s.take('=') {
			before := s.in
			if !s.member() {
				return base, false
			}
			member = before[:len(before)-len(s.in)]
		}
		if !s.parameters() {
			return base, false
		}
		p.set(key, member, base)
		s.in = trimSpace(s.in)
		if s.in == "" {
			break
		}
		if !s.take(',') {
			return base, false
		}
		if s.in = trimSpace(s.in); s.in == "" { // a trailing comma
			return base, false
		}
	}
	return p, true
}

// set takes one member. A later member of the same key replaces an earlier one (RFC 9651, section 4.2.2), even where its
// value is to be ignored.
func (p *Priority) set(key, member string, base Priority) {
	switch key {
	case "u":
		p.Urgency = base.Urgency
		if len(member) == 1 && '0' <= member[0] && member[0] <= '7' {
			p.Urgency = member[0] - '0'
		}
	case "i":
		p.Incremental = member == "?1" || member != "?0" && base.Incremental
	}
}

// String returns the priority as a field value, empty for the default.
func (p Priority) String() string {
	var b []byte
	if p.Urgency != DefaultPriority.Urgency {
		b = append(b, 'u', '=', '0'+p.Urgency)
	}
	if p.Incremental {
		if len(b) > 0 {
			b = append(b, ',', ' ')
		}
		b = append(b, 'i')
	}
	return string(b)
}
