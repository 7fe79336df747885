package udp

import (
	"net"
	"testing"
	"time"
)

// Of an interface that has come since the maps were read the kernel is asked at once; not again and again of one that is not.
func TestZonesThatHaveJustCome(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("no interface is called lo: ", err)
	}
	before := func() *zoneCache { return &zoneCache{read: time.Now().Add(-zonePause)} }
	if got := before().index("lo"); got != uint32(lo.Index) {
		t.Errorf("the number of lo is %d, want %d", got, lo.Index)
	}
	if got := before().name(uint32(lo.Index)); got != "lo" {
		t.Errorf("the name of %d is %q", lo.Index, got)
	}
	z := before()
	if z.index("nothing") != 0 || z.index("17") != 17 || z.name(1<<30) != "1073741824" {
		t.Error("numbers do not stand for themselves")
	}
	z.read = time.Now().Add(time.Hour) // as if asked a moment ago
	clear(z.indexes)
	if z.index("lo") != 0 {
		t.Error("the kernel was asked again")
	}
}
