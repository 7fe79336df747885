package interop

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// TestClientsProveTheirAddress has every client answer a Retry packet first.
func TestClientsProveTheirAddress(t *testing.T) {
	s, e := serveTuned(t, &quic.Config{AddressValidation: quic.ValidateAlways})
	retries := func() int64 { return e.Stats().Dropped["retry"] }
	asked := func(t *testing.T, ask func()) {
		t.Helper()
		before := retries()
		ask()
		if retries() == before {
			t.Error("nobody asked for the proof")
		}
	}
	t.Run("curl", func(t *testing.T) {
		need(t, curl)
		asked(t, func() {
			r := succeed(within(t, patience), t, curlTo(s.url+"/hello"))
			if want := greeting + "[HTTP/3 200]"; r.stdout != want {
				t.Errorf("curl says %q, want %q", r.stdout, want)
			}
		})
	})
	t.Run("aioquic", func(t *testing.T) {
		need(t, aioquicClient)
		asked(t, func() {
			dir := newShare(t)
			aioquicTo(t, dir, s.url+"/hello")
			if got := dir.read(t, "hello"); got != greeting {
				t.Errorf("aioquic read %q", got)
			}
		})
	})
	for _, p := range []*peer{osslClient, gtlsClient} {
		t.Run(p.name, func(t *testing.T) {
			need(t, p)
			dir := newShare(t)
			ask := func() {
				succeed(within(t, 60*time.Second), t, p.command("--quiet", "--exit-on-all-streams-close", "--download="+dir.peer,
					"--token-file="+dir.peer+"/token", "127.0.0.1", s.port, s.url+"/hello"))
				if got := dir.read(t, "hello"); got != greeting {
					t.Errorf("it read %q", got)
				}
			}
			asked(t, ask)
			before := retries()
			ask()
			if n := retries() - before; n != 0 {
				t.Errorf("%d Retry packets for a client that brings its token", n)
			}
		})
	}
	t.Run("quic-go", func(t *testing.T) {
		asked(t, func() { wantGreeting(t, quicGoClient(t), s.url+"/hello", 3) })
	})
}

// TestTokensOfOthersAreUsed has servers of others ask for the proof, and asks them again with what they gave.
func TestTokensOfOthersAreUsed(t *testing.T) {
	for _, o := range otherServers {
		if !strings.Contains(o.name, "Retry") {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			need(t, o.peers...)
			s := o.start(t)
			store := quic.NewTokenStore(1)
			for range 3 {
				tr := &http3.Transport{TLSClientConfig: ca.client(), QUIC: &quic.Config{TokenStore: store}}
				wantGreeting(t, &http.Client{Transport: tr, Timeout: patience}, s.url+s.hello, 3)
				tr.Close()
			}
		})
	}
}
