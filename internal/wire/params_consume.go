package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/varint"
)

// ConsumeTransportParams reads the transport parameters that the peer sent, b being the whole extension, and holds them
// against sections 7.4 and 18 of RFC 9000, RFC 9221 and RFC 9287. The result shares no memory with b. Every error is a
// *ParamError and a TRANSPORT_PARAMETER_ERROR.
//
// Whether the connection ID parameters are present and match the connection's packets is for the engine to check
// (section 7.3): parameters that were stored for 0-RTT have none.
//
// "An endpoint SHOULD treat receipt of duplicate transport parameters as a connection error" (RFC 9000, section 7.4). This is done
// for the parameters that we know; remembering unknown ones would only spend memory on a peer's behalf.
func ConsumeTransportParams(b []byte, fromServer bool) (TransportParams, error) {
	p := DefaultTransportParams()
	var seen uint64 // see paramBit
	f := fields{b: b}
	for f.at < len(b) {
		id := f.varint()
		if f.failed() {
			id = paramCutOff
		}
		value := f.bytes(f.varint())
		if f.failed() {
			return p, &ParamError{id, "is truncated"}
		}
		if !knownParam(id) {
			continue
		}
		bit := paramBit(id)
		if seen&bit != 0 {
			return p, &ParamError{id, "is sent twice"}
		}
		seen |= bit
		if serverOnly(id) && !fromServer {
			return p, &ParamError{id, "is sent by a client"}
		}
		if problem := p.set(id, value); problem != "" {
			return p, &ParamError{id, problem}
		}
	}
	// "If a server receives Version Information where the Chosen Version is not included in Available Versions, it MUST
	// treat it as a parsing failure." (RFC 9368, section 4)
	if v := &p.Versions; !fromServer && v.Chosen != 0 && !slices.Contains(v.Available, v.Chosen) {
		return p, &ParamError{paramVersionInformation, "does not list the version that the client chose"}
	}
	// "A server that chooses a zero-length connection ID MUST NOT provide a preferred address." (section 18.2)
	if p.PreferredAddress != nil && p.InitialSrcID != nil && len(p.InitialSrcID) == 0 {
		return p, &ParamError{paramPreferredAddress, "comes with a zero-length connection ID"}
	}
	// "Endpoints that support this extension MUST treat receipt of a min_ack_delay that is greater than the max_ack_delay as
	// a connection error of type TRANSPORT_PARAMETER_ERROR." (draft-ietf-quic-ack-frequency, section 3)
	if p.HasMinAckDelay && p.MinAckDelay > p.MaxAckDelay {
		return p, &ParamError{paramMinAckDelay, "is greater than max_ack_delay"}
	}
	return p, nil
}

// paramBit returns the bit that remembers that a known parameter was there: bit id for those below 0x3d, and one of the last for
// those beyond.
func paramBit(id uint64) uint64 {
	switch id {
	case paramMinAckDelay:
		return 1 << 62
	case paramOldResetStreamAt:
		return 1 << 61
	}
	return 1 << min(id, 63)
}

func knownParam(id uint64) bool {
	switch id {
	case paramMaxDatagramFrameSize, paramGreaseQUICBit, paramMinAckDelay, paramResetStreamAt, paramOldResetStreamAt:
		return true
	}
	return id <= paramVersionInformation
}

// serverOnly: "A client MUST NOT include any server-only transport parameter: original_destination_connection_id,
// preferred_address, retry_source_connection_id, or stateless_reset_token. A server MUST treat receipt of any of these
// transport parameters as a connection error of type TRANSPORT_PARAMETER_ERROR." (section 18.2)
func serverOnly(id uint64) bool {
	switch id {
	case paramOriginalDstID, paramPreferredAddress, paramRetrySrcID, paramStatelessResetToken:
		return true
	}
	return false
}

// set stores one parameter. It returns what is wrong with the value, "" when nothing is.
func (p *TransportParams) set(id uint64, value []byte) (problem string) {
	switch id {
	case paramOriginalDstID:
		return setConnID(&p.OriginalDstID, value)
	case paramInitialSrcID:
		return setConnID(&p.InitialSrcID, value)
	case paramRetrySrcID:
		return setConnID(&p.RetrySrcID, value)
	case paramStatelessResetToken:
		if len(value) != len(p.ResetToken) {
			return "is not 16 bytes long"
		}
		p.HasResetToken = true
		copy(p.ResetToken[:], value)
		return ""
	case paramPreferredAddress:
		return p.setPreferredAddress(value)
	case paramVersionInformation:
		return p.Versions.set(value)
	case paramDisableActiveMigration:
		p.DisableActiveMigration = true
		return mustBeEmpty(value)
	case paramGreaseQUICBit:
		// "[...] an endpoint that understands this transport parameter MUST treat receipt of a non-empty value of the transport
		// parameter as a connection error of type TRANSPORT_PARAMETER_ERROR." (RFC 9287, section 3)
		p.GreaseQUICBit = true
		return mustBeEmpty(value)
	case paramResetStreamAt, paramOldResetStreamAt:
		// "An implementation that understands this transport parameter MUST treat the receipt of a non-empty value as a
		// connection error of type TRANSPORT_PARAMETER_ERROR." (draft-ietf-quic-reliable-stream-reset, section 3)
		p.ResetStreamAt = true
		return mustBeEmpty(value)
	}
	v, n := varint.Consume(value)
	if n != len(value) {
		return "is not an integer"
	}
	return p.setInt(id, int64(v))
}

