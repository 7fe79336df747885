package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// insideVar tells this test binary that it is in a network namespace of its own, and where the command is.
const insideVar = "GODWIT_HOSTILE_INSIDE"

// A network of its own, in which the addresses that packets claim to come from are behind an interface that leads nowhere: nobody can
// hear the answers there, but what is sent there is counted.
const (
	spoofHost   = "10.78.0.1"
	spoofDevice = "nowhere"
	spoofSetup  = `link set lo up
addr add 10.78.0.1/32 dev lo
link add nowhere type veth peer name void
link set nowhere arp off
link set void up
link set nowhere up
route add 198.18.0.0/15 dev nowhere`
)

func TestForgedAddressesGetLittle(t *testing.T) {
	if binary := os.Getenv(insideVar); binary != "" {
		spoof(t, binary)
		return
	}
	if os.Getuid() != 0 || !ours() {
		t.Skip("needs the right to make a network namespace, and a server in it")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestForgedAddressesGetLittle$", "-test.v", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), insideVar+"="+godwit(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	attacking <- struct{}{}
	out, err := cmd.CombinedOutput()
	<-attacking
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("no network namespaces here: %v", err)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("%s", out)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// spoof is the test inside the namespace.
func spoof(t *testing.T, binary string) {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(spoofSetup)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("ip: %v\n%s", err, out)
	}
	for _, which := range []string{"all", "default", "lo", spoofDevice} {
		os.WriteFile("/proc/sys/net/ipv4/conf/"+which+"/rp_filter", []byte("0"), 0)
	}
	answers := listenNowhere(t)
	v := serve(t, binary, "--listen", spoofHost+":0")
	n, size := times(20_000, 500_000), int64(0)
	endure(t, v, attack{"Initial packets from forged addresses", 48 << 20, func(addr netip.AddrPort) (report, error) {
		r, err := spoofedInitials(addr, n)
		size = r.sent / int64(n)
		r.got = answers.total()
		r.what = fmt.Sprintf("%d addresses, of which %d were answered", n, answers.addresses())
		return r, err
	}})
	// The server has recovered, and repeats nothing any more.
	answers.mu.Lock()
	defer answers.mu.Unlock()
	for to, got := range answers.bytes {
		if got > 3*size {
			t.Errorf("%v got %d bytes for %d", to, got, size)
		}
	}
	if len(answers.bytes) == 0 {
		t.Error("nobody was answered: the packets did not arrive")
	}
	t.Logf("%d addresses were answered, with %d bytes in all", len(answers.bytes), answers.sum)
}

// spoofedInitials sends n first packets, each with a ClientHello, from as many addresses.
func spoofedInitials(addr netip.AddrPort, n int) (r report, err error) {
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return r, err
	}
	defer c.close()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_RAW) // with IP_HDRINCL
	if err != nil {
		return r, err
	}
	defer syscall.Close(fd)
	hello := append(wire.AppendCryptoHeader(nil, 0, len(c.hello)), c.hello...)
	to := &syscall.SockaddrInet4{Addr: addr.Addr().As4()}
	for i := range n {
		c.readdress(randomID(8))
		b := c.packet(wire.InitialSpace, hello)
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18 + byte(i>>16&1), byte(i >> 8), byte(i)}), 1024+uint16(i>>17))
		if err := syscall.Sendto(fd, ipv4(from, addr, b), 0, to); err != nil {
			return r, err
		}
		r.sent += int64(len(b))
	}
	return r, nil
}

// ipv4 makes a packet of IPv4 and UDP; the kernel fills in the checksum of its header, and UDP has none, which IPv4 allows.
func ipv4(from, to netip.AddrPort, payload []byte) []byte {
	size := 28 + len(payload)
	b := []byte{0x45, 0, byte(size >> 8), byte(size), 0, 0, 0, 0, 64, syscall.IPPROTO_UDP, 0, 0}
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// nowhere is what was sent to addresses that nobody has.
type nowhere struct {
	mu    sync.Mutex
	bytes map[netip.AddrPort]int64 // of UDP payload
	sum   int64
}

func (w *nowhere) total() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sum
}

func (w *nowhere) addresses() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.bytes)
}

// listenNowhere reads what leaves by the interface that leads nowhere.
func listenNowhere(t *testing.T) *nowhere {
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, int(big(syscall.ETH_P_ALL)))
	if err != nil {
		t.Skip(err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 64<<20); err != nil {
		t.Skip(err)
	}
	w := &nowhere{bytes: map[netip.AddrPort]int64{}}
	go func() {
		for b := make([]byte, 64<<10); ; {
			n, from, err := syscall.Recvfrom(fd, b, 0)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				return
			}
			link, ok := from.(*syscall.SockaddrLinklayer)
			if !ok || n < 28 || b[0] != 0x45 || link.Pkttype != syscall.PACKET_OUTGOING || b[9] != syscall.IPPROTO_UDP || b[16] != 198 {
				continue
			}
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(b[22:]))
			w.mu.Lock()
			w.bytes[to] += int64(n - 28)
			w.sum += int64(n - 28)
			w.mu.Unlock()
		}
	}()
	return w
}

func big(v uint16) uint16 { return v<<8 | v>>8 }
