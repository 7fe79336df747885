package qpack

// EncoderStream reads the peer's encoder stream (RFC 9204, section 4.3). As long as our table capacity is 0, one
// instruction only is legal, and it is one byte long: Set Dynamic Table Capacity to 0. Everything else can be refused at
// its first byte, so nothing is ever buffered.
type EncoderStream struct{}

// Receive takes the next bytes of the stream, in any portions. The error is an *EncoderStreamError.
func (s *EncoderStream) Receive(b []byte) error {
	for _, first := range b {
		switch {
		case first&0xc0 != 0: // Insert with Name Reference, Insert with Literal Name
			// "It is an error if the encoder attempts to add an entry that is larger than the dynamic table capacity; the
			// decoder MUST treat this as a connection error of type QPACK_ENCODER_STREAM_ERROR" (section 3.2.2).
			return errInsert
		case first&0x20 == 0: // Duplicate
			return errDuplicate
		case first&0x1f != 0: // Set Dynamic Table Capacity
			// "The decoder MUST treat a new dynamic table capacity value that exceeds this limit as a connection error of
			// type QPACK_ENCODER_STREAM_ERROR" (section 4.3.1).
			return errCapacity
		}
	}
	return nil
}

// DecoderStream reads the peer's decoder stream (RFC 9204, section 4.4). As long as our encoder never inserts, the peer
// can only cancel streams, and a cancellation changes nothing.
type DecoderStream struct {
	open  bool   // inside the continuation bytes of a Stream Cancellation
	id    uint64 // the stream ID so far
	shift uint
}

// Receive takes the next bytes of the stream, in any portions. The error is a *DecoderStreamError.
func (s *DecoderStream) Receive(b []byte) error {
	for _, x := range b {
		switch {
		case s.open:
			if s.shift >= maxIntegerShift {
				return errStreamID
			}
			if s.id += uint64(x&0x7f) << s.shift; s.id > maxInteger {
				return errStreamID
			}
			s.shift += 7
			s.open = x >= 0x80
		case x&0x80 != 0: // Section Acknowledgment
			// "If an encoder receives a Section Acknowledgment instruction referring to a stream on which every encoded
			// field section with a non-zero Required Insert Count has already been acknowledged, this MUST be treated as a
			// connection error of type QPACK_DECODER_STREAM_ERROR" (section 4.4.1). We send none with a non-zero count.
			return errAcknowledgment
		case x&0x40 == 0: // Insert Count Increment
			// "An encoder that receives an Increment field equal to zero, or one that increases the Known Received Count
			// beyond what the encoder has sent, MUST treat this as a connection error" (section 4.4.3).
			return errIncrement
		case x&0x3f == 0x3f: // Stream Cancellation of an ID that does not fit in the prefix
			*s = DecoderStream{open: true, id: 0x3f}
		}
	}
	return nil
}

var (
	errInsert         = &EncoderStreamError{"insertion into a dynamic table without capacity"}
	errDuplicate      = &EncoderStreamError{"duplicate of an entry that does not exist"}
	errCapacity       = &EncoderStreamError{"dynamic table capacity above the limit of 0"}
	errAcknowledgment = &DecoderStreamError{"acknowledgment of a section that does not use the dynamic table"}
	errIncrement      = &DecoderStreamError{"insert count increment, but nothing was inserted"}
	errStreamID       = &DecoderStreamError{"stream ID above 62 bits"}
)
