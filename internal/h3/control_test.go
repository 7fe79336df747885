package h3

import (
	"bytes"
	"slices"
	"testing"

	"github.com/godwit-net/godwit/internal/varint"
)

func frame(t FrameType, payload ...byte) []byte {
	return append(AppendFrameHeader(nil, FrameHeader{t, int64(len(payload))}), payload...)
}

func idFrame(t FrameType, id uint64) []byte { return frame(t, varint.Append(nil, id)...) }

// consumeControl reads a whole control stream, handing it over in portions of the given size.
func consumeControl(c *ControlStream, in []byte, portion int) (types []FrameType, err error) {
	var buf []byte
	for {
		f, n, err := c.Consume(buf)
		if err != nil {
			return types, err
		}
		if n > 0 {
			if types = append(types, f.Type); f.Length == 0 && len(types) > 1 && types[len(types)-2] == f.Type {
				types = types[:len(types)-1] // another portion of a discarded frame
			}
			buf = buf[n:]
			continue
		}
		if len(in) == 0 {
			return types, nil
		}
		n = min(portion, len(in))
		buf = append(buf, in[:n]...)
		in = in[n:]
	}
}

func TestControlStreamRules(t *testing.T) {
	settings := AppendSettings(nil, Settings{Datagram: true})
	priority := func(t FrameType, id uint64, value string) []byte {
		return frame(t, append(varint.Append(nil, id), value...)...)
	}
	for _, c := range []struct {
		name   string
		frames [][]byte
		server ErrorCode // what a server makes of it
		client ErrorCode
	}{
		{"SETTINGS", [][]byte{settings}, 0, 0},
		{"GOAWAY first", [][]byte{idFrame(FrameGoAway, 0)}, H3MissingSettings, H3MissingSettings},
		{"reserved type first", [][]byte{frame(0x21), settings}, H3MissingSettings, H3MissingSettings},
		{"DATA first", [][]byte{frame(FrameData)}, H3MissingSettings, H3MissingSettings},
		{"second SETTINGS", [][]byte{settings, settings}, H3FrameUnexpected, H3FrameUnexpected},
		{"DATA", [][]byte{settings, frame(FrameData, 1)}, H3FrameUnexpected, H3FrameUnexpected},
		{"HEADERS", [][]byte{settings, frame(FrameHeaders, 0, 0)}, H3FrameUnexpected, H3FrameUnexpected},
		{"PUSH_PROMISE", [][]byte{settings, frame(FramePushPromise, 0)}, H3FrameUnexpected, H3FrameUnexpected},
		{"HTTP/2 PRIORITY", [][]byte{settings, frame(0x02)}, H3FrameUnexpected, H3FrameUnexpected},
		{"HTTP/2 PING", [][]byte{settings, frame(0x06)}, H3FrameUnexpected, H3FrameUnexpected},
		{"HTTP/2 WINDOW_UPDATE", [][]byte{settings, frame(0x08)}, H3FrameUnexpected, H3FrameUnexpected},
		{"HTTP/2 CONTINUATION", [][]byte{settings, frame(0x09)}, H3FrameUnexpected, H3FrameUnexpected},
		{"unknown types", [][]byte{settings, frame(0x21, 1, 2, 3), frame(0x0c), frame(0x77, make([]byte, 9000)...)}, 0, 0},
		{"GOAWAY of stream 0", [][]byte{settings, idFrame(FrameGoAway, 0)}, 0, 0},
		{"GOAWAY falling", [][]byte{settings, idFrame(FrameGoAway, MaxRequestID), idFrame(FrameGoAway, 8), idFrame(FrameGoAway, 8)}, 0, 0},
		{"GOAWAY rising", [][]byte{settings, idFrame(FrameGoAway, 8), idFrame(FrameGoAway, 12)}, H3IDError, H3IDError},
		{"GOAWAY of no request stream", [][]byte{settings, idFrame(FrameGoAway, 3)}, 0, H3IDError},
		{"empty GOAWAY", [][]byte{settings, frame(FrameGoAway)}, H3FrameError, H3FrameError},
		{"GOAWAY and a byte", [][]byte{settings, frame(FrameGoAway, 0, 0)}, H3FrameError, H3FrameError},
		{"half a GOAWAY", [][]byte{settings, frame(FrameGoAway, 0x40)}, H3FrameError, H3FrameError},
		{"MAX_PUSH_ID", [][]byte{settings, idFrame(FrameMaxPushID, 0), idFrame(FrameMaxPushID, 7), idFrame(FrameMaxPushID, 7)}, 0, H3FrameUnexpected},
		{"MAX_PUSH_ID falling", [][]byte{settings, idFrame(FrameMaxPushID, 7), idFrame(FrameMaxPushID, 6)}, H3IDError, H3FrameUnexpected},
		{"CANCEL_PUSH", [][]byte{settings, idFrame(FrameCancelPush, 0)}, H3IDError, H3IDError},
		{"malformed CANCEL_PUSH", [][]byte{settings, frame(FrameCancelPush)}, H3FrameError, H3FrameError},
		{"PRIORITY_UPDATE", [][]byte{settings, priority(FramePriorityUpdateRequest, 4, "u=1, i")}, 0, H3FrameUnexpected},
		{"PRIORITY_UPDATE, unreadable value", [][]byte{settings, priority(FramePriorityUpdateRequest, 4, "\x00")}, 0, H3FrameUnexpected},
		{"PRIORITY_UPDATE of no request", [][]byte{settings, priority(FramePriorityUpdateRequest, 2, "")}, H3IDError, H3FrameUnexpected},
		{"PRIORITY_UPDATE of a push", [][]byte{settings, priority(FramePriorityUpdatePush, 0, "")}, H3IDError, H3FrameUnexpected},
		{"empty PRIORITY_UPDATE", [][]byte{settings, frame(FramePriorityUpdateRequest)}, H3FrameError, H3FrameUnexpected},
	} {
		for _, portion := range []int{1, 7, 1 << 20} {
			_, err := consumeControl(&ControlStream{Server: true}, bytes.Join(c.frames, nil), portion)
			wantError(t, c.name+" at a server", err, c.server, false)
			_, err = consumeControl(&ControlStream{}, bytes.Join(c.frames, nil), portion)
			wantError(t, c.name+" at a client", err, c.client, false)
		}
	}
}

