package h3

// scanner walks over structured field values (RFC 9651) as far as a dictionary needs it: it says where things end and
// whether they are well formed, not what they mean.
type scanner struct{ in string }

// take consumes c if it is next.
func (s *scanner) take(c byte) bool {
	if s.in == "" || s.in[0] != c {
		return false
	}
	s.in = s.in[1:]
	return true
}

// while consumes bytes as long as they satisfy the condition and returns them.
func (s *scanner) while(is func(c byte) bool) string {
	n := 0
	for n < len(s.in) && is(s.in[n]) {
		n++
	}
	taken := s.in[:n]
	s.in = s.in[n:]
	return taken
}

func isDigit(c byte) bool { return chars[c]&charDigit != 0 }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }

// key consumes a key; empty when there is none (section 4.2.3.3).
func (s *scanner) key() string {
	if s.in == "" || !isLower(s.in[0]) && s.in[0] != '*' {
		return ""
	}
	return s.while(func(c byte) bool { return isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*' })
}

// member consumes an item or an inner list, without the parameters behind it (section 4.2.1.1).
func (s *scanner) member() bool {
	if !s.take('(') {
		return s.item()
	}
	for {
		spaces := s.while(func(c byte) bool { return c == ' ' })
		if s.take(')') {
			return true
		}
		if spaces == "" && s.in == "" || !s.item() || !s.parameters() {
			return false
		}
		if s.in == "" || s.in[0] != ' ' && s.in[0] != ')' {
			return false
		}
	}
}

// parameters consumes any number of parameters (section 4.2.3.2).
func (s *scanner) parameters() bool {
	for s.take(';') {
		s.while(func(c byte) bool { return c == ' ' })
		if s.key() == "" || s.take('=') && !s.item() {
			return false
		}
	}
	return true
}

// item consumes a bare item (section 4.2.3.1).
func (s *scanner) item() bool {
	if s.in == "" {
		return false
	}
	switch c := s.in[0]; {
	case c == '-' || isDigit(c):
		return s.number()
	case c == '"':
		return s.quoted()
	case c == '*' || isAlpha(c):
		s.while(func(c byte) bool { return chars[c]&charToken != 0 || c == ':' || c == '/' })
		return true
	case c == ':':
		s.in = s.in[1:]
		s.while(func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '+' || c == '/' || c == '=' })
		return s.take(':')
	case c == '?':
		s.in = s.in[1:]
		return s.take('0') || s.take('1')
	case c == '@':
		s.in = s.in[1:]
		return s.integer()
	}
	return false
}

// number consumes an Integer or a Decimal (section 4.2.4).
func (s *scanner) number() bool {
	s.take('-')
	whole := s.while(isDigit)
	if !s.take('.') {
		return whole != "" && len(whole) <= 15
	}
	fraction := s.while(isDigit)
	return whole != "" && len(whole) <= 12 && fraction != "" && len(fraction) <= 3
}

// integer consumes an Integer, as a Date has it after its "@" (section 4.2.9).
func (s *scanner) integer() bool {
	s.take('-')
	whole := s.while(isDigit)
	return whole != "" && len(whole) <= 15 && (s.in == "" || s.in[0] != '.')
}

// quoted consumes a String (section 4.2.5).
func (s *scanner) quoted() bool {
	for i := 1; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.in = s.in[i+1:]
			return true
		case c == '\\':
			if i++; i == len(s.in) || s.in[i] != '"' && s.in[i] != '\\' {
				return false
			}
		case c < 0x20 || c >= 0x7f:
			return false
		}
	}
	return false
}

// trimSpaces removes what may stand around a whole structured field: spaces, not tabs (section 4.2).
func trimSpaces(s string) string {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}
