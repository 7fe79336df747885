package h3

import (
	"strings"
	"testing"
)

func TestResponseFields(t *testing.T) {
	for _, c := range []struct {
		name   string
		lines  []string
		status int
		length int64
		fields string
		err    *Error
	}{
		{"plain", []string{":status: 200"}, 200, -1, "", nil},
		{"with fields", []string{":status: 404", "server: x", "content-length: 3", "content-length: 3", "cookie: a", "cookie: b"},
			404, 3, "server: x|content-length: 3|cookie: a|cookie: b", nil},
		{"interim", []string{":status: 103", "link: </a>"}, 103, -1, "link: </a>", nil},
		{"unregistered status", []string{":status: 999"}, 999, -1, "", nil},
		{"no :status", []string{"server: x"}, 0, 0, "", errStatus},
		{"status of two digits", []string{":status: 20"}, 0, 0, "", errStatus},
		{"status of four digits", []string{":status: 2000"}, 0, 0, "", errStatus},
		{"status with a sign", []string{":status: +20"}, 0, 0, "", errStatus},
		{"status below 100", []string{":status: 099"}, 0, 0, "", errStatus},
		{"status 101", []string{":status: 101"}, 0, 0, "", errSwitching},
		{"status twice", []string{":status: 200", ":status: 200"}, 0, 0, "", errPseudoTwice},
		{"late status", []string{"server: x", ":status: 200"}, 0, 0, "", errPseudoLate},
		{"request's pseudo-header field", []string{":status: 200", ":path: /"}, 0, 0, "", errPseudoUnknown},
		{"connection", []string{":status: 200", "connection: close"}, 0, 0, "", errConnectionField},
		{"te", []string{":status: 200", "te: trailers"}, 0, 0, "", errConnectionField},
		{"capitals", []string{":status: 200", "Server: x"}, 0, 0, "", errFieldName},
		{"lengths that differ", []string{":status: 200", "content-length: 3", "content-length: 4"}, 0, 0, "", errContentLength},
	} {
		got, sink := collect()
		r := ResponseFields{Field: sink}
		err := addAll(fields(c.lines...), r.Add, r.Done)
		if c.err != nil {
			if err != error(c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
			continue
		}
		if s := strings.Join(*got, "|"); err != nil || r.Status != c.status || r.ContentLength != c.length || s != c.fields {
			t.Errorf("%s: %d, %d, %q, %v", c.name, r.Status, r.ContentLength, s, err)
		}
		if r.Interim() != (c.status < 200) {
			t.Errorf("%s: interim %v", c.name, r.Interim())
		}
	}
}

func TestResponsesThatNeverHaveContentMayNameALength(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		left   int64
	}{
		{"GET", 200, 5}, {"HEAD", 200, 0}, {"GET", 304, 0}, {"GET", 204, 0}, {"GET", 103, 0}, {"CONNECT", 200, -1},
		{"CONNECT", 403, 5},
	} {
		r := ResponseFields{Status: c.status, ContentLength: 5}
		if l := r.BodyLength(c.method); l.Left() != c.left {
			t.Errorf("%s %d: %d, want %d", c.method, c.status, l.Left(), c.left)
		}
	}
}

func TestTrailerFields(t *testing.T) {
	got, sink := collect()
	r := TrailerFields{Field: sink}
	err := addAll(fields("grpc-status: 0", "content-length: 5", "host: a", "trailer: x", "x-a: b"), r.Add, r.Done)
	if s := strings.Join(*got, "|"); err != nil || s != "grpc-status: 0|x-a: b" {
		t.Errorf("%q, %v", s, err)
	}
	for line, want := range map[string]*Error{
		":status: 200": errPseudoTrailer, ":method: GET": errPseudoTrailer, "X: a": errFieldName, "x: \n": errFieldValue,
		"te: trailers": errConnectionField, "transfer-encoding: chunked": errConnectionField,
	} {
		r := TrailerFields{}
		if err := addAll(fields(line), r.Add, r.Done); err != error(want) {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
	}
}

func TestContentMustBeAsLongAsContentLengthSays(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int64
		data   []int64
		add    *Error // of the last Add
		done   *Error
	}{
		{"unknown length", -1, []int64{5, 1 << 60}, nil, nil},
		{"exactly", 10, []int64{3, 0, 7}, nil, nil},
		{"no content", 0, nil, nil, nil},
		{"empty DATA", 0, []int64{0}, nil, nil},
		{"less", 10, []int64{3}, nil, errBodyShort},
		{"nothing", 1, nil, nil, errBodyShort},
		{"more", 10, []int64{3, 8}, errBodyLong, nil},
		{"content where there is none", 0, []int64{1}, errBodyLong, nil},
		{"more than fits an int64 in sum", 1<<62 - 1, []int64{1<<62 - 1, 1<<62 - 1}, errBodyLong, nil},
	} {
		l := NewBodyLength(c.length)
		var err error
		for _, n := range c.data {
			err = l.Add(n)
		}
		if c.add != nil {
			if err != error(c.add) {
				t.Errorf("%s: %v, want %v", c.name, err, c.add)
			}
			continue
		}
		if done := l.Done(); err != nil || (done != nil) != (c.done != nil) || c.done != nil && done != error(c.done) {
			t.Errorf("%s: %v, %v, want %v", c.name, err, done, c.done)
		}
	}
}
