package udp

const (
	// defaultBuffer is what the kernel is asked to buffer each way when Config does not say: the reader shares one
	// socket among all connections, and 7 MiB is 5 ms of 10 Gbit/s for a reader that is not scheduled.
	defaultBuffer = 7 << 20

	// slabSize is the room for one received message. No UDP datagram and no coalesced run of them is longer than 65,535
	// bytes, so that nothing is ever cut off.
	slabSize = 64 << 10

	// minSlabs and maxSlabs bound the messages that one Read fetches, and with slabSize the memory that a Reader holds:
	// it begins with 128 KiB and doubles whenever a Read filled all it had, up to 512 KiB. Beyond that the batch no
	// longer fits into the second-level cache between the kernel's copy and decryption
	// (TestReaderHoldsFewSlabsUntilItIsBusy).
	minSlabs = 2
	maxSlabs = 8

	// maxBatch is how many messages one sendmmsg takes (TestMoreMessagesThanOneBatchHolds).
	maxBatch = 32

	// maxSegments is the number of datagrams in one message: UDP_MAX_SEGMENTS of Linux before 6.9, which has doubled it
	// since (TestRunsSurviveTheRoundTrip).
	maxSegments = 64

	// maxPayload is the longest UDP payload in an IPv4 packet, and so of one GSO message
	// (TestRunsSurviveTheRoundTrip).
	maxPayload = 65535 - 20 - 8

	// maxReadErrors bounds how many errors in a row a Read takes for passing ones. Those that belong to an earlier send
	// (ICMP) come one at a time; a socket that fails a hundred times without a datagram in between is broken.
	maxReadErrors = 100

	// maxRefusals is how many refused datagrams one Read takes note of, and maxQuote how many bytes of each: the rest stays in
	// the kernel's queue until the next (TestRefusalsAreBounded).
	maxRefusals = 16
	maxQuote    = 64
)
