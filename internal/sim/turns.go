package sim

import (
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
)

// Turn is something that befalls one connection.
type Turn struct {
	Kind   TurnKind
	Client int           // whose connection
	Server bool          // at the server's end of it, where both ends can
	After  time.Duration // counted from the confirmation of its handshake
}

// TurnKind is what befalls a connection.
type TurnKind uint8

const (
	// Rebind: the client's NAT gives it another address. It does not come before the handshake is confirmed: "The design of QUIC
	// relies on endpoints retaining a stable address for the duration of the handshake" (RFC 9000, section 9).
	Rebind TurnKind = iota
	// Migrate: the client moves, of its own will, to another address of its own, unless it may not, or is moving.
	Migrate
	// UpdateKeys: an end updates its keys as soon as it may.
	UpdateKeys
	// RenewIDs: an end gives its peer other connection IDs for all that it has.
	RenewIDs
	// Reorder: an end gives all its streams other priorities.
	Reorder
	// HangUp: an end closes the connection, whatever is left to do.
	HangUp
	// Vanish: an end forgets the connection, as a process does that is killed. What comes for it is a stranger's.
	Vanish
	numTurnKinds
)

// turnsOf has turns of one kind befall the first client.
func turnsOf(kind TurnKind, after ...time.Duration) (turns []Turn) {
	for _, d := range after {
		turns = append(turns, Turn{Kind: kind, After: d})
	}
	return turns
}

// alarm is what the world does itself at an instant.
type alarm struct {
	at  instant.Time
	seq int
	do  func()
}

// Before orders alarms by time, and those of one instant as they were set.
func (a *alarm) Before(b *alarm) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// alarms is what is still to be done, the next one first.
type alarms struct {
	simnet.Heap[alarm, *alarm]
	set int
}

// after has something done after a time.
func (w *World) after(d time.Duration, do func()) {
	w.alarms.set++
	w.alarms.Push(alarm{at: w.now.Add(d), seq: w.alarms.set, do: do})
}

// ring does what is due.
func (w *World) ring() {
	for len(w.alarms.Heap) > 0 && w.alarms.Heap[0].at <= w.now {
		a := w.alarms.Pop()
		a.do()
	}
}

// nextAlarm returns when ring has something to do.
func (w *World) nextAlarm() instant.Time {
	if len(w.alarms.Heap) == 0 {
		return instant.Never
	}
	return w.alarms.Heap[0].at
}

// confirmed sets the alarms of what is to befall a connection whose handshake is confirmed.
func (w *World) confirmed(p *pair) {
	p.confirmed = true
	for _, turn := range w.config.Turns {
		if turn.Client == p.index && !w.healed(w.now.Add(turn.After)) {
			w.after(turn.After, func() { w.befall(p, turn) })
		}
	}
	if d := w.config.Quiet; d > 0 {
		w.net.Forget(clientAddr(p.index), outsideAddr(p.index, 1000), d)
	}
}

// befall does what is to befall a connection, if there still is one.
func (w *World) befall(p *pair, turn Turn) {
	end := client
	if turn.Server {
		end = server
	}
	c := p.ends[end]
	if p.closed || c == nil || c.gone {
		return
	}
	switch turn.Kind {
	case Rebind:
		w.net.Rebind(w.now, clientAddr(p.index), outsideAddr(p.index, p.rebound))
		p.rebound++
		return
	case Migrate:
		c = p.ends[client]
		_ = c.Migrate(w.now, engine.Path{Local: movedAddr(p.index, p.moved), Remote: c.Path().Remote})
		p.moved++
	case UpdateKeys:
		c.UpdateKeys()
	case RenewIDs:
		c.RenewIDs(w.now)
	case Reorder:
		for _, f := range p.flows {
			if f.opened && !f.done() {
				x := w.random()
				c.SetPriority(f.id, uint8(x)&engine.MaxUrgency, x&0x100 != 0)
			}
		}
	case HangUp:
		p.hangUp(c)
	case Vanish:
		p.closed, p.by, p.vanished = true, end, true
		c.vanish()
		return
	}
	c.touched = true
}

// vanish is the end of a connection whose process is gone.
func (c *conn) vanish() {
	for _, id := range c.ids {
		c.host.remove(id, c)
	}
	for _, token := range c.tokens {
		c.host.demux.RemoveToken(token)
	}
	c.Abandon()
	c.gone, c.touched, c.due = true, true, instant.Never
}

// movedAddr returns the address that a client moves to the i-th time: every other time another port alone.
func movedAddr(client, i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(client), byte(i / 2)}), uint16(7000+i))
}

// outsideAddr returns the address that a client's NAT gives it the i-th time: every other time another port alone.
func outsideAddr(client, i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100 + byte(client), byte(i / 2)}), uint16(6000+i))
}

// random draws a number.
func (w *World) random() uint64 { return w.rng.Uint64() }
