package http3

import (
	"testing"

	"github.com/godwit-net/godwit/internal/h3"
)

// RFC 9114, section 7.2.4.2, and RFC 9204, section 3.2.3: what a server that accepts 0-RTT may say differently.
func TestSettingsThatDoNotGoWithThoseRemembered(t *testing.T) {
	before := h3.Settings{MaxFieldSectionSize: 1000, QPACKMaxTableCapacity: 4096, QPACKBlockedStreams: 16,
		EnableConnectProtocol: true, Datagram: true}
	for _, test := range []struct {
		name   string
		change func(s *h3.Settings)
		code   h3.ErrorCode // 0: it may
	}{
		{"the same", func(s *h3.Settings) {}, 0},
		{"larger sections", func(s *h3.Settings) { s.MaxFieldSectionSize++ }, 0},
		{"smaller sections", func(s *h3.Settings) { s.MaxFieldSectionSize-- }, h3.H3SettingsError},
		{"no limit of sections", func(s *h3.Settings) { s.MaxFieldSectionSize = h3.Unlimited }, h3.H3SettingsError},
		{"more blocked streams", func(s *h3.Settings) { s.QPACKBlockedStreams++ }, 0},
		{"fewer blocked streams", func(s *h3.Settings) { s.QPACKBlockedStreams-- }, h3.H3SettingsError},
		{"a larger table", func(s *h3.Settings) { s.QPACKMaxTableCapacity++ }, h3.QPACKDecoderStreamError},
		{"a smaller table", func(s *h3.Settings) { s.QPACKMaxTableCapacity-- }, h3.QPACKDecoderStreamError},
		{"no table", func(s *h3.Settings) { s.QPACKMaxTableCapacity = 0 }, h3.QPACKDecoderStreamError},
		{"no extended CONNECT", func(s *h3.Settings) { s.EnableConnectProtocol = false }, h3.H3SettingsError},
		{"no datagrams", func(s *h3.Settings) { s.Datagram = false }, h3.H3SettingsError},
	} {
		now := before
		test.change(&now)
		if err := shrunk(&before, &now); err == nil && test.code != 0 || err != nil && err.Code != test.code {
			t.Errorf("%s: %v, want %v", test.name, err, test.code)
		}
	}
	if err := shrunk(&h3.Settings{MaxFieldSectionSize: h3.Unlimited}, &h3.Settings{MaxFieldSectionSize: h3.Unlimited, QPACKMaxTableCapacity: 4096}); err != nil {
		t.Error("a table where there was none:", err)
	}
}
