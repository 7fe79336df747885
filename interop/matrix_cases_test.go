package interop

import (
	"time"

	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/simnet"
)

// runnerTest is one test of the public interop runner (github.com/quic-interop/quic-interop-runner at 1d6f655), with HTTP/3
// where the runner has HTTP/0.9.
type runnerTest struct {
	name, letter string
	about        string    // one line for the table's readers
	fetch        [][]int64 // sizes of the files to be fetched, by connection
	longNames    bool      // the files' names have 250 characters
	path         func() path
	wants        wants
	checks       []check
	slow         bool          // not in the quick half
	brief        bool          // in the quick half with slow peers too
	limit        time.Duration // 0: a minute
}

// wants is what a test asks of its two ends beyond carrying files.
type wants struct {
	retry     bool // the server has clients prove their address
	resume    bool // the second connection resumes the first one's session
	early     bool // and sends its requests as 0-RTT
	chacha    bool // the client offers TLS_CHACHA20_POLY1305_SHA256 alone
	keyUpdate bool // the client updates its keys
	ecn       bool // both mark their packets
	longChain bool // the server has a chain of nine certificates
	ipv6      bool
	v2        bool // the client begins with version 1 and prefers version 2, and so does the server
	move      bool // the client moves to another path: the server's preferred address if it has one, else by itself
}

// path is what lies between the two ends.
type path struct {
	up, down simnet.LinkConfig
	rebind   link.Rebind
}

// p2p is the runner's default: 15 ms each way, 10 Mbit/s, and a queue of 25 packets. What an Ethernet does not carry is lost.
func p2p() path { return symmetric(p2pLink()) }

func p2pLink() simnet.LinkConfig {
	return simnet.LinkConfig{Delay: 15 * time.Millisecond, Rate: 10_000_000 / 8, Queue: 25 * 1500, MTU: 1472}
}

func symmetric(c simnet.LinkConfig) path { return path{up: c, down: c} }

// changed is p2p with a change in both directions.
func changed(change func(c *simnet.LinkConfig)) func() path {
	return func() path {
		c := p2pLink()
		change(&c)
		return symmetric(c)
	}
}

const kB = 1 << 10

