package recovery

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// packetTypes names the packets of a space for the trace. The ledger cannot tell 0-RTT from 1-RTT packets.
var packetTypes = [wire.NumSpaces]wire.PacketType{wire.PacketInitial, wire.PacketHandshake, wire.Packet1RTT}

// traceMetrics records the metrics as they are now.
func (l *Ledger) traceMetrics(now instant.Time) {
	if l.trace == nil {
		return // what follows costs more than a branch
	}
	l.trace.Metrics(now, qlog.Metrics{
		Min:        l.rtt.Min,
		Smoothed:   l.rtt.Smoothed,
		Latest:     l.rtt.Latest,
		Var:        l.rtt.Var,
		Window:     l.ctl.Window(),
		InFlight:   l.inFlight,
		PTOCount:   l.ptoCount,
		PacingRate: l.pace().rate,
	})
}

// traceState records the state of the controller as far as it can be seen from outside.
func (l *Ledger) traceState(now instant.Time) {
	if l.ctl.InSlowStart() {
		l.trace.CongestionState(now, "slow_start")
		return
	}
	l.trace.CongestionState(now, "congestion_avoidance")
}
