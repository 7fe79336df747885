package congestion

import "testing"

func TestUndoRestoresTheWindow(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 40e6)
		for range 3 {
			p.full()
		}
		p.lose(p.now - 1) // leaves slow start
		for range 3 {
			p.full()
		}
		before, sentBefore := c.Window(), p.now-1
		p.lose(sentBefore)
		if c.Window() >= before {
			t.Fatalf("%s: a loss did not reduce the window", c.Name())
		}
		c.(Undoer).Undo()
		if c.Window() != before || c.InSlowStart() {
			t.Errorf("%s: the window is %d after the undoing, want %d", c.Name(), c.Window(), before)
		}
		c.(Undoer).Undo()
		if c.Window() != before {
			t.Errorf("%s: a second undoing made it %d", c.Name(), c.Window())
		}
		p.full()
		if c.Window() <= before {
			t.Errorf("%s: the window does not grow after the undoing", c.Name())
		}
		p.lose(sentBefore)
		if c.Window() >= before {
			t.Errorf("%s: a loss of what was sent before the undoing is not a sign of congestion", c.Name())
		}
	}
}

func TestUndoReturnsToSlowStart(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 40e6)
		p.full()
		before := c.Window()
		p.lose(p.now - 1)
		c.(Undoer).Undo()
		if !c.InSlowStart() || c.Window() != before {
			t.Errorf("%s: slow start: %v, window %d, want %d", c.Name(), c.InSlowStart(), c.Window(), before)
		}
		p.full()
		if c.Window() != 2*before {
			t.Errorf("%s: the window grew from %d to %d", c.Name(), before, c.Window())
		}
	}
}

func TestUndoDoesNotShrinkAWindowThatHasGrownBeyond(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 40e6)
		p.full()
		before := c.Window()
		p.lose(p.now - 1)
		for range 200 {
			p.full()
		}
		after := c.Window()
		if after <= before {
			t.Fatalf("%s: the window did not grow", c.Name())
		}
		if c.(Undoer).Undo(); c.Window() != after {
			t.Errorf("%s: the window fell from %d to %d", c.Name(), after, c.Window())
		}
	}
}

func TestUndoIsNotForPersistentCongestionOrMarks(t *testing.T) {
	for _, l := range []Loss{{Bytes: mss, Packets: 1, Persistent: true}, {CE: true}} {
		for _, c := range controllers(t) {
			p := newPath(c, 40e6)
			p.full()
			l.Now, l.LargestSentAt = p.now, p.now-1
			c.OnLoss(l)
			before := c.Window()
			if c.(Undoer).Undo(); c.Window() != before {
				t.Errorf("%s: %+v was undone", c.Name(), l)
			}
		}
	}
}
