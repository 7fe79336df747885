package quic

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
)

// Why a connection does not migrate.
var (
	// ErrMigrateServer: only clients migrate (RFC 9000, section 9).
	ErrMigrateServer = engine.ErrMigrateServer
	// ErrMigrateDisabled: the server does not allow it.
	ErrMigrateDisabled = engine.ErrMigrateDisabled
	// ErrMigrateNoID: the server has given no connection ID for another path, or not yet.
	ErrMigrateNoID = engine.ErrMigrateNoID
	// ErrMigrateShared: the connection was dialled from an Endpoint, whose socket it shares with others.
	ErrMigrateShared = errors.New("quic: a connection that shares its socket does not migrate; the function Dial makes one that does")
	// ErrNoAnswer: nothing came back on the new path.
	ErrNoAnswer = errors.New("quic: the server does not answer on the new path")
)

// relocation is what a connection knows of its migrations.
type relocation struct {
	moving       waitList // for the end of the handshake, or of a migration
	moveFailures int64    // migrations that failed
	lookout
}

// Migrate moves a connection that the function Dial made to another local address, and returns when it has moved. It opens
// a socket on local; the zero AddrPort, or port 0, lets the system choose, by the route it has now. The server is asked for an
// answer on the new path first, and until it comes everything goes on over the old one, which stays in use when none comes
// (ErrNoAnswer, after three probe timeouts, 3 seconds at least). Streams notice nothing. Congestion control starts
// anew, unless only the port is another (RFC 9000, section 9.4).
//
// A connection whose address has vanished, or whose route, or whose interface does not work any more while another does, does
// the same by itself.
func (c *Conn) Migrate(ctx context.Context, local netip.AddrPort) error {
	switch {
	case !c.client:
		return ErrMigrateServer
	case !c.ep.own:
		return ErrMigrateShared
	}
	s, path, err := c.ep.bind(ctx, local, c.remote())
	if err != nil {
		return err
	}
	if err := c.moveTo(ctx, path); err != nil {
		c.ep.putAway(s)
		return err
	}
	c.ep.settleOn(s)
	return nil
}

// moveTo has the core probe a path and waits for the outcome.
func (c *Conn) moveTo(ctx context.Context, path engine.Path) (err error) {
	done := ctx.Done()
	soon, cancel := context.WithTimeout(ctx, migratePatience)
	defer cancel()
	c.mu.Lock()
	defer c.leave(&err)
	for {
		if c.err != nil {
			return c.err
		}
		path.Remote = c.path.Remote // it changes when the server prefers another
		err := c.core.Migrate(c.now(), path)
		if err == nil {
			break
		}
		// What stands in the way of these ends soon: a handshake, another path being probed, IDs that the server has yet to
		// replace.
		if err != engine.ErrMigrateEarly && err != engine.ErrMigrateBusy && err != engine.ErrMigrateNoID {
			return err
		}
		if !c.moving.wait(&c.mu, soon.Done()) {
			if isDone(done) {
				return context.Cause(ctx)
			}
			return err
		}
	}
	failures := c.moveFailures
	c.flush(c.now(), false)
	for c.err == nil && c.path.Local != path.Local && c.moveFailures == failures {
		if !c.moving.wait(&c.mu, done) && c.err == nil && c.path.Local != path.Local && c.moveFailures == failures {
			c.core.AbandonMigration(c.now())
			return context.Cause(ctx)
		}
	}
	switch {
	case c.err != nil:
		return c.err
	case c.path.Local != path.Local:
		return ErrNoAnswer
	}
	return nil
}

// escape moves the connection away from a socket from which the system does not send any more.
func (c *Conn) escape(s *socket) {
	tryToEscape(c.Context().Done(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patienceOfEscape)
		defer cancel()
		return c.Migrate(ctx, netip.AddrPort{})
	})
	s.ClearUnroutable()
	c.ep.mu.Lock()
	c.escaping = false
	c.ep.mu.Unlock()
}

// tryToEscape calls migrate until it succeeds, or cannot, or the connection is over. Another address may take a moment to come,
// so it is tried again, at most maxEscapes times, after waits that double.
func tryToEscape(over <-chan struct{}, migrate func() error) {
	wait := firstEscape
	for tries := 1; ; tries++ {
		err := migrate()
		if err == nil || err == ErrMigrateDisabled || tries == maxEscapes {
			return
		}
		select {
		case <-time.After(wait):
		case <-over:
			return
		}
		wait *= 2
	}
}
