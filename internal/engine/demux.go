package engine

import "github.com/godwit-net/godwit/internal/wire"

// Demux finds what a datagram belongs to, by connection ID or by the stateless reset token it ends in. H is whatever the
// caller keeps for a connection. It is told by the connections' events.
type Demux[H any] struct {
	IDs     IDGenerator // of the endpoint, which says how long the IDs are; nil: 8 bytes
	byID    map[wire.ConnID]H
	byToken map[[16]byte]H
}

// Add leads datagrams to id to h.
func (m *Demux[H]) Add(id wire.ConnID, h H) {
	if m.byID == nil {
		m.byID = make(map[wire.ConnID]H)
	}
	m.byID[id] = h
}

// Holder returns whom datagrams to id lead to.
func (m *Demux[H]) Holder(id wire.ConnID) (h H, ok bool) {
	h, ok = m.byID[id]
	return h, ok
}

// DstID returns the destination connection ID of a datagram.
func (m *Demux[H]) DstID(payload []byte) (id []byte, ok bool) {
	return wire.DstID(payload, idLen(m.IDs))
}

// Remove forgets id.
func (m *Demux[H]) Remove(id wire.ConnID) { delete(m.byID, id) }

// AddToken leads stateless resets with token to h.
func (m *Demux[H]) AddToken(token [16]byte, h H) {
	if m.byToken == nil {
		m.byToken = make(map[[16]byte]H)
	}
	m.byToken[token] = h
}

// RemoveToken forgets token.
func (m *Demux[H]) RemoveToken(token [16]byte) { delete(m.byToken, token) }

// Len returns how many connection IDs are known.
func (m *Demux[H]) Len() int { return len(m.byID) }

// Find returns whom a datagram is for, by its destination connection ID.
func (m *Demux[H]) Find(payload []byte) (h H, ok bool) {
	id, ok := m.DstID(payload)
	if !ok || len(id) > wire.MaxConnIDLen {
		return h, false
	}
	h, ok = m.byID[wire.MakeConnID(id)]
	return h, ok
}

// FindReset returns whose stateless reset a datagram is that Find knows nothing of, whatever it looks like.
func (m *Demux[H]) FindReset(payload []byte) (h H, ok bool) {
	if len(payload) < minStatelessReset {
		return h, false
	}
	h, ok = m.byToken[[16]byte(payload[len(payload)-16:])]
	return h, ok
}
