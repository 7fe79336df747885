package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// WatchRefusals has Readers tell, or no longer tell, of datagrams that the host they were sent to has refused: nobody listens on
// that port, says an ICMP message. Without it such messages are not looked at. Systems other than Linux tell nothing.
//
// While it is on, the kernel reports every ICMP message about the socket as the error of the next call, whichever
// datagram that is for; those calls are made again.
func (s *Socket) WatchRefusals(on bool) {
	if !s.got.RecvMmsg {
		return
	}
	value := 0
	if on {
		value = 1
		s.kernel.watched.Store(true)
	}
	_ = s.kernel.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, value)
		if s.kernel.v6 {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, value)
		}
		if !on { // the queue is gone with the option, but not what the next call would say of it
			_, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		}
	})
	if !on {
		s.kernel.watched.Store(false)
	}
}

// passing reports whether an error of a call may be about an earlier datagram: while refusals are watched, whatever ICMP says
// comes so.
func (s *Socket) passing(errno syscall.Errno) bool {
	switch errno {
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENOPROTOOPT, syscall.EPROTO,
		syscall.EOPNOTSUPP, syscall.EACCES, syscall.ENONET, syscall.EMSGSIZE:
		return s.kernel.watched.Load()
	}
	return false
}

// takeRefusals empties the queue of errors, of which it keeps the refusals.
func (r *Reader) takeRefusals(fd uintptr) {
	var payload [maxQuote]byte
	var control [2 * controlSize]byte
	for range maxRefusals {
		n, size, _, from, err := unix.Recvmsg(int(fd), payload[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		if isRefusal(control[:size]) {
			r.refused = append(r.refused, Refusal{Remote: addrOf(from), Quote: append([]byte(nil), payload[:n]...)})
		}
	}
}

// isRefusal looks for a struct sock_extended_err (ip(7)) that an ICMP message was the reason of: errno, origin, type, code.
func isRefusal(b []byte) bool {
	msgs, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return false
	}
	for _, m := range msgs {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 || len(m.Data) < 8 {
			continue
		}
		origin := m.Data[4]
		return syscall.Errno(binary.NativeEndian.Uint32(m.Data)) == syscall.ECONNREFUSED &&
			(origin == unix.SO_EE_ORIGIN_ICMP || origin == unix.SO_EE_ORIGIN_ICMP6)
	}
	return false
}

func addrOf(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return unmap(netip.AddrPortFrom(inZone(a.Addr, a.ZoneId), uint16(a.Port)))
	}
	return netip.AddrPort{}
}
