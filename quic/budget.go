package quic

import (
	"math"
	"runtime/debug"
	"sync/atomic"

	"github.com/godwit-net/godwit/internal/engine"
)

// budget is the memory for what peers send, shared by the connections of an endpoint. What a peer was promised it may send, and
// a promise cannot be taken back, so promises are what is counted: each connection borrows what it promises beyond
// receiveFloor, and pays back as the application reads. The sum of all loans is never more than size.
//
// Who gets how much is decided as switches share a buffer among their queues: nobody may have more than half of what is left
// over ("dynamic thresholds", Choudhury and Hahne, 1998). With much left over that is no bound at all; as it gets less, the
// bound comes down on the largest windows first, and something is left over always. Connections of which nobody knows yet
// whether they read what they are sent have one half of the budget at the most: until then nobody else would come in.
type budget struct {
	size  int64        // 0: no bound
	used  atomic.Int64 // the sum of loans
	fresh atomic.Int64 // of these, the first loans of connections that have not read as much yet
}

// loan is a connection's share. Its lock guards it.
type loan struct {
	held  int64            // borrowed, a multiple of loanStep; 0 as well when the endpoint has no budget
	fresh int64            // the first loan, until as much was read
	seen  engine.Receiving // when it was looked at last
}

// defaultReceiveBudget is what Config.ReceiveBudget is when it is not set.
func defaultReceiveBudget() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return max(min(limit/4, maxDefaultBudget), 1)
	}
	return maxDefaultBudget
}

// scarce reports whether half of the budget is lent.
func (b *budget) scarce() bool { return b.used.Load() > b.size/2 }

// left is what is not lent.
func (b *budget) left() int64 { return max(b.size-b.used.Load(), 0) }

// borrow takes n bytes, or as many whole steps as there are below limit, and returns how many.
func (b *budget) borrow(n, limit int64) int64 {
	for {
		used := b.used.Load()
		got := min(n, (limit-used)/loanStep*loanStep)
		if got <= 0 {
			return 0
		}
		if b.used.CompareAndSwap(used, used+got) {
			return got
		}
	}
}

// steps rounds a window up to what has to be borrowed for it.
func steps(window int64) int64 {
	return max(0, (window-receiveFloor+loanStep-1)/loanStep*loanStep)
}

// firstWindows returns the windows that a connection begins with: those of conf, unless the budget is scarce. mu is held.
func (c *Conn) firstWindows(conf *Config) Windows {
	w := conf.Windows
	b := &c.ep.budget
	if b.size == 0 {
		return w
	}
	room := max(0, min(b.size/2-b.fresh.Load(), b.left()))
	c.loan.held = b.borrow(min(steps(w.ConnWindow), room/newcomerShare/loanStep*loanStep), b.size)
	c.loan.fresh = c.loan.held
	b.fresh.Add(c.loan.fresh)
	if first := receiveFloor + c.loan.held; first < w.ConnWindow {
		// A stream that is not read must not take the whole window of the connection from the others.
		w.ConnWindow, w.StreamWindow = first, min(w.StreamWindow, first/3*2)
	}
	return w
}

// balance fits the connection's window to the budget. mu is held, and the core is about to be asked what it has to send. Where
// nothing was read since the last time, which is nearly always, it costs a comparison.
func (c *Conn) balance() {
	b := &c.ep.budget
	if b.size == 0 || c.gone {
		return
	}
	r := c.core.Receiving()
	if r.Promised == c.loan.seen.Promised && r.Wanted == c.loan.seen.Wanted {
		return
	}
	over := c.core.Closed()
	if over || r.Consumed >= c.loan.fresh {
		b.fresh.Add(-c.loan.fresh)
		c.loan.fresh = 0
	}
	ceiling := b.ceiling(r)
	if over {
		ceiling = 0
	}
	switch need := steps(max(ceiling, r.Promised)); {
	case need > c.loan.held:
		c.loan.held += b.borrow(need-c.loan.held, b.size)
	case need < c.loan.held:
		b.used.Add(need - c.loan.held)
		c.loan.held = need
	}
	if !over {
		c.core.SetReceiveCeiling(min(ceiling, receiveFloor+c.loan.held))
	}
	c.loan.seen = c.core.Receiving()
}

// ceiling is how much a connection may promise. Whatever is left over, a connection goes on: its peer may send receiveFloor bytes
// beyond what is not read, if it is no more than the window would be without a budget.
func (b *budget) ceiling(r engine.Receiving) int64 {
	share := receiveFloor + b.left()/2
	if slow := r.Buffered > max(receiveFloor, r.Promised/4); slow && b.scarce() {
		// The reader has just read and left that much: it is not the window that holds this transfer up.
		share = 0
	}
	return min(r.Wanted, max(share, r.Buffered+receiveFloor))
}

// repay gives the loan of a connection back that is gone. mu is held.
func (c *Conn) repay() {
	c.ep.budget.used.Add(-c.loan.held)
	c.ep.budget.fresh.Add(-c.loan.fresh)
	c.loan.held, c.loan.fresh = 0, 0
}
