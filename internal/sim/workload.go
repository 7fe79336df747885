package sim

import "time"

// Workload is what the two ends of a connection do.
type Workload struct {
	Flows []Flow
	// Sequential opens a flow when the one before is done; else they are all opened as soon as the peer's limits allow.
	Sequential bool
	// Datagrams is how many datagrams (RFC 9221) each end wants to send, if it comes to that before the flows are done.
	Datagrams int64
}

// Flow is one stream.
type Flow struct {
	Uni        bool
	FromServer bool  // who opens it
	Request    int64 // bytes from the opener
	Response   int64 // bytes back, unless Uni
	Eager      bool  // the response does not wait for the end of the request
	// ResetAfter, if not 0, makes the opener abandon the request once it wrote so many bytes, which should be fewer than
	// Request.
	ResetAfter int64
	// Promise is how many of the bytes before ResetAfter have to be read before the reset is.
	Promise int64
	// StopAfter, if not 0, makes the reader of the request refuse the rest once it read so many bytes.
	StopAfter int64

	Urgency     uint8 // of the stream at both ends: 0 to 7, the smaller the sooner
	Incremental bool
	// Pause, if not 0, is for how long both readers turn away after each bite of a few kilobytes.
	Pause time.Duration
	// GiveUp, if not 0, is after how long the opener abandons what is left of the stream in both directions.
	GiveUp time.Duration
}

// Repeat returns a workload of n flows of a kind.
func Repeat(n int, f Flow) Workload {
	w := Workload{Flows: make([]Flow, n)}
	for i := range w.Flows {
		w.Flows[i] = f
	}
	return w
}

// Bytes returns how many bytes the workload moves if nothing is cut short.
func (w Workload) Bytes() (n int64) {
	for _, f := range w.Flows {
		n += f.Request
		if !f.Uni {
			n += f.Response
		}
	}
	return n
}
