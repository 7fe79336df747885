package qpack

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// huffmanTable decodes the code of RFC 7541, appendix B, which is canonical: in order of length and then of symbol, the
// codes count upwards. So codes of up to eight bits, which are all that ordinary text uses, are one lookup; longer ones
// need only to know, for each length, where its codes end.
type huffmanTable struct {
	short   [256]struct{ symbol, bits uint8 } // by the next eight bits; bits 0: a longer code
	long    []huffmanLength                   // lengths above eight, ascending
	symbols []uint8                           // symbols with a code above eight bits, in order of code
}

// huffmanLength is the run of codes of one length. Codes are left aligned in 32 bits.
type huffmanLength struct {
	end   uint32 // the first code after the run
	start uint32 // the first code of the run
	bits  uint8
	at    uint8 // where the run's symbols start in symbols
}

// huffman is derived from the encoder's table, so that there is one copy of the code in the program.
var huffman = newHuffmanTable()

func newHuffmanTable() *huffmanTable {
	type code struct {
		left   uint32 // left aligned
		bits   uint8
		symbol uint8
	}
	codes := make([]code, 256)
	for i := range codes {
		s := string([]byte{byte(i)})
		// The code of a lone symbol is padded to whole bytes; eight copies fill exactly as many bytes as it has bits.
		bits := hpack.HuffmanEncodeLength(strings.Repeat(s, 8))
		var left [8]byte
		hpack.AppendHuffmanString(left[:0], s)
		codes[i] = code{binary.BigEndian.Uint32(left[:]) &^ (1<<(32-bits) - 1), uint8(bits), uint8(i)}
	}
	slices.SortFunc(codes, func(a, b code) int {
		if a.left < b.left {
			return -1
		}
		return 1
	})
	t := new(huffmanTable)
	for _, c := range codes {
		if c.bits <= 8 {
			first := c.left >> 24
			for i := first; i < first+1<<(8-c.bits); i++ {
				t.short[i].symbol, t.short[i].bits = c.symbol, c.bits
			}
			continue
		}
		if n := len(t.long); n == 0 || t.long[n-1].bits != c.bits {
			t.long = append(t.long, huffmanLength{start: c.left, bits: c.bits, at: uint8(len(t.symbols))})
		}
		t.long[len(t.long)-1].end = c.left + 1<<(32-c.bits)
		t.symbols = append(t.symbols, c.symbol)
	}
	return t
}

// appendDecoded appends the text of the Huffman coded string src to dst, at most room bytes of it: more is ErrTooLarge,
// and nothing beyond the room is allocated.
func (t *huffmanTable) appendDecoded(dst, src []byte, room int) ([]byte, error) {
	// The shortest code has five bits.
	dst = slices.Grow(dst, min(room, len(src)*8/5))
	var (
		window uint64 // the next bits, left aligned; zeros behind them
		bits   uint   // how many of them are valid
	)
	for {
		if bits <= 32 {
			if len(src) >= 4 {
				window |= uint64(binary.BigEndian.Uint32(src)) << (32 - bits)
				bits += 32
				src = src[4:]
			} else {
				for ; len(src) > 0; src = src[1:] {
					window |= uint64(src[0]) << (56 - bits)
					bits += 8
				}
			}
		}
		e := t.short[window>>56]
		if e.bits == 0 {
			if e = t.lookup(uint32(window >> 32)); e.bits == 0 {
				return dst, errHuffman
			}
		}
		if uint(e.bits) > bits {
			break
		}
		if room == 0 {
			return dst, ErrTooLarge
		}
		room--
		dst = append(dst, e.symbol)
		window <<= e.bits
		bits -= uint(e.bits)
	}
	// RFC 7541, section 5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error. A padding not
	// corresponding to the most significant bits of the code for the EOS symbol MUST be treated as a decoding error."
	if bits > 7 || window != ^(^uint64(0)>>bits) {
		return dst, errHuffmanPadding
	}
	return dst, nil
}

// lookup finds a code of more than eight bits at the start of the window. The zero entry means EOS, the one code above
// all symbols: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error".
func (t *huffmanTable) lookup(window uint32) (e struct{ symbol, bits uint8 }) {
	for i := range t.long {
		if l := &t.long[i]; window < l.end {
			e.symbol = t.symbols[uint32(l.at)+(window-l.start)>>(32-l.bits)]
			e.bits = l.bits
			break
		}
	}
	return e
}
