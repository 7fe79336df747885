package http3

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
)

// valueSlab hands out the one-element slices that an http.Header is made of,
// many from one allocation, as net/textproto does it.
type valueSlab struct{ free []string }

// add adds a field that was received, whose name is in lower case.
func (v *valueSlab) add(h http.Header, name, value string) {
	key := h3.CanonicalName(name)
	if old := h[key]; len(old) > 0 {
		h[key] = append(old, value)
		return
	}
	if len(v.free) == 0 {
		v.free = make([]string, 8)
	}
	v.free[0] = value
	h[key] = v.free[:1:1] // full: a second value must not run into the next field's
	v.free = v.free[1:]
}

// connectionSpecific reports whether a field means something to one HTTP/1.1
// connection only: "An endpoint MUST NOT generate an HTTP/3 field section
// containing connection-specific fields" (RFC 9114, section 4.2).
func connectionSpecific(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// bodyAllowed reports whether a response of this status may have content
// (RFC 9110, sections 15.2, 15.3.5 and 15.4.5).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// forbiddenTrailer reports whether a field would change what the header
// section said about framing or routing (RFC 9110, section 6.5.1).
func forbiddenTrailer(key string) bool {
	if connectionSpecific(key) || strings.HasPrefix(key, "If-") || strings.HasPrefix(key, "Www-") {
		return true
	}
	switch key {
	case "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type",
		"Expect", "Host", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Proxy-Authorization", "Range", "Realm",
		"Te", "Trailer":
		return true
	}
	return false
}

// cleanValue removes white space around a value, as net/http does when it
// sends one.
func cleanValue(v string) string { return strings.Trim(v, " \t") }

// statusDigits holds every status code, three digits each.
var statusDigits = func() string {
	b := make([]byte, 0, 3*900)
	for status := 100; status <= 999; status++ {
		b = strconv.AppendInt(b, int64(status), 10)
	}
	return string(b)
}()

// statusText returns a status code as the value of :status.
func statusText(status int) string { return statusDigits[3*(status-100):][:3] }

// trailerKeys returns the names that Trailer fields announce, canonical, and
// without those that may not be trailers.
func trailerKeys(values []string) (keys []string) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			key := http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			if key != "" && !forbiddenTrailer(key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// tokenIn reports whether a comma-separated field holds token, in any case.
func tokenIn(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// dateText is a Date field's value, good for one second.
type dateText struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dateText]

// dateNow returns the time in the form of a Date field (RFC 9110, section
// 6.6.1). All responses of one second share it.
func dateNow() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}

// soon is how long a write that nobody must wait for may take: as good as not
// at all.
func soon() time.Time { return time.Now().Add(time.Millisecond) }
