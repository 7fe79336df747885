package h3

import "github.com/godwit-net/godwit/internal/varint"

// SettingID identifies a setting (RFC 9114, section 7.2.4.1; RFC 9204, section 5; RFC 9220; RFC 9297, section 2.1.1).
type SettingID uint64

const (
	SettingQPACKMaxTableCapacity SettingID = 0x01
	SettingMaxFieldSectionSize   SettingID = 0x06
	SettingQPACKBlockedStreams   SettingID = 0x07
	SettingEnableConnectProtocol SettingID = 0x08
	SettingH3Datagram            SettingID = 0x33
)

// Unlimited is the default of Settings.MaxFieldSectionSize.
const Unlimited = varint.Max

// Settings is what an endpoint says about itself in its SETTINGS frame.
type Settings struct {
	// MaxFieldSectionSize is the largest field section the endpoint takes, in bytes as RFC 9114, section 4.2.2, counts
	// them. When sending, 0 means not to say; when received, it is Unlimited if the peer did not say.
	MaxFieldSectionSize uint64

	QPACKMaxTableCapacity uint64 // bytes
	QPACKBlockedStreams   uint64
	EnableConnectProtocol bool // extended CONNECT (RFC 9220)
	Datagram              bool // HTTP datagrams (RFC 9297)

	// Other are settings that have no meaning here, in the order of the frame: extensions and reserved identifiers.
	Other []Setting
}

// Setting is one parameter of a SETTINGS frame.
type Setting struct {
	ID    SettingID
	Value uint64
}

// DefaultSettings returns the values that hold until a peer's SETTINGS frame arrives.
func DefaultSettings() Settings { return Settings{MaxFieldSectionSize: Unlimited} }

// List returns the settings as they are sent: those that differ from their defaults, then Other.
func (s *Settings) List() []Setting {
	var list []Setting
	add := func(id SettingID, v uint64) {
		if v != 0 {
			list = append(list, Setting{id, v})
		}
	}
	add(SettingQPACKMaxTableCapacity, s.QPACKMaxTableCapacity)
	if s.MaxFieldSectionSize != Unlimited {
		add(SettingMaxFieldSectionSize, s.MaxFieldSectionSize)
	}
	add(SettingQPACKBlockedStreams, s.QPACKBlockedStreams)
	if s.EnableConnectProtocol {
		add(SettingEnableConnectProtocol, 1)
	}
	if s.Datagram {
		add(SettingH3Datagram, 1)
	}
	return append(list, s.Other...)
}

// AppendSettings appends a whole SETTINGS frame. "Endpoints SHOULD include at least one such setting" of a reserved
// identifier (RFC 9114, section 7.2.4.1): put Setting{SettingID(Grease(random)), random} into Other.
func AppendSettings(b []byte, s Settings) []byte {
	list := s.List()
	length := 0
	for _, x := range list {
		length += varint.Len(uint64(x.ID)) + varint.Len(x.Value)
	}
	b = AppendFrameHeader(b, FrameHeader{FrameSettings, int64(length)})
	for _, x := range list {
		b = varint.Append(varint.Append(b, uint64(x.ID)), x.Value)
	}
	return b
}

// ConsumeSettings reads the payload of a SETTINGS frame.
func ConsumeSettings(payload []byte) (Settings, error) {
	s := DefaultSettings()
	var seen [MaxSettings]SettingID
	for count := 0; len(payload) > 0; count++ {
		id, n := varint.Consume(payload)
		if n < 0 {
			return s, errSettingsTruncated
		}
		v, m := varint.Consume(payload[n:])
		if m < 0 {
			return s, errSettingsTruncated
		}
		payload = payload[n+m:]
		if count == MaxSettings {
			return s, connError(H3ExcessiveLoad, "too many settings")
		}
		// "The same setting identifier MUST NOT occur more than once in the SETTINGS frame. A receiver MAY treat the
		// presence of duplicate setting identifiers as a connection error of type H3_SETTINGS_ERROR" (section 7.2.4).
		for _, other := range seen[:count] {
			if other == SettingID(id) {
				return s, connError(H3SettingsError, "setting occurs twice")
			}
		}
		seen[count] = SettingID(id)
		if err := s.set(SettingID(id), v); err != nil {
			return s, err
		}
	}
	return s, nil
}

var errSettingsTruncated = connError(H3FrameError, "SETTINGS payload ends inside a setting")

func (s *Settings) set(id SettingID, v uint64) error {
	switch id {
	case SettingQPACKMaxTableCapacity:
		s.QPACKMaxTableCapacity = v
	case SettingMaxFieldSectionSize:
		s.MaxFieldSectionSize = v
	case SettingQPACKBlockedStreams:
		s.QPACKBlockedStreams = v
	case SettingEnableConnectProtocol:
		if v > 1 {
			return connError(H3SettingsError, "ENABLE_CONNECT_PROTOCOL is neither 0 nor 1")
		}
		s.EnableConnectProtocol = v == 1
	case SettingH3Datagram:
		// "If the SETTINGS_H3_DATAGRAM setting is received with a value that is neither 0 nor 1, the receiver MUST
		// terminate the connection with error H3_SETTINGS_ERROR" (RFC 9297, section 2.1.1).
		if v > 1 {
			return connError(H3SettingsError, "H3_DATAGRAM is neither 0 nor 1")
		}
		s.Datagram = v == 1
	case 0x00, 0x02, 0x03, 0x04, 0x05:
		// HTTP/2's: "These reserved settings MUST NOT be sent, and their receipt MUST be treated as a connection error of
		// type H3_SETTINGS_ERROR" (RFC 9114, section 7.2.4.1).
		return connError(H3SettingsError, "setting of HTTP/2")
	default:
		s.Other = append(s.Other, Setting{id, v})
	}
	return nil
}
