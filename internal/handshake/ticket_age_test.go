package handshake

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// The age of a ticket is that of the ticket and not of the second in which it came.
func TestTheAgeOfATicketIsToldInMilliseconds(t *testing.T) {
	p := newEarlyPair()
	now := time.Now().Truncate(time.Second).Add(950 * time.Millisecond)
	p.client.Time = func() time.Time { return now }
	var hello []byte
	for i, age := range []time.Duration{0, 70 * time.Millisecond, 1234 * time.Millisecond, 3 * time.Second} {
		now = now.Add(age)
		cs, _ := p.client.ClientSessionCache.Get(p.client.ServerName)
		client, server := pair(t, p.client, p.server)
		hello = nil
		client.alter = func(l Level, data []byte) []byte {
			if l == InitialLevel {
				hello = append(hello, data...)
			}
			return data
		}
		p.between(t, client, server)
		if i == 0 {
			continue // nothing to resume
		}
		_, state, err := cs.ResumptionState()
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := state.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		// The session ends with ticket_age_add. The pre_shared_key extension is the last of the ClientHello (RFC 8446, section
		// 4.2.11): the obfuscated age, then the length of the binders and one binder of 32 bytes after its length.
		const binders = 2 + 1 + 32
		obfuscated := binary.BigEndian.Uint32(hello[len(hello)-binders-4:])
		told := time.Duration(obfuscated-binary.BigEndian.Uint32(encoded[len(encoded)-4:])) * time.Millisecond
		if told != age {
			t.Errorf("the age of a ticket of %v is told as %v", age, told)
		}
	}
	if bytes.Contains(hello, []byte(agePrefix)) {
		t.Error("what is remembered is sent")
	}
}
