package handshake

import (
	"crypto/tls"
	"fmt"
)

// A Level is a TLS encryption level (RFC 9001, section 4.1.4). The numbers are those of tls.QUICEncryptionLevel.
type Level uint8

// The encryption levels, by the packets that carry their CRYPTO frames.
const (
	InitialLevel   Level = iota // Initial packets
	EarlyLevel                  // 0-RTT packets: keys only, there are no CRYPTO frames
	HandshakeLevel              // Handshake packets
	AppLevel                    // 1-RTT packets
)

func (l Level) String() string {
	switch l {
	case InitialLevel:
		return "Initial"
	case EarlyLevel:
		return "Early"
	case HandshakeLevel:
		return "Handshake"
	case AppLevel:
		return "App"
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events, and which fields of the Event they set.
const (
	ReadKeys      EventKind = iota + 1 // Level, Suite, Secret: keys that open the peer's packets
	WriteKeys                          // Level, Suite, Secret: keys that seal ours
	Data                               // Level, Data: bytes for CRYPTO frames
	PeerParams                         // Data: the peer's transport parameters, encoded; not authentic before Done
	NeedParams                         // a server made without parameters: SetParams is due now
	EarlyRejected                      // a client: the server takes no 0-RTT
	Done                               // the handshake is complete (RFC 9001, section 4.1.1), not yet confirmed
)

func (k EventKind) String() string {
	switch k {
	case ReadKeys:
		return "ReadKeys"
	case WriteKeys:
		return "WriteKeys"
	case Data:
		return "Data"
	case PeerParams:
		return "PeerParams"
	case NeedParams:
		return "NeedParams"
	case EarlyRejected:
		return "EarlyRejected"
	case Done:
		return "Done"
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// An Event is one thing that the handshake has to say. Secret and Data are valid until the next call of any method.
type Event struct {
	Kind   EventKind
	Level  Level
	Suite  uint16 // a TLS 1.3 cipher suite, as crypto/tls numbers them
	Secret []byte // what seal.New takes
	Data   []byte
}

func (l Level) tls() tls.QUICEncryptionLevel { return tls.QUICEncryptionLevel(l) }
