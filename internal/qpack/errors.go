package qpack

import "errors"

// ErrTooLarge says that a field section is well formed so far but decodes to more than Decoder.MaxSize. It is no fault
// of compression: a server can answer with status 431 (RFC 9114, section 4.2.2).
var ErrTooLarge = errors.New("qpack: field section exceeds the size limit")

// ErrBlocked says that a field section refers to entries of the dynamic table that have not arrived: whoever asks
// Table.RequiredInsertCount first does not meet it.
var ErrBlocked = errors.New("qpack: field section is blocked")

// A DecompressionError is a connection error of type QPACK_DECOMPRESSION_FAILED (0x200): "The decoder failed to
// interpret an encoded field section and is not able to continue decoding that field section" (RFC 9204, section 6).
type DecompressionError struct{ Reason string }

func (e *DecompressionError) Error() string { return "qpack: decompression failed: " + e.Reason }

// An EncoderStreamError is a connection error of type QPACK_ENCODER_STREAM_ERROR (0x201): "The decoder failed to
// interpret an encoder instruction received on the encoder stream" (RFC 9204, section 6).
type EncoderStreamError struct{ Reason string }

func (e *EncoderStreamError) Error() string { return "qpack: encoder stream: " + e.Reason }

// A DecoderStreamError is a connection error of type QPACK_DECODER_STREAM_ERROR (0x202): "The encoder failed to
// interpret a decoder instruction received on the decoder stream" (RFC 9204, section 6).
type DecoderStreamError struct{ Reason string }

func (e *DecoderStreamError) Error() string { return "qpack: decoder stream: " + e.Reason }

var (
	errInteger        = &DecompressionError{"integer truncated or above 62 bits"}
	errString         = &DecompressionError{"string literal runs past the end of the section"}
	errHuffman        = &DecompressionError{"invalid Huffman code"}
	errHuffmanPadding = &DecompressionError{"Huffman padding is not at most seven ones"}
	errInsertCount    = &DecompressionError{"required insert count that no encoder can have sent"}
	errBase           = &DecompressionError{"negative base"}
	errStaticIndex    = &DecompressionError{"static table index above 98"}
	errReference      = &DecompressionError{"reference to an entry beyond the required insert count"}
	errEvicted        = &DecompressionError{"reference to an entry that was evicted or never existed"}

	errInstructionInteger = &EncoderStreamError{"integer above 62 bits"}
	errInstructionHuffman = &EncoderStreamError{"invalid Huffman code"}
	errInstructionStatic  = &EncoderStreamError{"static table index above 98"}
	errInstructionIndex   = &EncoderStreamError{"reference to an entry that was evicted or never existed"}
	errInsert             = &EncoderStreamError{"entry larger than the dynamic table's capacity"}
	errCapacity           = &EncoderStreamError{"dynamic table capacity above the announced limit"}

	errAcknowledgment = &DecoderStreamError{"acknowledgment of a section that does not use the dynamic table"}
	errIncrement      = &DecoderStreamError{"insert count increment of zero or beyond what was inserted"}
	errStreamInteger  = &DecoderStreamError{"integer above 62 bits"}
)
