package interop

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// weather is what a relay does to datagrams, each with its own probability, in both directions.
type weather struct {
	seed      uint64 // of the decisions: the same datagram by number meets the same fate in every run
	loss      float64
	reorder   float64 // the datagram is held until three more have passed, or 5 ms
	duplicate float64
}

// relay carries datagrams between clients and one server, as a NAT would. It can lose, hold and repeat them, and write
// down those it carries in a file that tshark reads.
type relay struct {
	*site
	weather
	front  *net.UDPConn
	target netip.AddrPort

	mu    sync.Mutex
	back  map[netip.AddrPort]*net.UDPConn // by client
	pcap  *os.File
	ended bool
	all   sync.WaitGroup

	carried, lost, held, repeated, retries atomic.Int64
}

// startRelay puts a relay in front of a server. capture, unless empty, is the file for what it carries.
func startRelay(t *testing.T, target string, w weather, capture string) *relay {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{site: newSite(front.LocalAddr().(*net.UDPAddr).Port), weather: w, front: front,
		target: netip.MustParseAddrPort(target), back: map[netip.AddrPort]*net.UDPConn{}}
	if capture != "" {
		if r.pcap, err = os.Create(capture); err != nil {
			t.Fatal(err)
		}
		r.pcap.Write(pcapHeader())
	}
	r.all.Go(r.forward)
	t.Cleanup(r.close)
	return r
}

// close ends the relay; the capture is complete then.
func (r *relay) close() {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.ended = true
	r.front.Close()
	for _, c := range r.back {
		c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
	if r.pcap != nil {
		r.pcap.Close()
	}
}

// forward carries from the clients to the server.
func (r *relay) forward() {
	r.front.SetReadBuffer(4 << 20)
	lanes := map[netip.AddrPort]*lane{}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l := lanes[from]
		if l == nil {
			c := r.dial(from)
			if c == nil {
				return
			}
			l = r.newLane(uint64(2*len(lanes)), func(p []byte) {
				r.record(from, r.frontAddr(), p)
				c.Write(p)
			})
			lanes[from] = l
		}
		l.pass(buf[:n])
	}
}

// dial opens the socket that stands for a client, and starts carrying back from it.
func (r *relay) dial(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.target))
	if err != nil {
		return nil
	}
	c.SetReadBuffer(4 << 20)
	back := r.newLane(uint64(2*len(r.back)+1), func(p []byte) {
		r.record(r.frontAddr(), client, p)
		r.front.WriteToUDPAddrPort(p, client)
	})
	r.back[client] = c
	r.all.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := c.Read(buf)
			if err != nil && r.isClosed() {
				return
			}
			if err != nil { // the server is not there at the moment: ICMP says so
				continue
			}
			back.pass(buf[:n])
		}
	})
	return c
}

func (r *relay) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

func (r *relay) frontAddr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// lane is one direction between one client and the server. What it decides depends on the seed and on how many datagrams
// came before, not on time.
type lane struct {
	r    *relay
	send func([]byte)
	mu   sync.Mutex
	rand *rand.Rand
	held []heldDatagram
}

type heldDatagram struct {
	payload []byte
	after   int // how many more have to pass first
}

func (r *relay) newLane(number uint64, send func([]byte)) *lane {
	return &lane{r: r, send: send, rand: rand.New(rand.NewPCG(r.seed, number))}
}

func (l *lane) pass(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loss, reorder, duplicate := l.rand.Float64(), l.rand.Float64(), l.rand.Float64()
	if p[0]&0xf0 == 0xf0 {
		l.r.retries.Add(1)
	}
	switch {
	case loss < l.r.loss:
		l.r.lost.Add(1)
		return
	case reorder < l.r.reorder:
		l.r.held.Add(1)
		l.held = append(l.held, heldDatagram{append([]byte(nil), p...), 3})
		time.AfterFunc(5*time.Millisecond, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.release(true)
		})
		return
	case duplicate < l.r.duplicate:
		l.r.repeated.Add(1)
		l.send(p)
	}
	l.r.carried.Add(1)
	l.send(p)
	l.release(false)
}

// release sends held datagrams after another one has passed, or all of them.
func (l *lane) release(all bool) {
	var keep []heldDatagram
	for _, h := range l.held {
		if h.after--; h.after > 0 && !all {
			keep = append(keep, h)
			continue
		}
		l.send(h.payload)
	}
	l.held = keep
}

// pcapHeader begins a capture of raw IPv4 packets with times in microseconds.
func pcapHeader() []byte {
	h := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h = binary.LittleEndian.AppendUint32(h, 1<<18)
	return binary.LittleEndian.AppendUint32(h, 101) // LINKTYPE_RAW
}

// record writes a datagram into the capture, with the headers it would have had.
func (r *relay) record(from, to netip.AddrPort, p []byte) {
	if r.pcap == nil {
		return
	}
	src, dst, now := from.Addr().Unmap().As4(), to.Addr().Unmap().As4(), time.Now()
	ip := make([]byte, 28, 28+len(p))
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(p)))
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(p)))
	ip = append(ip, p...)
	rec := binary.LittleEndian.AppendUint32(nil, uint32(now.Unix()))
	rec = binary.LittleEndian.AppendUint32(rec, uint32(now.Nanosecond()/1000))
	rec = binary.LittleEndian.AppendUint32(rec, uint32(len(ip)))
	rec = binary.LittleEndian.AppendUint32(rec, uint32(len(ip)))
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.pcap.Write(append(rec, ip...))
	}
}
