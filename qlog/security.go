package qlog

import (
	"strings"

	"github.com/godwit-net/godwit/internal/instant"
)

// KeyUpdated records that a key came into use: quic:key_updated. The keyType is one of the draft's, "client_1rtt_secret"
// for example; the phase counts key updates and is written for 1-RTT keys only. The secret itself is never written.
func (t *Trace) KeyUpdated(now instant.Time, keyType string, phase int) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:key_updated")
	e.text("key_type", keyType)
	if strings.HasSuffix(keyType, "_1rtt_secret") {
		e.int("key_phase", int64(phase))
	}
	if phase == 0 {
		e.text("trigger", "tls") // who began a later phase, this event does not know
	}
	t.end()
}

// KeyDiscarded records that a key will not be used again: quic:key_discarded.
func (t *Trace) KeyDiscarded(now instant.Time, keyType string) {
	if t == nil {
		return
	}
	t.begin(now, "quic:key_discarded").text("key_type", keyType)
	t.end()
}
