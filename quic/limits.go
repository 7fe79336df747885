package quic

import "time"

// Every queue that a peer can feed has its limit here, with the reason and the test that hits it. What a peer can feed
// inside a connection is bounded by the engine, by the same rule.
const (
	// maxBacklog is how many connections may wait for Accept. Their handshakes are done, so each is worth some 15 KiB
	// and has proved its address; beyond it a client is told CONNECTION_REFUSED. TestBacklogIsBounded.
	maxBacklog = 1024

	// maxHalfOpen is how many connections may be in their handshake on one endpoint. It bounds what clients with forged
	// addresses can make us hold, which is some 60 KiB each, and since addresses are proved long before that many
	// (engine.MaxUnvalidated), what those with real ones can; beyond it first datagrams are dropped, which a genuine client
	// repeats a little later. TestHalfOpenConnectionsAreBounded.
	maxHalfOpen = 1024

	// maxCrowd is how many of these may come from one IPv4 address, or one 64-bit prefix of IPv6, once half of maxHalfOpen is in
	// use: a client with an address of its own, which a Retry packet does not stop, keeps a hundred packets a second from shutting the
	// others out. TestACrowdLeavesRoomForOthers.
	maxCrowd = 64

	// maxInbox is how many datagrams may wait for a connection whose handshake is being driven by a worker. A client's
	// flight is two or three, a server's chain of certificates ten at most; what is dropped is sent again.
	// TestInboxIsBounded.
	maxInbox = 32

	// maxStrikes is how many tickets a MemoryRegister remembers, unless told otherwise. A client gets one ticket for each
	// handshake, and each is remembered for an hour at most: these are 36 0-RTT handshakes a second, all day, in 6 MiB. When it is
	// full further ones take one round trip. TestTheRegisterIsBounded.
	maxStrikes = 128 << 10

	// maxReplies is how many datagrams of one batch that belong to no connection are answered without proof of their
	// address (version negotiation, stateless reset, but not Retry): more in one batch than this is a flood, and answering one helps
	// it. TestRepliesAreBounded.
	maxReplies = 16
)

const (
	// slabSize is the room in which datagrams are composed: no message longer than 65,507 bytes leaves the kernel.
	slabSize = 65_504

	// minRoom is the least room for which it is worth asking a connection for datagrams. A full batch is sent first
	// when less is left, so that a long run is not cut in short pieces. The largest datagram fits.
	minRoom = 9 << 10

	// defaultMaxDatagramSize and maxDatagramSize are of Config.MaxDatagramSize: IPv6 over Ethernet, and jumbo frames.
	// TestPathKnobsAreChecked, TestDatagramsGrowAndAreMarked.
	defaultMaxDatagramSize = 1500 - 40 - 8
	maxDatagramSize        = 9000

	// maxMessages is how many messages are gathered before they are sent: what one sendmmsg takes.
	maxMessages = 32

	// maxRounds is how many times a goroutine composes and sends, for itself and for those who left notes, before it
	// hands the sending token on. TestSendingTokenIsHandedOn.
	maxRounds = 4

	// closeTimeout is how long Close waits for its own sends: the socket's buffer may be full, but a link that takes
	// longer than this to empty it will not.
	closeTimeout = 200 * time.Millisecond

	// socketGrace is how long a migrated connection still reads its old socket.
	socketGrace = 3 * time.Second

	// migratePatience is how long Migrate waits until the connection may migrate at all.
	migratePatience = 5 * time.Second

	// maxEscapes is how often a connection whose address has vanished tries to find another, first after firstEscape and then
	// ever more rarely: 13 seconds of waiting in all, and patienceOfEscape for each attempt, which is longer than the idle timeout.
	// TestAnEscapeIsTriedAFewTimes.
	maxEscapes       = 8
	firstEscape      = 100 * time.Millisecond
	patienceOfEscape = 5 * time.Second

	// lookoutPause is how long a client that waits for something hears nothing before it looks whether its address still is good,
	// and how often it looks: far below what users wait for, and above the round-trip times of nearly all paths. TestWhoWaitsInSilenceAsksOnce.
	lookoutPause = time.Second

	// refusals is how many flights of a Dial have to be refused (ICMP port unreachable) before it fails with ErrRefused, about a
	// second after the first. While other addresses are left one is enough: nothing is lost if it was not the truth.
	// TestARefusedAddressMakesWayForTheNext.
	refusals = 2

	// attemptTimeout is how long Dial tries an address while others are left. The last one gets what the context and
	// Config.HandshakeTimeout leave.
	attemptTimeout = 3 * time.Second

	// receiveFloor is what every connection may promise its peer besides what it borrows from Config.ReceiveBudget, in bytes:
	// 2.5 Mbit/s at 100 ms, some 20 datagrams in flight. loanStep is what is borrowed at least.
	// TestScarcityShrinksTheLargest.
	receiveFloor = 32 << 10
	loanStep     = 32 << 10

	// maxDefaultBudget is the default of Config.ReceiveBudget: 680 connections with the default window, 35 with the largest.
	// TestTheDefaultBudgetFitsTheMemoryLimit.
	maxDefaultBudget = 512 << 20

	// newcomerShare: a new connection gets at most one part in so many of what is left for new ones.
	newcomerShare = 16
)
