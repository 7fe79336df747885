package quiclb

// A Decoder reads server IDs out of connection IDs, as a load balancer does. It is for one goroutine at a time.
type Decoder struct {
	codecs  [maxConfigs]*codec // by Config.ID
	scratch [maxLen]byte
}

// NewDecoder returns a decoder of the IDs of up to seven configurations, each with an ID of its own.
func NewDecoder(configs ...Config) (*Decoder, error) {
	d := &Decoder{}
	for _, c := range configs {
		if err := d.Add(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Add adds a configuration, in place of one with the same ID.
func (d *Decoder) Add(c Config) error {
	k, err := newCodec(c)
	if err == nil {
		d.codecs[c.ID] = k
	}
	return err
}

// Remove forgets the configuration with an ID.
func (d *Decoder) Remove(id int) {
	if id >= 0 && id < maxConfigs {
		d.codecs[id] = nil
	}
}

// AppendServerID appends the server ID that a connection ID carries to b; false: it is not routable, because no configuration
// that is known made it, or it is too short. What follows the connection ID does no harm, as its length is not known in short
// headers. A routable ID may still be of a server that there is not, if a client made it up: the draft, section 4.1, calls that unroutable
// too.
func (d *Decoder) AppendServerID(b, connID []byte) ([]byte, bool) {
	if len(connID) == 0 || connID[0]>>idShift == unroutable {
		return b, false
	}
	k := d.codecs[connID[0]>>idShift]
	if k == nil || len(connID) < k.length || k.TellsLen && int(connID[0]&lenMask) != k.length-1 {
		return b, false
	}
	plain := d.scratch[:k.plain]
	copy(plain, connID[1:])
	k.decrypt(plain)
	return append(b, plain[:k.ServerIDLen]...), true
}

// AppendServerIDOf is AppendServerID of the destination connection ID of a datagram, of any version of QUIC (RFC 8999).
func (d *Decoder) AppendServerIDOf(b, datagram []byte) ([]byte, bool) {
	const longHeader, lengthAt = 0x80, 5
	switch {
	case len(datagram) == 0:
		return b, false
	case datagram[0]&longHeader == 0:
		return d.AppendServerID(b, datagram[1:])
	case len(datagram) <= lengthAt:
		return b, false
	}
	id := datagram[lengthAt+1:]
	n := int(datagram[lengthAt])
	if n > len(id) {
		return b, false
	}
	if k := d.codecOf(id[:n]); k != nil && n != k.length {
		// Section 4.1: "In a long header, verify that the self-encoded length is consistent with the CID length field in the header".
		// Every server that uses a configuration makes IDs of one length, so that this can be said without their telling it.
		return b, false
	}
	return d.AppendServerID(b, id[:n])
}

func (d *Decoder) codecOf(connID []byte) *codec {
	if len(connID) == 0 || connID[0]>>idShift == unroutable {
		return nil
	}
	return d.codecs[connID[0]>>idShift]
}
