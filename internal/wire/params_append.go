package wire

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/varint"
)

// AppendTo appends the transport parameters that differ from their defaults, and one reserved parameter of identifier
// 31*(grease%1000)+27 and zero to seven bytes taken from grease, "to exercise the requirement that unknown transport
// parameters be ignored" (RFC 9000, section 18.1). Values that the peer would have to reject are a programming error and
// panic; start from DefaultTransportParams.
func (p *TransportParams) AppendTo(b []byte, grease uint64) []byte {
	p.mustBeValid()
	if p.OriginalDstID != nil {
		b = appendParam(b, paramOriginalDstID, p.OriginalDstID)
	}
	b = appendIntParam(b, paramMaxIdleTimeout, milliseconds(p.MaxIdleTimeout), 0)
	if p.HasResetToken {
		b = appendParam(b, paramStatelessResetToken, p.ResetToken[:])
	}
	b = appendIntParam(b, paramMaxUDPPayloadSize, p.MaxUDPPayloadSize, defaultMaxUDPPayloadSize)
	b = appendIntParam(b, paramInitialMaxData, p.InitialMaxData, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataBidiLocal, p.InitialMaxStreamDataBidiLocal, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataBidiRemote, p.InitialMaxStreamDataBidiRemote, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataUni, p.InitialMaxStreamDataUni, 0)
	b = appendIntParam(b, paramInitialMaxStreamsBidi, p.InitialMaxStreamsBidi, 0)
	b = appendIntParam(b, paramInitialMaxStreamsUni, p.InitialMaxStreamsUni, 0)
	b = appendIntParam(b, paramAckDelayExponent, p.AckDelayExponent, defaultAckDelayExponent)
	b = appendIntParam(b, paramMaxAckDelay, milliseconds(p.MaxAckDelay), milliseconds(defaultMaxAckDelay))
	if p.DisableActiveMigration {
		b = appendParam(b, paramDisableActiveMigration, nil)
	}
	if a := p.PreferredAddress; a != nil {
		b = a.appendTo(b)
	}
	b = appendIntParam(b, paramActiveConnIDLimit, p.ActiveConnIDLimit, defaultActiveConnIDLimit)
	if p.InitialSrcID != nil {
		b = appendParam(b, paramInitialSrcID, p.InitialSrcID)
	}
	if p.RetrySrcID != nil {
		b = appendParam(b, paramRetrySrcID, p.RetrySrcID)
	}
	if p.Versions.Chosen != 0 {
		b = appendParam(b, paramVersionInformation, p.Versions.appendTo(nil))
	}
	b = appendIntParam(b, paramMaxDatagramFrameSize, p.MaxDatagramFrameSize, 0)
	if p.HasMinAckDelay {
		b = appendIntParam(b, paramMinAckDelay, p.MinAckDelay.Microseconds(), -1)
	}
	if p.GreaseQUICBit {
		b = appendParam(b, paramGreaseQUICBit, nil)
	}
	if p.ResetStreamAt {
		b = appendParam(b, paramResetStreamAt, nil)
		b = appendParam(b, paramOldResetStreamAt, nil)
	}
	var value [8]byte
	binary.BigEndian.PutUint64(value[:], grease)
	return appendParam(b, 31*(grease%1000)+27, value[:grease>>32&7])
}

// mustBeValid holds our own parameters against the rules that the peer's are held against.
func (p *TransportParams) mustBeValid() {
	switch a := p.PreferredAddress; {
	case p.MaxUDPPayloadSize < minMaxUDPPayloadSize,
		p.AckDelayExponent > maxAckDelayExponent,
		milliseconds(p.MaxAckDelay) > maxMaxAckDelay,
		p.ActiveConnIDLimit < minActiveConnIDLimit,
		p.HasMinAckDelay && p.MinAckDelay > p.MaxAckDelay,
		p.InitialMaxStreamsBidi > MaxStreamCount,
		p.InitialMaxStreamsUni > MaxStreamCount,
		len(p.OriginalDstID) > MaxConnIDLen,
		len(p.InitialSrcID) > MaxConnIDLen,
		len(p.RetrySrcID) > MaxConnIDLen,
		a != nil && (a.ID.Len() == 0 || len(p.InitialSrcID) == 0):
		panic("BUG: transport parameters that the peer must reject")
	}
}

func (v *VersionInfo) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, v.Chosen)
	for _, a := range v.Available {
		b = binary.BigEndian.AppendUint32(b, a)
	}
	return b
}

func appendParam(b []byte, id uint64, value []byte) []byte {
	b = varint.Append(b, id)
	b = varint.Append(b, uint64(len(value)))
	return append(b, value...)
}

// appendIntParam appends an integer parameter unless it has its default value.
func appendIntParam(b []byte, id uint64, v, absent int64) []byte {
	if v == absent {
		return b
	}
	b = varint.Append(b, id)
	b = varint.Append(b, uint64(varint.Len(uint64(v))))
	return varint.Append(b, uint64(v))
}

// appendTo appends the preferred_address parameter (RFC 9000, figure 22). "Servers MAY choose to only send a preferred
// address of one address family by sending an all-zero address and port (0.0.0.0:0 or [::]:0) for the other family."
func (a *PreferredAddress) appendTo(b []byte) []byte {
	v4, v6 := a.V4, a.V6
	if !v4.IsValid() {
		v4 = unspecifiedV4
	}
	if !v6.IsValid() {
		v6 = unspecifiedV6
	}
	if !v4.Addr().Is4() || !v6.Addr().Is6() {
		panic("BUG: a preferred address of the other family")
	}
	b = varint.Append(b, paramPreferredAddress)
	b = varint.Append(b, uint64(preferredAddressLen+a.ID.Len()))
	b = binary.BigEndian.AppendUint16(append(b, v4.Addr().AsSlice()...), v4.Port())
	b = binary.BigEndian.AppendUint16(append(b, v6.Addr().AsSlice()...), v6.Port())
	b = append(b, byte(a.ID.Len()))
	b = a.ID.AppendTo(b)
	return append(b, a.ResetToken[:]...)
}

// preferredAddressLen is the length of a preferred_address without its connection ID.
const preferredAddressLen = 4 + 2 + 16 + 2 + 1 + 16

var (
	unspecifiedV4 = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	unspecifiedV6 = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
)

// milliseconds rounds up: a delay or timeout shorter than announced keeps the promise, a longer one does not, and one
// below a millisecond must not become "disabled".
func milliseconds(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}
