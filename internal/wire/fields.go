package wire

import "github.com/godwit-net/godwit/internal/varint"

// fields reads the fields of one structure in order. Once one is truncated at is negative and all later reads yield
// zeros, so that a structure is checked once, at its end. A fields value is made where it is used and stays on the stack.
type fields struct {
	b  []byte
	at int
}

// afterType begins to read the fields of a frame whose one-byte type the caller has switched on already. An empty b has
// failed from the start.
func afterType(b []byte) fields {
	if len(b) == 0 {
		return fields{at: -1}
	}
	return fields{b: b, at: 1}
}

func (f *fields) failed() bool { return f.at < 0 }

func (f *fields) byte() byte {
	if f.at < 0 || f.at >= len(f.b) {
		f.at = -1
		return 0
	}
	f.at++
	return f.b[f.at-1]
}

func (f *fields) varint() uint64 {
	if f.at < 0 {
		return 0
	}
	v, n := varint.Consume(f.b[f.at:])
	if n < 0 {
		f.at = -1
		return 0
	}
	f.at += n
	return v
}

// int reads a varint; 62 bits always fit.
func (f *fields) int() int64 { return int64(f.varint()) }

// bytes reads n bytes without copying them. Zero bytes are an empty slice, not nil.
func (f *fields) bytes(n uint64) []byte {
	if f.at < 0 || n > uint64(len(f.b)-f.at) {
		f.at = -1
		return nil
	}
	start := f.at
	f.at += int(n)
	return f.b[start:f.at:f.at]
}

func (f *fields) token() (t [16]byte) {
	copy(t[:], f.bytes(16))
	return t
}
