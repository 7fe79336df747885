package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// logs are what Godwit's end of a cell writes: a qlog for each connection, and the secrets that tshark decrypts with.
type logs struct {
	keys *os.File

	mu    sync.Mutex
	conns []*connLog
	ended sync.WaitGroup // the connections that have not ended
}

// connLog is the qlog of one connection of ours.
type connLog struct {
	logs   *logs
	mu     sync.Mutex
	buf    bytes.Buffer
	closed bool
}

func newLogs(dir share) *logs {
	f, err := os.Create(filepath.Join(dir.host, "keys"))
	if err != nil {
		panic(err)
	}
	return &logs{keys: f}
}

func (l *logs) close() { l.keys.Close() }

// open is quic.Config.QLog.
func (l *logs) open(quic.QLogInfo) io.WriteCloser {
	c := &connLog{logs: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	l.ended.Add(1)
	return c
}

func (c *connLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(p)
}

func (c *connLog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.logs.ended.Done()
	}
	return nil
}

// wait returns when all connections have ended, or after some time: a log that is not closed by then is read as far as it goes.
func (l *logs) wait() {
	done := make(chan struct{})
	go func() {
		l.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
	}
}

// event is a record of a qlog, as far as the checks read it.
type event struct {
	Time float64
	Name string
	Data struct {
		Header struct {
			Type     string `json:"packet_type"`
			Number   int64  `json:"packet_number"`
			KeyPhase bool   `json:"key_phase_bit"`
			SCID     string `json:"scid"`
			DCID     string `json:"dcid"`
		}
		Frames    []loggedFrame
		Initiator string
		MaxBidi   *int64 `json:"initial_max_streams_bidi"`
	}
}

// loggedFrame is a frame of a packet in a qlog.
type loggedFrame struct {
	Type   string `json:"frame_type"`
	Stream int64  `json:"stream_id"`
	Offset int64
	Raw    struct {
		Length int64 `json:"payload_length"`
	}
	Data string // of PATH_CHALLENGE and PATH_RESPONSE
	ECT0 *int64 `json:"ect0"`
	ECT1 *int64 `json:"ect1"`
	CE   *int64 `json:"ce"`
}

// events reads the qlogs, one list for each connection.
func (l *logs) events() (list [][]event, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.mu.Lock()
		text := c.buf.String()
		c.mu.Unlock()
		var events []event
		for _, record := range strings.Split(text, "\x1e") {
			var e event
			if record == "" {
				continue
			}
			if err := json.Unmarshal([]byte(record), &e); err != nil {
				return nil, fmt.Errorf("our qlog: %w: %.80q", err, record)
			}
			events = append(events, e)
		}
		list = append(list, events)
	}
	return list, nil
}
