package congestion_test

import (
	"fmt"

	"github.com/godwit-net/godwit/congestion"
)

// A controller is fed by hand: ten datagrams sent and acknowledged double the window of slow start, and a loss halves
// it.
func Example() {
	const datagram = 1200
	c := congestion.NewReno(datagram)
	fmt.Println("initial window", c.Window())

	now := congestion.Time(1_000_000_000)
	for n := range 10 {
		c.OnSent(congestion.Sent{Now: now, Bytes: datagram, InFlight: (n + 1) * datagram, Number: int64(n)})
	}
	sentAt := now
	now = now.Add(40e6) // 40 ms
	c.OnAck(congestion.Ack{
		Now:           now,
		Bytes:         10 * datagram,
		LargestSentAt: sentAt,
		Largest:       9,
		NextNumber:    10,
		WindowLimited: true,
	})
	fmt.Println("after one round trip", c.Window())

	c.OnLoss(congestion.Loss{Now: now, Bytes: datagram, Packets: 1, LargestSentAt: now, Largest: 10, NextNumber: 11})
	fmt.Println("after a loss", c.Window())
	// Output:
	// initial window 12000
	// after one round trip 24000
	// after a loss 12000
}

// Names lists the controllers that can be had by name, for instance from a flag.
func ExampleByName() {
	c, err := congestion.ByName("cubic", 1200)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Name(), "of", congestion.Names())
	// Output:
	// cubic of [cubic reno]
}
