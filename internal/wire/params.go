package wire

import (
	"fmt"
	"net/netip"
	"time"
)

// TransportParams are one endpoint's transport parameters (RFC 9000, section 18.2). Parameters that are absent have the
// value that DefaultTransportParams gives them.
type TransportParams struct {
	OriginalDstID []byte // nil: absent; empty but not nil: a connection ID of zero length. Server only.
	InitialSrcID  []byte // the same
	RetrySrcID    []byte // the same. Server only.

	MaxIdleTimeout    time.Duration // whole milliseconds on the wire, rounded up; 0: disabled
	HasResetToken     bool          // ResetToken is present. Server only.
	ResetToken        [16]byte
	MaxUDPPayloadSize int64 // bytes, 1200 at least

	InitialMaxData                 int64 // bytes on the connection
	InitialMaxStreamDataBidiLocal  int64 // bytes on each bidirectional stream opened by who sends the parameters
	InitialMaxStreamDataBidiRemote int64 // bytes on each bidirectional stream opened by who receives them
	InitialMaxStreamDataUni        int64 // bytes on each unidirectional stream opened by who receives them
	InitialMaxStreamsBidi          int64 // streams that who receives them may open, 2^60 at most
	InitialMaxStreamsUni           int64

	AckDelayExponent       int64         // 20 at most
	MaxAckDelay            time.Duration // whole milliseconds on the wire, rounded up; below 2^14 ms
	DisableActiveMigration bool
	PreferredAddress       *PreferredAddress // nil: absent. Server only.
	ActiveConnIDLimit      int64             // 2 at least
	MaxDatagramFrameSize   int64             // bytes, RFC 9221; 0: no DATAGRAM frames
	HasMinAckDelay         bool              // ACK_FREQUENCY and IMMEDIATE_ACK frames are understood (draft-ietf-quic-ack-frequency)
	MinAckDelay            time.Duration     // whole microseconds on the wire; MaxAckDelay at most
	GreaseQUICBit          bool              // RFC 9287: the fixed bit may be 0
	ResetStreamAt          bool              // RESET_STREAM_AT frames are understood (draft-ietf-quic-reliable-stream-reset)
	Versions               VersionInfo       // RFC 9368
}

// PreferredAddress is where a server would rather be reached (RFC 9000, section 9.6), with the connection ID of sequence
// number 1.
type PreferredAddress struct {
	V4, V6     netip.AddrPort // the zero AddrPort: none of that family
	ID         ConnID         // 1 to 20 bytes
	ResetToken [16]byte
}

// DefaultTransportParams returns the parameters of an endpoint that sends none.
func DefaultTransportParams() TransportParams {
	return TransportParams{
		MaxUDPPayloadSize: defaultMaxUDPPayloadSize,
		AckDelayExponent:  defaultAckDelayExponent,
		MaxAckDelay:       defaultMaxAckDelay,
		ActiveConnIDLimit: defaultActiveConnIDLimit,
	}
}

// Defaults and bounds of RFC 9000, section 18.2.
const (
	defaultMaxUDPPayloadSize = 65527
	defaultAckDelayExponent  = 3
	defaultMaxAckDelay       = 25 * time.Millisecond
	defaultActiveConnIDLimit = 2

	minMaxUDPPayloadSize = 1200
	maxAckDelayExponent  = 20
	maxMaxAckDelay       = 1<<14 - 1 // milliseconds
	minActiveConnIDLimit = 2
)

// The identifiers of the parameters.
const (
	paramOriginalDstID                  uint64 = 0x00
	paramMaxIdleTimeout                 uint64 = 0x01
	paramStatelessResetToken            uint64 = 0x02
	paramMaxUDPPayloadSize              uint64 = 0x03
	paramInitialMaxData                 uint64 = 0x04
	paramInitialMaxStreamDataBidiLocal  uint64 = 0x05
	paramInitialMaxStreamDataBidiRemote uint64 = 0x06
	paramInitialMaxStreamDataUni        uint64 = 0x07
	paramInitialMaxStreamsBidi          uint64 = 0x08
	paramInitialMaxStreamsUni           uint64 = 0x09
	paramAckDelayExponent               uint64 = 0x0a
	paramMaxAckDelay                    uint64 = 0x0b
	paramDisableActiveMigration         uint64 = 0x0c
	paramPreferredAddress               uint64 = 0x0d
	paramActiveConnIDLimit              uint64 = 0x0e
	paramInitialSrcID                   uint64 = 0x0f
	paramRetrySrcID                     uint64 = 0x10
	paramVersionInformation             uint64 = 0x11
	paramMaxDatagramFrameSize           uint64 = 0x20
	paramResetStreamAt                  uint64 = 0x1d
	paramGreaseQUICBit                  uint64 = 0x2ab2
	paramMinAckDelay                    uint64 = 0xff04de1b

	// paramOldResetStreamAt is what reset_stream_at was until draft 07 of draft-ietf-quic-reliable-stream-reset. The frame is
	// the same, and peers of either generation are about: both are sent, and either is enough.
	paramOldResetStreamAt uint64 = 0x17f7586d2cb571

	// paramCutOff stands for a parameter whose identifier is truncated; nothing encodes to it.
	paramCutOff uint64 = 1 << 62
)

// ParamError says which transport parameter is wrong and why; its connection closes with TRANSPORT_PARAMETER_ERROR.
type ParamError struct {
	ID      uint64 // the parameter's identifier; 2^62, which none has, when even that is truncated
	Problem string
}

// Error names the parameter as the RFC does.
func (e *ParamError) Error() string {
	return fmt.Sprintf("transport parameter %s %s", paramName(e.ID), e.Problem)
}

func paramName(id uint64) string {
	switch {
	case id < uint64(len(paramNames)):
		return paramNames[id]
	case id == paramMaxDatagramFrameSize:
		return "max_datagram_frame_size"
	case id == paramGreaseQUICBit:
		return "grease_quic_bit"
	case id == paramMinAckDelay:
		return "min_ack_delay"
	case id == paramResetStreamAt || id == paramOldResetStreamAt:
		return "reset_stream_at"
	case id == paramCutOff:
		return "at the end"
	}
	return fmt.Sprintf("0x%x", id)
}

var paramNames = [...]string{
	paramOriginalDstID:                  "original_destination_connection_id",
	paramMaxIdleTimeout:                 "max_idle_timeout",
	paramStatelessResetToken:            "stateless_reset_token",
	paramMaxUDPPayloadSize:              "max_udp_payload_size",
	paramInitialMaxData:                 "initial_max_data",
	paramInitialMaxStreamDataBidiLocal:  "initial_max_stream_data_bidi_local",
	paramInitialMaxStreamDataBidiRemote: "initial_max_stream_data_bidi_remote",
	paramInitialMaxStreamDataUni:        "initial_max_stream_data_uni",
	paramInitialMaxStreamsBidi:          "initial_max_streams_bidi",
	paramInitialMaxStreamsUni:           "initial_max_streams_uni",
	paramAckDelayExponent:               "ack_delay_exponent",
	paramMaxAckDelay:                    "max_ack_delay",
	paramDisableActiveMigration:         "disable_active_migration",
	paramPreferredAddress:               "preferred_address",
	paramActiveConnIDLimit:              "active_connection_id_limit",
	paramInitialSrcID:                   "initial_source_connection_id",
	paramRetrySrcID:                     "retry_source_connection_id",
	paramVersionInformation:             "version_information",
}
