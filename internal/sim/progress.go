package sim

import (
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// A connection that stands still needs a reason, and so does one that talks and gets nowhere.

// maxIdleTalk is how many datagrams both ends of a connection may send without a byte that is read, an end that is seen or a step
// of the handshake: a few windows of what is repeated while the one lost byte in front of it all is lost again.
const maxIdleTalk = 5000

// progress notes that the work of a connection goes on.
func (p *pair) progress(now instant.Time) {
	if p != nil {
		p.at, p.idle = now, 0
	}
}

// patience returns for how long a connection may make no progress once nothing is wrong any more: what it waits for then is a
// timeout that has doubled while something was, or that ends it.
func (w *World) patience(p *pair) time.Duration {
	longest := 30 * time.Second
	for _, c := range [...]*engine.Config{&w.config.Client, &w.config.Server} {
		longest = max(longest, c.MaxIdleTimeout, c.HandshakeTimeout)
	}
	return 2*w.now.Sub(max(p.at, epoch)) + longest + 30*time.Second
}

// checkTurn judges what must be so whenever everything has happened that happens at an instant.
func (w *World) checkTurn() {
	for _, p := range w.pairs {
		if p.idle > maxIdleTalk {
			w.fail("the ends of %s sent %d datagrams, and got nowhere: %s", p.name, p.idle, p.unfinished())
		}
		if p.patience == 0 || p.closed || w.config.Dead {
			continue
		}
		if still := w.now.Sub(max(p.at, epoch.Add(w.config.Heal))); still > p.patience {
			w.fail("nothing is wrong, and for %v nothing was done: %s", still, p.unfinished())
		}
	}
}
