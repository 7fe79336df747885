package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// Config says how a Ledger works.
type Config struct {
	Server       bool
	Controller   congestion.Controller
	InitialRTT   time.Duration
	DatagramSize int
	Fate         func(wire.Space, *Packet, Fate)
}

// Stats counts.
type Stats struct {
	Sent, SentBytes, Acked, AckedBytes, Lost, LostBytes, SpuriousLost, PTOs, Persistent, CE int64
}

// AckInfo is what an ACK frame says besides its ranges.
type AckInfo struct {
	Delay          time.Duration
	ECN            bool
	ECT0, ECT1, CE uint64
}

// A Ledger is being written.
type Ledger struct{ cfg Config }

func New(cfg Config) *Ledger                                    { return &Ledger{cfg: cfg} }
func (l *Ledger) Next(s wire.Space) int64                       { panic("BUG: being written") }
func (l *Ledger) Skip(s wire.Space)                             {}
func (l *Ledger) LargestAcked(s wire.Space) int64               { return -1 }
func (l *Ledger) OnSent(now instant.Time, s wire.Space, p Sent) {}
func (l *Ledger) OnAck(now instant.Time, s wire.Space, ranges []rangeset.Range, a AckInfo) error {
	return nil
}
func (l *Ledger) Expire(now instant.Time)                                              {}
func (l *Ledger) Deadline() instant.Time                                               { return 0 }
func (l *Ledger) ProbesOwed(s wire.Space) int                                          { return 0 }
func (l *Ledger) Allowance(now instant.Time) (bytes int, again instant.Time)           { return 0, 0 }
func (l *Ledger) DropSpace(now instant.Time, s wire.Space)                             {}
func (l *Ledger) Abandon(now instant.Time, s wire.Space)                               {}
func (l *Ledger) SetMaxAckDelay(d time.Duration)                                       {}
func (l *Ledger) ConfirmHandshake(now instant.Time)                                    {}
func (l *Ledger) SetPeerValidated(now instant.Time)                                    {}
func (l *Ledger) SetHasHandshakeKeys()                                                 {}
func (l *Ledger) SetAmplificationLimited(now instant.Time, limited bool)               {}
func (l *Ledger) PTO() time.Duration                                                   { return 0 }
func (l *Ledger) PTOCount() int                                                        { return 0 }
func (l *Ledger) RTT() congestion.RTT                                                  { return congestion.RTT{} }
func (l *Ledger) Window() int                                                          { return 0 }
func (l *Ledger) InFlight() int                                                        { return 0 }
func (l *Ledger) Stats() Stats                                                         { return Stats{} }
func (l *Ledger) SetDatagramSize(n int)                                                {}
func (l *Ledger) ECNFailed() bool                                                      { return false }
func (l *Ledger) Migrated(now instant.Time, keepState bool, ctl congestion.Controller) {}