func TestControlStreamHandsOverWhatFramesSay(t *testing.T) {
	in := AppendSettings(nil, Settings{MaxFieldSectionSize: 5000, Datagram: true})
	c := ControlStream{Server: true}
	f, n, err := c.Consume(in)
	if err != nil || n != len(in) || f.Settings.MaxFieldSectionSize != 5000 || !f.Settings.Datagram {
		t.Errorf("%+v, %d, %v", f, n, err)
	}
	in = frame(FramePriorityUpdateRequest, append([]byte{8}, "u=0, i"...)...)
	f, n, err = c.Consume(in)
	if err != nil || n != len(in) || f.ID != 8 || f.Priority != (Priority{Urgency: 0, Incremental: true}) {
		t.Errorf("%+v, %d, %v", f, n, err)
	}
	in = idFrame(FrameGoAway, 5)
	if f, _, err = c.Consume(in); err != nil || f.ID != 5 || !c.GoAway.Rejects(5) || c.GoAway.Rejects(4) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestControlStreamLimits(t *testing.T) {
	settings := AppendSettings(nil, Settings{})
	largest := settingsPayload(0x21, 1)
	for v := uint64(1 << 32); len(largest)+16 <= MaxSettingsPayload; v++ {
		largest = append(largest, settingsPayload(v, 1<<40)...)
	}
	f := frame(FrameSettings, largest...)
	if len(f) > MaxControlFrame {
		t.Errorf("%d bytes exceed MaxControlFrame", len(f))
	}
	_, _, err := new(ControlStream).Consume(f)
	wantError(t, "the largest SETTINGS", err, 0, false)

	// A frame above its limit is refused at its header.
	header := AppendFrameHeader(nil, FrameHeader{FrameSettings, MaxSettingsPayload + 1})
	_, _, err = new(ControlStream).Consume(header)
	wantError(t, "a larger SETTINGS", err, H3ExcessiveLoad, false)

	c := &ControlStream{Server: true}
	header = AppendFrameHeader(slices.Clone(settings), FrameHeader{FramePriorityUpdateRequest, MaxPriorityUpdatePayload + 1})
	_, err = consumeControl(c, header, len(header))
	wantError(t, "a large PRIORITY_UPDATE", err, H3ExcessiveLoad, false)

	header = AppendFrameHeader(slices.Clone(settings), FrameHeader{FrameGoAway, maxIDPayload + 1})
	_, err = consumeControl(new(ControlStream), header, len(header))
	wantError(t, "a large GOAWAY", err, H3FrameError, false)
}

func TestGoAwayNeverRises(t *testing.T) {
	var g GoAway
	if g.Rejects(0) {
		t.Error("the zero value rejects")
	}
	b := g.AppendFrame(nil, MaxRequestID)
	b = g.AppendFrame(b, 8)
	if id, ok := g.ID(); id != 8 || !ok || !g.Rejects(8) || g.Rejects(4) {
		t.Errorf("%d, %v", id, ok)
	}
	c := &ControlStream{}
	if _, err := consumeControl(c, append(AppendSettings(nil, Settings{}), b...), 3); err != nil {
		t.Error(err)
	}
	if id, ok := c.GoAway.ID(); id != 8 || !ok {
		t.Errorf("the peer reads %d, %v", id, ok)
	}
	defer func() {
		if recover() == nil {
			t.Error("a rising identifier was sent")
		}
	}()
	g.AppendFrame(nil, 12)
}

func FuzzControlStreamDoesNotDependOnPortions(f *testing.F) {
	settings := AppendSettings(nil, Settings{MaxFieldSectionSize: 1 << 16, Datagram: true})
	f.Add(append(slices.Clone(settings), idFrame(FrameGoAway, 8)...), uint8(1), true)
	f.Add(append(slices.Clone(settings), frame(0x21, 1, 2, 3, 4)...), uint8(2), false)
	f.Add(AppendOrigin(slices.Clone(settings), []string{"https://example.com", ""}), uint8(2), false)
	f.Add(append(slices.Clone(settings), frame(FramePriorityUpdateRequest, 4, 'u', '=', '1')...), uint8(3), true)
	f.Fuzz(func(t *testing.T, in []byte, portion uint8, server bool) {
		whole, parts := ControlStream{Server: server}, ControlStream{Server: server}
		types, err := consumeControl(&whole, in, len(in)+1)
		partTypes, partErr := consumeControl(&parts, in, int(portion)+1)
		if (err == nil) != (partErr == nil) || err != nil && *err.(*Error) != *partErr.(*Error) {
			t.Fatalf("%v and %v", err, partErr)
		}
		if err == nil && (len(types) > 0) != (len(partTypes) > 0) {
			t.Fatalf("%v and %v", types, partTypes)
		}
		if whole != parts {
			t.Fatalf("%+v and %+v", whole, parts)
		}
	})
}
