package quic

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkDownload is one stream from a server to a client over loopback.
func BenchmarkDownload(b *testing.B) {
	c, s := pair(b, nil, nil)
	ours, theirs := streams(b, c, s)
	const chunk = 256 << 10
	b.SetBytes(chunk)
	b.ReportAllocs()
	sentBefore := s.Stats().PacketsSent
	var done sync.WaitGroup
	b.ResetTimer()
	done.Go(func() {
		buf := make([]byte, chunk)
		for range b.N {
			theirs.Write(buf)
		}
		theirs.Close()
	})
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{ours}, make([]byte, 64<<10)); err != nil || n != int64(b.N)*chunk {
		b.Error(n, err)
	}
	done.Wait()
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(s.ep.Stats().DatagramsOut)/float64(max(1, s.ep.count.messages.Load())), "dgrams/msg")
	b.ReportMetric(float64(st.PacketsSent-sentBefore)/float64(b.N), "pkts/op")
	b.ReportMetric(float64(st.PacketsLost), "lost")
}

// BenchmarkRequests is a kilobyte up, a kilobyte down, on a stream of its own, a hundred at a time on one connection.
func BenchmarkRequests(b *testing.B) {
	c, s := pair(b, nil, nil)
	kilobyte := make([]byte, 1024)
	s.HandleStreams(func(st *Stream) {
		if _, err := io.ReadFull(st, make([]byte, 1024)); err != nil {
			return
		}
		st.WriteFinal(kilobyte)
		st.Read(make([]byte, 1))
	})
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			buf := make([]byte, 1024)
			for left.Add(-1) >= 0 {
				st, err := c.OpenStream(b.Context())
				if err != nil {
					b.Error(err)
					return
				}
				st.WriteFinal(kilobyte)
				if _, err := io.ReadFull(st, buf); err != nil {
					b.Error(err)
					return
				}
				st.Read(buf)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	out := s.ep.Stats()
	b.ReportMetric(float64(out.DatagramsOut)/float64(b.N), "srv-dgrams/op")
	b.ReportMetric(float64(s.ep.count.messages.Load())/float64(b.N), "srv-msgs/op")
}

// BenchmarkHandshakes is a whole connection: dial, accept, close.
func BenchmarkHandshakes(b *testing.B) {
	e := listen(b, nil)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	b.ReportAllocs()
	for b.Loop() {
		c, err := client.Dial(b.Context(), e.Addr().String(), clientTLS(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.Accept(b.Context()); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
