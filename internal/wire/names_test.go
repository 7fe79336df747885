package wire

import "testing"

func TestErrorCodesHaveTheirNames(t *testing.T) {
	for _, c := range []struct {
		code ErrorCode
		want string
	}{
		{NoError, "NO_ERROR"}, {FrameEncodingError, "FRAME_ENCODING_ERROR"}, {AEADLimitReached, "AEAD_LIMIT_REACHED"},
		{NoViablePath, "NO_VIABLE_PATH"}, {VersionNegotiationError, "VERSION_NEGOTIATION_ERROR"}, {0x12, "0x12"}, {CryptoError + 120, "CRYPTO_ERROR (0x178)"}, {0x200, "0x200"},
	} {
		if c.code.String() != c.want {
			t.Errorf("%#x is %s, want %s", uint64(c.code), c.code, c.want)
		}
	}
	if a, ok := (CryptoError + 120).Alert(); !ok || a != 120 {
		t.Errorf("alert %d, %v", a, ok)
	}
	for _, code := range []ErrorCode{InternalError, 0x200} {
		if _, ok := code.Alert(); ok {
			t.Errorf("%s carries an alert", code)
		}
	}
}

func TestSpacesAndPacketTypesHaveTheirQlogNames(t *testing.T) {
	for i, want := range []string{"initial", "handshake", "application_data", "unknown"} {
		if Space(i).String() != want {
			t.Errorf("space %d is %s", i, Space(i))
		}
	}
	for i, want := range []string{"unknown", "initial", "0RTT", "handshake", "retry", "version_negotiation", "1RTT", "unknown"} {
		if PacketType(i).String() != want {
			t.Errorf("packet type %d is %s", i, PacketType(i))
		}
	}
}
