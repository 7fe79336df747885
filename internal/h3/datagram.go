package h3

import "github.com/godwit-net/godwit/internal/varint"

// maxQuarterStreamID is 2^60-1, "the largest legal value of Quarter Stream ID" (RFC 9297, section 2.1).
const maxQuarterStreamID = 1<<60 - 1

// ConsumeDatagram splits the payload of a QUIC DATAGRAM frame into the request stream that it belongs to and the HTTP
// datagram, which aliases b. The error is of the connection, H3_DATAGRAM_ERROR.
func ConsumeDatagram(b []byte) (stream int64, payload []byte, err error) {
	quarter, n := varint.Consume(b)
	if n < 0 {
		return 0, nil, errDatagramShort
	}
	if quarter > maxQuarterStreamID {
		return 0, nil, errDatagramStream
	}
	return int64(quarter) * 4, b[n:], nil
}

var (
	errDatagramShort  = connError(H3DatagramError, "datagram too short for its Quarter Stream ID")
	errDatagramStream = connError(H3DatagramError, "Quarter Stream ID above 2^60-1")
)

// AppendDatagramHeader appends the Quarter Stream ID of a request stream; the HTTP datagram's payload follows it.
func AppendDatagramHeader(b []byte, stream int64) []byte {
	if stream%4 != 0 {
		panic("BUG: datagram for a stream that is no request stream")
	}
	return varint.Append(b, uint64(stream)/4)
}
