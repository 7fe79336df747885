package qpack

const (
	// DefaultMaxSize is the limit on a decoded field section when Decoder.MaxSize is 0, in bytes counted as in RFC 9114,
	// section 4.2.2. It is net/http's default for headers. Hit by TestDecoderStopsAtTheSizeLimit.
	DefaultMaxSize = 1 << 20

	// maxInteger is the largest prefixed integer: "QPACK implementations MUST be able to decode integers up to and
	// including 62 bits long" (RFC 9204, section 4.1.1), and nothing in QPACK has a use for more. Hit by
	// TestIntegersAbove62BitsAreRefused.
	maxInteger = 1<<62 - 1

	// maxIntegerShift bounds the continuation bytes of a prefixed integer, which could otherwise go on for ever with
	// zeros: the tenth carries bits 63 and up. Hit by TestIntegersAbove62BitsAreRefused.
	maxIntegerShift = 63
)
