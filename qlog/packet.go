package qlog

import "github.com/godwit-net/godwit/internal/instant"

// Packet is a QUIC packet as a trace shows it.
type Packet struct {
	// Type is the draft's name: "initial", "handshake", "0RTT", "1RTT", "retry", "version_negotiation",
	// "stateless_reset".
	Type string
	// Number is the packet number; not written for types that have none.
	Number int64
	// Size is the packet's size in bytes, header and authentication tag included. 0: unknown.
	Size int
	// SrcID and DstID are the connection IDs in the header; a short header has no source. Not kept.
	SrcID, DstID []byte
	// Frames are what it carries, in order. Not kept.
	Frames []Frame
	// KeyPhase is the key phase bit; written for 1RTT only.
	KeyPhase bool
	// Coalesced says that the packet shared its datagram with others. The draft shows coalescing by checksums of
	// datagrams; this is a field of our own.
	Coalesced bool
	// Trigger is why it was sent ("pto_probe", ...), if there is a reason worth telling.
	Trigger string
}

// PacketSent records a packet handed to the network: quic:packet_sent.
func (t *Trace) PacketSent(now instant.Time, p Packet) {
	if t != nil {
		t.packet(now, "quic:packet_sent", &p)
	}
}

// PacketReceived records a packet that was authentic and was processed: quic:packet_received.
func (t *Trace) PacketReceived(now instant.Time, p Packet) {
	if t != nil {
		t.packet(now, "quic:packet_received", &p)
	}
}

func (t *Trace) packet(now instant.Time, name string, p *Packet) {
	e := t.begin(now, name)
	e.header(p)
	t.frames(p.Frames)
	if p.Size > 0 {
		e.raw(int64(p.Size))
	}
	if p.Coalesced {
		e.bool("is_coalesced", true)
	}
	if p.Trigger != "" {
		e.text("trigger", p.Trigger)
	}
	t.end()
}

// header writes a PacketHeader.
func (e *encoder) header(p *Packet) {
	e.open("header")
	e.text("packet_type", p.Type)
	switch p.Type {
	case "1RTT":
		e.bool("key_phase_bit", p.KeyPhase)
		e.int("packet_number", p.Number)
	case "initial", "handshake", "0RTT":
		e.int("packet_number", p.Number)
	}
	if len(p.SrcID) > 0 {
		e.int("scil", int64(len(p.SrcID)))
		e.hex("scid", p.SrcID)
	}
	if len(p.DstID) > 0 {
		e.int("dcil", int64(len(p.DstID)))
		e.hex("dcid", p.DstID)
	}
	e.close()
}

// Dropped is a packet, or a whole datagram, that was not processed.
type Dropped struct {
	// Type is the packet type if it is known, else empty.
	Type string
	// Trigger is why. The draft knows "internal_error", "rejected", "unsupported", "invalid", "duplicate",
	// "connection_unknown", "decryption_failure", "key_unavailable" and "general"; anything else is written as a detail
	// of "general".
	Trigger string
	// Size is in bytes.
	Size int
}

// PacketDropped records a packet that came and was not processed: quic:packet_dropped.
func (t *Trace) PacketDropped(now instant.Time, d Dropped) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:packet_dropped")
	typ := d.Type
	if typ == "" {
		typ = "unknown"
	}
	e.open("header")
	e.text("packet_type", typ)
	e.close()
	e.raw(int64(d.Size))
	switch d.Trigger {
	case "":
	case "internal_error", "rejected", "unsupported", "invalid", "duplicate", "connection_unknown", "decryption_failure",
		"key_unavailable", "general":
		e.text("trigger", d.Trigger)
	default:
		e.open("details")
		e.text("reason", d.Trigger)
		e.close()
		e.text("trigger", "general")
	}
	t.end()
}

// PacketLost records that a packet was declared lost: quic:packet_lost. The trigger is "reordering_threshold",
// "time_threshold" or "pto_expired".
func (t *Trace) PacketLost(now instant.Time, typ string, number int64, trigger string) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:packet_lost")
	e.open("header")
	e.text("packet_type", typ)
	e.int("packet_number", number)
	e.close()
	if trigger != "" {
		e.text("trigger", trigger)
	}
	t.end()
}
