package quic

import "testing"

// A server that was killed says nothing, and the one that takes its place knows none of its connections.
func TestARestartedServerResetsLostConnections(t *testing.T) {
	conf := &Config{ResetKey: [32]byte{1, 2, 3}, Logger: quiet()}
	first := listen(t, conf)
	c := dial(t, first, nil)
	s, err := first.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := streams(t, c, s)
	first.sock.Close()
	second, err := Listen(first.Addr().String(), serverTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ours.Write([]byte("anybody there?"))
	<-c.Context().Done()
	if err := c.Err(); err != ErrStatelessReset {
		t.Errorf("the client's end: %v", err)
	}
}
