package quic

import "sync"

// waitList is the goroutines that wait for one thing. It belongs to what a lock guards and is used with that lock held.
// A goroutine brings a channel from a pool when it begins to wait and takes it back afterwards, so what nobody waits
// for costs one nil pointer.
type waitList struct{ head *waiter }

type waiter struct {
	wake chan struct{} // capacity 1: a wake-up is never lost and never blocks
	next *waiter
}

var waiters = sync.Pool{New: func() any { return &waiter{wake: make(chan struct{}, 1)} }}

// wait releases mu until wake is called or done is closed, and returns with mu held. It reports false when done was
// closed. Being woken promises nothing: the caller looks again at what it waits for.
func (l *waitList) wait(mu *sync.Mutex, done <-chan struct{}) bool {
	w := waiters.Get().(*waiter)
	w.next, l.head = l.head, w
	mu.Unlock()
	woken := true
	if done == nil {
		<-w.wake
	} else {
		select {
		case <-w.wake:
		case <-done:
			woken = false
		}
	}
	mu.Lock()
	for p := &l.head; ; p = &(*p).next {
		if *p == w {
			*p = w.next
			break
		}
	}
	select { // woken once more meanwhile; nobody can do it again now
	case <-w.wake:
	default:
	}
	w.next = nil
	waiters.Put(w)
	return woken
}

// wake lets every goroutine of the list look again.
func (l *waitList) wake() {
	for w := l.head; w != nil; w = w.next {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// isDone reports whether done is closed. The channel of a context is asked for before a lock is taken: a context that is made when
// it is first looked at, as those of requests are, may take the same lock for it.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
