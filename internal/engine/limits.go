package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// Every count and buffer that a peer can feed has its limit here, with the reason and the test that hits it.
const (
	// DefaultIDLen is the length of the connection IDs we choose where no IDGenerator does: long enough that nobody guesses
	// one. TestWhatIsNotAPacketOfOursIsDropped.
	DefaultIDLen = 8

	// minDatagramSize is the size every QUIC path must carry (RFC 9000, section 14).
	// TestNothingLargerThanQUICNeedsIsSentBeforeTheHandshakeIsConfirmed.
	minDatagramSize = wire.MinInitialSize

	// maxSegments is how many datagrams one Compose writes: the kernel's limit on segments of one GSO message.
	// TestOneComposeIsBounded.
	maxSegments = 64

	// maxCryptoBuffer bounds handshake bytes received ahead of a gap or before the handshake is ready for them, per
	// space. RFC 9000, section 7.5 wants at least 4096; certificate chains with client certificates need more.
	// TestCryptoBufferIsBounded.
	maxCryptoBuffer = 64 << 10

	// firstSkipGap and maxSkipGap are how far apart skipped packet numbers are, at the least, at first and in the end: an
	// acknowledgment of what was never sent is found out soon, and a long transfer hardly notices.
	// TestAPacketNumberIsSkippedNowAndThen, TestSkippedNumbersBecomeRarer.
	firstSkipGap = 128
	maxSkipGap   = 64 << 10

	// maxAckRanges is how many ranges of received packet numbers are remembered per space. The oldest are forgotten:
	// their packets count as duplicates then. TestAckRangesAreBounded.
	maxAckRanges = 256

	// maxUndecrypted is how many datagrams that came before their keys are kept until the keys are there. Eight hold a
	// flight of reordered 1-RTT data. TestEarlyDatagramsAreBounded.
	maxUndecrypted = 8

	// maxLocalIDs is how many connection IDs of ours a peer holds at once, and maxRemoteIDs how many of a peer's we
	// hold (active_connection_id_limit). TestConnectionIDLimit.
	maxLocalIDs  = 4
	maxRemoteIDs = 4

	// maxLeftIDs is how many of our connection IDs that the peer has given up still lead here, for three probe timeouts.
	// TestAnIDThatIsGivenUpLeadsHereAWhile.
	maxLeftIDs = 2 * maxLocalIDs

	// maxRetiring is how many RETIRE_CONNECTION_ID frames may be unacknowledged before the connection is closed: a peer
	// that feeds NEW_CONNECTION_ID faster than it acknowledges would fill our memory otherwise (RFC 9000, section
	// 5.1.2 wants at least twice the active limit). TestRetirementIsBounded.
	maxRetiring = 4 * maxRemoteIDs

	// maxRetiredRanges is how many separate ranges of sequence numbers of retired IDs are remembered, so that a repeated
	// NEW_CONNECTION_ID does not bring one back. A peer that issues them in order makes a handful. TestRetiredRangesAreBounded.
	maxRetiredRanges = 16

	// maxChallenges is how many PATH_CHALLENGE frames of one path may still be answered, the newest: with waits that double
	// hardly more are sent before a path is given up. TestEveryChallengeIsAnother.
	maxChallenges = 8

	// maxAnswers is how many PATH_CHALLENGE frames may wait for their answers, the newest: a batch of datagrams holds one of each
	// path that a peer probes, and a flood of them must not be answered by one. TestAnswersThatAreOwedAreBounded.
	maxAnswers = 4

	// maxStreamRanges is how many separate ranges of one stream may wait for the bytes between them. A window of
	// one-byte islands would cost more in bookkeeping than the window itself. It holds for handshake data as well.
	// TestStreamIslandsAreBounded, TestHandshakeDataHasFewGaps.
	maxStreamRanges = 1024

	// maxCloseReason is how much of a reason phrase is sent and kept, in bytes. TestReasonsAreBounded.
	maxCloseReason = 512

	// maxSendBuffer and minSendBuffer bound the bytes a stream buffers until they are acknowledged. Between them it is
	// twice the congestion window: enough to fill the path while the writer runs. TestWriteStopsAtTheSendBuffer.
	minSendBuffer = 64 << 10
	maxSendBuffer = 16 << 20

	// maxFreeSmall and maxFreeLarge are how many buffer chunks a busy connection keeps for reuse; one at rest keeps none.
	// TestFreeListsAreBounded.
	maxFreeSmall = 256
	maxFreeLarge = maxSendBuffer / largeChunk

	// maxToken is how long a token of NEW_TOKEN may be to be kept, in bytes: it goes out in every Initial packet, next to a
	// ClientHello. Common ones have 30 to 100. TestLongTokensAreNotKept.
	maxToken = 512

	// maxSpentTokens is how many tokens are remembered at least, and half of how many at most, so that none proves an
	// address twice; each takes some 40 bytes. TestSpentTokensAreBounded.
	maxSpentTokens = 8192

	// MaxUnvalidated is how many connections may be in their handshake before clients have to prove their addresses, if
	// that is left to the Acceptor. It is more than a busy server has in its handshakes at a time, and 128 times 60 KiB
	// are what a flood of forged addresses makes us hold. TestClientsProveTheirAddressInAFlood.
	MaxUnvalidated = 128

	// maxDatagrams and maxDatagramBytes bound the datagrams (RFC 9221) that wait to be sent, and those that wait to be taken;
	// beyond them the oldest goes. TestDatagramQueuesDropTheOldest.
	maxDatagrams     = 256
	maxDatagramBytes = 256 << 10

	// maxWasted is how many frames a peer may send that change nothing, beyond those that time forgives (a thousand a second)
	// and those that it has earned with packets that do, of which maxEarned count; then the connection is closed with
	// PROTOCOL_VIOLATION. Keep-alives, probes and limits that are repeated are a few in a round trip. What is sent twice in
	// vain is a congestion window at the most, and was earned by the first time. paidFor is how many such frames a packet may have
	// beside one that brings something, and keyUpdateCost as how many an update of the keys counts: as many as derive keys in the time
	// that it takes. TestWhatChangesNothingIsBounded.
	maxWasted     = 10_000
	maxEarned     = 100_000
	paidFor       = 8
	keyUpdateCost = 50

	// maxFreeStreams is how many stream records a connection keeps for reuse. TestFreeListsAreBounded.
	maxFreeStreams = 128
)

