package congestion

// Reno is the controller of RFC 9002, section 7 and appendix B: TCP NewReno counted in bytes. It halves the window once
// per round trip with congestion and otherwise adds one datagram for each window acknowledged.
type Reno struct {
	mss       int // datagram size in bytes
	window    int // bytes
	threshold int // slow start threshold in bytes
	acked     int // bytes acknowledged in congestion avoidance since the window last grew
	recovery  period
	undo      renoUndo
}

// renoUndo is what the last reduction overwrote.
type renoUndo struct {
	valid             bool
	window, threshold int
	acked             int
	recovery          period
}

// NewReno returns a Reno in slow start for datagrams of mss bytes.
func NewReno(mss int) *Reno {
	checkMSS(mss)
	return &Reno{mss: mss, window: initialWindow(mss), threshold: noThreshold}
}

// Name returns "reno".
func (r *Reno) Name() string { return "reno" }

// OnSent does nothing: Reno looks only at what comes back.
func (r *Reno) OnSent(Sent) {}

// OnAck grows the window: exponentially in slow start, by one datagram per window in congestion avoidance, not at all in
// recovery or when the window was not the limit.
//
// The decision is made once for the whole ACK frame by its newest packet, where appendix B.5 makes it for each packet;
// an ACK that straddles the end of recovery counts in full.
func (r *Reno) OnAck(a Ack) {
	// RFC 9002, section 7.8: "When this occurs, the congestion window SHOULD NOT be increased in either slow start or
	// congestion avoidance."
	if !a.WindowLimited || r.recovery.covers(a.LargestSentAt) {
		return
	}
	if r.InSlowStart() {
		r.window += a.Bytes
		return
	}
	// Counting bytes and then adding whole datagrams, as RFC 3465, section 2.1 does, keeps the remainder of the
	// division. RFC 9002, section 7.3.3: "MUST limit the increase to the congestion window to at most one maximum
	// datagram size for each congestion window that is acknowledged."
	r.acked += a.Bytes
	if r.acked >= r.window {
		r.acked -= r.window
		r.window += r.mss
	}
}

// OnLoss halves the window, once per recovery period, and collapses it under persistent congestion.
func (r *Reno) OnLoss(l Loss) {
	if !r.recovery.covers(l.LargestSentAt) {
		r.undo = renoUndo{!l.CE, r.window, r.threshold, r.acked, r.recovery}
		r.recovery.began = l.Now
		r.threshold = max(r.window/2, minimumWindow(r.mss))
		r.window = r.threshold
		r.acked = 0
	}
	if l.Persistent {
		// RFC 9002, section 7.6.2: "When persistent congestion is declared, the sender's congestion window MUST be
		// reduced to the minimum congestion window (kMinimumWindow)". Appendix B.8 ends the recovery period too.
		r.window = minimumWindow(r.mss)
		r.recovery = period{}
		r.acked = 0
		r.undo.valid = false
	}
}

// Undo restores what the last reduction overwrote, unless the window has grown beyond it since.
func (r *Reno) Undo() {
	u := r.undo
	r.undo.valid = false
	if !u.valid {
		return
	}
	r.recovery = u.recovery
	if r.window < u.window {
		r.window, r.threshold, r.acked = u.window, u.threshold, u.acked
	}
}

// Window returns the congestion window in bytes.
func (r *Reno) Window() int { return r.window }

// PacingRate returns 0: the rate follows from the window.
func (r *Reno) PacingRate() int64 { return 0 }

// InSlowStart reports whether the window is below the slow start threshold.
func (r *Reno) InSlowStart() bool { return r.window < r.threshold }

// Seed begins in congestion avoidance at the seed's window.
func (r *Reno) Seed(s Seed) {
	if w := seededWindow(s); w > 0 {
		r.window = max(w, minimumWindow(r.mss))
		r.threshold = r.window
	}
}

// SetDatagramSize changes the datagram size. A window that is still the initial one is computed anew, as RFC 9002,
// section 7.2 asks; any other only keeps its minimum.
func (r *Reno) SetDatagramSize(mss int) {
	checkMSS(mss)
	if r.threshold == noThreshold && r.window == initialWindow(r.mss) {
		r.window = initialWindow(mss)
	}
	r.mss = mss
	r.window = max(r.window, minimumWindow(mss))
}
