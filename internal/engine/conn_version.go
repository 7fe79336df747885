package engine

import (
	"slices"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// versionState is which version of QUIC the connection speaks (RFC 9368, RFC 9369).
//
// A client begins with version 1 where it may, since every server knows it, and lists what it would rather speak. A server
// takes the version that the client wants most of those that both speak, and says so by speaking it: "The client learns the
// negotiated version by observing the first long header Version field that differs from the original version" (RFC 9369,
// section 4.1). What both say in their transport parameters is held against what happened.
type versionState struct {
	original uint32      // of the client's first packet
	current  uint32      // of what we send: the original version until the negotiated one is known
	settled  bool        // a client: the server has made its choice known
	keyID    wire.ConnID // what the keys of Initial packets derive from
	other    initialKeys // of Initial packets in a version that is not current; see initialRead
}

type initialKeys struct {
	version     uint32 // 0: none
	read, write *seal.Keys
}

// defaultVersions is what is spoken when the Config does not say: version 1 by preference, because servers and networks
// know it best.
var defaultVersions = []uint32{wire.Version1, wire.Version2}

// versionsOrDefault returns versions, checked, or the default when there is none.
func versionsOrDefault(versions []uint32) []uint32 {
	if len(versions) == 0 {
		return defaultVersions
	}
	for _, v := range versions {
		if !wire.IsKnownVersion(v) {
			panic("BUG: Config.Versions has a version that is not spoken here")
		}
	}
	return versions
}

// FirstVersion is the version of a client's first flight. RFC 9368, section 2.5: "the client SHOULD pick an Original Version
// to maximize the combined probability that both: the server knows how to parse first flights from the Original Version and
// the Original Version is compatible with the client's preferred version."
func (c *Config) FirstVersion() uint32 {
	versions := versionsOrDefault(c.Versions)
	switch {
	case c.After != nil:
		return c.After.Common
	case slices.Contains(versions, wire.Version1):
		return wire.Version1
	}
	return versions[0]
}

func (c *Conn) offersVersion(v uint32) bool { return slices.Contains(c.config.Versions, v) }

// selectVersion returns the first of wanted that is among available, 0 when none is. Reserved versions are never among both.
func selectVersion(wanted, available []uint32) uint32 {
	for _, v := range wanted {
		if slices.Contains(available, v) {
			return v
		}
	}
	return 0
}

// versionInfo is what we say of versions in our transport parameters.
//
// RFC 9368, section 3: "Clients and servers MAY both include versions following the pattern 0x?a?a?a?a in their Available
// Versions list." One is, so that peers learn to ignore what they do not know.
func (c *Conn) versionInfo() wire.VersionInfo {
	reserved := wire.ReservedVersion(uint32(c.rand.Uint64()))
	return wire.VersionInfo{Chosen: c.version.current, Available: append(slices.Clone(c.config.Versions), reserved)}
}

// takesVersion reports whether a packet is of a version that its kind may have now.
//
// RFC 9369, section 4.1: "The client ignores Retry packets using other versions" than the original. "Both endpoints MUST send
// Handshake and 1-RTT packets using the negotiated version. An endpoint MUST drop packets using any other version." "The
// client MUST NOT send 0-RTT packets using the negotiated version".
func (c *Conn) takesVersion(h wire.LongHeader) bool {
	v := &c.version
	open := !c.server && !v.settled && c.offersVersion(h.Version)
	switch h.Type {
	case wire.PacketVersionNegotiation:
		return true
	case wire.PacketInitial:
		return h.Version == v.current || open || c.server && h.Version == v.original
	case wire.PacketHandshake:
		return h.Version == v.current || open
	}
	return h.Version == v.original
}

// initialRead returns the keys that open an Initial packet of a version that takesVersion agreed to; nil: there are none.
//
// A client derives those of a version that the server may have chosen when a packet seems to say so, once. A server keeps
// those of the original version: it "MUST NOT discard its original version Initial receive keys until it successfully
// processes a Handshake packet with the negotiated version" (RFC 9369, section 4.1).
func (c *Conn) initialRead(version uint32) *seal.Keys {
	v := &c.version
	switch {
	case version == v.current:
		return c.spaces[wire.InitialSpace].read
	case version != v.other.version && !c.server:
		v.other.version = version
		v.other.write, v.other.read = seal.Of(version).Initial(v.keyID.Bytes())
	case version != v.other.version:
		return nil
	}
	return v.other.read
}

// observeVersion notes the version of an authentic Initial packet of the server's.
func (c *Conn) observeVersion(version uint32) {
	v := &c.version
	if c.server || version == v.current {
		return
	}
	s := &c.spaces[wire.InitialSpace]
	s.read, s.write = v.other.read, v.other.write
	v.current, v.settled, v.other = version, true, initialKeys{}
	c.shake.tls.SetVersion(version)
}

// settleVersion notes that the server has sent handshake data: "If the client receives a CRYPTO frame from the server in the
// original version, it indicates that the negotiated version is equal to the original version." (RFC 9369, section 4.1)
func (c *Conn) settleVersion() { c.version.settled = true }

// negotiateVersion takes the peer's version_information: a server makes its choice, a client checks it.
func (c *Conn) negotiateVersion(now instant.Time, info wire.VersionInfo) *TransportError {
	check := c.checkVersion
	if c.server {
		check = c.chooseVersion
	}
	if problem := check(info); problem != "" {
		return violation(wire.VersionNegotiationError, wire.FrameCrypto, problem)
	}
	c.trace.VersionSelected(now, c.version.current)
	return nil
}

// chooseVersion chooses the version that the client wants most of those that both speak.
func (c *Conn) chooseVersion(info wire.VersionInfo) (problem string) {
	v := &c.version
	if info.Chosen == 0 {
		return "" // "Servers MAY complete the handshake even if the Version Information is missing."
	}
	if info.Chosen != v.original {
		// RFC 9368, section 4: "the server MUST validate that the client's Chosen Version matches the version in use for the
		// connection. If the two differ, the server MUST close the connection with a version negotiation error."
		return "the client's chosen version is not that of its packets"
	}
	s := &c.spaces[wire.InitialSpace]
	next := selectVersion(info.Available, c.config.Versions)
	if next == 0 || next == v.original || s.crypto.out.end > 0 {
		// With a HelloRetryRequest, crypto/tls shows the parameters only after it has spoken, and that was in the original
		// version: "The server MUST send all CRYPTO frames using the negotiated version." (RFC 9369, section 4.1)
		return ""
	}
	v.other = initialKeys{version: v.original, read: s.read, write: s.write}
	s.read, s.write = seal.Of(next).Initial(v.keyID.Bytes())
	v.current = next
	c.shake.tls.SetVersion(next)
	return ""
}

// checkVersion holds what the server says of versions against what happened: nobody on the way may have had a hand in it
// (RFC 9368, section 4).
func (c *Conn) checkVersion(info wire.VersionInfo) (problem string) {
	v, reacted := &c.version, c.config.After != nil
	if info.Chosen == 0 {
		switch {
		case reacted && v.original == wire.Version1:
			// RFC 9368, section 8: "the client SHALL proceed as if the server's transport parameters contained a
			// version_information transport parameter with a Chosen Version set to 0x00000001 and an Available Version list
			// containing exactly one version set to 0x00000001."
			info = wire.VersionInfo{Chosen: wire.Version1, Available: []uint32{wire.Version1}}
		case reacted || v.current != v.original:
			// "If a client has reacted to a Version Negotiation packet and the server's Version Information was missing, the
			// client MUST close the connection with a version negotiation error."
			return "the server changed the version and does not say so"
		default:
			return ""
		}
	}
	switch {
	case !c.offersVersion(info.Chosen):
		// "If a client receives Version Information where the server's Chosen Version was not sent by the client as part of
		// its Available Versions, the client MUST close the connection with a version negotiation error."
		return "the server chose a version that was not offered"
	case info.Chosen != v.current:
		// "clients MUST validate that the server's Chosen Version is equal to the Negotiated Version"
		return "the server's chosen version is not that of its packets"
	case reacted && len(info.Available) == 0:
		// "In particular, if the client reacted to a Version Negotiation packet and the server's Available Versions field is
		// empty, the client MUST close the connection with a version negotiation error."
		return "after a Version Negotiation packet the server says nothing of its versions"
	case reacted && selectVersion(c.config.Versions, append(info.Available, info.Chosen)) != v.original:
		// "The Available Versions field is validated by confirming that the client would have attempted the same version with
		// knowledge of the versions the server supports."
		return "a Version Negotiation packet hid versions that the server speaks"
	}
	return ""
}
