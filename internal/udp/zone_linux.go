package udp

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// zoneCache translates between the names of interfaces, which are the zones of link-local addresses in netip, and the
// numbers that the kernel writes, without asking the kernel for every packet.
type zoneCache struct {
	mu      sync.RWMutex
	read    time.Time // when the maps were read
	names   map[uint32]string
	indexes map[string]uint32
}

// zoneLifetime bounds how long a renamed interface goes by its old name, and how often the kernel is asked about a name
// that it does not know.
const zoneLifetime = 30 * time.Second

var zones zoneCache

// name returns the name of the interface, the number in decimal if it has none.
func (z *zoneCache) name(index uint32) string {
	z.refresh()
	z.mu.RLock()
	name := z.names[index]
	z.mu.RUnlock()
	if name == "" {
		return strconv.FormatUint(uint64(index), 10)
	}
	return name
}

// index returns the number of the interface, the number that name itself is, or 0.
func (z *zoneCache) index(name string) uint32 {
	if name == "" {
		return 0
	}
	z.refresh()
	z.mu.RLock()
	index, ok := z.indexes[name]
	z.mu.RUnlock()
	if !ok {
		n, _ := strconv.ParseUint(name, 10, 32)
		index = uint32(n)
	}
	return index
}

func (z *zoneCache) refresh() {
	z.mu.RLock()
	fresh := time.Since(z.read) < zoneLifetime
	z.mu.RUnlock()
	if fresh {
		return
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.read = time.Now()
	z.names = make(map[uint32]string, len(interfaces))
	z.indexes = make(map[string]uint32, len(interfaces))
	for _, i := range interfaces {
		z.names[uint32(i.Index)] = i.Name
		z.indexes[i.Name] = uint32(i.Index)
	}
}
