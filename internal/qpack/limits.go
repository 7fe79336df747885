package qpack

const (
	// DefaultMaxSize is the limit on a decoded field section when Decoder.MaxSize is 0, in bytes counted as in RFC 9114,
	// section 4.2.2. It is net/http's default for headers. Hit by TestDecoderStopsAtTheSizeLimit.
	DefaultMaxSize = 1 << 20

	// maxInteger is the largest prefixed integer: "QPACK implementations MUST be able to decode integers up to and
	// including 62 bits long" (RFC 9204, section 4.1.1), and nothing in QPACK has a use for more. Hit by
	// TestIntegersAbove62BitsAreRefused.
	maxInteger = 1<<62 - 1

	// EncoderCapacity is how much of the table that a peer offers our encoder uses, in bytes as RFC 9204, section 3.2.1,
	// counts them. It bounds the memory of an encoder, whatever the peer announces: twice that, with the lookup tables. A
	// browser's fields fill half of it. Hit by TestTheEncoderUsesNoMoreThanItsShare.
	EncoderCapacity = 4 << 10

	// maxOutstanding is how many field sections may refer to the table and be neither acknowledged nor cancelled. What
	// is encoded beyond that uses the static table only, so a peer that never acknowledges costs 24 bytes for each of
	// these. Hit by TestAPeerThatNeverAcknowledges.
	maxOutstanding = 512

	// maxUnsent is how many bytes of instructions may wait for the encoder stream before nothing more is inserted. Hit
	// by TestInstructionsThatCannotBeSentStopTheInsertions.
	maxUnsent = 2 << 10

	// maxIntegerShift bounds the continuation bytes of a prefixed integer, which could otherwise go on for ever with
	// zeros: the tenth carries bits 63 and up. Hit by TestIntegersAbove62BitsAreRefused.
	maxIntegerShift = 63
)