// setInt stores one integer parameter.
func (p *TransportParams) setInt(id uint64, v int64) (problem string) {
	switch id {
	case paramMaxIdleTimeout:
		p.MaxIdleTimeout = durationOf(v)
	case paramMaxUDPPayloadSize:
		p.MaxUDPPayloadSize = v
		return rejectIf(v < minMaxUDPPayloadSize, "is below 1200")
	case paramInitialMaxData:
		p.InitialMaxData = v
	case paramInitialMaxStreamDataBidiLocal:
		p.InitialMaxStreamDataBidiLocal = v
	case paramInitialMaxStreamDataBidiRemote:
		p.InitialMaxStreamDataBidiRemote = v
	case paramInitialMaxStreamDataUni:
		p.InitialMaxStreamDataUni = v
	case paramInitialMaxStreamsBidi:
		// "If a max_streams transport parameter [...] is received with a value greater than 2^60, [...] the connection
		// MUST be closed immediately with a connection error of type TRANSPORT_PARAMETER_ERROR" (section 4.6)
		p.InitialMaxStreamsBidi = v
		return rejectIf(v > MaxStreamCount, "is above 2^60")
	case paramInitialMaxStreamsUni:
		p.InitialMaxStreamsUni = v
		return rejectIf(v > MaxStreamCount, "is above 2^60")
	case paramAckDelayExponent:
		p.AckDelayExponent = v
		return rejectIf(v > maxAckDelayExponent, "is above 20")
	case paramMaxAckDelay:
		p.MaxAckDelay = durationOf(v)
		return rejectIf(v > maxMaxAckDelay, "is 2^14 or more")
	case paramActiveConnIDLimit:
		p.ActiveConnIDLimit = v
		return rejectIf(v < minActiveConnIDLimit, "is below 2")
	case paramMaxDatagramFrameSize:
		p.MaxDatagramFrameSize = v
	case paramMinAckDelay:
		p.HasMinAckDelay = true
		p.MinAckDelay = time.Duration(min(v, int64(time.Hour/time.Microsecond))) * time.Microsecond
	default:
		panic("BUG: a known transport parameter that nobody reads")
	}
	return ""
}

// setPreferredAddress stores preferred_address (figure 22). "A server MUST NOT include a zero-length connection ID in
// this transport parameter. A client MUST treat a violation [...] as a connection error of type
// TRANSPORT_PARAMETER_ERROR." (section 18.2)
func (p *TransportParams) setPreferredAddress(value []byte) (problem string) {
	f := fields{b: value}
	var a PreferredAddress
	v4, port4 := f.bytes(4), f.bytes(2)
	v6, port6 := f.bytes(16), f.bytes(2)
	id := f.bytes(uint64(f.byte()))
	a.ResetToken = f.token()
	switch {
	case f.failed() || f.at != len(value):
		return "has the wrong length"
	case len(id) == 0 || len(id) > MaxConnIDLen:
		return "has a connection ID that is not 1 to 20 bytes long"
	}
	a.ID = MakeConnID(id)
	a.V4 = addrPort(v4, port4)
	a.V6 = addrPort(v6, port6)
	p.PreferredAddress = &a
	return ""
}

// set stores version_information. "If that leads to a parsing failure (for example, if it is too short or if its length is
// not divisible by four), then the endpoint MUST close the connection; if the connection was using QUIC version 1, that
// connection closure MUST use a transport error of type TRANSPORT_PARAMETER_ERROR. If an endpoint receives a Chosen Version
// equal to zero, or any Available Version equal to zero, it MUST treat it as a parsing failure." (RFC 9368, section 4)
func (v *VersionInfo) set(value []byte) (problem string) {
	if len(value) == 0 || len(value)%4 != 0 {
		return "is not a list of versions"
	}
	v.Chosen = binary.BigEndian.Uint32(value)
	v.Available = make([]uint32, 0, len(value)/4-1)
	for rest := value[4:]; len(rest) > 0; rest = rest[4:] {
		v.Available = append(v.Available, binary.BigEndian.Uint32(rest))
	}
	return rejectIf(v.Chosen == 0 || slices.Contains(v.Available, 0), "contains version 0")
}

// addrPort returns the zero AddrPort for an all-zero address and port.
func addrPort(ip, port []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	if p := binary.BigEndian.Uint16(port); p != 0 || !addr.IsUnspecified() {
		return netip.AddrPortFrom(addr, p)
	}
	return netip.AddrPort{}
}

func setConnID(id *[]byte, value []byte) (problem string) {
	*id = bytes.Clone(value) // of an empty slice, which is not nil: the parameter is present
	return rejectIf(len(value) > MaxConnIDLen, "is longer than 20 bytes")
}

func mustBeEmpty(value []byte) (problem string) {
	return rejectIf(len(value) != 0, "is not empty")
}

func rejectIf(bad bool, why string) (problem string) {
	if bad {
		return why
	}
	return ""
}

// durationOf returns a number of milliseconds as a duration; those beyond its range, 292 years, are all as good as that.
func durationOf(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}
