package hostile

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// newTransport makes a well-behaved client that waits as long as it takes.
func newTransport() *http3.Transport {
	return &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		QUIC: &quic.Config{HandshakeTimeout: patience, MaxIdleTimeout: patience}}
}

// attempts is how often somebody who was not served comes again, before that is a failure: a server gives up a handshake after ten
// seconds, which a machine that is slow and under attack may need.
const attempts = 5

// get fetches the page, and tries again when it does not get it.
func get(tr *http3.Transport, addr netip.AddrPort) (err error) {
	for range attempts {
		if err = getOnce(tr, addr); err == nil || !ours() {
			return err
		}
	}
	return err
}

func getOnce(tr *http3.Transport, addr netip.AddrPort) error {
	patience := patience
	if !ours() {
		patience = time.Minute // it may never answer
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+addr.String()+"/", nil)
	if err != nil {
		return err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// fetches are what a well-behaved client has tried, and how long those took that went well.
type fetches struct {
	Asked, Failed int
	Median, Worst time.Duration // reported; nothing depends on them
	took          []time.Duration
}

func (f *fetches) try(t *testing.T, who string, fetch func() error) {
	began := time.Now()
	f.Asked++
	if err := fetch(); err != nil {
		f.Failed++
		t.Logf("%s: %v", who, err)
		return
	}
	f.took = append(f.took, time.Since(began))
}

func (f *fetches) sum() {
	if slices.Sort(f.took); len(f.took) > 0 {
		f.Median, f.Worst = f.took[len(f.took)/2], f.took[len(f.took)-1]
	}
}

// beside is well-behaved clients during an attack: one that was connected before, and again and again one that comes.
type beside struct {
	Old, New fetches
	stop     chan struct{}
	all      sync.WaitGroup
	tr       *http3.Transport
}

// standBeside connects the first client; it and the newcomers fetch until end.
func standBeside(t *testing.T, addr netip.AddrPort) *beside {
	t.Helper()
	b := &beside{stop: make(chan struct{}), tr: newTransport()}
	if err := get(b.tr, addr); err != nil {
		b.tr.Close()
		t.Fatalf("before the attack: %v", err)
	}
	b.repeat(20*time.Millisecond, func() {
		b.Old.try(t, "the client beside it", func() error { return get(b.tr, addr) })
	})
	b.repeat(100*time.Millisecond, func() {
		tr := newTransport()
		b.New.try(t, "a newcomer", func() error { return get(tr, addr) })
		tr.Close()
	})
	return b
}

func (b *beside) repeat(pause time.Duration, f func()) {
	b.all.Go(func() {
		for {
			f()
			select {
			case <-b.stop:
				return
			case <-time.After(pause):
			}
		}
	})
}

// end waits for what was asked and disconnects.
func (b *beside) end() {
	close(b.stop)
	b.all.Wait()
	b.tr.Close()
	b.Old.sum()
	b.New.sum()
}
