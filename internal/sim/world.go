// Package sim runs whole worlds: real connections of the engine, joined by a virtual network, doing work while things go
// wrong, in virtual time.
//
// A [Config] describes a world: its links and their faults, its endpoints, its workload. [Run] lives it from the first
// Initial to the last draining period and reports what it found. Time is a number that jumps to the next instant at which
// anything happens, so a minute of timeouts costs microseconds. A world that is wrong in any way ends with an error:
//
//   - bytes read are not, bit for bit and in order, those written, or their end is not the end (content.go)
//   - nothing is left that could happen, but work is left (liveness)
//   - a datagram is received twice, or is none that was sent, or the counters of datagrams do not add up (datagrams.go)
//   - a connection ends that nobody closed, or that nobody but a fault could have
//   - more is promised to peers than a host has memory for, or held than was promised (budget.go)
//   - a connection makes no progress although nothing is wrong any more, or talks and gets nowhere (progress.go)
//   - an endpoint sends more than RFC 9000 or its congestion window allow (checks.go)
//   - time stands still, or runs out
//
// Everything follows from Config.Seed, and from the process's source of cryptographic randomness if that is made
// deterministic, as testing/cryptotest.SetGlobalRandom does: then a world that is run again has the same [Result.Hash].
package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
)

// Config describes a world.
type Config struct {
	Seed uint64
	// Up and Down are the links from every client to the server and back.
	Up, Down simnet.LinkConfig
	// Clients is how many there are, each with one connection. 0: one.
	Clients int
	// Client and Server configure the connections. TLS, seeds, reset keys and traces are the world's.
	Client, Server engine.Config
	// Validation is when the server sends Retry packets.
	Validation engine.Validation
	// Topology is what else there is between them.
	Topology
	// Turns are what befalls the connections.
	Turns []Turn
	// Prefer makes the server prefer another address of its own to the one it is first reached at.
	Prefer bool
	// Early is what becomes of 0-RTT.
	Early Early
	// Token is what clients have been given to prove their addresses with.
	Token Token
	// Budget is the memory that each host, the clients and the server, has for what its connections are sent, in bytes. 0: what
	// their windows come to.
	Budget [2]int64
	// Hard makes it no fault of a connection that it ends because of what befell it.
	Hard bool
	// Work is what every client and the server do on their connection.
	Work Workload
	// TimerDelay is how late timers fire at most, evenly distributed: no clock is as exact as a virtual one.
	TimerDelay time.Duration
	// Limit is the virtual time that the world may take. 0: ten minutes.
	Limit time.Duration
	// Trace keeps the connections' qlog traces in the Result.
	Trace bool
}

// Result is what became of a world.
type Result struct {
	Hash    [32]byte      // of every datagram delivered, and when
	Work    time.Duration // virtual time until all work was done
	Elapsed time.Duration // virtual time until every connection was forgotten
	Up      simnet.Stats  // of the first client's links
	Down    simnet.Stats
	Retries int          // Retry packets sent
	Client  engine.Stats // of the first client's connection, when its work was done
	Server  engine.Stats // of the server's end of it
	Traces  []Trace

	// Of the first client's connection, both ends of it, when its work was done.
	Datagrams [2]engine.DatagramStats
	Early     [2]string
}

// Trace is the qlog of one connection.
type Trace struct {
	Name string
	Data []byte
}

const (
	epoch        = instant.Time(time.Second) // when worlds begin
	defaultLimit = 10 * time.Minute
)

var (
	serverAddr    = netip.MustParseAddrPort("192.0.2.1:443")
	preferredAddr = netip.MustParseAddrPort("192.0.2.9:4433")
)

// clientAddr returns the address of a client's socket.
func clientAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5000)
}

// World is a world being lived.
type World struct {
	config  Config
	now     instant.Time
	net     *simnet.Network
	rng     *rand.ChaCha8
	server  *host
	hosts   []*host // in the order of their making, the server first
	pairs   []*pair // one per client
	err     error
	result  Result
	buf     [64 * 1500]byte
	alarms  alarms
	laid    [][2]netip.Addr         // links, both ways: a client's address, and the server's
	reached map[netip.AddrPort]bool // where clients were reached, as the server knows them
	still   int                     // turns since time last moved
	early   earlyServer
}

