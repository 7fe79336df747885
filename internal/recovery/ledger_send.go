package recovery

import (
	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// OnSent records a packet with the number Next(s). It may call Fate with Lost for packets so old that they are given up;
// see maxSparse.
func (l *Ledger) OnSent(now instant.Time, s wire.Space, sent Sent) {
	sp := &l.spaces[s]
	if sp.dropped {
		panic("BUG: recovery: a packet was sent in a space that was dropped")
	}
	sent.InFlight = sent.InFlight || sent.AckEliciting
	l.makeRoom(now, s)
	p := sp.ring.push()
	*p = Packet{
		Number:       sp.ring.next - 1,
		SentAt:       now,
		Size:         sent.Size,
		AckEliciting: sent.AckEliciting,
		InFlight:     sent.InFlight,
		MTUProbe:     sent.MTUProbe,
		Bare:         sent.Bare,
		ECN:          sent.ECN,
		state:        outstanding,
	}
	sp.ring.hold(p, sent.Facts)
	sp.ecn.onSent(sent.ECN)
	l.stats.Sent++
	l.stats.SentBytes += int64(sent.Size)
	if sent.AckEliciting {
		sp.eliciting++
		sp.lastEliciting = now
		sp.probes = max(sp.probes-1, 0)
	}
	if sent.InFlight {
		l.onFlight(now, p)
	}
}

// onFlight accounts for a packet that counts in flight.
func (l *Ledger) onFlight(now instant.Time, p *Packet) {
	// If time has passed since the last packet and nothing held the sender back, the application paused.
	if l.refusedAt < l.lastSent && l.lastSent < now {
		l.rate.onPause(l.inFlight)
	}
	l.lastSent = now
	l.armedAt = now
	l.rate.onSent(now, p, l.inFlight)
	l.inFlight += p.Size
	if l.pacer.spend(p.Size, l.datagram) {
		l.onPaced(now)
	}
	l.ctl.OnSent(congestion.Sent{Now: now, Bytes: p.Size, InFlight: l.inFlight, Number: p.Number})
	if l.inFlight+l.datagram > l.ctl.Window() {
		l.fullAt, l.refusedAt = now, now
	}
}

// makeRoom gives up the oldest packets of a space that would track too many numbers.
func (l *Ledger) makeRoom(now instant.Time, s wire.Space) {
	sp := &l.spaces[s]
	if sp.ring.next-sp.ring.first < maxSparse {
		return
	}
	for sp.ring.next-sp.ring.first >= int64(maxSparse+4*sp.eliciting) {
		l.stats.GivenUp++
		l.lose(now, s, sp.ring.at(sp.ring.first), "pto_expired")
		l.retire(sp)
	}
	l.reportLosses(now, sp)
}
