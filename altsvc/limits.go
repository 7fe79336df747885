package altsvc

import (
	"math"
	"time"
)

// What servers, the DNS and the file can make us hold.
const (
	// maxFieldBytes is the longest Alt-Svc field that is looked at; real ones
	// have a hundred bytes. maxServices is how many of its values count. Hit by
	// TestLongFieldsAreBounded.
	maxFieldBytes = 8 << 10
	maxServices   = 32

	// maxAuthorityBytes is the longest host and port: a DNS name has 253 bytes.
	// Hit by TestFieldsThatAreMalformed.
	maxAuthorityBytes = 253 + 6

	// maxOrigins is how many origins something is remembered of; the longest
	// unused is forgotten first. Each costs about 500 bytes. Hit by
	// TestTheMemoryIsBounded.
	maxOrigins = 1000

	// maxKept is how many alternatives of an origin are kept: only those with
	// HTTP/3, and one is used at a time. Hit by TestTheMemoryIsBounded.
	maxKept = 4

	// maxBroken is how many alternatives are known to be broken at a time. What
	// is forgotten is tried again. Hit by TestTheMemoryIsBounded.
	maxBroken = 1000

	// maxFileBytes is the largest file that is read: a full one has half of it.
	// maxRemembered is how far in the future something in it may end: the longest
	// "ma" there is. maxFailures is where counting ends, long after maxBreak is
	// reached. Hit by TestFilesThatMakeNoSense.
	maxFileBytes  = 4 << 20
	maxRemembered = math.MaxInt32 * time.Second
	maxFailures   = 100

	// maxLinks is how many QUIC connections there are at a time. Beyond it the
	// longest unused one takes no further request, and closes when its last one
	// is complete. Hit by TestConnectionsAreBounded.
	maxLinks = 256

	// maxSessions is how many TLS sessions, and address validation tokens, are
	// kept for connections to come; the longest unused is forgotten first. Hit by
	// TestConnectionsAreBounded.
	maxSessions = 64

	// maxAddresses is how many addresses of a host are tried. Hit by
	// TestAddressesAreTriedInTurn.
	maxAddresses = 8

	// maxAttempts is how often a request is sent over HTTP/3 that is refused
	// unprocessed each time, before it goes by TCP. Hit by
	// TestARequestThatIsAlwaysRefusedGoesByTCP.
	maxAttempts = 2

	// maxQuestions is how many questions to the DNS are open at a time. Who finds
	// none left does without. Hit by TestQuestionsAreBounded.
	maxQuestions = 16

	// maxAliases is how many names are asked for one origin; maxDNSPayload what an
	// answer over UDP may have, beyond which it comes by TCP. Hit by
	// TestWhatRecordsSay.
	maxAliases    = 4
	maxDNSPayload = 1232

	// maxMisdirected is how much of a 421 (Misdirected Request) response is read
	// before the request goes to the origin: enough to end its stream in peace.
	// Hit by TestAMisdirectedRequestGoesToTheOrigin.
	maxMisdirected = 4 << 10
)

// How long things take. A test has them pass on a clock of its own.
const (
	// defaultMaxAge is how long an alternative is fresh: "it is considered fresh
	// for 24 hours from generation of the message" (RFC 7838, section 3.1). Hit
	// by TestFields.
	defaultMaxAge = 24 * time.Hour

	// headStart is what QUIC has before TCP is dialled as well, where it has
	// worked before: browsers have 300 ms. Hit by TestTheRace.
	headStart = 300 * time.Millisecond

	// addressDelay is the "Connection Attempt Delay" between two addresses of a
	// host, as RFC 8305, section 5, recommends it. Hit by
	// TestAddressesAreTriedInTurn.
	addressDelay = 250 * time.Millisecond

	// firstBreak is how long an alternative is not tried that has failed; it
	// doubles with each failure that no success came between, up to maxBreak.
	// Hit by TestBrokenAlternativesAreLeftAlone.
	firstBreak = 5 * time.Minute
	maxBreak   = 48 * time.Hour

	// quietLimit is how long a connection may have heard nothing and still be
	// trusted with a request unasked. Hit by
	// TestAConnectionThatDiedUnnoticedCostsNoRequest.
	quietLimit = 5 * time.Second

	// deafLimit is how long the peer of a running request may be silent before
	// the way is taken for dead. Package quic asks for a sign of life after a
	// second, so that a server that thinks for long is not silent. Hit by
	// TestUDPThatDiesInMidRequest.
	deafLimit = 5 * time.Second

	// probeLimit is how long a quiet connection has to give a sign of life. Hit
	// by TestAConnectionThatDiedUnnoticedCostsNoRequest.
	probeLimit = 3 * time.Second

	// suspicion is how long after a failure of QUIC a success of TCP still shows
	// that it was QUIC's, and not the whole network's. Hit by
	// TestBrokenAlternativesAreLeftAlone.
	suspicion = time.Minute

	// saveDelay is how long after a change the file is written: a page with a
	// hundred origins changes a lot at once. Hit by TestWhatWasLearnedOutlivesTheProcess.
	saveDelay = time.Second

	// defaultRecordTimeout is how long the DNS has for an answer. minRecordAge and
	// maxRecordAge are the bounds of a record's TTL; maxNoRecord is how long it
	// holds that there is none, or no answer. Hit by TestTheDNSIsAskedOnce.
	defaultRecordTimeout = 3 * time.Second
	minRecordAge         = time.Minute
	maxRecordAge         = 24 * time.Hour
	maxNoRecord          = 5 * time.Minute

	// networkPause is how long the network is believed to be the same without a
	// look. Hit by TestAnotherNetwork.
	networkPause = 5 * time.Second
)
