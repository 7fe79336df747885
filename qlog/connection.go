package qlog

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// ConnectionStarted records that a client attempts, or a server accepts, a connection: quic:connection_started. The IDs
// are those that each end chose for itself at first: srcID is ours, dstID what we call the peer.
func (t *Trace) ConnectionStarted(now instant.Time, local, remote netip.AddrPort, srcID, dstID []byte) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:connection_started")
	e.openEndpoint("local", local, srcID)
	e.openEndpoint("remote", remote, dstID)
	t.end()
}

// openEndpoint writes a whole TupleEndpointInfo.
func (e *encoder) openEndpoint(k string, a netip.AddrPort, id []byte) {
	e.open(k)
	e.endpoint(a)
	if len(id) > 0 {
		e.list("connection_ids")
		e.hex("", id)
		e.endList()
	}
	e.close()
}

// Closed is how a connection ended.
type Closed struct {
	// Owner is who closed it: "local" or "remote"; empty when nobody did (a timeout).
	Owner string
	// App says whose error space Code is in.
	App  bool
	Code uint64
	// Reason is the phrase that went with it, in whatever bytes the peer chose.
	Reason string
	// Trigger is why. The draft knows "application", "error", "aborted" and "unspecified", and, for ends without an error
	// code, "idle_timeout", "version_mismatch" and "stateless_reset". Anything else is an end without a code too, and is
	// written as the reason of an "unspecified" one.
	Trigger string
}

// ConnectionClosed records the end of a connection: quic:connection_closed.
func (t *Trace) ConnectionClosed(now instant.Time, c Closed) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:connection_closed")
	if c.Owner != "" {
		e.text("initiator", c.Owner)
	}
	switch c.Trigger {
	case "", "application", "error", "aborted", "unspecified":
		if c.App {
			t.applicationError("application_error", c.Code)
		} else {
			e.transportError("connection_error", c.Code)
		}
	case "idle_timeout", "version_mismatch", "stateless_reset":
	default:
		c.Reason, c.Trigger = c.Trigger, "unspecified"
	}
	if c.Reason != "" {
		e.text("reason", c.Reason)
	}
	if c.Trigger != "" {
		e.text("trigger", c.Trigger)
	}
	t.end()
}

// ConnectionState records a step of the connection's life: quic:connection_state_updated. The draft's states are
// "attempted", "peer_validated", "handshake_started", "early_write", "handshake_complete", "handshake_confirmed",
// "closing", "draining" and "closed".
func (t *Trace) ConnectionState(now instant.Time, state string) {
	if t == nil {
		return
	}
	t.begin(now, "quic:connection_state_updated").text("new", state)
	t.end()
}

// PathAssigned records that the connection moved to another network path: quic:tuple_assigned. The events that follow
// carry the new path's tuple ID. The path of the handshake has the default ID and needs no such event.
func (t *Trace) PathAssigned(now instant.Time, local, remote netip.AddrPort) {
	if t == nil {
		return
	}
	t.path++
	e := t.begin(now, "quic:tuple_assigned")
	e.text("tuple_id", strconv.Itoa(t.path))
	e.openEndpoint("tuple_remote", remote, nil)
	e.openEndpoint("tuple_local", local, nil)
	t.end()
}

// MTUUpdated records that datagrams of another size are sent from now on: quic:mtu_updated. Sizes are UDP payloads.
func (t *Trace) MTUUpdated(now instant.Time, old, size int, done bool) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:mtu_updated")
	e.int("old", int64(old))
	e.int("new", int64(size))
	if done {
		e.bool("done", true)
	}
	t.end()
}

// VersionSelected records the QUIC version that the connection uses: quic:version_information. It is also the only one
// that this end offers.
func (t *Trace) VersionSelected(now instant.Time, version uint32) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:version_information")
	e.hex("chosen_version", []byte{byte(version >> 24), byte(version >> 16), byte(version >> 8), byte(version)})
	t.end()
}

// ALPN records the application protocol that TLS chose: quic:alpn_information. With "h3", application error codes are
// written with HTTP/3's names from here on.
func (t *Trace) ALPN(now instant.Time, protocol string) {
	if t == nil {
		return
	}
	t.h3 = protocol == "h3"
	e := t.begin(now, "quic:alpn_information")
	e.open("chosen_alpn")
	e.text("string_value", protocol)
	e.close()
	t.end()
}

// Params are the transport parameters (RFC 9000, section 18.2) and what TLS agreed on. Zero values that mean "absent"
// are not written; limits of zero are.
type Params struct {
	TLSCipher                           string // "AES_128_GCM_SHA256"
	OriginalDstID, InitialSrcID         []byte
	RetrySrcID                          []byte
	DisableActiveMigration              bool
	MaxIdleTimeout, MaxAckDelay         time.Duration
	MaxUDPPayloadSize                   int64 // bytes
	AckDelayExponent, ActiveConnIDLimit int64
	InitialMaxData                      int64 // bytes, as are the next three
	InitialMaxStreamDataBidiLocal       int64
	InitialMaxStreamDataBidiRemote      int64
	InitialMaxStreamDataUni             int64
	InitialMaxStreamsBidi               int64
	InitialMaxStreamsUni                int64
	MaxDatagramFrameSize                int64 // bytes
	GreaseQUICBit                       bool
	ResetStreamAt                       bool
}

// ParametersSet records the transport parameters of one end, "local" or "remote": quic:parameters_set.
func (t *Trace) ParametersSet(now instant.Time, owner string, p Params) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:parameters_set")
	e.text("initiator", owner)
	if p.TLSCipher != "" {
		e.text("tls_cipher", p.TLSCipher)
	}
	for _, id := range [...]struct {
		key string
		id  []byte
	}{
		{"original_destination_connection_id", p.OriginalDstID},
		{"initial_source_connection_id", p.InitialSrcID},
		{"retry_source_connection_id", p.RetrySrcID},
	} {
		if id.id != nil {
			e.hex(id.key, id.id)
		}
	}
	e.bool("disable_active_migration", p.DisableActiveMigration)
	e.int("max_idle_timeout", p.MaxIdleTimeout.Milliseconds())
	if p.MaxUDPPayloadSize > 0 {
		e.int("max_udp_payload_size", p.MaxUDPPayloadSize)
	}
	e.int("ack_delay_exponent", p.AckDelayExponent)
	e.int("max_ack_delay", p.MaxAckDelay.Milliseconds())
	e.int("active_connection_id_limit", p.ActiveConnIDLimit)
	e.int("initial_max_data", p.InitialMaxData)
	e.int("initial_max_stream_data_bidi_local", p.InitialMaxStreamDataBidiLocal)
	e.int("initial_max_stream_data_bidi_remote", p.InitialMaxStreamDataBidiRemote)
	e.int("initial_max_stream_data_uni", p.InitialMaxStreamDataUni)
	e.int("initial_max_streams_bidi", p.InitialMaxStreamsBidi)
	e.int("initial_max_streams_uni", p.InitialMaxStreamsUni)
	if p.MaxDatagramFrameSize > 0 {
		e.int("max_datagram_frame_size", p.MaxDatagramFrameSize)
	}
	if p.GreaseQUICBit {
		e.bool("grease_quic_bit", true)
	}
	if p.ResetStreamAt {
		e.bool("reset_stream_at", true)
	}
	t.end()
}
