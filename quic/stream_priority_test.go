package quic

import (
	"io"
	"testing"
)

func TestStreamsOfAnyPriorityArriveWhole(t *testing.T) {
	c, s := pair(t, nil, nil)
	background, behind := streams(t, c, s)
	urgent, ahead := streams(t, c, s)
	background.SetPriority(MaxUrgency, false)
	urgent.SetPriority(0, true)
	urgent.SetPriority(0, false)
	const size = 3 << 20
	for _, out := range []*Stream{background, urgent} {
		go func() {
			out.Write(make([]byte, size))
			out.Close()
		}()
	}
	ended := make(chan *Stream, 2)
	for _, in := range []*Stream{behind, ahead} {
		go func() {
			if n, err := io.Copy(io.Discard, in); n != size || err != nil {
				t.Errorf("%d bytes of stream %d, %v", n, in.ID(), err)
			}
			ended <- in
		}()
	}
	<-ended
	<-ended // which is first is up to the machine too; the order of bytes is held by tests of engine
	urgent.SetPriority(1, false)
	c.Close()
	background.SetPriority(1, false)
}

func TestAnUrgencyThatThereIsNot(t *testing.T) {
	c, s := pair(t, nil, nil)
	out, _ := streams(t, c, s)
	for _, urgency := range []int{-1, 8} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("an urgency of %d is taken", urgency)
				}
			}()
			out.SetPriority(urgency, false)
		}()
	}
}
