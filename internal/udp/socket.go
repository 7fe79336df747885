package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// Socket is a bound UDP socket that is connected to nobody. Send and Close are safe for concurrent use; reading is the
// business of its Readers.
type Socket struct {
	conn   *net.UDPConn
	local  netip.AddrPort
	got    Features
	count  counters
	kernel kernel // what the batched path needs; empty where there is none
}

// Listen opens a socket on addr. An unspecified IPv6 address, or the zero Addr, receives IPv4 as well, and port 0 picks
// a port. Packets are sent with don't-fragment set (RFC 9000, section 14: "UDP datagrams MUST NOT be fragmented at the
// IP layer"). The error is one line that says what to do, and wraps the system's.
func Listen(addr netip.AddrPort, c Config) (*Socket, error) {
	if !addr.Addr().IsValid() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	}
	addr = unmap(addr)
	s, err := listen(addr, c)
	if addr.Addr() == netip.IPv6Unspecified() && errors.Is(err, syscall.EAFNOSUPPORT) {
		// A host without IPv6 still has all the addresses that "any address" means on it.
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		s, err = listen(addr, c)
	}
	if err != nil {
		return nil, listenError(addr, err)
	}
	return s, nil
}

func listen(addr netip.AddrPort, c Config) (*Socket, error) {
	network := "udp6"
	switch {
	case addr.Addr().Is4():
		network = "udp4"
	case addr.Addr().IsUnspecified():
		network = "udp" // the net package makes it dual stack
	}
	s := new(Socket)
	config := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		var err error
		configure := func(fd uintptr) { err = s.configure(fd, strings.HasSuffix(network, "6"), c) }
		if failed := raw.Control(configure); failed != nil {
			return failed
		}
		return err
	}}
	pc, err := config.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	s.conn = pc.(*net.UDPConn)
	s.local = unmap(s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	s.raiseBuffers(c)
	if err := s.start(); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close closes the socket. A Read or Send that waits returns net.ErrClosed.
func (s *Socket) Close() error { return s.conn.Close() }

// Features says what the system granted, and what has been found not to work since.
func (s *Socket) Features() Features {
	f := s.got
	f.GSO = s.segments()
	return f
}

// Send sends msgs in order and returns how many of them are dealt with: all, unless the socket is closed, for which the
// error is net.ErrClosed. It waits while the kernel's buffer is full. A datagram that the kernel refuses (too long for
// the path, no route, forbidden by a firewall) is dropped and counted in Stats, since the network may lose it as well
// and QUIC finds out the same way; Message.TooLong tells of those that were too long. The payloads are not kept. Send is safe for concurrent use.
func (s *Socket) Send(msgs []Message) (sent int, err error) {
	if s.got.SendMmsg {
		return s.sendBatches(msgs)
	}
	return s.sendPortably(msgs)
}

// Reader receives. It owns the memory that its messages lie in and is for one goroutine; a Socket may have several.
type Reader struct {
	s       *Socket
	msgs    []Message
	slab    []byte // portable path
	refused []Refusal
	kernel  kernelReader
}

// NewReader returns a Reader with memory of its own.
func (s *Socket) NewReader() *Reader {
	r := &Reader{s: s}
	r.start()
	return r
}

// Read waits for at least one message and returns what has arrived. The messages and their payloads are valid until the
// next Read. Errors that belong to a datagram sent earlier, as ECONNREFUSED does, are not returned, but with WatchRefusals it
// returns for them as well, perhaps without a message; after Close it returns net.ErrClosed.
func (r *Reader) Read() ([]Message, error) {
	r.refused = r.refused[:0]
	if r.s.got.RecvMmsg {
		return r.readBatch()
	}
	return r.readPortably()
}

// Refused returns what the last Read has learned about datagrams that were refused. It is valid until the next one.
func (r *Reader) Refused() []Refusal { return r.refused }

// unmap turns an IPv4-mapped IPv6 address into the IPv4 address that it stands for.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
