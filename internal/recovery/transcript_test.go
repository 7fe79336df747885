package recovery

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// A transcript is a conversation with a ledger, one step a line:
//
//	TIME VERB ARGUMENTS | WHAT THE LEDGER SAID
//
// Times are since the start. What the ledger said in reply to a step is the fates of packets and the signs of congestion
// that it gave to the controller, in order, and must match exactly; runs of numbers are written 2-8. The verbs:
//
//	send SPACE COUNT [SIZE]   ack-eliciting packets, of 1200 bytes unless SIZE is given
//	note SPACE                a packet that only acknowledges, 50 bytes, not in flight
//	pad SPACE                 a packet of padding, 50 bytes, in flight
//	mark SPACE COUNT          packets marked ECT(0)
//	mtu SPACE                 a probe of the path's MTU
//	skip SPACE                leave a number unused
//	ack SPACE RANGES [delay=D] [ecn=ECT0,ECT1,CE]   ranges like 7-9,3
//	expire                    the timer fires
//	drop, abandon SPACE; confirm; validated; keys; amplified on|off; migrate
//	check WHAT VALUE          deadline, flight, owed-SPACE, ptos, spurious, srtt, minrtt, rttvar, threshold, delay, largest-SPACE, error, ecn
//
// Lines that are empty or begin with # are skipped.
type transcript struct {
	t    *testing.T
	l    *Ledger
	spy  *spy
	said []string
	err  error
}

// epoch is the start of all transcripts.
const epoch instant.Time = 1_000_000_000

// spy is a controller with a window that stays, and says what signs of congestion it was given.
type spy struct {
	window int
	pacing int64
	say    func(string)
	acks   []congestion.Ack
}

func (s *spy) Name() string           { return "spy" }
func (s *spy) OnSent(congestion.Sent) {}
func (s *spy) OnAck(a congestion.Ack) { s.acks = append(s.acks, a) }
func (s *spy) Window() int            { return s.window }
func (s *spy) PacingRate() int64      { return s.pacing }
func (s *spy) InSlowStart() bool      { return false }
func (s *spy) OnLoss(l congestion.Loss) {
	switch {
	case l.Persistent:
		s.say("persistent")
	case l.CE:
		s.say("marked")
	default:
		s.say(fmt.Sprintf("congestion %d", l.Bytes))
	}
}

func (s *spy) Undo() { s.say("undone") }

func newTranscript(t *testing.T, c Config) *transcript {
	tr := &transcript{t: t}
	tr.spy = &spy{window: 1 << 30, say: func(s string) { tr.said = append(tr.said, s) }}
	if c.Controller == nil {
		c.Controller = tr.spy
	}
	c.DatagramSize = 1200
	c.Fate = func(_ wire.Space, p *Packet, f Fate) { tr.fate(p.Number, f.String()) }
	tr.l = New(c)
	return tr
}

// fate appends a fate, or makes a run of the last one longer.
func (tr *transcript) fate(n int64, what string) {
	if i := len(tr.said) - 1; i >= 0 {
		var from, to int64
		last := tr.said[i]
		if k, _ := fmt.Sscanf(last, what+" %d-%d", &from, &to); k == 1 {
			to = from
		}
		if strings.HasPrefix(last, what) && to+1 == n {
			tr.said[i] = fmt.Sprintf("%s %d-%d", what, from, n)
			return
		}
	}
	tr.said = append(tr.said, fmt.Sprintf("%s %d", what, n))
}

func (tr *transcript) run(script string) {
	tr.t.Helper()
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		step, want, _ := strings.Cut(line, "|")
		words := strings.Fields(step)
		tr.said = nil
		tr.step(i+1, epoch.Add(span(words[0])), words[1], words[2:])
		if got := strings.Join(tr.said, ", "); got != strings.TrimSpace(want) {
			tr.t.Errorf("line %d: %s: the ledger said %q", i+1, line, got)
		}
	}
}

