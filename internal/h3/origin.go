package h3

// MaxOrigins limits the number of origins that are taken from one ORIGIN frame. Hit by TestOriginFrames.
const MaxOrigins = 256

// AppendOrigin appends a whole ORIGIN frame (RFC 9412, section 2), which a server sends on its control stream, with the
// ASCII serialization of each origin: "https://example.com", "https://example.com:8443".
func AppendOrigin(b []byte, origins []string) []byte {
	length := 0
	for _, o := range origins {
		if len(o) > 1<<16-1 {
			panic("BUG: an origin of more than 65535 bytes")
		}
		length += 2 + len(o)
	}
	b = AppendFrameHeader(b, FrameHeader{FrameOrigin, int64(length)})
	for _, o := range origins {
		b = append(append(b, byte(len(o)>>8), byte(len(o))), o...)
	}
	return b
}

// consumeOrigins reads the payload of an ORIGIN frame: "zero or more instances of the Origin-Entry field" (RFC 9412,
// section 2.1). Entries beyond MaxOrigins are dropped; what is not an origin is for the caller to find.
func consumeOrigins(payload []byte) ([]string, error) {
	var list []string
	for len(payload) > 0 {
		if len(payload) < 2 {
			return nil, errOriginTruncated
		}
		n := int(payload[0])<<8 | int(payload[1])
		if len(payload)-2 < n {
			return nil, errOriginTruncated
		}
		if len(list) < MaxOrigins {
			list = append(list, string(payload[2:2+n]))
		}
		payload = payload[2+n:]
	}
	return list, nil
}

var errOriginTruncated = connError(H3FrameError, "ORIGIN payload ends inside an entry")
