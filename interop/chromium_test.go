package interop

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// dumpDOM has a headless Chromium with a profile of its own load a page, run its script, and print what has become of it.
// It is told to use QUIC with the origin, since browsers otherwise begin with TCP, and to accept the key whose hash is
// given, since browsers use QUIC only with certificates of authorities that they know.
func dumpDOM(t *testing.T, host, spki, url string) string {
	t.Helper()
	cmd := chromium.command("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--disable-background-networking", "--disable-component-update", "--enable-quic",
		"--origin-to-force-quic-on="+host, "--ignore-certificate-errors-spki-list="+spki,
		"--virtual-time-budget=15000", "--dump-dom", url)
	return succeed(within(t, 60*time.Second), t, cmd).stdout
}

// spkiOf is the hash of the certificate's key that serve prints.
func spkiOf(t *testing.T, s *site) string {
	t.Helper()
	hash := regexp.MustCompile(`--ignore-certificate-errors-spki-list=(\S+)`)
	s.proc.waitFor(t, "the hash of its key", func() bool { return hash.MatchString(s.proc.out.String()) })
	return hash.FindStringSubmatch(s.proc.out.String())[1]
}

// The demo page tells over what it came, as the browser sees it, and so does each of its tiles.
func TestChromiumLoadsTheDemoSiteOverHTTP3(t *testing.T) {
	need(t, chromium)
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"with the certificate that serve makes", nil},
		{"with a certificate from files", []string{"--cert", ca.host + "/" + certFile, "--key", ca.host + "/" + keyFile}},
		{"with no TCP port at all", []string{"--udp-only"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.flags...)
			dom := dumpDOM(t, s.addr, spkiOf(t, s), s.url+"/")
			if !strings.Contains(dom, `<strong id="page">HTTP/3</strong>`) {
				t.Error("the page did not come over HTTP/3")
			}
			tiles := strings.Count(dom, `<div class="tile h3"`)
			if all := strings.Count(dom, `<div class="tile`); tiles == 0 || tiles != all {
				t.Errorf("%d of %d tiles came over HTTP/3", tiles, all)
			}
			if t.Failed() {
				t.Log(tail(dom))
			}
		})
	}
}
