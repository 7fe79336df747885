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

const (
	// zoneLifetime bounds how long an interface that was renamed, or removed and made again, goes by what it was before.
	zoneLifetime = 2 * time.Second

	// zonePause bounds how often the kernel is asked about an interface that is not in the maps: one that has just come is known
	// with the first packet, and a name that nothing has costs little.
	zonePause = 10 * time.Millisecond
)

var zones zoneCache

// name returns the name of the interface, the number in decimal if it has none.
func (z *zoneCache) name(index uint32) string {
	for _, age := range [...]time.Duration{zoneLifetime, zonePause} {
		z.refresh(age)
		z.mu.RLock()
		name := z.names[index]
		z.mu.RUnlock()
		if name != "" {
			return name
		}
	}
	return strconv.FormatUint(uint64(index), 10)
}

// index returns the number of the interface, the number that name itself is, or 0.
func (z *zoneCache) index(name string) uint32 {
	if name == "" {
		return 0
	}
	for _, age := range [...]time.Duration{zoneLifetime, zonePause} {
		z.refresh(age)
		z.mu.RLock()
		index, ok := z.indexes[name]
		z.mu.RUnlock()
		if ok {
			return index
		}
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}

// refresh reads the maps if they are of that age, or older.
func (z *zoneCache) refresh(age time.Duration) {
	z.mu.RLock()
	fresh := time.Since(z.read) < age
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
