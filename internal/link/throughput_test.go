package link

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

// BenchmarkThroughput carries full-size datagrams in runs, as a sender with GSO does, with at most a window of them under
// way, so that nothing is lost.
func BenchmarkThroughput(b *testing.B) {
	for _, c := range []struct {
		name string
		link simnet.LinkConfig
	}{
		{"plain", simnet.LinkConfig{}},
		{"delay", simnet.LinkConfig{Delay: 2 * time.Millisecond}},
		{"everything", simnet.LinkConfig{Delay: 2 * time.Millisecond, Rate: 2e9, Queue: 4 << 20, Jitter: time.Millisecond, Reorder: 0.01, Corrupt: 0.01, Duplicate: 0.01}},
	} {
		b.Run(c.name, func(b *testing.B) {
			const segment, run, window = 1452, 44, 1 << 20
			client, server := openSocket(b), openSocket(b)
			l, err := Start(b.Context(), Config{Listen: "127.0.0.1:0", Target: server.LocalAddr().String(), Up: c.link})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			got := make(chan int, 1<<16)
			go func() {
				r := server.NewReader()
				for {
					msgs, err := r.Read()
					if err != nil {
						return
					}
					n := 0
					for i := range msgs {
						n += len(msgs[i].Payload)
					}
					got <- n
				}
			}()
			msgs := []udp.Message{{Payload: make([]byte, run*segment), Segment: segment, Remote: l.Addr()}}
			b.SetBytes(run * segment)
			underWay := 0
			for b.Loop() {
				for underWay > window {
					underWay -= <-got
				}
				client.Send(msgs)
				underWay += run * segment
			}
		})
	}
}
