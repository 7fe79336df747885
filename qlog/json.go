package qlog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// An encoder appends JSON. It keeps no stack: whether a comma is due follows from the last byte, and the caller closes
// what it opened. Keys are literals of this package and are written as they stand; every value is escaped.
//
// An empty key writes an element of a list.
type encoder struct{ b []byte }

// key writes the comma that is due, if any, and the name of the member that follows.
func (e *encoder) key(k string) {
	if n := len(e.b); n > 0 {
		switch e.b[n-1] {
		case '{', '[', recordSeparator:
		default:
			e.b = append(e.b, ',')
		}
	}
	if k != "" {
		e.b = append(e.b, '"')
		e.b = append(e.b, k...)
		e.b = append(e.b, '"', ':')
	}
}

func (e *encoder) open(k string) { e.key(k); e.b = append(e.b, '{') }
func (e *encoder) close()        { e.b = append(e.b, '}') }
func (e *encoder) list(k string) { e.key(k); e.b = append(e.b, '[') }
func (e *encoder) endList()      { e.b = append(e.b, ']') }

func (e *encoder) int(k string, v int64)   { e.key(k); e.b = strconv.AppendInt(e.b, v, 10) }
func (e *encoder) uint(k string, v uint64) { e.key(k); e.b = strconv.AppendUint(e.b, v, 10) }
func (e *encoder) bool(k string, v bool)   { e.key(k); e.b = strconv.AppendBool(e.b, v) }

// millis writes nanoseconds as milliseconds with the fraction they have: exact, where a float64 would not be.
func (e *encoder) millis(k string, ns int64) {
	e.key(k)
	u := uint64(ns)
	if ns < 0 {
		e.b = append(e.b, '-')
		u = -u
	}
	e.b = strconv.AppendUint(e.b, u/1e6, 10)
	frac := u % 1e6
	if frac == 0 {
		return
	}
	e.b = append(e.b, '.')
	for unit := uint64(1e5); frac > 0; unit /= 10 {
		e.b = append(e.b, byte('0'+frac/unit))
		frac %= unit
	}
}

func (e *encoder) duration(k string, d time.Duration) { e.millis(k, int64(d)) }

const hexDigits = "0123456789abcdef"

// hex writes the draft's hexstring.
func (e *encoder) hex(k string, v []byte) {
	e.key(k)
	e.b = append(e.b, '"')
	for _, c := range v {
		e.b = append(e.b, hexDigits[c>>4], hexDigits[c&15])
	}
	e.b = append(e.b, '"')
}

// text writes a string of any bytes as a JSON string (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
func (e *encoder) text(k, v string) {
	e.key(k)
	cut := len(v) > maxText
	if cut {
		end := maxText
		for end > maxText-utf8.UTFMax && !utf8.RuneStart(v[end]) {
			end--
		}
		v = v[:end]
	}
	e.b = append(e.b, '"')
	for i := 0; i < len(v); {
		c := v[i]
		if c < utf8.RuneSelf {
			e.byte(c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(v[i:])
		e.b = utf8.AppendRune(e.b, r)
		i += n
	}
	if cut {
		e.b = append(e.b, "…"...)
	}
	e.b = append(e.b, '"')
}

// byte appends one ASCII character of a string, escaped if it has to be.
func (e *encoder) byte(c byte) {
	switch {
	case c == '"' || c == '\\':
		e.b = append(e.b, '\\', c)
	case c == '\n':
		e.b = append(e.b, '\\', 'n')
	case c == '\r':
		e.b = append(e.b, '\\', 'r')
	case c == '\t':
		e.b = append(e.b, '\\', 't')
	case c < 0x20 || c == 0x7f:
		e.b = append(e.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	default:
		e.b = append(e.b, c)
	}
}

// endpoint writes the members of a TupleEndpointInfo without its braces: an address of either family and its port.
func (e *encoder) endpoint(a netip.AddrPort) {
	ip := a.Addr().Unmap().WithZone("") // a zone is a name of this host's and free text
	switch {
	case ip.Is4():
		e.addr("ip_v4", ip)
		e.int("port_v4", int64(a.Port()))
	case ip.Is6():
		e.addr("ip_v6", ip)
		e.int("port_v6", int64(a.Port()))
	}
}

func (e *encoder) addr(k string, ip netip.Addr) {
	e.key(k)
	e.b = append(e.b, '"')
	e.b = ip.AppendTo(e.b)
	e.b = append(e.b, '"')
}

// raw writes a RawInfo that knows only how long the entity is.
func (e *encoder) raw(length int64) {
	e.open("raw")
	e.int("length", length)
	e.close()
}
