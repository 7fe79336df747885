package varint

import "testing"

func BenchmarkConsume(b *testing.B) {
	for _, c := range []struct {
		name string
		v    uint64
	}{{"1", 1}, {"2", 1 << 10}, {"4", 1 << 20}, {"8", 1 << 40}} {
		buf := Append(nil, c.v)
		b.Run(c.name, func(b *testing.B) {
			var sum uint64
			for b.Loop() {
				v, n := Consume(buf)
				sum += v + uint64(n)
			}
		})
	}
}
