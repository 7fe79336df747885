package h3

// charClass is a set of the grammars' character classes that a byte belongs to.
type charClass uint8

const (
	charName      charClass = 1 << iota // tchar of RFC 9110, section 5.6.2, without capitals: field names
	charToken                           // tchar: methods, protocols
	charValue                           // field-content of RFC 9110, section 5.5, with inner white space
	charPath                            // see validPath
	charAuthority                       // authority of RFC 3986, section 3.2, without userinfo
	charScheme                          // scheme of RFC 3986, section 3.1
	charDigit
)

var chars = makeChars()

func makeChars() (t [256]charClass) {
	const alnum = "abcdefghijklmnopqrstuvwxyz0123456789"
	mark := func(class charClass, set string) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	mark(charName|charToken|charAuthority|charScheme, alnum)
	mark(charToken|charAuthority|charScheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	mark(charName|charToken, "!#$%&'*+-.^_`|~")
	mark(charScheme, "+-.")
	mark(charAuthority, "-._~%!$&'()*+,;=:[]") // unreserved, pct-encoded, sub-delims, port and IP literal
	mark(charDigit, "0123456789")
	for c := range len(t) {
		if c >= 0x20 && c != 0x7f || c == '\t' {
			t[c] |= charValue
		}
		if c > 0x20 && c != 0x7f && c != '#' {
			t[c] |= charPath
		}
	}
	return t
}

// all reports whether every byte of s is in the class.
func (class charClass) all(s string) bool {
	for i := range len(s) {
		if chars[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// validName reports whether s is a field name as HTTP/3 has them: a token "converted to lowercase" (RFC 9114, section
// 4.2).
func validName(s string) bool { return s != "" && charName.all(s) }

func validToken(s string) bool { return s != "" && charToken.all(s) }

// validProtocol reports whether s is an upgrade token: protocol-name ["/" protocol-version] (RFC 9110, section 7.8).
func validProtocol(s string) bool {
	for i := range len(s) {
		if s[i] == '/' {
			return validToken(s[:i]) && validToken(s[i+1:])
		}
	}
	return validToken(s)
}

// validScheme reports whether s is ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986, section 3.1).
func validScheme(s string) bool {
	return s != "" && charScheme.all(s) && isAlpha(s[0])
}

// validPath reports whether s can be the :path of an http or https request: the "path-absolute" production, an
// optional "?" and the "query" production, or "*" for OPTIONS (RFC 9114, section 4.3.1). Within that, more characters
// pass than RFC 3986 allows, because browsers send some of them raw: all but controls, space and "#".
func validPath(method, s string) bool {
	if s == "*" {
		return method == "OPTIONS"
	}
	return s != "" && s[0] == '/' && charPath.all(s)
}

// validAuthority reports whether s is host [":" port]. "The authority MUST NOT include the deprecated userinfo
// subcomponent" (RFC 9114, section 4.3.1), so "@" is not in the class. With needPort, the port must be there: CONNECT's
// "contains the host and port to connect to" (section 4.4).
func validAuthority(s string, needPort bool) bool {
	if s == "" || !charAuthority.all(s) {
		return false
	}
	host, port, hasPort := s, "", false
	for i := len(s) - 1; i >= 0 && s[i] != ']'; i-- {
		if s[i] == ':' {
			host, port, hasPort = s[:i], s[i+1:], true
			break
		}
	}
	if host == "" || len(port) > 5 || !charDigit.all(port) || needPort && (!hasPort || port == "") {
		return false
	}
	return validHost(host)
}

// validHost checks that brackets and colons appear only around and inside an IP literal.
func validHost(host string) bool {
	if host[0] == '[' {
		if len(host) < 3 || host[len(host)-1] != ']' {
			return false
		}
		host = host[1 : len(host)-1]
	} else {
		for i := range len(host) {
			if host[i] == ':' {
				return false
			}
		}
	}
	for i := range len(host) {
		if host[i] == '[' || host[i] == ']' {
			return false
		}
	}
	return true
}
