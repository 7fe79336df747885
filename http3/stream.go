package http3

import (
	"context"
	"time"
)

// stream is what a message needs of a *quic.Stream. Tests put bytes in its
// place.
type stream interface {
	ID() int64
	Context() context.Context

	Read(p []byte) (int, error)
	Await(done <-chan struct{}) error
	AfterReadable(f func())
	StopReading(code uint64)
	SetReadDeadline(t time.Time) error

	Write(p []byte) (int, error)
	WriteFinal(p []byte) (int, error)
	Close() error
	SetPriority(urgency int, incremental bool)
	SetReliableBoundary()
	Reset(code uint64)
	SetWriteDeadline(t time.Time) error
}
