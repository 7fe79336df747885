package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
)

// output is what a command writes, which a test may read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// result is what a command left behind.
type result struct {
	code        int
	out, errors string
}

// godwit runs a command to its end.
func godwit(args ...string) result { return godwitWith("", args...) }

func godwitWith(stdin string, args ...string) result {
	var out, errors output
	code := run(context.Background(), process{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errors}, args)
	return result{code, out.String(), errors.String()}
}

func TestCallingItWronglyIsOneLineAndCode2(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"fly", `unknown command "fly"`},
		{"version now", "version takes no arguments"},

		{"serve --bogus", "flag provided but not defined: -bogus"},
		{"serve 8080", "the site is named with --to URL"},
		{"serve --log xml", "want text or json"},
		{"serve --grace soon", "invalid value"},
		{"serve --listen nowhere", "want HOST:PORT"},
		{"serve --to 127.0.0.1:8080", "want one such as http://127.0.0.1:8080"},
		{"serve --cert none.pem", "name the key file too"},
		{"serve --cert none.pem --key none.pem", "none.pem: no such file"},

		{"link", "--to HOST:PORT names the server"},
		{"link --to 127.0.0.1:1 now", "unexpected argument"},
		{"link --to 127.0.0.1", "--to \"127.0.0.1\": want HOST:PORT"},
		{"link --to 127.0.0.1:1 --listen x", "--listen \"x\": want HOST:PORT"},
		{"link --to 127.0.0.1:1 --loss 101%", "want a share such as 1% or 0.01"},
		{"link --to 127.0.0.1:1 --down-loss x", "want a share such as 1% or 0.01"},
		{"link --to 127.0.0.1:1 --delay -1s", "want a time such as 30ms"},
		{"link --to 127.0.0.1:1 --rate 50", "want a number such as 10kbit, 10mbit"},
		{"link --to 127.0.0.1:1 --queue 1XB", "want a number such as 10KiB"},
		{"link --to 127.0.0.1:1 --queue 0", "want a number such as 10KiB"},
		{"link --to 127.0.0.1:1 --queue 1kB", "need a --rate"},
		{"link --to 127.0.0.1:1 --drop 0", "want numbers from 1, such as 2-7,9"},
		{"link --to 127.0.0.1:1 --drop 7-2", "want numbers from 1, such as 2-7,9"},
		{"link --to 127.0.0.1:1 --burst many", "want a number"},
		{"link --to 127.0.0.1:1 --outage 5s", "want two times such as 5s/2s"},
		{"link --to 127.0.0.1:1 --ecn bleach", "want clear, swap, force or drop"},
		{"link --to 127.0.0.1:1 --rebind often", "want a time such as 30ms"},
		{"link --to [::1]:1 --rebind-addr", "needs a server within 127.0.0.0/8"},

		{"get", "0 URLs given, want one"},
		{"get https://a https://b", "2 URLs given, want one"},
		{"get --bogus https://a", "flag provided but not defined: -bogus"},
		{"get https://a --bogus", "flag provided but not defined: -bogus"},
		{"get http://a", "the URL must begin with https://"},
		{"get a.example", "is not an https URL"},
		{"get https://", "is not an https URL"},
		{"get https://:1", "names no host"},
		{"get https://a:99999", "from 1 to 65535"},
		{"get https://a:b", "is not a URL: invalid port"},
		{"get https://a -H nonsense", "want 'Name: value'"},
		{"get https://a -H (:x", "want 'Name: value'"},
		{"get https://a -X G(T", "invalid method"},
		{"get https://a -X CONNECT", "cannot use"},
		{"get https://a --timeout -1s", "negative"},
		{"get https://a --cacert none.pem", "none.pem: no such file"},
		{"get https://a --cacert main_test.go", "there is no certificate in it"},
		{"get https://a -d @none", "-d @none: no such file"},
		{"get https://a -o .", "is a folder"},
		{"get https://a -o none/x", "there is no folder none"},
		{"get https://a --keylog none/x", "there is no folder none"},
		{"get https://a --qlog main_test.go", "is not a folder"},
	} {
		got := godwit(strings.Fields(c.args)...)
		if got.code != 2 || !strings.Contains(got.errors, c.want) || strings.Count(got.errors, "\n") != 1 || got.out != "" {
			t.Errorf("godwit %s: code %d, %q, want %q on one line", c.args, got.code, got.errors, c.want)
		}
	}
}

func TestHelpShowsEveryFlag(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"help", "put HTTP/3 in front of an HTTP site"},
		{"serve --help", "--udp-only"},
		{"get --help", "  -v  "},
		{"get --help", "--resume"},
		{"link --help", "outage, ecn."},
	} {
		if got := godwit(strings.Fields(c.args)...); got.code != 0 || !strings.Contains(got.out, c.want) || got.errors != "" {
			t.Errorf("godwit %s: %+v", c.args, got)
		}
	}
}
