package udp

import "sync/atomic"

// Stats counts what a socket has done since it was opened.
type Stats struct {
	ReadDatagrams, ReadBytes, ReadCalls int64 // calls: system calls that brought at least one datagram
	SentDatagrams, SentBytes, SendCalls int64 // calls: system calls that took at least one datagram
	Dropped                             int64 // datagrams that the kernel refused to send
}

type counters struct {
	readDatagrams, readBytes, readCalls atomic.Int64
	sentDatagrams, sentBytes, sendCalls atomic.Int64
	dropped                             atomic.Int64
	unroutable                          atomic.Int64
}

// Stats returns the counts. Each is exact; they are not of one instant.
func (s *Socket) Stats() Stats {
	c := &s.count
	return Stats{
		ReadDatagrams: c.readDatagrams.Load(),
		ReadBytes:     c.readBytes.Load(),
		ReadCalls:     c.readCalls.Load(),
		SentDatagrams: c.sentDatagrams.Load(),
		SentBytes:     c.sentBytes.Load(),
		SendCalls:     c.sendCalls.Load(),
		Dropped:       c.dropped.Load(),
	}
}

// Unroutable returns how many datagrams the kernel refused, since ClearUnroutable, because it has no such local address or no
// route for them.
func (s *Socket) Unroutable() int64 { return s.count.unroutable.Load() }

// ClearUnroutable sets the count back to zero.
func (s *Socket) ClearUnroutable() { s.count.unroutable.Store(0) }

// refused counts datagrams that the kernel refused to send.
func (c *counters) refused(datagrams int, err error) {
	c.dropped.Add(int64(datagrams))
	if isUnroutable(err) {
		c.unroutable.Add(int64(datagrams))
	}
}

func (c *counters) received(datagrams, bytes int) {
	c.readCalls.Add(1)
	c.readDatagrams.Add(int64(datagrams))
	c.readBytes.Add(int64(bytes))
}

func (c *counters) sent(datagrams, bytes int) {
	c.sendCalls.Add(1)
	c.sentDatagrams.Add(int64(datagrams))
	c.sentBytes.Add(int64(bytes))
}
