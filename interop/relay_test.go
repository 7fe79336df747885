package interop

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/simnet"
)

// weather is what a relay does to datagrams in both directions.
type weather struct {
	seed uint64
	simnet.LinkConfig
}

// relay is a link to one server.
type relay struct {
	*site
	*link.Link
	retries atomic.Int64 // Retry packets that came by
	close   func()       // ends the relay; the capture is complete then
}

// startRelay puts a relay in front of a server. capture, unless empty, is the file for what it carries, as the server sees it.
func startRelay(t *testing.T, target string, w weather, capture string) *relay {
	t.Helper()
	r := &relay{}
	c := link.Config{Listen: "127.0.0.1:0", Target: target, Up: w.LinkConfig, Down: w.LinkConfig, Seed: w.seed, Tap: func(p link.Passing) {
		if len(p.Payload) > 0 && p.Payload[0]&0xf0 == 0xf0 {
			r.retries.Add(1)
		}
	}}
	var file *os.File
	if capture != "" {
		var err error
		if file, err = os.Create(capture); err != nil {
			t.Fatal(err)
		}
		c.Capture = file
	}
	l, err := link.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.site, r.Link = newSite(int(l.Addr().Port())), l
	r.close = func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if file != nil {
			file.Close()
		}
	}
	t.Cleanup(r.close)
	return r
}
