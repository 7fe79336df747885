package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
)

// Topology is what stands between the hosts, beside the links of the first client.
type Topology struct {
	// Others are the links of the clients after the first, in turns. None: they are like those of the first.
	Others []Ways
	// Shared has the datagrams of all clients wait in the queues of the first client's links.
	Shared bool
	// Quiet is after how much silence of theirs, once a handshake is confirmed, NATs forget clients, who get another address when
	// they speak again. 0: never.
	Quiet time.Duration
	// Spoof is the probability that somebody beside the path sends a copy of a client's datagram from an address that is not
	// the client's, and where nobody is (RFC 9000, section 9.3.3). He begins when its handshake is confirmed: before that, whoever
	// sees datagrams and is faster can prevent a connection.
	Spoof float64
	// Heal is when all that is wrong with the links ends, counted from the beginning of the world; 0: never. From then on
	// connections have to get on.
	Heal time.Duration
	// Dead makes Heal the instant from which nothing arrives any more.
	Dead bool
}

// Ways are the two directions between a client and the server.
type Ways struct{ Up, Down simnet.LinkConfig }

// ways returns the links of a client.
func (w *World) ways(client int) Ways {
	if n := len(w.config.Others); client > 0 && n > 0 {
		return w.config.Others[(client-1)%n]
	}
	return Ways{w.config.Up, w.config.Down}
}

// clientAddrs returns all addresses that a client will ever have of its own.
func (w *World) clientAddrs(client int) []netip.AddrPort {
	addrs := []netip.AddrPort{clientAddr(client)}
	for _, turn := range w.config.Turns {
		if turn.Kind == Migrate && turn.Client == client {
			addrs = append(addrs, movedAddr(client, len(addrs)-1))
		}
	}
	return addrs
}

// spoofAddr is where copies of a client's datagrams are said to come from.
func spoofAddr(client int, n uint64) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(client)}), uint16(1024+n%4))
}

// connect lays the links of a client.
func (w *World) connect(client int) {
	addrs := w.clientAddrs(client)
	if w.config.Spoof > 0 {
		addrs = append(addrs, spoofAddr(client, 0))
	}
	for _, addr := range addrs {
		for _, s := range w.server.addrs {
			w.link(client, addr.Addr(), s.Addr())
		}
	}
}

// link lays both directions between an address of a client's and one of the server's, if it was not done.
func (w *World) link(client int, addr, s netip.Addr) {
	first, main := clientAddr(0).Addr(), serverAddr.Addr()
	ways := w.ways(client)
	if w.config.Shared && (addr != first || s != main) && !slices.Contains(w.laid, [2]netip.Addr{addr, s}) {
		w.net.Share(addr, s, first, main)
		w.net.Share(s, addr, main, first)
		// The queue is that of the first client, and its rate goes with it.
		up, down := w.ways(0).Up, w.ways(0).Down
		ways.Up.Rate, ways.Up.Queue, ways.Up.Mark, ways.Up.Steps = up.Rate, up.Queue, up.Mark, up.Steps
		ways.Down.Rate, ways.Down.Queue, ways.Down.Mark, ways.Down.Steps = down.Rate, down.Queue, down.Mark, down.Steps
	}
	w.net.Link(addr, s, ways.Up)
	w.net.Link(s, addr, ways.Down)
	w.laid = append(w.laid, [2]netip.Addr{addr, s})
}

// healed reports whether at an instant the world's faults are over.
func (w *World) healed(at instant.Time) bool {
	return w.config.Heal > 0 && at >= epoch.Add(w.config.Heal)
}

// heal ends all that is wrong with the links, or the links.
func (w *World) heal() {
	w.config.Spoof = 0
	for _, ends := range w.laid {
		up := simnet.LinkConfig{Delay: min(w.config.Up.Delay, maxHealedDelay)}
		if w.config.Dead {
			up.Loss = 1
		}
		w.net.Link(ends[0], ends[1], up)
		w.net.Link(ends[1], ends[0], up)
	}
	for _, p := range w.pairs {
		w.net.Remember(clientAddr(p.index))
		p.patience = w.patience(p)
	}
}

// maxHealedDelay is the delay of a link that nothing is wrong with any more, at most.
const maxHealedDelay = 100 * time.Millisecond

// spoofed sends a copy of a client's datagram as if it came from another address.
func (h *host) spoofed(p simnet.Packet) {
	if h.config.Spoof == 0 || h == h.server || !h.pairs[h.index].confirmed || float64(h.random()>>11) >= h.config.Spoof*(1<<53) {
		return
	}
	p.From = spoofAddr(h.index, h.random())
	h.net.Send(h.now, p)
}
