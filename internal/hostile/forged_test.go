package hostile

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// A client may move before it asks for anything, and say that it is anywhere. Until the address is proved the site behind and the log
// have to know the one that was.
func TestAForgedAddressIsNotWhoAsked(t *testing.T) {
	binary := godwit(t)
	told := make(chan http.Header, 10)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "forged" {
			told <- r.Header
		}
		io.WriteString(w, "here")
	}))
	defer site.Close()
	v := serve(t, binary, "--access-log", "--to", site.URL)
	if !v.ours() {
		t.Skip("nobody shows us its log")
	}
	c, err := dial(v.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	own := c.conn
	if c.conn, err = forgedSocket(v.addr, 1); err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	c.send(wire.AppSpace, request(0, "/?forged", true))
	select {
	case h := <-told:
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"} {
			if strings.Contains(h.Get(name), "127.11.") || !strings.Contains(h.Get(name), "127.0.0.1") {
				t.Errorf("%s says %q", name, h.Get(name))
			}
		}
	case <-time.After(long):
		t.Fatal("the request did not arrive")
	}
	c.conn = own
	var lines []string
	for end := time.Now().Add(long); len(lines) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c.hear(10 * time.Millisecond) // the answer ends here
		lines = v.log.with("/?forged")
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "remote="+own.LocalAddr().String()+" ") {
		t.Errorf("%s asked, and the log says %q", own.LocalAddr(), lines)
	}
}
