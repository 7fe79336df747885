package simnet

// Drop is why a datagram does not arrive. Its words are those of [Stats].
type Drop uint8

const (
	NotDropped    Drop = iota
	DropOutage         // the link was down
	DropMasked         // its number was named
	DropTooLarge       // for the MTU
	DropDisliked       // for its ECN field
	DropQueueFull      // no room to wait
	DropLost           // by chance
	DropBurstLost      // in a burst
)

var dropNames = [...]string{"", "outage", "masked", "too large", "disliked", "queue full", "lost", "burst lost"}

// String is empty for what arrives.
func (d Drop) String() string { return dropNames[d] }

// drop counts a datagram that does not arrive.
func (l *Link) drop(d Drop) (first, second Fate) {
	switch d {
	case DropOutage:
		l.Outage++
	case DropMasked:
		l.Masked++
	case DropTooLarge:
		l.TooLarge++
	case DropDisliked:
		l.Disliked++
	case DropQueueFull:
		l.QueueFull++
	case DropLost:
		l.Lost++
	case DropBurstLost:
		l.BurstLost++
	}
	return Fate{Drop: d}, Fate{}
}
