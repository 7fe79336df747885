package tunnel

import (
	"time"

	"github.com/godwit-net/godwit/quic"
)

// What is read from outside, and how much of it.
const (
	// maxAddrs is how many addresses a token carries. A machine has more only when most of them are container bridges.
	// Hit by TestTokensThatCannotBeMade.
	maxAddrs = 8

	// maxAddr is the longest address in bytes: a DNS name of 253 and a port nearly fill what one length byte can say. Hit
	// by TestTokensThatCannotBeMade.
	maxAddr = 255

	// maxTokenText is the longest token as text: eight addresses of 255 bytes take 2856 characters. Hit by
	// TestBadTokensAreToldApart.
	maxTokenText = 3 << 10

	// maxKeyFile is how much of a key file is read; ours have 170. Hit by TestKeyFilesThatAreRefused.
	maxKeyFile = 4 << 10
)

// What the peer, which holds a pinned key, may make us hold.
const (
	// maxRequests is how many requests one entry has under way at the exit; more wait at the entry. Event streams last for
	// hours, so it is far above a browser's hundred. Hit by TestRequestsBeyondTheLimitWait.
	maxRequests = 4096

	// maxHeaderBytes limits header sections between entry and exit, counted with 32 bytes for each field (RFC 9114, section
	// 4.2.2): what the entry accepts from its client (1 MiB, not counted so) passes.
	maxHeaderBytes = 2 << 20

	// streamWindow and maxStreamWindow are what one request or response may have unread: enough for 300 Mbit/s at 100 ms
	// once the window has grown.
	streamWindow    = 256 << 10
	maxStreamWindow = 4 << 20

	// connWindow is what all of them together may have unread. Clients that stop reading in the middle of a download keep
	// their part of it: were it small, a few of them would stop everybody else (TestReadersThatStallStopNobodyElse). It is
	// memory only as far as peers really stall.
	connWindow = 256 << 20
)

// windows has no budget for all connections together: only who holds a pinned key gets as far as sending anything.
var windows = quic.Windows{StreamWindow: streamWindow, MaxStreamWindow: maxStreamWindow, ConnWindow: connWindow, ReceiveBudget: -1}

// How long things take.
const (
	// firstBackoff doubles up to maxBackoff between attempts to reach the exit; a request that comes meanwhile does not
	// wait for it, but attempts begin at least minAttemptGap apart.
	firstBackoff  = 250 * time.Millisecond
	maxBackoff    = 5 * time.Second
	minAttemptGap = 250 * time.Millisecond

	// attemptTimeout is how long one attempt may take: three Initial packets (0, 1 and 3 s with the initial RTT estimate of
	// RFC 9002, section 6.2.2) and the answer to the last.
	attemptTimeout = 4 * time.Second

	// attemptStagger is when the next address of the token is tried beside those before it: the Connection Attempt Delay
	// of RFC 8305, section 5.
	attemptStagger = 250 * time.Millisecond

	// patience is how long a request waits for the exit to be reached before it is answered with 503.
	patience = 2 * time.Second

	// keepAlive keeps address translators from forgetting an idle tunnel, and idleTimeout ends one whose peer is gone.
	keepAlive   = 10 * time.Second
	idleTimeout = 30 * time.Second

	// defaultSilence is how long the exit may be silent while requests are under way; see EntryConfig.Silence.
	defaultSilence = 3 * time.Second

	// platformDialTimeout is how long the platform may take to accept a connection.
	platformDialTimeout = 10 * time.Second

	// flushDelay is how long a piece of a response of known length may stay in a buffer; others are passed on at once.
	flushDelay = 5 * time.Millisecond
)
