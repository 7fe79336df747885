// Package udp is the socket under QUIC: many datagrams per system call, with the address, the ECN marks and the segment
// size of each.
//
// What a datagram costs is mostly the system call that moves it. On Linux one recvmmsg fetches several messages, each of
// which may be up to 64 datagrams that the kernel has coalesced (UDP_GRO), and one sendmmsg hands over several messages,
// each of which the kernel splits into up to 64 datagrams (UDP_SEGMENT, "GSO"). What the kernel lacks is found out when
// the socket is made, or when the first send fails, and is done without from then on. Every other system uses the
// portable path, one datagram per call through the net package, behind the same types.
//
// Addresses are netip.AddrPort throughout and always in their shortest form: an IPv4 peer of a dual-stack socket is an
// IPv4 address, never the IPv4-mapped IPv6 address that the kernel knows it by. No call allocates memory per message.
package udp

import "net/netip"

// Config says what a socket should be. The zero value is the fastest the system can do.
type Config struct {
	// ReadBuffer and WriteBuffer are the sizes of the kernel's buffers, in bytes. Zero means 7 MiB. What was got instead,
	// if the system allows less, is in Features.
	ReadBuffer, WriteBuffer int

	// DisableOffload does without segmentation (GSO) and coalescing (GRO): every message is one datagram for the kernel.
	DisableOffload bool

	// Portable uses the path of the systems that have no batched calls: one datagram per call, no ECN, and the local
	// address known only if the socket is bound to one.
	Portable bool

	// ReusePort lets several sockets, also of several processes of the same user, share the port. Listen fails if the
	// system has no SO_REUSEPORT.
	ReusePort bool
}

// Features is what the system granted.
type Features struct {
	GSO      bool // the kernel splits what is sent; false as well after it turned out not to work
	GRO      bool // the kernel coalesces what is received
	RecvMmsg bool // several messages per system call when reading
	SendMmsg bool // several messages per system call when sending
	ECN      bool // Message.ECN is read and written

	ReadBuffer, WriteBuffer int // bytes of the kernel's buffers; 0: unknown

	// Warning is one line for the operator when the buffers are smaller than wanted: what is missing and the command
	// that helps. It is empty when all is well.
	Warning string
}

// Message is a run of datagrams from, or to, one address.
type Message struct {
	// Payload holds the datagrams, one behind the other.
	Payload []byte

	// Segment is the size of every datagram in Payload but the last, which may be shorter. When it is zero, or not
	// smaller than len(Payload), Payload is one datagram.
	Segment int

	// Remote is the peer.
	Remote netip.AddrPort

	// Local is the address of this host that the datagrams were sent to, or shall be sent from. The zero Addr means
	// unknown when reading and the routing table's choice when sending.
	Local netip.Addr

	// ECN is the codepoint of RFC 3168: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
	ECN uint8

	// TooLong is set by Send when the interface carries no datagrams of this size (EMSGSIZE): all or part of the message
	// was dropped. An ICMP message is never the reason.
	TooLong bool
}

// Refusal is an ICMP message that says that nobody listens where a datagram went. Anybody who knows or guesses the two
// addresses can make one up.
type Refusal struct {
	Remote netip.AddrPort // where the datagram went
	Quote  []byte         // how it began, as much as the ICMP message says of it, 64 bytes at the most; it may be nothing
}

// Datagrams returns how many datagrams m is.
func (m *Message) Datagrams() int {
	if m.Segment <= 0 || m.Segment >= len(m.Payload) {
		return 1
	}
	return (len(m.Payload) + m.Segment - 1) / m.Segment
}