const (
	// What a peer may send, and how long it may be silent, where Config does not say: the defaults that the shell documents.
	defaultStreamWindow     = 512 << 10
	defaultMaxStreamWindow  = 6 << 20
	defaultConnWindow       = 768 << 10
	defaultMaxConnWindow    = 15 << 20
	defaultMaxStreams       = 100
	defaultHandshakeTimeout = 10 * time.Second
	defaultIdleTimeout      = 30 * time.Second

	// maxAckDelay is the longest we hold an acknowledgment back, and what we declare (RFC 9000, section 18.2).
	// TestASinglePacketIsAcknowledgedWithinTheDelay.
	maxAckDelay      = 25 * time.Millisecond
	ackDelayExponent = 3

	// minAckDelay is the shortest delay of acknowledgments that a peer may ask for: what timers resolve.
	// TestImpossibleWishesClose.
	minAckDelay = time.Millisecond

	// ackThreshold is how many ack-eliciting packets may wait for one acknowledgment until the peer asks for something else
	// (RFC 9000, section 13.2.2): every second one is acknowledged. The count is looked at once a batch of datagrams, so
	// a run of forty packets is answered once. TestEverySecondPacketIsAcknowledgedAtOnce.
	ackThreshold = 1

	// keyUpdateEvery is after how many packets a connection updates its keys of its own will, long before the AEAD wears
	// out (RFC 9001, section 6.6: 2^23 packets for AES-GCM). At 2^20, a gigabyte or two, an update is nothing rare, so that
	// a peer that cannot follow one shows it in a test and not after a day. TestOurOwnKeyUpdate.
	keyUpdateEvery = 1 << 20

	// pingEvery makes every so many acknowledgments ask for one themselves, so that old ranges can be forgotten
	// (RFC 9000, section 13.2.4). TestAReceiverAsksForAnAcknowledgmentNowAndThen.
	pingEvery = 32
)
