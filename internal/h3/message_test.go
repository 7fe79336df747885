package h3

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

var messageInputNames = [numMessageInputs]string{"HEADERS", "DATA", "PUSH_PROMISE", "control frame", "HTTP/2 frame",
	"unknown frame", "FIN"}

// The grammar, state by input, as a text that a reviewer can hold against RFC 9114, section 4.1 and Table 1.
func TestMessageGrammarIsTheGoldenOne(t *testing.T) {
	var b strings.Builder
	for s := range numMessageStates {
		for in := range numMessageInputs {
			step := &messageGrammar[s][in]
			fmt.Fprintf(&b, "%-15s  %-13s  ", s, messageInputNames[in])
			switch {
			case step.err == nil && in == inputFin:
				fmt.Fprintf(&b, "%s\n", step.next)
			case step.err == nil:
				fmt.Fprintf(&b, "%-15s  %s\n", step.next, step.part)
			case step.err.Stream:
				fmt.Fprintf(&b, "stream error %v\n", step.err)
			default:
				fmt.Fprintf(&b, "connection error %v\n", step.err)
			}
		}
		b.WriteByte('\n')
	}
	const file = "testdata/message.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the grammar differs from %s; -update writes it:\n%s", file, b.String())
	}
}

func TestMessagesFollowTheGrammar(t *testing.T) {
	const (
		fin     FrameType = 1 << 61 // stands for the end of the stream
		interim FrameType = 1 << 60 // for HEADERS with a 1xx status
		tunnel  FrameType = 1 << 59 // for the completion of CONNECT
	)
	for _, c := range []struct {
		name   string
		start  MessageState
		frames []FrameType
		parts  string
		code   ErrorCode
		stream bool
	}{
		{"request without content", RequestStart, []FrameType{FrameHeaders, fin}, "headers", 0, false},
		{"request with everything", RequestStart, []FrameType{FrameHeaders, FrameData, FrameData, FrameHeaders, fin}, "headers data data trailers", 0, false},
		{"trailers without content", RequestStart, []FrameType{FrameHeaders, FrameHeaders, fin}, "headers trailers", 0, false},
		{"reserved frames anywhere", RequestStart, []FrameType{0x21, FrameHeaders, 0x40, FrameData, 0x5f, FrameHeaders, 0x0c, fin}, "ignored headers ignored data ignored trailers ignored", 0, false},
		{"interim responses", ResponseStart, []FrameType{interim, interim, FrameHeaders, FrameData, fin}, "headers headers headers data", 0, false},
		{"tunnel", RequestStart, []FrameType{FrameHeaders, tunnel, FrameData, 0x21, FrameData, fin}, "headers data ignored data", 0, false},
		{"trailers in a tunnel", RequestStart, []FrameType{FrameHeaders, tunnel, FrameData, FrameHeaders}, "headers data", H3FrameUnexpected, false},
		{"empty request", RequestStart, []FrameType{fin}, "", H3RequestIncomplete, true},
		{"empty response", ResponseStart, []FrameType{fin}, "", H3MessageError, true},
		{"interim response only", ResponseStart, []FrameType{interim, fin}, "headers", H3MessageError, true},
		{"DATA after an interim response", ResponseStart, []FrameType{interim, FrameData}, "headers", H3FrameUnexpected, false},
		{"DATA first", RequestStart, []FrameType{FrameData}, "", H3FrameUnexpected, false},
		{"DATA after trailers", RequestStart, []FrameType{FrameHeaders, FrameHeaders, FrameData}, "headers trailers", H3FrameUnexpected, false},
		{"third HEADERS", ResponseStart, []FrameType{FrameHeaders, FrameHeaders, FrameHeaders}, "headers trailers", H3FrameUnexpected, false},
		{"SETTINGS", RequestStart, []FrameType{FrameHeaders, FrameSettings}, "headers", H3FrameUnexpected, false},
		{"HTTP/2 CONTINUATION", RequestStart, []FrameType{FrameHeaders, 0x09}, "headers", H3FrameUnexpected, false},
		{"push at a client", ResponseStart, []FrameType{FramePushPromise}, "", H3IDError, false},
		{"push at a server", RequestStart, []FrameType{FramePushPromise}, "", H3FrameUnexpected, false},
	} {
		m := Message{State: c.start}
		var parts []string
		var err error
		for _, f := range c.frames {
			var part MessagePart
			switch f {
			case fin:
				err = m.Fin()
				continue
			case tunnel:
				m.Tunnel()
				continue
			case interim:
				part, err = m.Frame(FrameHeaders)
				m.Interim()
			default:
				part, err = m.Frame(f)
			}
			if err != nil {
				break
			}
			parts = append(parts, part.String())
		}
		wantError(t, c.name, err, c.code, c.stream)
		if got := strings.Join(parts, " "); got != c.parts {
			t.Errorf("%s: %s, want %s", c.name, got, c.parts)
		}
	}
}

func FuzzMessageNeverHasDataOutsideItsBody(f *testing.F) {
	f.Add([]byte{1, 0, 0, 1}, true)
	f.Add([]byte{0x21, 1, 0x21}, false)
	f.Fuzz(func(t *testing.T, types []byte, server bool) {
		m := Message{State: ResponseStart}
		if server {
			m.State = RequestStart
		}
		headers, trailers := 0, 0
		for _, x := range types {
			part, err := m.Frame(FrameType(x))
			if err != nil {
				return
			}
			switch part {
			case PartHeaders:
				headers++
			case PartTrailers:
				trailers++
			}
			if headers > 1 || trailers > 1 || part == PartData && (headers == 0 || trailers > 0) {
				t.Fatalf("%x passes as a message", types)
			}
		}
		if m.Fin() == nil && headers == 0 {
			t.Fatalf("%x passes as a message without headers", types)
		}
	})
}