func (tr *transcript) step(line int, now instant.Time, verb string, args []string) {
	tr.t.Helper()
	l := tr.l
	var s wire.Space
	if len(args) > 0 {
		s = spaceNamed(args[0])
	}
	switch verb {
	case "send", "mark":
		p := Sent{Size: 1200, AckEliciting: true, InFlight: true}
		if len(args) > 2 {
			p.Size = number(args[2])
		}
		if verb == "mark" {
			p.ECN = ect0
		}
		for range number(args[1]) {
			l.OnSent(now, s, p)
		}
	case "ping":
		for range number(args[1]) {
			l.OnSent(now, s, Sent{Size: 50, AckEliciting: true, InFlight: true, Bare: true})
		}
	case "note":
		l.OnSent(now, s, Sent{Size: 50})
	case "pad":
		l.OnSent(now, s, Sent{Size: 50, InFlight: true})
	case "mtu":
		l.OnSent(now, s, Sent{Size: 1400, AckEliciting: true, MTUProbe: true})
	case "skip":
		l.Skip(s)
	case "ack":
		ranges, info := ackArgs(args[1:])
		tr.err = l.OnAck(now, s, ranges, info)
	case "expire":
		l.Expire(now)
	case "drop":
		l.DropSpace(now, s)
	case "abandon":
		l.Abandon(now, s)
	case "confirm":
		l.ConfirmHandshake(now)
	case "validated":
		l.SetPeerValidated(now)
	case "keys":
		l.SetHasHandshakeKeys()
	case "amplified":
		l.SetAmplificationLimited(now, args[0] == "on")
	case "migrate":
		l.Migrated(now, false, tr.spy)
	case "check":
		if got := tr.look(args[0]); got != args[1] {
			tr.t.Errorf("line %d: %s is %s, want %s", line, args[0], got, args[1])
		}
	default:
		tr.t.Fatalf("line %d: unknown verb %q", line, verb)
	}
}

func (tr *transcript) look(what string) string {
	l := tr.l
	what, space, _ := strings.Cut(what, "-")
	switch what {
	case "deadline":
		if l.Deadline().IsNever() {
			return "never"
		}
		return l.Deadline().Sub(epoch).String()
	case "flight":
		return strconv.Itoa(l.InFlight())
	case "owed":
		return strconv.Itoa(l.ProbesOwed(spaceNamed(space)))
	case "largest":
		return strconv.FormatInt(l.LargestAcked(spaceNamed(space)), 10)
	case "ptos":
		return strconv.Itoa(l.PTOCount())
	case "spurious":
		return strconv.FormatInt(l.Stats().SpuriousLost, 10)
	case "srtt":
		return l.RTT().Smoothed.String()
	case "minrtt":
		return l.RTT().Min.String()
	case "rttvar":
		return l.RTT().Var.String()
	case "threshold":
		return strconv.FormatInt(l.reorder.packetThreshold(), 10)
	case "delay":
		return l.reorder.lossDelay(l.rtt.RTT).String()
	case "error":
		return strconv.FormatBool(tr.err == ErrNeverSent)
	case "ecn":
		if l.ECNFailed() {
			return "failed"
		}
		if l.ECNProved() {
			return "proved"
		}
		return "fine"
	}
	return "unknown"
}

func spaceNamed(s string) wire.Space {
	switch s {
	case "initial":
		return wire.InitialSpace
	case "handshake":
		return wire.HandshakeSpace
	}
	return wire.AppSpace
}

func ackArgs(args []string) (ranges []rangeset.Range, a AckInfo) {
	for _, r := range strings.Split(args[0], ",") {
		from, to, ok := strings.Cut(r, "-")
		if !ok {
			to = from
		}
		ranges = append(ranges, rangeset.Range{Start: int64(number(from)), End: int64(number(to)) + 1})
	}
	for _, arg := range args[1:] {
		if d, ok := strings.CutPrefix(arg, "delay="); ok {
			a.Delay = span(d)
		}
		if c, ok := strings.CutPrefix(arg, "ecn="); ok {
			a.ECN = true
			fmt.Sscanf(c, "%d,%d,%d", &a.ECT0, &a.ECT1, &a.CE)
		}
	}
	return ranges, a
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func span(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}
