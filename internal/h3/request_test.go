package h3

import (
	"strings"
	"testing"
)

// fields makes field lines of "name: value" strings. A pseudo-header field's colon is part of its name.
func fields(lines ...string) (list [][2]string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l[1:], ": ")
		list = append(list, [2]string{l[:1] + name, value})
	}
	return list
}

// addAll runs a whole section through Add and Done.
func addAll(list [][2]string, add func(name, value string) error, done func() error) error {
	for _, f := range list {
		if err := add(f[0], f[1]); err != nil {
			return err
		}
	}
	return done()
}

// collect returns a sink and where it puts the fields.
func collect() (*[]string, func(name, value string)) {
	var got []string
	return &got, func(name, value string) { got = append(got, name+": "+value) }
}

var get = []string{":method: GET", ":scheme: https", ":authority: example.com", ":path: /"}

func with(lines ...string) []string { return append(append([]string(nil), get...), lines...) }

func TestRequestsThatAreWellFormed(t *testing.T) {
	for _, c := range []struct {
		name   string
		lines  []string
		want   RequestFields
		fields string
	}{
		{"plain", get, RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1}, ""},
		{"pseudo-header fields in another order", []string{":path: /a?b", ":authority: [::1]:443", ":scheme: http", ":method: PROPFIND"},
			RequestFields{Method: "PROPFIND", Scheme: "http", Authority: "[::1]:443", Path: "/a?b", ContentLength: -1}, ""},
		{"regular fields in order", with("accept: */*", "x-a: ", "x-b: \ttab and \xff", "accept: text/html"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1},
			"accept: */*|x-a: |x-b: \ttab and \xff|accept: text/html"},
		{"host instead of :authority", []string{":method: GET", ":scheme: https", ":path: /", "host: example.com:8443"},
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com:8443", Path: "/", ContentLength: -1}, ""},
		{"host equal to :authority", with("host: example.com"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1}, ""},
		{"scheme in capitals", []string{":method: GET", ":scheme: HTTPS", ":authority: a", ":path: /"},
			RequestFields{Method: "GET", Scheme: "https", Authority: "a", Path: "/", ContentLength: -1}, ""},
		{"content-length", with("content-length: 42"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: 42}, "content-length: 42"},
		{"content-length repeated", with("content-length: 7, 7", "content-length: 7"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: 7}, "content-length: 7"},
		{"one cookie", with("cookie: a=b", "x: y"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1}, "x: y|cookie: a=b"},
		{"cookie crumbs", with("cookie: a=b", "x: y", "cookie: c=d", "cookie: e=f; g=h"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1},
			"x: y|cookie: a=b; c=d; e=f; g=h"},
		{"te: trailers", with("te: trailers"),
			RequestFields{Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", ContentLength: -1}, "te: trailers"},
		{"OPTIONS *", []string{":method: OPTIONS", ":scheme: https", ":authority: a.example", ":path: *"},
			RequestFields{Method: "OPTIONS", Scheme: "https", Authority: "a.example", Path: "*", ContentLength: -1}, ""},
		{"CONNECT", []string{":method: CONNECT", ":authority: example.com:22", "content-length: 5"},
			RequestFields{Method: "CONNECT", Authority: "example.com:22", ContentLength: -1}, "content-length: 5"},
		{"CONNECT to IPv6", []string{":method: CONNECT", ":authority: [2001:db8::1]:22"},
			RequestFields{Method: "CONNECT", Authority: "[2001:db8::1]:22", ContentLength: -1}, ""},
		{"extended CONNECT", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /chat"},
			RequestFields{Method: "CONNECT", Protocol: "websocket", Scheme: "https", Authority: "a", Path: "/chat", ContentLength: -1}, ""},
		{"another scheme without authority", []string{":method: GET", ":scheme: urn", ":path: "},
			RequestFields{Method: "GET", Scheme: "urn", ContentLength: -1}, ""},
	} {
		got, sink := collect()
		r := RequestFields{Field: sink, ExtendedConnect: true}
		if err := addAll(fields(c.lines...), r.Add, r.Done); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		seen := RequestFields{Method: r.Method, Scheme: r.Scheme, Authority: r.Authority, Path: r.Path, Protocol: r.Protocol,
			ContentLength: r.ContentLength}
		if !sameRequest(seen, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, seen, c.want)
		}
		if s := strings.Join(*got, "|"); s != c.fields {
			t.Errorf("%s: fields %q, want %q", c.name, s, c.fields)
		}
	}
}

func sameRequest(a, b RequestFields) bool {
	return a.Method == b.Method && a.Scheme == b.Scheme && a.Authority == b.Authority && a.Path == b.Path &&
		a.Protocol == b.Protocol && a.ContentLength == b.ContentLength
}

func TestRequestsThatAreMalformed(t *testing.T) {
	without := func(name string) (lines []string) {
		for _, l := range get {
			if !strings.HasPrefix(l, name) {
				lines = append(lines, l)
			}
		}
		return lines
	}
	replaced := func(line string) []string {
		name, _, _ := strings.Cut(line[1:], ": ")
		return append(without(":"+name), line)
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  *Error
	}{
		{"nothing", nil, errMethod},
		{"no :method", without(":method"), errMethod},
		{"no :scheme", without(":scheme"), errScheme},
		{"no :path", without(":path"), errPath},
		{"no :authority or host", without(":authority"), errAuthority},
		{"empty :method", replaced(":method: "), errMethod},
		{":method with a space", replaced(":method: GET /x"), errMethod},
		{"empty :scheme", replaced(":scheme: "), errScheme},
		{":scheme that begins with a digit", replaced(":scheme: 9p"), errScheme},
		{":scheme with a colon", replaced(":scheme: https://a/"), errScheme},
		{"empty :path", replaced(":path: "), errPath},
		{":path without a slash", replaced(":path: a"), errPath},
		{":path * without OPTIONS", replaced(":path: *"), errPath},
		{":path with a space", replaced(":path: /a b"), errPath},
		{":path with a line feed", replaced(":path: /\nx"), errPath},
		{":path with a fragment", replaced(":path: /#x"), errPath},
		{"empty :authority", replaced(":authority: "), errAuthority},
		{":authority with userinfo", replaced(":authority: me@example.com"), errAuthority},
		{":authority with a path", replaced(":authority: example.com/x"), errAuthority},
		{":authority with a space", replaced(":authority: a b"), errAuthority},
		{":authority with a long port", replaced(":authority: a:123456"), errAuthority},
		{":authority with a strange port", replaced(":authority: a:b"), errAuthority},
		{":authority without a host", replaced(":authority: :443"), errAuthority},
		{":authority with a bare IPv6 address", replaced(":authority: 2001:db8::1"), errAuthority},
		{":authority with an open bracket", replaced(":authority: [::1"), errAuthority},
		{":authority with text after the bracket", replaced(":authority: [::1]x"), errAuthority},
		{"empty host", append(without(":authority"), "host: "), errAuthority},
		{"empty host beside :authority", with("host: "), errAuthority},
		{"host that differs", with("host: example.org"), errHostMismatch},
		{"two hosts", with("host: example.com", "host: example.com"), errHostTwice},
		{"empty :authority beside host", append(replaced(":authority: "), "host: a"), errAuthority},
		{":method twice", with(":method: GET"), errPseudoTwice},
		{"empty :path, then another", []string{":path: ", ":path: /"}, errPseudoTwice},
		{":status", with(":status: 200"), errPseudoUnknown},
		{"unknown pseudo-header field", with(":version: 3"), errPseudoUnknown},
		{"a lone colon", with(":"), errPseudoUnknown},
		{":path after a field", append(without(":path"), "a: b", ":path: /"), errPseudoLate},
		{"capital in a name", with("X-a: b"), errFieldName},
		{"empty name", nil, errFieldName},
		{"space in a name", with("x a: b"), errFieldName},
		{"colon in a name", with("x:a: b"), errFieldName},
		{"high byte in a name", with("x\xe4: b"), errFieldName},
		{"line feed in a value", with("x: a\nb: c"), errFieldValue},
		{"carriage return in a value", with("x: a\rb"), errFieldValue},
		{"NUL in a value", with("x: a\x00"), errFieldValue},
		{"DEL in a value", with("x: a\x7f"), errFieldValue},
		{"connection", with("connection: close"), errConnectionField},
		{"keep-alive", with("keep-alive: 5"), errConnectionField},
		{"proxy-connection", with("proxy-connection: close"), errConnectionField},
		{"transfer-encoding", with("transfer-encoding: chunked"), errConnectionField},
		{"upgrade", with("upgrade: websocket"), errConnectionField},
		{"te: gzip", with("te: gzip"), errTE},
		{"te: trailers and more", with("te: trailers, gzip"), errTE},
		{"empty content-length", with("content-length: "), errContentLength},
		{"negative content-length", with("content-length: -1"), errContentLength},
		{"signed content-length", with("content-length: +1"), errContentLength},
		{"hexadecimal content-length", with("content-length: 0x10"), errContentLength},
		{"content-length of 2^63", with("content-length: 9223372036854775808"), errContentLength},
		{"long content-length", with("content-length: 99999999999999999999999"), errContentLength},
		{"content-lengths that differ", with("content-length: 1", "content-length: 2"), errContentLength},
		{"a list of lengths that differ", with("content-length: 1, 2"), errContentLength},
		{"a list of lengths that ends early", with("content-length: 1,"), errContentLength},
		{"CONNECT with :path", []string{":method: CONNECT", ":authority: a:1", ":path: /"}, errConnect},
		{"CONNECT with :scheme", []string{":method: CONNECT", ":authority: a:1", ":scheme: https"}, errConnect},
		{"CONNECT without :authority", []string{":method: CONNECT", "host: a:1"}, errAuthority},
		{"CONNECT without a port", []string{":method: CONNECT", ":authority: a"}, errAuthority},
		{"CONNECT with an empty port", []string{":method: CONNECT", ":authority: a:"}, errAuthority},
		{":protocol without CONNECT", with(":protocol: websocket"), errProtocol},
		{"empty :protocol", []string{":method: CONNECT", ":protocol: ", ":scheme: https", ":authority: a", ":path: /"}, errProtocol},
		{"extended CONNECT without :path", []string{":method: CONNECT", ":protocol: x", ":scheme: https", ":authority: a"}, errPath},
		{"extended CONNECT without :scheme", []string{":method: CONNECT", ":protocol: x", ":path: /", ":authority: a"}, errScheme},
		{"extended CONNECT without :authority", []string{":method: CONNECT", ":protocol: x", ":path: /", ":scheme: https"}, errAuthority},
		{"other scheme, unsafe authority", []string{":method: GET", ":scheme: x", ":authority: a\r\n", ":path: /"}, errPath},
	} {
		list := fields(c.lines...)
		if c.name == "empty name" {
			list = append(fields(get...), [2]string{"", "b"})
		}
		r := RequestFields{ExtendedConnect: true}
		err := addAll(list, r.Add, r.Done)
		if err != error(c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		wantError(t, c.name, err, H3MessageError, true)
	}
}

func TestExtendedConnectMustHaveBeenOffered(t *testing.T) {
	r := RequestFields{}
	err := addAll(fields(":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /"), r.Add, r.Done)
	wantError(t, "not offered", err, H3MessageError, true)
}

func TestValidatingARequestAllocatesNothing(t *testing.T) {
	list := fields(with("accept: */*", "content-length: 5", "cookie: a=b", "user-agent: x")...)
	n := 0
	sink := func(_, _ string) { n++ }
	if a := testing.AllocsPerRun(100, func() {
		r := RequestFields{Field: sink}
		for _, f := range list {
			if err := r.Add(f[0], f[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
	}); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzRequestFields(f *testing.F) {
	f.Add("example.com:443", "/a", "content-length", "1, 1")
	f.Add("[::1]", "*", "te", "trailers")
	f.Add("a:", "/", "cookie", "\x00")
	f.Fuzz(func(t *testing.T, authority, path, name, value string) {
		var seen [][2]string
		r := RequestFields{Field: func(n, v string) { seen = append(seen, [2]string{n, v}) }}
		err := addAll([][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", authority}, {":path", path},
			{name, value}}, r.Add, r.Done)
		if err != nil {
			if e, ok := err.(*Error); !ok || !e.Stream || e.Code != H3MessageError {
				t.Fatalf("%v", err)
			}
			return
		}
		if strings.ContainsAny(r.Authority, "@/ \r\n\x00") || !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, " \r\n\x00#") {
			t.Fatalf("%q %q", r.Authority, r.Path)
		}
		for _, x := range seen {
			if x[0] != strings.ToLower(x[0]) || strings.ContainsAny(x[0], ": \r\n\x00") || strings.ContainsAny(x[1], "\r\n\x00") {
				t.Fatalf("%q", x)
			}
		}
	})
}
