package qpack

// instructionReader reads the instructions of a decoder stream (RFC 9204, section 4.4), which are one integer each, in any
// portions.
type instructionReader struct {
	open  bool // inside the continuation bytes
	kind  byte
	value uint64
	shift uint
}

// The kinds of decoder instructions, as their first byte has them.
const (
	sectionAcknowledgment = 0x80
	streamCancellation    = 0x40
	insertCountIncrement  = 0x00
)

// take takes the next byte. done: an instruction is complete.
func (r *instructionReader) take(x byte) (done bool, err error) {
	if r.open {
		if r.shift >= maxIntegerShift {
			return false, errStreamInteger
		}
		if r.value += uint64(x&0x7f) << r.shift; r.value > maxInteger {
			return false, errStreamInteger
		}
		r.shift += 7
		r.open = x >= 0x80
		return !r.open, nil
	}
	prefix := byte(0x3f)
	switch {
	case x&0x80 != 0:
		r.kind, prefix = sectionAcknowledgment, 0x7f
	case x&0x40 != 0:
		r.kind = streamCancellation
	default:
		r.kind = insertCountIncrement
	}
	r.value, r.shift = uint64(x&prefix), 0
	r.open = x&prefix == prefix
	return !r.open, nil
}

// DecoderStream reads the peer's decoder stream.
type DecoderStream struct{ r instructionReader }

// Receive takes the next bytes of the stream, in any portions, and tells e of them. e is nil as long as there is no
// encoder, because the peer announced no capacity or nothing yet: it can then only cancel streams, which changes nothing.
// The error is a *DecoderStreamError.
func (s *DecoderStream) Receive(e *Encoder, b []byte) error {
	for _, x := range b {
		done, err := s.r.take(x)
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		switch s.r.kind {
		case sectionAcknowledgment:
			err = e.acknowledged(int64(s.r.value))
		case streamCancellation:
			e.cancelled(int64(s.r.value))
		default:
			err = e.increment(s.r.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// acknowledged settles the earliest section of a stream: "If an encoder receives a Section Acknowledgment instruction
// referring to a stream on which every encoded field section with a non-zero Required Insert Count has already been
// acknowledged, this MUST be treated as a connection error of type QPACK_DECODER_STREAM_ERROR" (RFC 9204, section 4.4.1).
func (e *Encoder) acknowledged(stream int64) error {
	if e == nil {
		return errAcknowledgment
	}
	for i := range e.sections {
		x := e.sections[i]
		if x.stream != stream {
			continue
		}
		e.unpin(x.oldest, x.risky)
		e.sections = append(e.sections[:i], e.sections[i+1:]...)
		// "If the Required Insert Count of the acknowledged field section is greater than the current Known Received
		// Count, the Known Received Count is updated to that Required Insert Count value" (section 2.1.4).
		e.know(x.required)
		return nil
	}
	return errAcknowledgment
}

// cancelled drops the references of a stream's sections. "An encoder cannot infer from this instruction that any updates to
// the dynamic table have been received" (RFC 9204, section 2.2.2.2).
func (e *Encoder) cancelled(stream int64) {
	if e == nil {
		return
	}
	kept := e.sections[:0]
	for _, x := range e.sections {
		if x.stream == stream {
			e.unpin(x.oldest, x.risky)
		} else {
			kept = append(kept, x)
		}
	}
	e.sections = kept
}

// increment raises the Known Received Count: "An encoder that receives an Increment field equal to zero, or one that
// increases the Known Received Count beyond what the encoder has sent, MUST treat this as a connection error of type
// QPACK_DECODER_STREAM_ERROR" (RFC 9204, section 4.4.3).
func (e *Encoder) increment(n uint64) error {
	if n == 0 || e == nil || n > e.inserted-e.known {
		return errIncrement
	}
	e.know(e.known + n)
	return nil
}

// know raises the Known Received Count.
func (e *Encoder) know(count uint64) {
	if count <= e.known {
		return
	}
	e.known = count
	for i := range e.sections {
		if x := &e.sections[i]; x.risky && x.required <= count {
			x.risky = false
			e.atRisk--
		}
	}
}
