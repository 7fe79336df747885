package h3

import "strings"

// commonNames are field names in net/http's canonical form that are worth knowing by heart.
var commonNames = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Patch", "Accept-Ranges",
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
	"Access-Control-Request-Headers", "Access-Control-Request-Method", "Age", "Allow", "Alt-Svc", "Alt-Used",
	"Authorization", "Cache-Control", "Capsule-Protocol", "Cdn-Cache-Control", "Content-Digest", "Content-Disposition",
	"Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Range",
	"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Content-Type", "Cookie",
	"Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date", "Dnt",
	"Early-Data", "Etag", "Expect", "Expect-Ct", "Expires", "Forwarded", "From", "Grpc-Encoding", "Grpc-Message",
	"Grpc-Status", "Grpc-Timeout", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Last-Modified", "Link", "Location", "Max-Forwards", "Nel", "Origin", "P3p",
	"Permissions-Policy", "Pragma", "Priority", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Status", "Purpose",
	"Range", "Referer", "Referrer-Policy", "Refresh", "Report-To", "Reporting-Endpoints", "Retry-After",
	"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
	"Sec-Fetch-User", "Sec-Gpc", "Sec-Purpose", "Sec-Websocket-Extensions", "Sec-Websocket-Key",
	"Sec-Websocket-Protocol", "Sec-Websocket-Version", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security",
	"Te", "Timing-Allow-Origin", "Trace", "Traceparent", "Tracestate", "Trailer", "Upgrade-Insecure-Requests",
	"User-Agent", "Vary", "Via", "Www-Authenticate", "X-Content-Type-Options", "X-Correlation-Id", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Frame-Options", "X-Real-Ip", "X-Request-Id",
	"X-Requested-With", "X-Xss-Protection",
}

var canonicalNames, lowerNames = indexNames()

func indexNames() (canonical, lower map[string]string) {
	canonical = make(map[string]string, len(commonNames))
	lower = make(map[string]string, len(commonNames))
	for _, name := range commonNames {
		l := strings.ToLower(name)
		canonical[l] = name
		lower[name] = l
	}
	return canonical, lower
}

// CanonicalName returns a valid lower-case field name in net/http's canonical form: "content-type" is "Content-Type". It
// does not allocate for common names.
func CanonicalName(name string) string {
	if c, ok := canonicalNames[name]; ok {
		return c
	}
	return canonicalize(name)
}

// canonicalize sets the first letter and those after hyphens in capitals.
func canonicalize(name string) string {
	b := []byte(name)
	start := true
	for i, c := range b {
		if start && isLower(c) {
			b[i] = c - ('a' - 'A')
		}
		start = c == '-'
	}
	return string(b)
}

// LowerName returns a field name as HTTP/3 sends it: "Content-Type" is "content-type". It does not allocate for common
// names in canonical form, nor for names that are lower case already.
func LowerName(name string) string {
	if l, ok := lowerNames[name]; ok {
		return l
	}
	return strings.ToLower(name)
}
