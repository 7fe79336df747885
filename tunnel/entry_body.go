package tunnel

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// requestBody is the body of a client's request on HTTP/1.1, where a response may be complete before it. The transport
// still reads it then, and net/http does not expect that of a handler that has returned: it breaks the read off, takes
// the body for read, and what comes of it later for the client's next request.
type requestBody struct {
	io.ReadCloser
	mu      sync.Mutex
	reading bool
	over    bool // the handler returns
}

func (b *requestBody) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	b.reading = false
	b.mu.Unlock()
	return n, err
}

func (b *requestBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = !b.over
	return b.reading
}

// end keeps further reads away. When one is under way, the connection ends with this response, in two stages as the
// client may still be sending: "First, the server performs a half-close by closing only the write side of the
// read/write connection" (RFC 9112, section 9.6).
func (b *requestBody) end(w http.ResponseWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.reading {
		// Reaching a limit is the way a handler has to tell net/http so.
		http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0).Read(make([]byte, 1))
	}
}
