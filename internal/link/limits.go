package link

import "time"

// Everything that whoever sends to a link can fill has its limit here, with the reason and the test that hits it.
const (
	// maxClients is how many clients have a mapping. Each has a socket, or two after a rebinding, and a reader of 128 to
	// 512 KiB for each, so that these are 512 MiB at the very worst. Beyond it the client that was silent longest loses its
	// mapping, as with a NAT. TestTheClientThatWasSilentLongestMakesRoom.
	maxClients = 512

	// maxInFlight is how many bytes are under way in one direction: half a second of 1 Gbit/s. What is more is dropped and
	// counted as QueueFull. TestWhatIsUnderWayIsBounded.
	maxInFlight = 64 << 20

	// smallBuffer is the size of the buffers that are used again: that of a datagram on an Ethernet and what it costs to
	// allocate one. Larger datagrams, which only loopback has, get a buffer of their own.
	smallBuffer = 2 << 10

	// maxFree is how many of them are kept: one delivery's worth twice over.
	maxFree = 2 * maxDelivery

	// maxDelivery and maxDeliveryBytes are how much is delivered at once, under one lock and, if it all goes one way, in
	// one system call. TestAFloodArrivesInOrder.
	maxDelivery      = 512
	maxDeliveryBytes = 512 << 10

	// maxRun and maxRunBytes are how many datagrams the kernel takes as one message, and how long that may be.
	maxRun      = 64
	maxRunBytes = 65507

	// heldBack is how long a datagram is held back that is to be overtaken, when LinkConfig.ReorderDelay does not say.
	heldBack = 5 * time.Millisecond
)
