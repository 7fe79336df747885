package handshake

// Rest gives back what crypto/tls holds of a handshake that is done and of which it has no further use: 6 KiB of buffers, keys
// and configuration. A server has sent its ticket by then. A client that keeps tickets waits for one; those that come later are
// not kept, and nor are those of a client that keeps none. A client with 0-RTT stays as it is, since what it has to remember
// with its session may still change.
func (h *Handshake) Rest() {
	if !h.told || h.closed || h.err != nil || h.rested != nil {
		return
	}
	if h.caches && (h.late.tickets == 0 || h.late.left > 0 || h.early != nil) {
		return
	}
	state := h.quic.ConnectionState()
	h.closeTLS()
	h.quic, h.rested = nil, &state
}

func (h *Handshake) closeTLS() {
	if h.quic != nil {
		h.quic.Close()
	}
}
