package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/godwit-net/godwit/http3"
)

// What the demo needs of WebSocket (RFC 6455): frames of a client in, the same out.
const (
	wsText, wsBinary, wsClose, wsPing, wsPong = 0x1, 0x2, 0x8, 0x9, 0xa
	wsFinal, wsMasked                         = 0x80, 0x80
)

var errWebSocket = errors.New("gateway: a WebSocket frame that is not masked, too long, or of a kind that is not spoken here")

// serveWebSocket sends back each message that a client sends over a WebSocket on HTTP/3 (RFC 9220).
func serveWebSocket(w http.ResponseWriter, r *http.Request) {
	tunnel, err := http3.TakeTunnel(w)
	if err != nil {
		http.Error(w, "no WebSocket here: "+err.Error(), http.StatusNotImplemented)
		return
	}
	buf := make([]byte, demoMaxMessage)
	for {
		tunnel.SetDeadline(time.Now().Add(idleTimeout)) // for who says nothing, and for who reads nothing
		first, message, err := readFrame(tunnel, buf)
		if err == nil {
			switch first & 0xf {
			case wsPing:
				first = wsFinal | wsPong
			case wsPong:
				continue
			}
			_, err = tunnel.Write(appendFrame(nil, first, message))
		}
		if err != nil || first&0xf == wsClose {
			return // the end of the stream is the end of the connection
		}
	}
}

// readFrame reads one frame of a client into buf: its first byte, which says what it is and whether more of it follows, and the
// payload.
func readFrame(r io.Reader, buf []byte) (first byte, payload []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	first = head[0]
	size := uint64(head[1] & 0x7f)
	// RFC 6455, section 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
	if head[1]&wsMasked == 0 || first&0x70 != 0 {
		return 0, nil, errWebSocket
	}
	switch size {
	case 126:
		_, err = io.ReadFull(r, head[:2])
		size = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(r, head[:8])
		size = binary.BigEndian.Uint64(head[:8])
	}
	switch first & 0xf {
	case 0, wsText, wsBinary:
	case wsClose, wsPing, wsPong:
		if size > 125 { // section 5.5: "All control frames MUST have a payload length of 125 bytes or less"
			err = errWebSocket
		}
	default:
		err = errWebSocket
	}
	if size > uint64(len(buf)) {
		err = errWebSocket
	}
	if err != nil {
		return 0, nil, err
	}
	if _, err = io.ReadFull(r, head[:4]); err != nil {
		return 0, nil, err
	}
	payload = buf[:size]
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= head[i%4]
	}
	return first, payload, err
}

// appendFrame appends a frame as servers send it.
func appendFrame(b []byte, first byte, payload []byte) []byte {
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}
