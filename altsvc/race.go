package altsvc

import (
	"context"
	"time"
)

// ways are the two ways of a race. Each returns what stands for it, and has its
// context end with the race. drop is for what stands when it is over.
type ways[Q, T any] struct {
	quic     func(context.Context) (Q, error)
	tcp      func(context.Context) (T, error)
	dropQUIC func(Q)
	dropTCP  func(T)
}

// lane is the outcome of one way.
type lane[V any] struct {
	v   V
	err error
}

func begin[V any](ctx context.Context, f func(context.Context) (V, error)) chan lane[V] {
	ch := make(chan lane[V], 1)
	go func() {
		v, err := f(ctx)
		ch <- lane[V]{v, err}
	}()
	return ch
}

// drain drops what comes of a way that has lost. A nil channel is one that has
// told its outcome, or was never begun.
func drain[V any](ch chan lane[V], drop func(V)) {
	if ch != nil {
		go func() {
			if o := <-ch; o.err == nil {
				drop(o.v)
			}
		}()
	}
}

// race goes both ways and returns as soon as one of them stands: QUIC begins now,
// TCP after head, or when QUIC has failed. An error means that neither stands.
func race[Q, T any](ctx context.Context, head time.Duration, w ways[Q, T]) (q Q, tcp T, quicWon bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	overQUIC, overTCP := begin(ctx, w.quic), (chan lane[T])(nil)
	defer func() { drain(overQUIC, w.dropQUIC); drain(overTCP, w.dropTCP) }()
	defer cancel()
	timer := time.NewTimer(head)
	defer timer.Stop()
	begun, failed := false, BothError{}
	startTCP := func() {
		if !begun {
			begun, overTCP = true, begin(ctx, w.tcp)
		}
	}
	if head <= 0 {
		startTCP()
	}
	for failed.QUIC == nil || failed.TCP == nil {
		select {
		case o := <-overQUIC:
			overQUIC = nil
			if o.err == nil {
				return o.v, tcp, true, nil
			}
			failed.QUIC = o.err
			startTCP()
		case o := <-overTCP:
			overTCP = nil
			if o.err == nil {
				return q, o.v, false, nil
			}
			failed.TCP = o.err
		case <-timer.C:
			startTCP()
		case <-ctx.Done():
			return q, tcp, false, context.Cause(ctx)
		}
	}
	return q, tcp, false, &failed
}

// BothError says that an origin can be reached neither way.
type BothError struct {
	QUIC, TCP error
}

// Error names both reasons.
func (e *BothError) Error() string {
	return "altsvc: " + e.TCP.Error() + "; over QUIC: " + e.QUIC.Error()
}

// Unwrap returns both.
func (e *BothError) Unwrap() []error { return []error{e.TCP, e.QUIC} }
