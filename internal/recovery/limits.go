package recovery

// What is outstanding is limited by the congestion window, in bytes; these limits are for what the window does not
// count.

// maxSparse bounds the numbers that one space tracks beyond four for each ack-eliciting packet outstanding. A peer that
// sends to us but never acknowledges would otherwise make us remember every ACK-only packet that we send, as these are
// not congestion controlled. Past the limit the oldest packets are given up as lost, for which RFC 9002, section 6.2.4
// gives leave. TestPeerThatNeverAcknowledgesCannotGrowTheRing reaches it.
const maxSparse = 4096

// maxSkipped is how many skipped numbers each space remembers after they were passed by. An acknowledgment of an older
// one goes unnoticed. TestSkippedNumberIsNeverAcknowledged reaches it.
const maxSkipped = 16

// maxPacketThreshold bounds the packet threshold to which loss detection gives way when packets arrive late. A peer that
// lies about the order in which it received packets gains only that its losses are found by the time threshold.
// TestThresholdsAreBounded reaches it.
const maxPacketThreshold = 1024

// maxWidened bounds the doublings of the time threshold's surplus over the round-trip time, an eighth of that to begin with:
// three make it one more round-trip time. TestThresholdsAreBounded reaches it.
const maxWidened = 3

// reorderPersist is how many congestion events without a spurious loss it takes until loss detection has forgotten that
// packets were reordered. It is that of RACK (RFC 8985, section 6.2). TestThresholdsReturnAfterManyRealCongestionEvents
// reaches it.
const reorderPersist = 16

// maxLostRanges is how many ranges of lost packet numbers each space remembers in order to count spurious losses. A peer
// chooses which packets to acknowledge and thereby how many ranges there are. TestLostRangesAreBounded reaches it.
const maxLostRanges = 32

// maxBackoff bounds the exponent of the PTO backoff, only so that the duration does not overflow; idle timeouts end a
// connection long before. TestBackoffDoublesAndStopsBeforeOverflow reaches it.
const maxBackoff = 20

// baseSlots is the size of a ring that has not grown. While its connection rests it has as many as it needs.
const baseSlots = 32

// baseFacts is the same for the facts.
const baseFacts = 64
