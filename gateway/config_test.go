package gateway

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestEachMistakeIsOneLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := writePair(t, dir, "a")
	_, otherKey := writePair(t, dir, "b")
	garbage := file("garbage.pem", "not PEM")
	for _, c := range []struct {
		name string
		conf Config
		want string
	}{
		{"a listen address without a port", Config{Listen: "127.0.0.1"}, `listen address "127.0.0.1": want HOST:PORT`},
		{"a port by name", Config{Listen: ":https"}, "the port must be a number"},
		{"a port too large", Config{Listen: ":65536"}, "the port must be a number"},
		{"a host that does not exist", Config{Listen: "nowhere.invalid:1"}, `the host name "nowhere.invalid" has no address`},
		{"an upstream that is a port", Config{To: "8080"}, "want one such as http://127.0.0.1:8080"},
		{"an upstream without a scheme", Config{To: "127.0.0.1:8080"}, "want one such as http://127.0.0.1:8080"},
		{"an upstream with a name and no scheme", Config{To: "localhost:8080"}, "want one such as http://127.0.0.1:8080"},
		{"an upstream of another scheme", Config{To: "ftp://x"}, "must be http or https"},
		{"an upstream without a host", Config{To: "http://:8080"}, "names no host"},
		{"an upstream with a bad port", Config{To: "http://x:99999"}, "from 1 to 65535"},
		{"an upstream with a malformed port", Config{To: "http://x:port"}, "invalid port"},
		{"an upstream with a query", Config{To: "http://x/?a=b"}, "only scheme, host, port and path"},
		{"an upstream with a password", Config{To: "http://a:b@x"}, "only scheme, host, port and path"},
		{"an upstream that is the gateway", Config{To: "https://localhost:8443"}, "the gateway itself"},
		{"a negative grace period", Config{Grace: -time.Second}, "negative"},
		{"a certificate alone", Config{CertFile: cert}, "name the key file too"},
		{"a key alone", Config{KeyFile: key}, "name the certificate file too"},
		{"a certificate that is not there", Config{CertFile: dir + "/none", KeyFile: key}, "/none: no such file"},
		{"a key that is not there", Config{CertFile: cert, KeyFile: dir + "/none"}, "/none: no such file"},
		{"a certificate that is none", Config{CertFile: garbage, KeyFile: key}, "garbage.pem with key"},
		{"a key of another certificate", Config{CertFile: cert, KeyFile: otherKey}, "private key does not match public key"},
		{"a qlog folder that is a file", Config{QLogDir: garbage}, "is not a folder"},
		{"a key log that is a folder", Config{KeyLogFile: dir}, "is a folder"},
		{"a key log in a folder that is not there", Config{KeyLogFile: dir + "/none/keys"}, "there is no folder"},
	} {
		_, err := New(c.conf)
		var conf *ConfigError
		switch {
		case !errors.As(err, &conf) || len(conf.Problems) != 1:
			t.Errorf("%s: %v, want one problem", c.name, err)
		case !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %q, want %q on one line", c.name, err, c.want)
		}
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	_, err := New(Config{Listen: "x", To: "y", Grace: -1})
	var conf *ConfigError
	if !errors.As(err, &conf) || len(conf.Problems) != 3 {
		t.Errorf("%v", err)
	}
}

func TestGoodConfigs(t *testing.T) {
	for _, c := range []Config{
		{},
		{Listen: ":0", To: "http://localhost"},
		{Listen: "[::1]:8443", To: "https://example.com/app"},
		{Listen: "127.0.0.1:443", To: "https://127.0.0.1:443", UDPOnly: true},
		{KeyLogFile: "keys.log", QLogDir: "not-there-yet"},
	} {
		c.Logger = quiet
		if _, err := New(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := os.Stat("keys.log"); err == nil {
		t.Error("New has opened a file")
	}
}
