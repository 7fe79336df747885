package h3

// A control stream's frames are read whole, so each kind has a limit on its payload. Frames of unknown type are
// discarded as they come and need none; the sizes of HEADERS and DATA are the business of whoever reads messages.
const (
	// MaxSettingsPayload limits a SETTINGS frame, in bytes. RFC 9114 sets no limit; a few dozen settings are registered,
	// and 256 of the longest fit. Hit by TestControlStreamLimits.
	MaxSettingsPayload = 4096

	// MaxSettings limits the number of settings in a frame, since each one is compared with those before it to find
	// duplicates. Hit by TestSettingsLimits.
	MaxSettings = 256

	// MaxPriorityUpdatePayload limits a PRIORITY_UPDATE frame, in bytes: an ID and a dictionary in which two one-letter
	// keys have a meaning. Hit by TestControlStreamLimits.
	MaxPriorityUpdatePayload = 1024

	// MaxControlFrame is what a reader of a control stream has to be able to hold: the largest frame with its header. Hit by
	// TestControlStreamLimits.
	MaxControlFrame = MaxFrameHeader + MaxSettingsPayload

	// MaxDatagramCapsule limits the payload of a DATAGRAM capsule that is worth keeping, in bytes: "if an incoming
	// DATAGRAM capsule has a length that is known to be so large as to not be usable, the implementation SHOULD discard
	// the capsule without buffering its contents into memory" (RFC 9297, section 3.5). No UDP payload is larger. Readers
	// ask CapsuleHeader.Oversized. Hit by TestOversizedDatagramCapsules.
	MaxDatagramCapsule = 1<<16 - 1
)
