package h3

import (
	"reflect"
	"testing"

	"github.com/godwit-net/godwit/internal/varint"
)

func settingsPayload(pairs ...uint64) (b []byte) {
	for _, v := range pairs {
		b = varint.Append(b, v)
	}
	return b
}

func TestSettingsSurviveTheRoundTrip(t *testing.T) {
	for _, want := range []Settings{
		DefaultSettings(),
		{MaxFieldSectionSize: 1 << 20, EnableConnectProtocol: true, Datagram: true},
		{MaxFieldSectionSize: Unlimited, QPACKMaxTableCapacity: 4096, QPACKBlockedStreams: 16,
			Other: []Setting{{SettingID(Grease(5)), 99}, {0x2b603742, 1}}},
	} {
		b := AppendSettings(nil, want)
		h, n := ConsumeFrameHeader(b)
		if h.Type != FrameSettings || h.Length != int64(len(b)-n) {
			t.Errorf("%v: header %v for %d bytes", want, h, len(b)-n)
		}
		if got, err := ConsumeSettings(b[n:]); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
}

func TestTheZeroSettingsSayNothing(t *testing.T) {
	if b := AppendSettings(nil, Settings{}); len(b) != 2 {
		t.Errorf("%x", b)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		code ErrorCode
	}{
		{"nothing", nil, 0},
		{"explicit zeros", settingsPayload(1, 0, 6, 0, 7, 0, 8, 0, 0x33, 0), 0},
		{"unknown and reserved", settingsPayload(0x21, 1, 0x4d44, 2), 0},
		{"HTTP/2's 0x00", settingsPayload(0, 0), H3SettingsError},
		{"ENABLE_PUSH", settingsPayload(2, 0), H3SettingsError},
		{"MAX_CONCURRENT_STREAMS", settingsPayload(3, 100), H3SettingsError},
		{"INITIAL_WINDOW_SIZE", settingsPayload(4, 65535), H3SettingsError},
		{"MAX_FRAME_SIZE", settingsPayload(5, 16384), H3SettingsError},
		{"duplicate", settingsPayload(6, 1, 6, 1), H3SettingsError},
		{"duplicate of an unknown one", settingsPayload(0x21, 1, 7, 1, 0x21, 1), H3SettingsError},
		{"ENABLE_CONNECT_PROTOCOL 2", settingsPayload(8, 2), H3SettingsError},
		{"H3_DATAGRAM 2", settingsPayload(0x33, 2), H3SettingsError},
		{"identifier without value", settingsPayload(6), H3FrameError},
		{"half an identifier", []byte{0x40}, H3FrameError},
		{"half a value", []byte{0x06, 0x40}, H3FrameError},
	} {
		_, err := ConsumeSettings(c.in)
		wantError(t, c.name, err, c.code, false)
	}
}

func TestSettingsLimits(t *testing.T) {
	var pairs []uint64
	for i := range uint64(MaxSettings) {
		pairs = append(pairs, 0x100+i, i)
	}
	s, err := ConsumeSettings(settingsPayload(pairs...))
	wantError(t, "as many as allowed", err, 0, false)
	if len(s.Other) != MaxSettings {
		t.Errorf("%d settings", len(s.Other))
	}
	_, err = ConsumeSettings(settingsPayload(append(pairs, 0x1000, 0)...))
	wantError(t, "one more", err, H3ExcessiveLoad, false)
}

func FuzzSettings(f *testing.F) {
	f.Add(settingsPayload(6, 4096, 0x33, 1, 8, 1, 0x21, 7))
	f.Add(settingsPayload(2, 0))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := ConsumeSettings(payload)
		if err != nil || s.MaxFieldSectionSize == 0 {
			return
		}
		b := AppendSettings(nil, s)
		_, n := ConsumeFrameHeader(b)
		if again, err := ConsumeSettings(b[n:]); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%v became %v, %v", s, again, err)
		}
	})
}
