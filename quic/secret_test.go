package quic

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecretIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "down", "secret")
	first, err := LoadSecret(path)
	if err != nil || first == [32]byte{} {
		t.Fatalf("%x, %v", first, err)
	}
	again, err := LoadSecret(path)
	if err != nil || again != first {
		t.Errorf("%x became %x, %v", first, again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if other, err := LoadSecret(path + "2"); err != nil || other == first {
		t.Error("another file has the same secret")
	}
}

func TestSecretFilesThatAreRefused(t *testing.T) {
	good := strings.Repeat("0f", 32)
	for _, c := range []struct {
		sentence, text string
		mode           os.FileMode
		want           string
	}{
		{"good", good, 0o600, ""},
		{"with white space", "\n" + good + "\n", 0o400, ""},
		{"readable by the group", good, 0o640, "chmod 600"},
		{"writable by others", good, 0o602, "chmod 600"},
		{"too short", good[1:], 0o600, "64 hexadecimal digits"},
		{"too long", good + "00", 0o600, "64 hexadecimal digits"},
		{"empty", "", 0o600, "64 hexadecimal digits"},
		{"of other letters", "x" + good[1:], 0o600, "64 hexadecimal digits"},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		secret, err := LoadSecret(path)
		switch {
		case c.want == "" && (err != nil || secret[0] != 0x0f):
			t.Errorf("%s: %x, %v", c.sentence, secret, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || secret != [32]byte{}):
			t.Errorf("%s: %x, %v", c.sentence, secret, err)
		}
	}
	if _, err := LoadSecret(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}