// Run lives a world to its end. The Result is filled in as far as the world came, also when there is an error.
func Run(c Config) (Result, error) {
	w := newWorld(c)
	w.drain()
	for w.err == nil && w.turn() {
	}
	w.result.Hash = w.net.Hash()
	w.result.Elapsed = w.now.Sub(epoch)
	w.result.Up = w.net.Stats(clientAddr(0).Addr(), serverAddr.Addr())
	w.result.Down = w.net.Stats(serverAddr.Addr(), clientAddr(0).Addr())
	for _, h := range w.hosts {
		for _, c := range h.conns {
			h.keepTrace(c)
		}
	}
	if w.err != nil {
		return w.result, fmt.Errorf("seed %d, after %v: %w", c.Seed, w.result.Elapsed, w.err)
	}
	return w.result, nil
}

func newWorld(c Config) *World {
	c.Clients = max(c.Clients, 1)
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], c.Seed)
	w := &World{config: c, now: epoch, net: simnet.New(c.Seed), rng: rand.NewChaCha8(seed), reached: make(map[netip.AddrPort]bool)}
	servers := []netip.AddrPort{serverAddr}
	if c.Prefer {
		w.config.Server.PreferredV4 = preferredAddr
		servers = append(servers, preferredAddr)
	}
	w.server = w.addHost("server", c.Server.IDs, servers...)
	w.server.acceptor.Server, w.server.acceptor.Versions = true, c.Server.Versions
	w.server.budget = c.Budget[server]
	if c.Early != NoEarly {
		w.prepareEarly()
	}
	for i := range c.Clients {
		w.connect(i)
		p := newPair(w, i)
		w.pairs = append(w.pairs, p)
		if c.Early != NoEarly || c.Token != NoToken {
			w.visit(p, engine.Path{Local: clientAddr(i), Remote: serverAddr})
		}
		h := w.addHost(p.name, c.Client.IDs, w.clientAddrs(i)...)
		h.index, h.budget = i, c.Budget[client]
		h.dial(p, nil)
	}
	if c.Heal > 0 {
		w.after(c.Heal, w.heal)
	}
	return w
}

// turn moves time to the next instant at which something happens and lets it happen; false: the world is over.
func (w *World) turn() bool {
	next := instant.Earliest(w.net.Next(), w.nextAlarm())
	for _, h := range w.hosts {
		next = instant.Earliest(next, h.deadline())
	}
	switch {
	case next.IsNever():
		w.checkEnd()
		return false
	case next.Sub(epoch) > w.config.Limit:
		w.fail("time is up: %s", w.unfinished())
		return false
	case next > w.now:
		w.now, w.still = next, 0
	default:
		w.still++
		if w.still > maxStill {
			w.fail("time stands still: something is due at %d, and still is after it was done", next)
			return false
		}
	}
	w.deliver()
	for _, h := range w.hosts {
		h.expire()
	}
	w.ring()
	w.drain()
	w.finishPairs()
	w.drain()
	w.checkTurn()
	return true
}

// maxStill is how many turns may pass at one instant.
const maxStill = 1000

// deliver hands out all datagrams that have arrived, so that a connection sees those of one instant as one batch.
func (w *World) deliver() {
	for {
		p, ok := w.net.Deliver(w.now)
		if !ok {
			return
		}
		for _, h := range w.hosts {
			if slices.Contains(h.addrs, p.To) {
				if h != w.server {
					w.reached[p.Outside] = true
				}
				h.receive(p)
			}
		}
	}
}

// drain lets all hosts send and their applications work until no input is left unanswered: what one end of a connection
// does may be what the application of the other waits for.
func (w *World) drain() {
	for again := true; again && w.err == nil; {
		again = false
		for _, h := range w.hosts {
			again = h.drain() || again
		}
	}
}

// fail ends the world. Only the first failure counts: the others follow from it.
func (w *World) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// randomSeed draws the seed of a connection.
func (w *World) randomSeed() (seed [32]byte) {
	w.rng.Read(seed[:])
	return seed
}
