package quic

import "context"

// MaxDatagramSize returns how many bytes a datagram may have at present, 0 when the peer takes none. It grows and shrinks with
// what the path carries.
func (c *Conn) MaxDatagramSize() int {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core == nil || c.broken {
		return 0
	}
	return c.core.MaxDatagramSize()
}

// SendDatagram sends p as one datagram (RFC 9221): it may be lost, and overtake or be overtaken. It does not wait: when more
// than 256 datagrams, or 256 KiB of them, wait for congestion control, the oldest is dropped. p is copied.
func (c *Conn) SendDatagram(p []byte) error {
	_, err := c.SendDatagrams([][]byte{p})
	return err
}

// SendDatagrams sends several datagrams as SendDatagram does, with one look at the socket. It returns how many were queued;
// fewer than all come with the error of the first that was not.
func (c *Conn) SendDatagrams(list [][]byte) (n int, err error) {
	c.mu.Lock()
	defer c.leave(&err)
	if c.err != nil {
		return 0, c.err
	}
	now := c.now()
	for _, p := range list {
		if err = c.core.SendDatagram(now, p); err != nil {
			break
		}
		n++
	}
	if n > 0 {
		c.flush(now, true)
	}
	c.countDatagrams()
	return n, err
}

// ReceiveDatagram waits for the peer's next datagram, if Config.Datagrams lets it send any. When more than 256 datagrams, or
// 256 KiB of them, wait to be received, the oldest is dropped.
func (c *Conn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	var list [1][]byte
	if _, err := c.ReceiveDatagrams(ctx, list[:]); err != nil {
		return nil, err
	}
	return list[0], nil
}

// ReceiveDatagrams waits until a datagram is there and takes as many as there are, up to len(into). Each into[i] is
// overwritten from its beginning, in its own memory where that is large enough, and has the length of its datagram then.
func (c *Conn) ReceiveDatagrams(ctx context.Context, into [][]byte) (n int, err error) {
	done := ctx.Done()
	c.mu.Lock()
	defer c.leave(&err)
	for {
		if c.core != nil && !c.broken {
			n = c.takeDatagrams(into)
		}
		switch {
		case n > 0 || len(into) == 0:
			return n, nil
		case c.err != nil:
			return 0, c.err
		case isDone(done):
			return 0, context.Cause(ctx)
		}
		c.datagrams.wait(&c.mu, done)
	}
}

// AfterDatagram runs f once, in a goroutine of its own, when ReceiveDatagrams would not wait: a datagram is there, or the connection
// has ended. Nothing waits meanwhile. There is one waiter at a time: a second call replaces the first one's f.
func (c *Conn) AfterDatagram(f func()) {
	c.mu.Lock()
	defer c.leave(nil)
	c.whenDatagram = f
	waits := false
	if c.core != nil && !c.broken {
		_, waits = c.core.NextDatagramSize()
	}
	if waits || c.err != nil {
		c.datagramReady()
	}
}

// datagramReady tells those who wait that ReceiveDatagrams would not. mu is held.
func (c *Conn) datagramReady() {
	c.datagrams.wake()
	if f := c.whenDatagram; f != nil {
		c.whenDatagram = nil
		go f()
	}
}

// TakesDatagrams reports whether Config.Datagrams lets the peer send datagrams.
func (c *Conn) TakesDatagrams() bool {
	c.mu.Lock()
	defer c.leave(nil)
	return c.core != nil && !c.broken && c.core.TakesDatagrams()
}

// takeDatagrams takes what is there. mu is held.
func (c *Conn) takeDatagrams(into [][]byte) int {
	for n := range into {
		size, ok := c.core.NextDatagramSize()
		if !ok {
			return n
		}
		if cap(into[n]) < size {
			into[n] = make([]byte, size)
		}
		into[n] = into[n][:size]
		c.core.ReceiveDatagram(into[n])
	}
	return len(into)
}

// countDatagrams has the endpoint count what became of datagrams since it did so last. mu is held.
func (c *Conn) countDatagrams() {
	if c.core == nil || c.broken {
		return
	}
	if now := c.core.DatagramStats(); now != c.counted {
		c.ep.count.addDatagrams(c.counted, now)
		c.counted = now
	}
}
