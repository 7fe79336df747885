package engine

import "github.com/godwit-net/godwit/internal/instant"

// Delivered returns how many bytes of what was written on a stream the peer has acknowledged, from the first one on.
func (c *Conn) Delivered(id int64) int64 {
	s := c.streams.byID[id]
	if s == nil {
		return 0
	}
	return s.send.buf.start
}

// WriteWhole is Write for what must not be sent in part: it takes all of p if the send buffer and the peer's flow control
// have room for it now, and nothing otherwise. What other streams have buffered may still be sent first.
func (c *Conn) WriteWhole(now instant.Time, id int64, p []byte) (bool, error) {
	c.advance(now)
	s, err := c.sending(id)
	if err != nil {
		return false, err
	}
	n := int64(len(p))
	unsent := s.send.end - s.send.next
	if s.send.end+n > s.send.max || unsent+n > c.flow.credit() || int(s.send.end-s.send.buf.start+n) > c.sendBuffer() {
		return false, nil
	}
	s.send.write(&c.pool, p, c.sendBuffer())
	c.touch(s)
	return true, nil
}
