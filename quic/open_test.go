package quic

import (
	"io"
	"testing"
)

func TestWhoWaitsForAStreamMissesNoLimit(t *testing.T) {
	// What lets it go on may come while OpenUniStream sends word that it is blocked, before it waits.
	c, s := pair(t, nil, &Config{MaxUniStreams: 1})
	s.HandleStreams(func(st *Stream) { io.Copy(io.Discard, st) })
	for range 1000 {
		st, err := c.OpenUniStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		st.Close()
	}
}
