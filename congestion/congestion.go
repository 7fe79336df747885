// Package congestion decides how much may be in flight: the Controller interface and its implementations, Reno
// (RFC 9002, section 7) and CUBIC (RFC 9438 with the HyStart++ slow start of RFC 9406).
//
// A controller is told what happened, one call for each packet sent, each ACK frame that delivered something and each
// batch of losses, and is asked for a window in bytes. It has no clock, no lock, no randomness and allocates nothing
// after construction: the present comes in every argument, the caller serializes the calls, and the same calls give the
// same answers. It does not count what is in flight, detect losses, establish persistent congestion or own a timer:
// that is the business of the ledger that calls it.
//
// Anyone may write one. A controller that also implements Seeder can take over a live connection, and one that
// implements Resizer follows the path's datagram size. One that implements Undoer takes back what a false alarm cost it.
package congestion

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// Time is a point in time in nanoseconds since an epoch that only the caller knows; zero is never. Two of them can be
// compared and subtracted, and that is all a controller needs.
type Time = instant.Time

// A Controller turns acknowledgments and losses into a window. All calls for one connection come from one goroutine at
// a time. No method may keep a reference to anything or call back.
type Controller interface {
	// Name is the name by which ByName finds this kind of controller, in lower case.
	Name() string
	// OnSent is called for every packet that counts in flight, probes included.
	OnSent(Sent)
	// OnAck is called at most once for each ACK frame, and only when it newly acknowledges packets in flight. When the
	// same frame also reveals losses or CE marks, OnLoss is called first.
	OnAck(Ack)
	// OnLoss is called once for each batch of packets declared lost together, and once, with CE set, when the peer
	// reports new congestion marks. Several calls may fall into one round trip; reducing only once is the controller's
	// part.
	OnLoss(Loss)
	// Window is the limit on bytes in flight, at least twice the datagram size.
	Window() int
	// PacingRate is the rate at which to send, in bytes per second. Zero leaves it to the ledger: 5/4 of the window per
	// smoothed round-trip time, or twice the window in slow start.
	PacingRate() int64
	// InSlowStart reports whether the window is still looking for the path's capacity by growing exponentially.
	InSlowStart() bool
}

// Sent describes one packet that was just sent and counts in flight.
type Sent struct {
	Now      Time
	Bytes    int   // size of the packet, without UDP and IP headers
	InFlight int   // bytes in flight, this packet included
	Number   int64 // packet number, in whichever packet number space
}

// RTT is the state of the round-trip time estimator (RFC 9002, section 5). Before the first sample Latest and Min are
// zero and Smoothed is the initial guess.
type RTT struct {
	Latest   time.Duration // the newest sample, acknowledgment delay included
	Smoothed time.Duration // exponentially weighted mean of samples without acknowledgment delay
	Min      time.Duration // smallest sample since the path, or persistent congestion, began
	Var      time.Duration // mean deviation of the samples
}

// Ack describes what one ACK frame newly acknowledged.
type Ack struct {
	Now            Time
	Bytes          int   // newly acknowledged bytes that were in flight
	InFlight       int   // bytes in flight after the acknowledged and lost packets were removed
	LargestSentAt  Time  // when the newest of the newly acknowledged packets was sent
	Largest        int64 // its packet number
	NextNumber     int64 // the packet number that will be sent next in the same space
	RTT            RTT   // including the sample of this frame, if it gave one
	WindowLimited  bool  // the window, not the application, was the limit while the acknowledged packets were in flight
	Delivered      int64 // bytes delivered since the path began, these included
	DeliveryRate   int64 // bytes per second over about the last round trip; 0: unknown
	RateAppLimited bool  // DeliveryRate says how fast the application was, rather than the path
	CE             int64 // packets newly reported as marked Congestion Experienced; OnLoss has been told already
}

// Loss describes a sign of congestion: packets declared lost together or, with CE set, marks reported by the peer.
type Loss struct {
	Now           Time
	Bytes         int   // bytes lost; 0 with CE
	Packets       int   // packets lost; 0 with CE
	InFlight      int   // bytes in flight after the lost packets were removed
	LargestSentAt Time  // when the newest lost packet, or with CE the newest acknowledged one, was sent
	Largest       int64 // its packet number
	NextNumber    int64 // the packet number that will be sent next in the same space
	Persistent    bool  // the losses establish persistent congestion (RFC 9002, section 7.6)
	CE            bool  // congestion is signalled by CE marks, not by loss
	RTT           RTT
}

// A Seed is what one controller has learnt about a path, for another that takes over the live connection. Zero fields
// are unknown.
type Seed struct {
	Window int           // bytes
	MinRTT time.Duration // smallest round-trip time
	Rate   int64         // delivery rate in bytes per second
}

// A Seeder is a Controller that can start from what another has learnt. Seed is called once, before anything else.
type Seeder interface{ Seed(Seed) }

// A Resizer is a Controller that follows the datagram size of the path, in bytes without UDP and IP headers, when
// discovery changes it.
type Resizer interface{ SetDatagramSize(int) }

// An Undoer is a Controller that can take back its last reduction. Undo is called when each of the losses reported since
// the reduction, and behind it, turned out to be spurious: the packets were late, and have been acknowledged after all. It is never
// called after persistent congestion or CE marks in the same recovery period. After it, a loss of packets sent before it
// is a new sign of congestion. A second call without a reduction in between changes nothing.
type Undoer interface{ Undo() }
