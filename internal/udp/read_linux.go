package udp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// kernelReader is the memory that recvmmsg fills. The headers point into the slots, which never move.
type kernelReader struct {
	hdrs  []mmsghdr
	slots []*slot
	call  func(fd uintptr) bool // r.receive, made once
	used  int                   // headers that the last call has filled
	errno syscall.Errno
}

// slot is the room for one message. The payload is an object of its own, so that the garbage collector, which looks for
// the pointer in iov, does not walk 64 KiB of it.
type slot struct {
	payload *[slabSize]byte
	iov     unix.Iovec
	name    sockaddr
	control [controlSize]byte
}

func (r *Reader) start() {
	if !r.s.got.RecvMmsg {
		r.msgs = make([]Message, 1)
		r.slab = make([]byte, slabSize)
		return
	}
	r.kernel.call = r.receive
	r.grow(minSlabs)
}

// grow makes room for n messages.
func (r *Reader) grow(n int) {
	k := &r.kernel
	for len(k.slots) < n {
		k.slots = append(k.slots, &slot{payload: new([slabSize]byte)})
	}
	r.msgs = make([]Message, n)
	k.hdrs = make([]mmsghdr, n)
	for i, slot := range k.slots {
		slot.iov.Base = &slot.payload[0]
		slot.iov.SetLen(slabSize)
		h := &k.hdrs[i].msg
		h.Name = &slot.name[0]
		h.Iov = &slot.iov
		h.SetIovlen(1)
		h.Control = &slot.control[0]
	}
}

// readBatch receives what is there, at least one message.
func (r *Reader) readBatch() ([]Message, error) {
	k := &r.kernel
	if k.used == len(k.hdrs) && k.used < maxSlabs {
		r.grow(2 * k.used)
	}
	for failed := 0; ; failed++ {
		if err := r.s.kernel.raw.Read(k.call); err != nil {
			return nil, closed(err)
		}
		if k.errno == 0 && k.used > 0 {
			if msgs := r.collect(); len(msgs) > 0 {
				return msgs, nil
			}
		} else if len(r.refused) > 0 {
			return nil, nil
		} else if failed == maxReadErrors {
			return nil, k.errno
		}
	}
}

// receive is one recvmmsg. It returns false to be called again when there is something to read.
func (r *Reader) receive(fd uintptr) bool {
	k := &r.kernel
	for i := range k.hdrs {
		h := &k.hdrs[i].msg // the kernel has overwritten these with what it used
		h.Namelen = uint32(len(sockaddr{}))
		h.SetControllen(controlSize)
		h.Flags = 0
	}
	for {
		k.used, k.errno = recvmmsg(fd, k.hdrs)
		if k.errno == 0 {
			return true
		}
		k.used = 0
		if k.errno == syscall.EINTR {
			continue
		}
		if r.s.kernel.watched.Load() {
			r.takeRefusals(fd)
		}
		return k.errno != syscall.EAGAIN || len(r.refused) > 0
	}
}

// collect turns the headers that the kernel has filled into messages.
func (r *Reader) collect() []Message {
	k := &r.kernel
	msgs, datagrams, bytes := r.msgs[:0], 0, 0
	for i := range k.used {
		h, slot := &k.hdrs[i], k.slots[i]
		if h.msg.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			continue // cannot happen, see slabSize and controlSize; would it, the datagram is as good as lost
		}
		c := parseControl(slot.control[:h.msg.Controllen])
		m := Message{
			Payload: slot.payload[:h.n:h.n],
			Segment: c.segment,
			Remote:  slot.name.decode(h.msg.Namelen),
			Local:   c.local,
			ECN:     c.ecn,
		}
		msgs = append(msgs, m)
		datagrams += m.Datagrams()
		bytes += len(m.Payload)
	}
	r.s.count.received(datagrams, bytes)
	return msgs
}
