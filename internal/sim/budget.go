package sim

import "github.com/godwit-net/godwit/internal/engine"

// A host with a budget shares it among its connections by a simpler rule than the shell does (quic/budget.go): what peers were promised
// is counted, and nobody may have more than half of what is left over, beyond a floor that everybody has. It is there for
// Conn.SetReceiveCeiling; the shell's rule has tests of its own.

// budgetFloor is what a connection may promise whatever is left, in bytes.
const budgetFloor = 4 << 10

// lent is what a connection has promised beyond the floor.
func lent(r engine.Receiving) int64 { return max(r.Promised-budgetFloor, 0) }

// left is what is not promised of the budget.
func (h *host) left() int64 {
	n := h.budget
	for _, c := range h.conns {
		if !c.gone {
			n -= lent(c.Receiving())
		}
	}
	return n
}

// firstWindow returns the window that a connection begins with.
func (h *host) firstWindow(c *engine.Config) int64 {
	const usual = 768 << 10
	if h.budget == 0 {
		return c.ConnWindow
	}
	window := c.ConnWindow
	if window == 0 {
		window = usual
	}
	return min(window, budgetFloor+h.left()/2)
}

// balance fits a connection's window to the budget, and holds what is promised against it.
func (h *host) balance(c *conn) {
	r := c.Receiving()
	if r.Buffered > r.Promised {
		h.fail("%s holds %d bytes on a connection that promised %d", h.name, r.Buffered, r.Promised)
	}
	if h.budget == 0 || c.gone || c.Closed() {
		return
	}
	left := h.left()
	ceiling := min(r.Wanted, max(budgetFloor+left/2, r.Buffered+budgetFloor))
	c.SetReceiveCeiling(max(1, min(ceiling, budgetFloor+lent(r)+left)))
	if left = h.left(); left < 0 {
		h.fail("%s has promised %d bytes more than its budget of %d", h.name, -left, h.budget)
	}
}
