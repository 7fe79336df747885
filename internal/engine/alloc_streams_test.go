package engine

import "testing"

// TestReceivingDoesNotAllocate looks at a receiver alone: the packets of an upload were made before the counting begins.
func TestReceivingDoesNotAllocate(t *testing.T) {
	x := newPipeline(newPair(t, nil, nil), 0)
	x.handshake()
	x.pair.drain(x.client)
	x.id, _ = x.client.Open(x.now, false)
	data, sink := make([]byte, 64<<10), make([]byte, 64<<10)
	for range 300 {
		x.round(data, sink)
	}
	const rounds = 40
	var sent [rounds + 1][][]byte
	for i := range sent { // the receiver's acknowledgments come too late to matter: the window is wide by now
		x.client.Write(x.now, x.id, data[:8<<10])
		sent[i] = x.compose(x.client)
	}
	i, packets := 0, 0
	got := testing.AllocsPerRun(rounds, func() {
		for _, b := range sent[i] {
			x.server.Receive(x.now, Datagram{Payload: b, Path: x.server.Path()})
			packets++
		}
		for n := 1; n > 0; {
			n, _, _ = x.server.Read(x.now, x.id, sink)
		}
		for t := x.server.Compose(x.now, x.buf); t.Size > 0; t = x.server.Compose(x.now, x.buf) {
		}
		for ok := true; ok; {
			_, ok = x.server.Event()
		}
		i++
	})
	if packets < 3*rounds {
		t.Fatalf("only %d packets came", packets)
	}
	if got > 0 {
		t.Errorf("%.2f allocations for some seven packets, want none", got)
	}
}

// compose returns the datagrams that a connection has to send.
func (x *pipeline) compose(c *Conn) (list [][]byte) {
	for t := c.Compose(x.now, x.buf); t.Size > 0; t = c.Compose(x.now, x.buf) {
		for b := x.buf[:t.Size]; len(b) > 0; {
			n := min(len(b), t.Segment)
			list = append(list, append([]byte(nil), b[:n]...))
			b = b[n:]
		}
	}
	return list
}

// allocsPerStream bounds what a request and its response cost both ends together. Records, buffers and queues are reused;
// what is left is growth: the maps of streams, which are rehashed now and then as keys come and go.
const allocsPerStream = 0.1

func TestRequestsHardlyAllocate(t *testing.T) {
	const streams = 100
	x := newPipeline(newPair(t, nil, nil), 0)
	x.handshake()
	x.pair.drain(x.server)
	request, sink, opened, served := make([]byte, 1<<10), make([]byte, 2<<10), 0, 0
	round := func() {
		var all [streams]int64
		ids := all[:0]
		for len(ids) < streams {
			id, ok := x.client.Open(x.now, false)
			if !ok {
				break
			}
			x.client.Write(x.now, id, request)
			x.client.Finish(x.now, id)
			ids = append(ids, id)
		}
		opened += len(ids)
		for range 40 {
			x.tick()
			for _, id := range ids {
				if _, fin, err := x.server.Read(x.now, id, sink); fin && err == nil {
					if n, _ := x.server.Write(x.now, id, request); n == len(request) {
						x.server.Finish(x.now, id)
					}
				}
				if _, fin, err := x.client.Read(x.now, id, sink); fin && err == nil {
					served++
				}
			}
		}
	}
	for range 50 {
		round()
	}
	opened, served = 0, 0
	got := testing.AllocsPerRun(20, round)
	if served != opened || served < 21*streams/2 {
		t.Fatalf("%d requests were made and %d served in 21 rounds of %d at most", opened, served, streams)
	}
	if per := got * 21 / float64(served); per > allocsPerStream {
		t.Errorf("%.2f allocations for each request, want at most %v", per, allocsPerStream)
	}
}

// tick moves a millisecond on, and what both ends have to say to the other.
func (x *pipeline) tick() {
	x.now = x.now.Add(1e6)
	for _, c := range []*Conn{x.client, x.server} {
		if c.Deadline().Reached(x.now) {
			c.Expire(x.now)
		}
	}
	x.move(x.client, x.server)
	x.move(x.server, x.client)
}
