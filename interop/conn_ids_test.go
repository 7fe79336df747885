package interop

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// lengthy makes random connection IDs of a length.
type lengthy int

func (n lengthy) Len() int        { return int(n) }
func (n lengthy) Generate([]byte) {}

// Servers of others write the IDs that a client wants, none or the longest, and a client that was silent for as long as a NAT may take
// to forget it goes on with another of theirs, on the same connection.
func TestServersOfOthersAndConnectionIDs(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of silence")
	}
	onServers(t, func(t *testing.T, s *server) {
		t.Parallel() // nearly all of the time is silence
		for _, n := range []int{0, 20} {
			var log note
			tr := &http3.Transport{TLSClientConfig: ca.client(), QUIC: &quic.Config{
				Routing: quic.Routing{ConnIDs: lengthy(n)},
				QLog:    func(quic.QLogInfo) io.WriteCloser { return &log },
			}}
			c := &http.Client{Transport: tr, Timeout: time.Minute}
			wantGreeting(t, c, s.url+s.hello, 3)
			if n == 0 {
				tr.Close()
				continue
			}
			time.Sleep(25 * time.Second) // from when the server, which may probe the path a while, falls silent: at least 20
			before := log.len()
			reused := false
			req, _ := http.NewRequest("GET", s.url+s.hello, nil)
			trace := httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
			res, err := c.Do(req.WithContext(httptrace.WithClientTrace(t.Context(), &trace)))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			time.Sleep(300 * time.Millisecond) // for the server to replace what was retired; nothing is decided by it
			tr.Close()
			given := log.frames(0, "packet_received", "new_connection_id")
			retired := log.frames(before, "packet_sent", "retire_connection_id")
			t.Logf("%s: the connection is the same: %v; given %d IDs, %d retired after the silence", t.Name(), reused, given, retired)
			if reused && given >= 3 && retired == 0 {
				t.Error("the client goes on with the same ID")
			}
		}
	})
}

// note is a qlog that stays in memory.
type note struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (n *note) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

func (n *note) Close() error { return nil }

func (n *note) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Len()
}

// frames counts the frames of a type that were sent or received, from an offset on.
func (n *note) frames(from int, event, typ string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, record := range bytes.Split(n.log.Bytes()[from:], []byte{0x1e}) {
		if bytes.Contains(record, []byte(event)) {
			count += bytes.Count(record, []byte(`"frame_type":"`+typ+`"`))
		}
	}
	return count
}
