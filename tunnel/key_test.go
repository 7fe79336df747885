package tunnel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestAKeyOutlivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit", "deeper", "exit.key")
	k, created, err := LoadOrCreateKey(path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && (info.Mode() != 0o600 || dir.Mode().Perm() != 0o700) {
		t.Errorf("the file has mode %v, its directory %v", info.Mode(), dir.Mode())
	}
	again, created, err := LoadOrCreateKey(path)
	if err != nil || created || *again != *k {
		t.Errorf("another key: %v, %v", created, err)
	}
	if other := NewKey(); other.Pin() == k.Pin() || other.secret == k.secret {
		t.Error("two keys are alike")
	}
}

func TestExitsThatBeginTogetherShareOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "exit.key")
	var pins sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			// One that reads while another still writes is told that the file is damaged; it never takes a key of its own.
			k, _, err := LoadOrCreateKey(path)
			if err == nil {
				pins.Store(k.Pin(), true)
			} else if !strings.Contains(err.Error(), "damaged") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	n := 0
	pins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	good := string((&Key{seed: [32]byte{1}, secret: Secret{2}}).text())
	t.Logf("%d bytes", len(good))
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       string
	}{
		{"readable by the group", good, 0o640, "others may read or write it (mode 0640): chmod 600 it"},
		{"writable by others", good, 0o602, "others may read or write it (mode 0602)"},
		{"empty", "", 0o600, "damaged"},
		{"garbage", "\x00\xff\x17", 0o600, "not a tunnel key"},
		{"another kind of key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600, "not a tunnel key"},
		{"cut short", good[:len(good)/2], 0o600, "damaged"},
		{"one character changed", strings.Replace(good, "AQEA", "AQIA", 1), 0o600, "damaged"},
		{"something behind", good + "x", 0o600, "damaged"},
		{"too short inside", "-----BEGIN " + keyFileType + "-----\nAQ==\n-----END " + keyFileType + "-----\n", 0o600, "damaged"},
		{"a newer version", "-----BEGIN " + keyFileType + "-----\nAg==\n-----END " + keyFileType + "-----\n", 0o600, "newer version"},
		{"huge", strings.Repeat("\n", maxKeyFile) + good, 0o600, "too large"},
	} {
		if runtime.GOOS == "windows" && c.mode != 0o600 {
			continue
		}
		path := filepath.Join(t.TempDir(), "exit.key")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, c.mode)
		_, created, err := LoadOrCreateKey(path)
		var refused *KeyFileError
		if created || !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if now, _ := os.ReadFile(path); string(now) != c.text {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	for path, want := range map[string]string{
		t.TempDir():                                 "not a file",
		filepath.Join(t.TempDir(), "a\x00b"):        "invalid argument",
		filepath.Join(os.DevNull, "below", "a.key"): "not a directory",
	} {
		if _, _, err := LoadOrCreateKey(path); err == nil || runtime.GOOS == "linux" && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestTheSecretsOfAKeyAreIndependent(t *testing.T) {
	k := &Key{seed: [32]byte{1}, secret: Secret{1}} // not independent, so that what derives would show it
	if k.Pin() == pinOf(k.secret.entryKey()) {
		t.Error("the entry's key is the exit's")
	}
	if k.quicSecret() == derive(k.secret[:], "godwit tunnel entry key v1") {
		t.Error("who has the secret can make stateless resets")
	}
	if pinOf((Secret{1}).entryKey()) != pinOf((Secret{1}).entryKey()) || pinOf((Secret{1}).entryKey()) == pinOf((Secret{2}).entryKey()) {
		t.Error("the entry's key does not follow from the secret")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add((&Key{seed: [32]byte{1}, secret: Secret{2}}).text())
	f.Add([]byte("-----BEGIN " + keyFileType + "-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, why := parseKey(text)
		switch {
		case (k == nil) != (why != ""):
			t.Fatalf("%q: %v, and %q", text, k, why)
		case k != nil:
			if again, why := parseKey(k.text()); why != "" || *again != *k {
				t.Fatalf("%q comes back as another key: %s", text, why)
			}
		case strings.Contains(why, "\n"):
			t.Fatalf("several lines: %q", why)
		}
	})
}
