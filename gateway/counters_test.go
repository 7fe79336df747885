package gateway

import (
	"net"
	"strings"
	"testing"
)

func TestTheLogCountsWhatReachedNoConnection(t *testing.T) {
	r := start(t, Config{})
	c, err := net.Dial("udp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		c.Write([]byte("\xffThis is no QUIC packet"))
	}
	r.do(transport(t, "HTTP/3.0"), "GET", "/proto", nil, nil) // its datagrams came after the others
	r.LogCounters("asked for")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	logs := r.logs.String()
	for _, message := range []string{`msg="asked for" `, "msg=served "} {
		_, line, _ := strings.Cut(logs, message)
		line, _, _ = strings.Cut(line, "\n")
		for _, want := range []string{"connections.accepted=1 ", "requests.handled=1 ", "datagrams.unclaimed=3 ", "unclaimed.malformed=3", "process.goroutines="} {
			if !strings.Contains(line, want) {
				t.Errorf("%s: %q is missing in %q", message, want, line)
			}
		}
	}
}
