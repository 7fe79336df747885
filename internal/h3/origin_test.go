package h3

import (
	"slices"
	"strings"
	"testing"
)

func TestOriginFrames(t *testing.T) {
	settings := AppendFrameHeader(nil, FrameHeader{FrameSettings, 0})
	frame := func(payload string) []byte {
		return append(AppendFrameHeader(nil, FrameHeader{FrameOrigin, int64(len(payload))}), payload...)
	}
	many := strings.Repeat("\x00\x01a", MaxOrigins+10)
	for _, test := range []struct {
		name   string
		server bool // we are
		in     []byte
		want   []string
		typ    FrameType
		code   ErrorCode
	}{
		{"two", false, AppendOrigin(nil, []string{"https://a.example", "https://b.example:8443"}),
			[]string{"https://a.example", "https://b.example:8443"}, FrameOrigin, 0},
		{"none", false, AppendOrigin(nil, nil), nil, FrameOrigin, 0},
		{"an empty one", false, frame("\x00\x00"), []string{""}, FrameOrigin, 0},
		{"many", false, frame(many), slices.Repeat([]string{"a"}, MaxOrigins), FrameOrigin, 0},
		{"half a length", false, frame("\x00"), nil, 0, H3FrameError},
		{"half an entry", false, frame("\x00\x05http"), nil, 0, H3FrameError},
		{"from a client, who has nothing to say there", true, frame("\x00"), nil, FrameOrigin, 0},
		{"one that is too long to be read", false, AppendFrameHeader(nil, FrameHeader{FrameOrigin, MaxSettingsPayload + 1}), nil, FrameOrigin, 0},
	} {
		c := ControlStream{Server: test.server}
		if _, _, err := c.Consume(settings); err != nil {
			t.Fatal(err)
		}
		f, n, err := c.Consume(test.in)
		var code ErrorCode
		if e, ok := err.(*Error); ok {
			code = e.Code
		}
		if f.Type != test.typ || !slices.Equal(f.Origins, test.want) || code != test.code || err == nil && n == 0 {
			t.Errorf("%s: %v %v, %d bytes, %v", test.name, f.Type, f.Origins, n, err)
		}
	}
}