// runnerTests are all of them, in the runner's order.
var runnerTests = []*runnerTest{
	{
		name: "handshake", letter: "H", about: "one connection, 1 KiB",
		brief:  true,
		fetch:  [][]int64{{1 * kB}},
		checks: []check{wantHandshakes(1), wantVersion1, wantNoRetry},
	},
	{
		name: "transfer", letter: "DC", about: "2, 3 and 5 MiB at once",
		fetch:  [][]int64{{2 * MiB, 3 * MiB, 5 * MiB}},
		checks: []check{wantHandshakes(1), wantVersion1},
		slow:   true,
	},
	{
		name: "longrtt", letter: "LR", about: "a round trip of 1.5 s",
		fetch:  [][]int64{{1 * kB}},
		path:   changed(func(c *simnet.LinkConfig) { c.Delay = 750 * time.Millisecond }),
		checks: []check{wantHandshakes(1), wantVersion1, wantTwoClientHellos},
	},
	{
		name: "chacha20", letter: "C20", about: "3 MiB with ChaCha20-Poly1305 alone",
		fetch:  [][]int64{{3 * MiB}},
		wants:  wants{chacha: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantChaCha},
	},
	{
		name: "multiplexing", letter: "M", about: "1999 files of 32 bytes, at most 1000 at once",
		fetch:  [][]int64{manyOf(1999, 32)},
		checks: []check{wantHandshakes(1), wantVersion1, wantFewStreams},
	},
	{
		name: "retry", letter: "S", about: "the server sends Retry",
		brief:  true,
		fetch:  [][]int64{{10 * kB}},
		wants:  wants{retry: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantRetry},
	},
	{
		name: "resumption", letter: "R", about: "the second of two connections needs no certificate",
		brief:  true,
		fetch:  [][]int64{{5 * kB}, {10 * kB}},
		wants:  wants{resume: true},
		checks: []check{wantHandshakes(2), wantVersion1, wantResumption},
	},
	{
		name: "zerortt", letter: "Z", about: "40 requests in 0-RTT",
		brief: true,
		fetch: [][]int64{{32}, manyOf(39, 32)}, longNames: true,
		wants:  wants{resume: true, early: true},
		checks: []check{wantHandshakes(2), wantVersion1, wantEarlyRequests},
	},
	{
		name: "http3", letter: "3", about: "5, 10 and 500 KiB at once",
		brief:  true,
		fetch:  [][]int64{{5 * kB, 10 * kB, 500 * kB}},
		checks: []check{wantHandshakes(1), wantVersion1},
	},
	{
		name: "blackhole", letter: "B", about: "10 MiB; the path is cut for 2 s after each 5 s",
		fetch: [][]int64{{10 * MiB}},
		path: changed(func(c *simnet.LinkConfig) {
			c.Cycle = simnet.Cycle{Up: 5 * time.Second, Down: 2 * time.Second}
		}),
		checks: []check{wantHandshakes(1), wantVersion1},
		slow:   true,
	},
	{
		name: "keyupdate", letter: "U", about: "3 MiB; the client updates its keys",
		fetch:  [][]int64{{3 * MiB}},
		wants:  wants{keyUpdate: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantBothKeyPhases},
	},
	{
		name: "ecn", letter: "E", about: "both ends mark and report marks",
		fetch:  [][]int64{{100 * kB}},
		wants:  wants{ecn: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantECN},
	},
	{
		name: "amplificationlimit", letter: "A", about: "a long certificate chain, and the client's packets 2 to 7 are lost",
		fetch: [][]int64{{5 * kB}},
		path: func() path {
			p := p2p()
			p.up.Mask = 0b111_1110
			return p
		},
		wants:  wants{longChain: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantAmplificationLimit},
	},
	{
		name: "handshakeloss", letter: "L1", about: "50 connections, 30 % loss in bursts of up to 3",
		fetch:  connections(50, 1*kB),
		path:   changed(func(c *simnet.LinkConfig) { c.Loss, c.LossRun = 0.30, 3 }),
		checks: []check{wantHandshakes(50), wantVersion1},
		slow:   true, limit: 5 * time.Minute,
	},
	{
		name: "transferloss", letter: "L2", about: "2 MiB, 2 % loss in bursts of up to 3",
		fetch:  [][]int64{{2 * MiB}},
		path:   changed(func(c *simnet.LinkConfig) { c.Loss, c.LossRun = 0.02, 3 }),
		checks: []check{wantHandshakes(1), wantVersion1},
		slow:   true,
	},
	{
		name: "handshakecorruption", letter: "C1", about: "50 connections, 30 % of the packets corrupted",
		fetch:  connections(50, 1*kB),
		path:   changed(func(c *simnet.LinkConfig) { c.Corrupt, c.CorruptRun = 0.30, 3 }),
		checks: []check{wantHandshakes(50), wantVersion1},
		slow:   true, limit: 5 * time.Minute,
	},
	{
		name: "transfercorruption", letter: "C2", about: "2 MiB, 2 % of the packets corrupted",
		fetch:  [][]int64{{2 * MiB}},
		path:   changed(func(c *simnet.LinkConfig) { c.Corrupt, c.CorruptRun = 0.02, 3 }),
		checks: []check{wantHandshakes(1), wantVersion1},
		slow:   true,
	},
	{
		name: "ipv6", letter: "6", about: "over IPv6",
		fetch:  [][]int64{{5 * kB, 10 * kB}},
		wants:  wants{ipv6: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantIPv6},
	},
	{
		name: "v2", letter: "V2", about: "from version 1 to version 2 without a round trip",
		fetch:  [][]int64{{1 * kB}},
		wants:  wants{v2: true},
		checks: []check{wantHandshakes(1), wantVersion2},
	},
	{
		name: "rebind-port", letter: "BP", about: "10 MiB; a NAT changes the client's port after 1 s and then each 5 s",
		fetch:  [][]int64{{10 * MiB}},
		path:   rebinding(false),
		checks: []check{wantHandshakes(1), wantVersion1, wantPathsValidated},
		slow:   true,
	},
	{
		name: "rebind-addr", letter: "BA", about: "the same with the client's address",
		fetch:  [][]int64{{10 * MiB}},
		path:   rebinding(true),
		checks: []check{wantHandshakes(1), wantVersion1, wantPathsValidated, wantTwoAddresses},
		slow:   true,
	},
	{
		name: "connectionmigration", letter: "CM", about: "2 MiB; the client moves",
		fetch:  [][]int64{{2 * MiB}},
		wants:  wants{move: true},
		checks: []check{wantHandshakes(1), wantVersion1, wantMove},
		slow:   true,
	},
}

func manyOf(n int, size int64) (list []int64) {
	for range n {
		list = append(list, size)
	}
	return list
}

func connections(n int, size int64) (list [][]int64) {
	for range n {
		list = append(list, []int64{size})
	}
	return list
}

func rebinding(addr bool) func() path {
	return func() path {
		p := p2p()
		// What the server still sends to the address before arrives: whether a client that only reads learns of the change
		// would be a matter of luck otherwise.
		p.rebind = link.Rebind{After: time.Second, Every: 5 * time.Second, Addr: addr, Keep: true}
		return p
	}
}
