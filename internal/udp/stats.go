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
