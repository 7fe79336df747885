package tunnel

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A Token is what an entry needs to know of its exit. Its text is a password: whoever has it may use the tunnel.
type Token struct {
	// Addrs is where the exit listens, as "host:port" of UDP, the likeliest first: one to eight of them.
	Addrs []string

	// Exit is the hash of the exit's public key.
	Exit Pin

	// Secret is what exit and entry share. The entry's key derives from it.
	Secret Secret
}

// A Pin is the SHA-256 hash of a public key in its X.509 form (SubjectPublicKeyInfo).
type Pin [sha256.Size]byte

// String returns the hash as ssh shows those of its keys.
func (p Pin) String() string { return "SHA256:" + base64.RawStdEncoding.EncodeToString(p[:]) }

// A Secret is 32 random bytes.
type Secret [32]byte

// String keeps the secret out of logs.
func (s Secret) String() string { return "(secret)" }

// GoString keeps the secret out of logs, too.
func (s Secret) GoString() string { return "(secret)" }

// The text of a token is tokenPrefix and the base64url encoding, without padding, of
//
//	count     1 byte, then for each address its length in 1 byte and its text
//	pin       32 bytes
//	secret    32 bytes
//	checksum  4 bytes: the first of the SHA-256 hash of all before, the prefix included
//
// The checksum is against accidents of copying; nothing is safer for it.
const (
	tokenPrefix   = "gw1."
	tokenFixed    = sha256.Size + len(Secret{})
	tokenChecksum = 4
)

// Text returns the token as text to copy and paste: letters, digits, '-', '_' and one '.'. It is meant for the entry alone;
// String is for logs. It panics if t has no address or more than a token can carry; see Key.Token.
func (t Token) Text() string {
	if err := t.check(); err != nil {
		panic("BUG: tunnel: " + err.Error())
	}
	b := []byte{byte(len(t.Addrs))}
	for _, a := range t.Addrs {
		b = append(b, byte(len(a)))
		b = append(b, a...)
	}
	b = append(b, t.Exit[:]...)
	b = append(b, t.Secret[:]...)
	b = append(b, checksum(b)...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// String describes the token without its secret.
func (t Token) String() string {
	return fmt.Sprintf("token for %s at %s", t.Exit, strings.Join(t.Addrs, ", "))
}

func checksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(tokenPrefix), b...))
	return sum[:tokenChecksum]
}

// The ways in which a pasted token is wrong.
var (
	errNoToken      = errors.New(`this is not a tunnel token: one begins with "` + tokenPrefix + `"`)
	errTokenCut     = errors.New("the token is cut short: copy the whole line")
	errTokenTail    = errors.New("the token has something behind its end: copy nothing else of the line")
	errTokenDamaged = errors.New("the token is damaged: a character of it has changed")
	errTokenLong    = errors.New("the token is too long to be one")
)

// ParseToken reads what Token.Text wrote; space around it is ignored. Its errors are one line for whoever pasted the text,
// and never quote it.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	body, ok := strings.CutPrefix(text, tokenPrefix)
	switch {
	case text != "" && strings.HasPrefix(tokenPrefix, text):
		return Token{}, errTokenCut
	case !ok && futureVersion(text):
		return Token{}, errors.New("the token is of a newer version than this program knows")
	case !ok:
		return Token{}, errNoToken
	case len(text) > maxTokenText:
		return Token{}, errTokenLong
	}
	b, err := decodeToken(body)
	if err != nil {
		return Token{}, err
	}
	t, rest, ok := consumeToken(b)
	switch {
	case !ok || len(rest) < tokenChecksum:
		return Token{}, errTokenCut
	case len(rest) > tokenChecksum:
		return Token{}, errTokenTail
	case string(rest) != string(checksum(b[:len(b)-tokenChecksum])), base64.RawURLEncoding.EncodeToString(b) != body:
		return Token{}, errTokenDamaged
	}
	return t, t.check()
}

// futureVersion reports whether text begins like a token of another version: "gw", digits, a dot.
func futureVersion(text string) bool {
	version, _, ok := strings.Cut(strings.TrimPrefix(text, "gw"), ".")
	_, err := strconv.ParseUint(version, 10, 16)
	return ok && err == nil && strings.HasPrefix(text, "gw")
}

// decodeToken undoes the base64 encoding. The last character may be anything as yet: of a token that is cut short it is
// likely not one that an encoder would have written.
func decodeToken(body string) ([]byte, error) {
	if i := strings.IndexFunc(body, func(r rune) bool { return !tokenChar(r) }); i >= 0 {
		return nil, fmt.Errorf("the token contains %q, which no token does", []rune(body[i:])[0])
	}
	if len(body)%4 == 1 {
		body = body[:len(body)-1] // six bits over, which are no byte: it is cut short, or damaged
	}
	return base64.RawURLEncoding.DecodeString(body)
}

func tokenChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// consumeToken takes a token apart up to its checksum; ok is false when b ends before.
func consumeToken(b []byte) (t Token, rest []byte, ok bool) {
	if len(b) == 0 {
		return t, nil, false
	}
	count := int(b[0])
	b = b[1:]
	for range count {
		if len(b) == 0 || len(b) <= int(b[0]) {
			return t, nil, false
		}
		n := int(b[0])
		t.Addrs = append(t.Addrs, string(b[1:1+n]))
		b = b[1+n:]
	}
	if len(b) < tokenFixed {
		return t, nil, false
	}
	b = b[copy(t.Exit[:], b):]
	b = b[copy(t.Secret[:], b):]
	return t, b, true
}

// check holds a token to the rules for what is in it.
func (t Token) check() error {
	switch {
	case len(t.Addrs) == 0:
		return errors.New("the token names no address")
	case len(t.Addrs) > maxAddrs:
		return fmt.Errorf("a token carries at most %d addresses, not %d", maxAddrs, len(t.Addrs))
	}
	for _, a := range t.Addrs {
		if err := checkAddr(a); err != nil {
			return err
		}
	}
	return nil
}

// checkAddr wants "host:port" with an IP address or a DNS name, which the other side can use: with a port in digits, and
// without the zone of an interface here.
func checkAddr(addr string) error {
	wrong := func(why string) error { return fmt.Errorf("address %q: %s", addr, why) }
	if len(addr) > maxAddr {
		return fmt.Errorf("an address in a token has at most %d characters, not %d", maxAddr, len(addr))
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return wrong("HOST:PORT is wanted")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return wrong("the port is a number from 1 to 65535")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		switch {
		case ip.IsUnspecified() || ip.IsMulticast():
			return wrong("nobody can be reached there")
		case ip.Zone() != "":
			return wrong("a zone means nothing on another machine")
		}
		return nil
	}
	if host == "" {
		return wrong("it names no host")
	}
	for _, r := range host {
		if !tokenChar(r) && r != '.' {
			return wrong(fmt.Sprintf("%q is in no host name", r))
		}
	}
	return nil
}
