package engine

import "testing"

// TestSteadyStateDoesNotAllocate moves bulk data and counts: neither composing nor receiving a packet allocates once the
// rings, chunks and queues have their size.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	p := newPair(t, nil, nil)
	p.handshake()
	id, _ := p.client.Open(p.now, false)
	data, sink := make([]byte, 64<<10), make([]byte, 64<<10)
	x := newPipeline(p, id)
	for range 300 {
		x.round(data, sink)
	}
	if s := p.client.Stats(); s.DatagramSize != defaultMaxDatagramSize || s.ECN != "capable" {
		t.Fatalf("datagrams of %d bytes on a path that is %q: the steady state is another", s.DatagramSize, s.ECN)
	}
	got := testing.AllocsPerRun(200, func() { x.round(data, sink) })
	if x.packets < 200*30 {
		t.Fatalf("only %d packets were moved", x.packets)
	}
	if got > 0 {
		t.Errorf("%.2f allocations in a round of about 50 packets and their acknowledgments, want none", got)
	}
}

// pipeline moves data from client to server without the copies that pair makes.
type pipeline struct {
	*pair
	id      int64
	buf     []byte
	packets int
}

func newPipeline(p *pair, id int64) *pipeline {
	return &pipeline{pair: p, id: id, buf: make([]byte, 64<<10)}
}

func (x *pipeline) round(data, sink []byte) {
	x.client.Write(x.now, x.id, data)
	x.now = x.now.Add(1e6)
	x.move(x.client, x.server)
	for {
		n, _, _ := x.server.Read(x.now, x.id, sink)
		if n == 0 {
			break
		}
	}
	x.now = x.now.Add(1e6)
	x.move(x.server, x.client)
	for _, c := range []*Conn{x.client, x.server} {
		if c.Deadline().Reached(x.now) {
			c.Expire(x.now)
		}
	}
}

func (x *pipeline) move(from, to *Conn) {
	for {
		t := from.Compose(x.now, x.buf)
		if t.Size == 0 {
			break
		}
		for b := x.buf[:t.Size]; len(b) > 0; {
			n := min(len(b), t.Segment)
			to.Receive(x.now, Datagram{Payload: b[:n], Path: Path{Local: t.Path.Remote, Remote: t.Path.Local}, ECN: t.ECN})
			x.packets++
			b = b[n:]
		}
	}
	for _, c := range []*Conn{from, to} {
		for {
			if _, ok := c.Event(); !ok {
				break
			}
		}
	}
}

// BenchmarkTransfer is the cost of a packet on both ends together, without any system call.
func BenchmarkTransfer(b *testing.B) {
	p := newPair(b, nil, nil)
	p.handshake()
	id, _ := p.client.Open(p.now, false)
	data, sink := make([]byte, 64<<10), make([]byte, 64<<10)
	x := newPipeline(p, id)
	for range 300 {
		x.round(data, sink)
	}
	x.packets = 0
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		x.round(data, sink)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(x.packets), "ns/packet")
}
