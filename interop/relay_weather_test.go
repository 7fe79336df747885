package interop

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/simnet"
)

// held is how long a datagram is held back, for others to overtake it.
const held = 5 * time.Millisecond

// badWeathers are the networks that content has to come through whole.
var badWeathers = []struct {
	name string
	weather
}{
	{"1% loss", weather{1, simnet.LinkConfig{Loss: 0.01}}},
	{"5% loss", weather{2, simnet.LinkConfig{Loss: 0.05}}},
	{"reordering and duplication", weather{3, simnet.LinkConfig{Reorder: 0.05, ReorderDelay: held, Duplicate: 0.05}}},
	{"all of it", weather{4, simnet.LinkConfig{Loss: 0.02, Reorder: 0.03, ReorderDelay: held, Duplicate: 0.03}}},
}

// inBadWeather runs a test once in each weather, behind a relay to addr.
func inBadWeather(t *testing.T, addr string, test func(t *testing.T, r *relay)) {
	for _, w := range badWeathers {
		t.Run(w.name, func(t *testing.T) {
			r := startRelay(t, addr, w.weather, "")
			test(t, r)
			stats := r.Stats()
			t.Logf("up %+v", stats.Up)
			t.Logf("down %+v", stats.Down)
			lost, late, twice := stats.Up.Lost+stats.Down.Lost, stats.Up.Reordered+stats.Down.Reordered, stats.Up.Duplicated+stats.Down.Duplicated
			if w.Loss > 0 && lost == 0 || w.Reorder > 0 && late == 0 || w.Duplicate > 0 && twice == 0 {
				t.Error("the weather was fine")
			}
		})
	}
}

func TestContentComesThroughBadNetworksWhole(t *testing.T) {
	t.Run("from godwit to curl", func(t *testing.T) {
		need(t, curl)
		onBoth(t, func(t *testing.T, s *site) {
			inBadWeather(t, s.addr, func(t *testing.T, r *relay) {
				dir := newShare(t)
				succeed(within(t, 60*time.Second), t, curlTo("--output", dir.peer+"/down", fmt.Sprintf("%s/blob?n=%d", r.url, 5*MiB)))
				wantBlobFile(t, filepath.Join(dir.host, "down"), 5*MiB)
			})
		})
	})
	t.Run("from curl to godwit", func(t *testing.T) {
		need(t, curl)
		onBoth(t, func(t *testing.T, s *site) {
			inBadWeather(t, s.addr, func(t *testing.T, r *relay) {
				dir := newShare(t)
				out := succeed(within(t, 60*time.Second), t, curlTo("--data-binary", "@"+dir.peer+"/"+dir.blobFile(t, 5*MiB), r.url+"/sum"))
				if want := summed(5*MiB) + "[HTTP/3 200]"; out.stdout != want {
					t.Errorf("curl says %q, want %q", out.stdout, want)
				}
			})
		})
	})
	t.Run("between quic-go's client and godwit", func(t *testing.T) {
		onBoth(t, func(t *testing.T, s *site) {
			inBadWeather(t, s.addr, func(t *testing.T, r *relay) {
				c := quicGoClient(t)
				down(t, c, r.url, 5*MiB)
				up(t, c, r.url, 5*MiB)
			})
		})
	})
	t.Run("between http3.Transport and nginx", func(t *testing.T) {
		need(t, nginx)
		s := startNginx(t, "")
		inBadWeather(t, s.addr, func(t *testing.T, r *relay) {
			tr := &http3.Transport{TLSClientConfig: ca.client()}
			defer tr.Close()
			c := &http.Client{Transport: tr, Timeout: 60 * time.Second}
			res, err := c.Get(r.url + blobPath(moderate))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			wantBlob(t, res.Body, moderate)
			up(t, c, r.url+"/origin", 5*MiB)
		})
	})
}

// A server that asks for Retry does so, and our client obeys: the relay has seen the packet.
func TestTransportAnswersRetry(t *testing.T) {
	for _, o := range []otherServer{
		{"nginx", []*peer{nginx}, func(t *testing.T) *server { return startNginx(t, "quic_retry on;") }},
		{"aioquic", []*peer{aioquicServer}, func(t *testing.T) *server { return startAioquic(t, "--retry") }},
		{"ngtcp2", []*peer{osslServer}, func(t *testing.T) *server { return startNgtcp2(t, "--validate-addr") }},
	} {
		t.Run(o.name, func(t *testing.T) {
			need(t, o.peers...)
			s := o.start(t)
			r := startRelay(t, s.addr, weather{}, "")
			c, _ := client(t)
			wantGreeting(t, c, r.url+s.hello, 3)
			// A ClientHello with a post-quantum key share is two datagrams, and each of them may be answered with Retry.
			if n := r.retries.Load(); n < 1 || n > 2 {
				t.Errorf("%d Retry packets passed, want one or two", n)
			}
		})
	}
}
