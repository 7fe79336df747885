package http3

import "time"

// What a peer can make us hold or do, and how much of it.
const (
	// defaultMaxResponseHeaderBytes is net/http's limit for a Transport that
	// names none. Hit by TestClientRefusesBadResponses.
	defaultMaxResponseHeaderBytes = 10 << 20

	// defaultReadHeaderTimeout ends a request that never becomes one; without
	// it a hundred silent streams per connection cost their goroutines for as
	// long as the client keeps the connection. Hit by
	// TestAHeaderThatNeverEndsIsRefused.
	defaultReadHeaderTimeout = 10 * time.Second

	// maxEmptyFrames is how many frames in a row a peer may send on one stream
	// within emptyWindow that carry nothing: reserved and unknown ones, whatever
	// their size, and empty DATA. Padding now and then is fine, for as long as
	// the stream lives. RFC 9114, section 10.5: an endpoint "MAY treat activity that is
	// suspicious as a connection error of type H3_EXCESSIVE_LOAD". The
	// same on the control stream. Hit by TestPeersThatBreakARule.
	maxEmptyFrames = 1000
	emptyWindow    = 10 * time.Second

	// maxInterimResponses is how many 1xx responses a client accepts before the
	// final one; the same number as in net/http, and lifted as there when a
	// httptrace.ClientTrace looks at each. Hit by TestClientRefusesBadResponses.
	maxInterimResponses = 5

	// maxAttempts is how often a Transport sends a request that is refused
	// unprocessed each time. Hit by TestARequestIsNotRetriedForEver.
	maxAttempts = 3

	// tableCapacity is how much of field sections our decoder remembers, in bytes
	// as RFC 9204, section 3.2.1, counts them; maxBlockedSections how many
	// sections of a connection may wait for entries that are under way. Both are
	// announced. A browser's fields, or a server's, fill half of the table. What a
	// connection holds for it is 4 KiB of text, 6 KiB of entries, 16 KiB of an
	// unfinished instruction in the most wasteful code, and for each blocked
	// section a read buffer and the goroutine that reads the stream; nothing at
	// all before the peer makes use of it. Hit by TestPeersThatBreakARule and
	// TestMoreBlockedStreamsThanAllowed.
	tableCapacity      = 4 << 10
	maxBlockedSections = 16

	// maxReplies is how many bytes may wait for a decoder stream that the peer
	// does not read: each section that it sends makes us reply. Hit by
	// TestADecoderStreamThatIsNotRead. maxIdleReplies is how many wait as long as the peer makes no
	// use of our table, before the stream is opened for them. Hit by
	// TestCancellationsWaitForTheTable.
	maxReplies     = 4 << 10
	maxIdleReplies = 256

	// maxOriginSet is how many origins a client remembers of one connection. Hit
	// by TestTheOriginSet.
	maxOriginSet = 256

	// maxPriorityUpdates is how many PRIORITY_UPDATE frames of one client are
	// remembered, for requests that have not come or whose handlers run; the
	// latest of each, 32 bytes or so. More are in force for as long as nothing else is
	// said about their requests, and lost when those have not come. Hit by
	// TestPriorityUpdatesAreBounded.
	maxPriorityUpdates = 256

	// maxDatagrams and maxDatagramBytes are how many HTTP datagrams wait for the reader of
	// one tunnel, and how many bytes of them: about what arrives within 10 ms at 50 Mbit/s.
	// The oldest are dropped. Hit by TestDatagramsThatNobodyReceives. maxEarlyDatagrams are
	// how many of a connection wait for requests to become tunnels. Hit by
	// TestDatagramsBeforeTheirTunnel.
	maxDatagrams      = 64
	maxDatagramBytes  = 64 << 10
	maxEarlyDatagrams = 16

	// openTimeout is how long the peer may deny us our control stream. RFC 9114,
	// section 6.2: the transport parameters "MUST allow the peer to create at
	// least three unidirectional streams", so waiting at all is kindness. No test
	// sits it out.
	openTimeout = 5 * time.Second

	// settleTime is how long a client may be silent before its connection is
	// closed in a graceful shutdown; vanishedTime is the same while it owes
	// acknowledgments: some probe timeouts. Hit by
	// TestRequestsAfterGOAWAYAreRejected and
	// TestASilentClientThatVanishedDoesNotDelayShutdown.
	settleTime     = 1 * time.Second
	vanishedTime   = 3 * time.Second
	settleInterval = 20 * time.Millisecond
)

// How our own memory is used.
const (
	// maxSessions is how many TLS sessions a Transport remembers for 0-RTT.
	maxSessions = 64

	// maxHeldAcks is how many acknowledgments of field sections are sent together,
	// unless replyDelay is over before that: long enough that a busy connection
	// sends one frame for many, and short against what a peer's encoder waits for.
	maxHeldAcks = 32
	replyDelay  = 20 * time.Millisecond

	// maxUnsentInstructions is how many bytes of our encoder's instructions wait
	// for the peer's flow control before the encoder keeps what it has to say.
	maxUnsentInstructions = 1 << 10

	// maxUnsaid is how many bytes of PRIORITY_UPDATE frames wait for our control
	// stream to be opened.
	maxUnsaid = 4 << 10

	// maxKeptInstructions is the largest buffer of an instruction stream that is
	// kept when it has been written.
	maxKeptInstructions = 256

	// maxRefusal is how much of the answer to a CONNECT request that is refused is
	// read. Hit by TestATunnelIsRefusedWithAnAnswer.
	maxRefusal = 4 << 10

	// maxTooEarly is how much of a 425 (Too Early) response is read before the
	// request is sent again: enough to end its stream in peace.
	maxTooEarly = 4 << 10

	// frameRoom is what is kept free in front of a payload for the header of
	// its frame: one byte of type and up to eight of length.
	frameRoom = 9

	// readBufferSize is how much of a stream is read ahead. Nearly every header
	// section fits, and a browser's first flight of a request does. Hit by
	// TestAnAnnouncedHeaderCostsNothingUntilItComes.
	readBufferSize = 2 << 10

	// responseBufferSize is how much of a response is held back in the hope
	// that it ends there: then Content-Length is known and everything leaves
	// by one write.
	responseBufferSize = 4 << 10

	// copyBufferSize is the largest payload that is copied behind its frame
	// header: one copy costs less than a second write with its lock and its
	// system call. What is longer follows uncopied.
	copyBufferSize = 32 << 10

	// maxPooled is the largest buffer that returns to its pool, so that one
	// huge header section does not stay for ever.
	maxPooled = 64 << 10
)
