package quic

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDialComesToTheVersionThatBothWant(t *testing.T) {
	// Rules: 9368:2.1/4, 9368:6/2
	for _, c := range []struct {
		sentence       string
		client, server []uint32
		want           uint32
	}{
		{"as it comes", nil, nil, Version1},
		{"the client wants version 2 most", []uint32{Version2, Version1}, nil, Version2},
		{"the server does not speak it", []uint32{Version2, Version1}, []uint32{Version1}, Version1},
		{"version 2 from the beginning", []uint32{Version2}, nil, Version2},
		{"the server speaks version 2 alone, which takes a second attempt", nil, []uint32{Version2}, Version2},
	} {
		ours, theirs := pair(t, speaking(c.client...), speaking(c.server...))
		if a, b := ours.Stats().Version, theirs.Stats().Version; a != c.want || b != c.want {
			t.Errorf("%s: %#x and %#x, want %#x", c.sentence, a, b, c.want)
		}
		s, r := streams(t, ours, theirs)
		if _, err := s.WriteFinal([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v", c.sentence, b, err)
		}
		ours.Close()
		<-ours.ep.sock.ended // the socket of a Dial closes with its last attempt
	}
}

func TestDialOfAnEndpointMayTakeASecondAttemptToo(t *testing.T) {
	server := listen(t, speaking(Version2))
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := client.Dial(testContext(t), server.Addr().String(), clientTLS(), nil)
	if err != nil || c.Stats().Version != Version2 {
		t.Fatal(c, err)
	}
}

func TestDialSaysWhenThereIsNoVersionInCommon(t *testing.T) {
	e := listen(t, speaking(Version1))
	c, err := Dial(testContext(t), e.Addr().String(), clientTLS(), speaking(Version2))
	var version *VersionError
	if c != nil || !errors.As(err, &version) || version.Common != 0 || !strings.Contains(err.Error(), "0x6b3343cf") {
		t.Errorf("%v, %v", c, err)
	}
}

func TestConfigRejectsUnknownVersions(t *testing.T) {
	if _, err := Dial(context.Background(), "127.0.0.1:1", clientTLS(), speaking(3)); err == nil || !strings.Contains(err.Error(), "0x3") {
		t.Errorf("%v", err)
	}
}

func speaking(versions ...uint32) *Config { return &Config{Protocol: Protocol{Versions: versions}} }
