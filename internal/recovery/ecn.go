package recovery

// The ECN codepoints that mark a packet as ECN-capable, as in the two low bits of the IP traffic class.
const (
	ect1 = 0b01
	ect0 = 0b10
)

// ecn validates the counts that the peer reports for one space (RFC 9000, section 13.4.2.1).
type ecn struct {
	sent0, sent1         uint64 // packets sent with each mark
	seen0, seen1, seenCE uint64 // counts in the newest ACK frame
}

func (e *ecn) onSent(mark uint8) {
	switch mark {
	case ect0:
		e.sent0++
	case ect1:
		e.sent1++
	}
}

// onAck takes the counts of an ACK frame that raised the largest acknowledged number and newly acknowledged new0 and
// new1 packets sent with each mark. It returns the increase in CE marks, and false if validation fails.
func (e *ecn) onAck(a AckInfo, new0, new1 uint64) (ce uint64, ok bool) {
	if !a.ECN {
		// "If an ACK frame newly acknowledges a packet that the endpoint sent with either the ECT(0) or ECT(1) codepoint
		// set, ECN validation fails if the corresponding ECN counts are not present in the ACK frame."
		return 0, new0+new1 == 0
	}
	if a.ECT0 < e.seen0 || a.ECT1 < e.seen1 || a.CE < e.seenCE {
		return 0, false
	}
	more0, more1, ce := a.ECT0-e.seen0, a.ECT1-e.seen1, a.CE-e.seenCE
	e.seen0, e.seen1, e.seenCE = a.ECT0, a.ECT1, a.CE
	// "ECN validation also fails if the sum of the increase in ECT(0) and ECN-CE counts is less than the number of newly
	// acknowledged packets that were originally sent with an ECT(0) marking." And the same for ECT(1).
	if more0+ce < new0 || more1+ce < new1 {
		return 0, false
	}
	// "ECN validation can fail if the received total count for either ECT(0) or ECT(1) exceeds the total number of packets
	// sent with each corresponding ECT codepoint." CE marks without as many ECT marks are equally impossible.
	if a.ECT0 > e.sent0 || a.ECT1 > e.sent1 || a.CE > e.sent0+e.sent1 {
		return 0, false
	}
	return ce, true
}

// onlyCE reports whether all that ever arrived of what was marked came as CE. RFC 9000, appendix A.4: "An endpoint can also
// mark the ECN state for a path as "failed" if marked packets are all declared lost or if they are all ECN-CE marked." A
// queue would have let the first few packets pass as they were.
func (e *ecn) onlyCE() bool { return e.seenCE >= onlyCEPackets && e.seen0+e.seen1 == 0 }

// onlyCEPackets is how many have to come before that says something: the ten packets of section 13.4.2.
const onlyCEPackets = 10

// marked reports whether any packet was sent with an ECT mark.
func (l *Ledger) marked() bool {
	for i := range l.spaces {
		if e := &l.spaces[i].ecn; e.sent0+e.sent1 > 0 {
			return true
		}
	}
	return false
}
