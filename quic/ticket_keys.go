package quic

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// TicketKeys are keys of session tickets that outlive the process and rotate. A new key is used each half day, and the one before
// is accepted still, so a session can be resumed for at least that long. Processes that share the store share the keys, without
// talking to each other: each key derives from the one before it and from nothing else, at times that all agree on. Older keys
// cannot be computed from what is stored.
//
// Whoever reads the store can read what is sent in 0-RTT, and can pass for the server in resumed sessions.
type TicketKeys struct {
	// Load returns what was last saved; nothing, and no error, when there is nothing. Save replaces it. Save is called when a
	// key is made and each time that keys rotate.
	Load func() ([]byte, error)
	Save func(state []byte) error

	mu    sync.Mutex
	gen   int64    // of prev
	prev  [32]byte // the secret of the generation before the present one
	known bool
}

// ticketPeriod is how long each key is used.
const ticketPeriod = 12 * time.Hour

// TicketKeyFile returns keys that live in a file, which is made if need be with mode 0600. One that others may read or write is
// refused.
func TicketKeyFile(path string) *TicketKeys {
	return &TicketKeys{
		Load: func() ([]byte, error) {
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			if info.Mode().Perm()&0o077 != 0 {
				return nil, fmt.Errorf("%s may be read by others: its mode is %04o, and has to be 0600", path, info.Mode().Perm())
			}
			return os.ReadFile(path)
		},
		Save: func(state []byte) error { return replaceFile(path, state) },
	}
}

// replaceFile writes a file, with mode 0600, in one step.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Apply sets the keys of this moment on conf, for which crypto/tls then makes none of its own. Call it again before they rotate;
// next says when that is. It is for those who share the keys with a server of another kind: an Endpoint with Config.TicketKeys
// does it by itself. The error is that of Load or Save, or says that what was saved makes no sense.
func (k *TicketKeys) Apply(conf *tls.Config) (next time.Time, err error) {
	keys, next, err := k.at(time.Now())
	if err == nil {
		conf.SetSessionTicketKeys(keys)
	}
	return next, err
}

// at returns the keys of an instant, of which the first makes tickets, and when they will be others.
func (k *TicketKeys) at(now time.Time) (keys [][32]byte, next time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	gen := now.Unix() / int64(ticketPeriod/time.Second)
	next = time.Unix((gen+1)*int64(ticketPeriod/time.Second), 0)
	if err := k.advance(gen); err != nil {
		return nil, next, fmt.Errorf("quic: ticket keys: %w", err)
	}
	// A clock that runs ahead on one of several servers has it issue tickets that the others do not know yet: so each accepts
	// the key to come as well.
	present := ratchet(k.prev)
	return [][32]byte{ticketKey(present), ticketKey(k.prev), ticketKey(ratchet(present))}, next, nil
}

// advance brings prev to the generation before gen. What another process has saved meanwhile counts.
func (k *TicketKeys) advance(gen int64) error {
	if k.known && k.gen == gen-1 {
		return nil
	}
	state, err := k.Load()
	if err != nil {
		return err
	}
	saved := false
	if len(state) > 0 {
		if k.gen, k.prev, err = parseTicketState(state); err != nil {
			return err
		}
		saved = k.gen == gen-1
	} else if !k.known {
		k.gen = gen - 1
		rand.Read(k.prev[:])
	}
	if gen-1-k.gen > maxRatchet || k.gen > gen {
		// Unused for years, or from the future: nobody has such a ticket.
		k.gen = gen - 1
		rand.Read(k.prev[:])
		saved = false
	}
	for ; k.gen < gen-1; k.gen++ {
		k.prev = ratchet(k.prev)
	}
	k.known = true
	if saved || k.gen > gen-1 { // a little behind the clock of whoever saved it
		return nil
	}
	return k.Save(appendTicketState(nil, k.gen, k.prev))
}

// maxRatchet is how many generations are caught up with after a long rest.
const maxRatchet = 10_000

// ratchet returns the secret of the next generation. There is no way back.
func ratchet(secret [32]byte) [32]byte { return derive(secret, "godwit ticket secret, next") }

// ticketKey returns what crypto/tls derives its keys from.
func ticketKey(secret [32]byte) [32]byte { return derive(secret, "godwit ticket key") }

func derive(secret [32]byte, label string) [32]byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte(label))
	return [32]byte(h.Sum(nil))
}

const ticketStateHead = "godwit-ticket-keys-1"

func appendTicketState(b []byte, gen int64, secret [32]byte) []byte {
	return fmt.Appendf(b, "%s %d %x\n", ticketStateHead, gen, secret)
}

var errTicketState = errors.New("what was saved is no set of ticket keys")

func parseTicketState(b []byte) (gen int64, secret [32]byte, err error) {
	f := strings.Fields(string(b))
	if len(f) != 3 || f[0] != ticketStateHead {
		return 0, secret, errTicketState
	}
	gen, err = strconv.ParseInt(f[1], 10, 64)
	raw, herr := hex.DecodeString(f[2])
	if err != nil || herr != nil || len(raw) != len(secret) || gen < 0 {
		return 0, secret, errTicketState
	}
	return gen, [32]byte(raw), nil
}

// keepTicketKeys sets the endpoint's keys, now and each time that they rotate until the endpoint closes.
func (e *Endpoint) keepTicketKeys(k *TicketKeys) error {
	next, err := k.Apply(e.tls)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rotate = time.AfterFunc(time.Until(next), func() {
		e.mu.Lock()
		closed := e.closed
		e.mu.Unlock()
		if closed {
			return
		}
		if err := call(func() error { return e.keepTicketKeys(k) }); err != nil {
			// The present keys stay: that is worse than new ones and better than none.
			about := []any{"error", err}
			if p, ok := errors.AsType[*panicError](err); ok {
				about = append(about, "stack", string(p.stack))
			}
			e.say(slog.LevelError, "quic: session ticket keys do not rotate", about...)
			e.mu.Lock()
			e.rotate.Reset(time.Minute)
			e.mu.Unlock()
		}
	})
	return nil
}

// stopRotation ends keepTicketKeys. mu is held.
func (e *Endpoint) stopRotation() {
	if e.rotate != nil {
		e.rotate.Stop()
	}
}
