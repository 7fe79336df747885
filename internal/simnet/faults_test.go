package simnet

import (
	"net/netip"
	"testing"
	"time"
)

func TestARateIsStepped(t *testing.T) {
	l := newLab(1, LinkConfig{Rate: 100_000, Steps: []RateStep{{epoch.Add(20 * ms), 50_000}, {epoch.Add(60 * ms), 0}}})
	for i, at := range []time.Duration{0, 20, 60} {
		l.send(epoch.Add(at*ms), i, 1000)
	}
	l.drain()
	for i, want := range []time.Duration{10, 40, 60} { // 10 ms, 20 ms, and no time at all for 1000 bytes
		if l.at[i] != epoch.Add(want*ms) {
			t.Errorf("datagram %d arrived at %v, want %v ms", i, l.at[i].Sub(epoch), int(want))
		}
	}
}

func TestWhatAStallHoldsBackComesAtItsEndAndInOrder(t *testing.T) {
	l := newLab(1, LinkConfig{Delay: 10 * ms, Stalls: []Outage{{epoch.Add(20 * ms), epoch.Add(50 * ms)}}})
	for i := range 6 {
		l.send(epoch.Add(time.Duration(i)*10*ms), i, 100)
	}
	l.drain()
	for i, want := range []time.Duration{10, 50, 50, 50, 50, 60} {
		if l.at[i] != epoch.Add(want*ms) || l.id[i] != i {
			t.Errorf("arrival %d is datagram %d at %v, want %v ms", i, l.id[i], l.at[i].Sub(epoch), int(want))
		}
	}
}

func TestHostsThatShareALinkShareItsQueue(t *testing.T) {
	n := New(1)
	other := netip.MustParseAddrPort("10.0.0.3:1")
	n.Join(here.Addr(), there.Addr(), LinkConfig{Rate: 1000, Queue: 250})
	n.Share(other.Addr(), there.Addr(), here.Addr(), there.Addr())
	for _, from := range []netip.AddrPort{here, other, here, other} {
		n.Send(epoch, Packet{From: from, To: there, Payload: make([]byte, 100)})
	}
	if s := n.Stats(here.Addr(), there.Addr()); s.Sent != 4 || s.QueueFull != 2 {
		t.Errorf("%+v", s)
	}
}

func TestANATForgetsWhoIsSilent(t *testing.T) {
	n := New(1)
	n.Join(here.Addr(), there.Addr(), LinkConfig{})
	outside := netip.MustParseAddrPort("203.0.113.1:100")
	send := func(after time.Duration) Packet {
		now := epoch.Add(after)
		n.Send(now, Packet{From: here, To: there})
		p, ok := n.Deliver(now)
		if !ok {
			t.Fatal("nothing arrived")
		}
		return p
	}
	first := send(0)
	n.Forget(here, outside, 50*ms)
	for _, c := range []struct {
		after time.Duration
		from  netip.AddrPort
	}{{49 * ms, here}, {98 * ms, here}, {148 * ms, outside}, {150 * ms, outside}, {time.Second, netip.MustParseAddrPort("203.0.113.1:101")}} {
		if p := send(c.after); p.From != c.from {
			t.Errorf("after %v the host is seen at %v, want %v", c.after, p.From, c.from)
		}
	}
	now := epoch.Add(time.Second)
	n.Send(now, Packet{From: there, To: first.From})
	if _, ok := n.Deliver(now); ok {
		t.Error("the old address still leads to the host")
	}
	n.Send(now, Packet{From: there, To: netip.MustParseAddrPort("203.0.113.1:101")})
	if p, ok := n.Deliver(now); !ok || p.To != here || p.Outside != netip.MustParseAddrPort("203.0.113.1:101") {
		t.Errorf("to the new one: %+v, %v", p, ok)
	}
	n.Remember(here)
	if p := send(time.Hour); p.From != netip.MustParseAddrPort("203.0.113.1:101") {
		t.Errorf("a NAT that forgets no more has given the host %v", p.From)
	}
}
