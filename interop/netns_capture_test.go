package interop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// frame is what a capture notes of one UDP packet, or of several that pass the interface in one piece (GSO).
type frame struct {
	out      bool // sent by the interface, not received
	src, dst netip.AddrPort
	ecn      uint8
	df       bool // don't fragment; IPv6 routers never do
	fragment bool // of an IP packet; nothing behind the addresses is known then
	size     int  // UDP payload of one packet, the largest of several
	packets  int
	total    int    // UDP payload of all of them
	long     bool   // QUIC: a long header
	id       string // QUIC: the destination connection ID of the first packet, of 8 bytes if the header is short
}

func (f frame) String() string {
	return fmt.Sprintf("%v -> %v, %d x %d, ecn %d, df %v, fragment %v, long %v, id %x", f.src, f.dst, f.packets, f.size, f.ecn, f.df, f.fragment, f.long, f.id)
}

// capture notes the UDP packets that pass an interface.
type capture struct {
	file *os.File
	done chan struct{}

	mu     sync.Mutex
	frames []frame
	lost   int
}

// captureLen is how much of each packet is looked at: link, IPv6, UDP and QUIC headers.
const captureLen = 128

// capture begins to note what passes an interface of the host.
func (h *host) capture(device string) *capture {
	h.t.Helper()
	c := &capture{done: make(chan struct{})}
	h.inside(func() (err error) {
		c.file, err = openCapture(device)
		return err
	})
	go c.run()
	h.t.Cleanup(func() { c.stop() })
	return c
}

// openCapture opens a packet socket (packet(7)) on an interface. Each packet comes with the header that says how the kernel
// is to cut it (PACKET_VNET_HDR), so that what GSO and GRO do is seen.
func openCapture(device string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "capture of "+device)
	index, err := interfaceIndex(fd, device)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64*MiB); err != nil {
		return nil, err
	}
	return file, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)), Ifindex: index})
}

func interfaceIndex(fd int, device string) (int, error) {
	req, err := unix.NewIfreq(device)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	return int(req.Uint32()), err
}

func (c *capture) run() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, vnetHeader+captureLen)
	for {
		var n int
		var from unix.Sockaddr
		var errno error
		err := raw.Read(func(fd uintptr) bool {
			n, from, errno = unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC)
			return errno != unix.EAGAIN
		})
		if err != nil || errno != nil {
			return
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			if f, ok := parseFrame(buf[:min(n, len(buf))], n); ok {
				f.out = ll.Pkttype == unix.PACKET_OUTGOING
				c.mu.Lock()
				c.frames = append(c.frames, f)
				c.mu.Unlock()
			}
		}
	}
}

// stop ends the capture and returns what it noted.
func (c *capture) stop() []frame {
	c.file.Close()
	<-c.done
	return c.frames
}

// sofar is what has passed until now.
func (c *capture) sofar() []frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// vnetHeader is the size of struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
const vnetHeader = 10

// parseFrame reads the first bytes of a packet of n bytes, all headers counted; false: it is not UDP.
func parseFrame(b []byte, n int) (f frame, ok bool) {
	if len(b) < vnetHeader+14+20+8 {
		return f, false
	}
	segment := int(binary.NativeEndian.Uint16(b[4:]))
	kind := binary.BigEndian.Uint16(b[vnetHeader+12:])
	b, n = b[vnetHeader+14:], n-vnetHeader-14
	header := 40
	switch {
	case kind == unix.ETH_P_IP && b[9] == unix.IPPROTO_UDP:
		header = int(b[0]&15) * 4
		f.ecn, f.df = b[1]&3, b[6]&0x40 != 0
		f.fragment = b[6]&0x20 != 0 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		f.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), 0)
		f.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), 0)
	case kind == unix.ETH_P_IPV6 && len(b) >= 48 && (b[6] == unix.IPPROTO_UDP || b[6] == unix.IPPROTO_FRAGMENT):
		f.ecn, f.df, f.fragment = b[1]>>4&3, true, b[6] == unix.IPPROTO_FRAGMENT
		f.src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), 0)
		f.dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:])), 0)
	default:
		return f, false
	}
	if f.fragment {
		return f, true
	}
	if len(b) < header+8 {
		return f, false
	}
	udp, size := b[header:], n-header-8
	f.src = netip.AddrPortFrom(f.src.Addr(), binary.BigEndian.Uint16(udp))
	f.dst = netip.AddrPortFrom(f.dst.Addr(), binary.BigEndian.Uint16(udp[2:]))
	f.size, f.total, f.packets = size, size, 1
	if segment > 0 && segment < size {
		f.size, f.packets = segment, (size+segment-1)/segment
	} else {
		f.size = min(size, int(binary.BigEndian.Uint16(udp[4:]))-8) // without the padding of short frames
		f.total = f.size
	}
	quic := udp[8:]
	switch {
	case len(quic) > 26 && quic[0]&0x80 != 0 && int(quic[5]) <= 20:
		f.long, f.id = true, string(quic[6:6+quic[5]])
	case len(quic) > 9 && quic[0]&0x80 == 0:
		f.id = string(quic[1:9])
	}
	return f, true
}

// only is the frames that f wants.
func only(frames []frame, want func(frame) bool) []frame {
	var out []frame
	for _, f := range frames {
		if want(f) {
			out = append(out, f)
		}
	}
	return out
}

// packets is how many packets the frames are.
func packets(frames []frame) (n int) {
	for _, f := range frames {
		n += f.packets
	}
	return n
}

// largest is the UDP payload of the largest packet.
func largest(frames []frame) (n int) {
	for _, f := range frames {
		n = max(n, f.size)
	}
	return n
}

// wantWhole checks what every capture has to show: packets that no router may cut, and none that was cut.
func wantWhole(t *testing.T, frames []frame) {
	t.Helper()
	if len(frames) == 0 {
		t.Error("nothing was captured")
	}
	for _, f := range frames {
		if f.fragment || !f.df {
			t.Errorf("a packet that is a fragment, or may become some: %v", f)
			return
		}
	}
}
