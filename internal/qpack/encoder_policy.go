package qpack

import "strings"

// habit is what is known of a field by its name.
type habit uint8

const (
	unknown  habit = iota // inserted when the same value comes a second time
	steady                // the same value on nearly every message of a connection: inserted at first sight
	changing              // another value on nearly every message: never inserted
)

// habits are those of fields that browsers, servers and Go programs send. Names that are not here are unknown.
var habits = map[string]habit{
	":authority": steady, "accept": steady, "accept-encoding": steady, "accept-language": steady, "cache-control": steady,
	"dnt": steady, "origin": steady, "pragma": steady, "priority": steady, "sec-ch-ua": steady, "sec-ch-ua-mobile": steady,
	"sec-ch-ua-platform": steady, "sec-fetch-dest": steady, "sec-fetch-mode": steady, "sec-fetch-site": steady,
	"sec-gpc": steady, "te": steady, "user-agent": steady,

	"access-control-allow-credentials": steady, "access-control-allow-headers": steady,
	"access-control-allow-methods": steady, "access-control-allow-origin": steady, "access-control-expose-headers": steady,
	"accept-ranges": steady, "alt-svc": steady, "content-encoding": steady, "content-security-policy": steady,
	"content-type": steady, "cross-origin-embedder-policy": steady, "cross-origin-opener-policy": steady,
	"cross-origin-resource-policy": steady, "nel": steady, "permissions-policy": steady, "referrer-policy": steady,
	"report-to": steady, "reporting-endpoints": steady, "server": steady, "strict-transport-security": steady,
	"timing-allow-origin": steady, "vary": steady, "via": steady, "x-content-type-options": steady,
	"x-frame-options": steady, "x-powered-by": steady,

	"age": changing, "content-digest": changing, "content-disposition": changing, "content-length": changing,
	"content-range": changing, "date": changing, "digest": changing, "etag": changing, "expires": changing,
	"if-match": changing, "if-modified-since": changing, "if-none-match": changing, "if-range": changing,
	"if-unmodified-since": changing, "last-modified": changing, "location": changing, "range": changing,
	"repr-digest": changing, "server-timing": changing, "traceparent": changing, "tracestate": changing,
	"x-request-id": changing, "x-runtime": changing,
}

// worth decides whether a field that is in neither table gets an entry. An entry costs its literal a second time, on the
// encoder stream, and earns all but one byte of it each time it is used; so what comes once must not get one. static is
// the index of the name in the static table, or -1.
//
// A path with a query is rarely asked for twice, and its query may be a secret. For cookies see Sensitive.
func (e *Encoder) worth(name, value string, static int) bool {
	if static >= 0 && len(value) < 3 || entrySize(name, value) > e.capacity/2 {
		return false
	}
	switch habits[name] {
	case steady:
		return true
	case changing:
		return false
	}
	if name == ":path" && strings.IndexByte(value, '?') >= 0 {
		return false
	}
	h := sight(name, value)
	if slot := &e.seen[h%uint32(len(e.seen))]; *slot != h {
		*slot = h
		return false
	}
	return true
}

// sight is the FNV-1a hash of a field, never 0. Two that collide cost an early insertion.
func sight(name, value string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	for i := range len(value) {
		h = (h ^ uint32(value[i])) * 16777619
	}
	return max(h, 1)
}

// minCookie is the length from which a cookie may be indexed.
const minCookie = 32

// Sensitive reports whether a field should be a never-indexed literal when nobody has said so. Whoever can add fields to a
// connection and watch the lengths of packets can learn whether a guess of a whole value is right: an index is shorter
// than a literal (RFC 9204, section 7.1). A gateway's connection to its origin is shared by clients that do not trust
// each other. So:
//
//   - Credentials, and what sets them, are never indexed: "An encoder might also choose not to index values for fields
//     that are considered to be highly valuable or sensitive to recovery, such as the Cookie or Authorization header
//     fields" (section 7.1.3). What they would save is little: a set-cookie comes once, and so do most tokens.
//   - Short cookies are not either: "short or low-entropy values are more readily recovered by an adversary". One below 32
//     bytes, its name included, has hardly room for a secret of 128 bits.
//   - Longer cookies are indexed when they come again: they are the longest field that a browser repeats, and "values
//     with high entropy are unlikely to be recovered successfully" (section 7.1.1).
func Sensitive(name, value string) bool {
	switch name {
	case "authorization", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token", "x-xsrf-token":
		return true
	case "cookie":
		return len(value) < minCookie
	}
	return false
}
