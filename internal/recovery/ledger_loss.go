package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// losses is what one pass of loss detection has to tell the controller.
type losses struct {
	bytes, packets int
	newest         int64
	newestAt       instant.Time
	persistent     bool
}

// detect declares lost what RFC 9002, section 6.1 says is: packets sent before the largest acknowledged one, by the
// packet or by the time threshold. Of the others it remembers when the first will be. Numbers and sent times ascend
// together, so what is lost is always a prefix.
func (l *Ledger) detect(now instant.Time, s wire.Space) {
	sp := &l.spaces[s]
	sp.lossTime = 0
	delay := l.reorder.lossDelay(l.rtt.RTT)
	below := sp.lostBelow(l.reorder.packetThreshold())
	for n := sp.ring.first; n < min(sp.largestAcked, sp.ring.next); n++ {
		p := sp.ring.at(n)
		if p.state != outstanding {
			continue
		}
		if n <= below {
			l.lose(now, s, p, "reordering_threshold")
			continue
		}
		if due := p.SentAt.Add(delay); !due.Reached(now) {
			sp.lossTime = due
			break
		}
		l.lose(now, s, p, "time_threshold")
	}
	if l.pending.packets > 0 {
		sp.goneUntil = now.Add(3 * l.PTO())
	}
}

// lose declares one packet lost; trigger tells the trace why.
func (l *Ledger) lose(now instant.Time, s wire.Space, p *Packet, trigger string) {
	sp := &l.spaces[s]
	p.state = lost
	sp.remember(p.Number, sp.counted(p) && sp.blames(p))
	l.stats.Lost++
	l.stats.LostBytes += int64(p.Size)
	if p.AckEliciting {
		sp.eliciting--
	}
	if sp.counted(p) {
		l.inFlight -= p.Size
		// RFC 9000, section 14.4: "Loss of a QUIC packet that is carried in a PMTU probe is therefore not a reliable
		// indication of congestion and SHOULD NOT trigger a congestion control reaction".
		//
		// What was on its way to a port that a NAT has forgotten was not lost for want of room either.
		if sp.blames(p) {
			l.pending.packets++
			l.pending.bytes += p.Size
			l.pending.newest, l.pending.newestAt = p.Number, p.SentAt
		}
	}
	l.trace.PacketLost(now, packetTypes[s].String(), p.Number, trigger)
	l.fate(s, p, Lost)
}

// retire forgets the settled packets before the oldest outstanding one. Each number passes here once and in order, which
// makes it the place to look for persistent congestion.
func (l *Ledger) retire(sp *space) {
	for sp.ring.first < sp.ring.next {
		p := sp.ring.at(sp.ring.first)
		if p.state == outstanding {
			return
		}
		l.judge(sp, p)
		sp.ring.pop()
	}
}

// judge follows runs of losses. RFC 9002, section 7.6.2 establishes persistent congestion when two ack-eliciting packets
// are lost, none sent between them was acknowledged, the time between them exceeds the duration, and "a prior RTT sample
// existed when these two packets were sent".
//
// Acknowledgments in other packet number spaces break a run if they are for a packet sent after the run began, even
// after its end: of each space only the newest is remembered. Several spaces are in use only during the handshake.
func (l *Ledger) judge(sp *space, p *Packet) {
	if p.state == acked {
		sp.run = 0
		return
	}
	if p.state != lost || !p.AckEliciting || !sp.blames(p) || !sp.counted(p) ||
		l.rtt.firstSample.IsNever() || p.SentAt <= l.rtt.firstSample {
		return
	}
	broken := sp.run.IsNever()
	for i := range l.spaces {
		if o := &l.spaces[i]; o != sp && o.ackedSentAt > sp.run {
			broken = true
		}
	}
	if broken {
		sp.run = p.SentAt
		return
	}
	if p.SentAt.Sub(sp.run) > l.persistentDuration() {
		l.pending.persistent = true
		sp.run = 0
	}
}

// persistentDuration is RFC 9002, section 7.6.1: "Unlike the PTO computation in Section 6.2, this duration includes the
// max_ack_delay irrespective of the packet number spaces in which losses are established."
func (l *Ledger) persistentDuration() time.Duration { return persistentThreshold * l.PTO() }

// reportLosses tells the controller of the pass that has just ended.
func (l *Ledger) reportLosses(now instant.Time, sp *space) {
	p := l.pending
	l.pending = losses{}
	if p.packets == 0 {
		return
	}
	l.join(now, sp, p)
	sp.fresh = sp.fresh[:0]
	if p.persistent {
		l.stats.Persistent++
		// RFC 9002, section 5.2: "Endpoints SHOULD set the min_rtt to the newest RTT sample after persistent congestion is
		// established."
		l.rtt.Min = l.rtt.Latest
	}
	l.ctl.OnLoss(congestion.Loss{
		Now:           now,
		Bytes:         p.bytes,
		Packets:       p.packets,
		InFlight:      l.inFlight,
		LargestSentAt: p.newestAt,
		Largest:       p.newest,
		NextNumber:    sp.ring.next,
		Persistent:    p.persistent,
		RTT:           l.rtt.RTT,
	})
	l.traceState(now)
}
