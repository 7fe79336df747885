package quic

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// epoch is instant 0 of every connection in the process. One clock for all: instants of two connections compare.
var epoch = time.Now()

// clock returns the present. It is monotonic and above zero, as instant.Time wants it.
func clock() instant.Time { return instant.Time(time.Since(epoch)) + 1 }
