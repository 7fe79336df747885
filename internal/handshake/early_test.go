package handshake

import (
	"bytes"
	"crypto/tls"
	"slices"
	"testing"
)

// earlyPair is two Configs between which 0-RTT is possible.
type earlyPair struct {
	client, server *tls.Config
	admit          func(state []byte) bool // the server's Resume; nil: it has not enabled 0-RTT
	issue          bool                    // the server's Store
	offer          bool                    // the client has enabled 0-RTT
	remembered     []byte                  // what the client was asked about last
	learns         []byte                  // what the client stores
}

func newEarlyPair() *earlyPair {
	p := &earlyPair{issue: true, offer: true, admit: func([]byte) bool { return true }, learns: []byte("learned")}
	p.client, p.server = configs()
	p.client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return p
}

// connect connects and has the server issue a ticket.
func (p *earlyPair) connect(t *testing.T) (client, server *side) {
	t.Helper()
	client, server = pair(t, p.client, p.server)
	p.between(t, client, server)
	return client, server
}

// between connects two sides and has the server issue a ticket.
func (p *earlyPair) between(t *testing.T, client, server *side) {
	t.Helper()
	if p.offer {
		client.EnableEarlyData(EarlyData{
			Store:  func() ([]byte, bool) { return p.learns, true },
			Resume: func(state []byte) bool { p.remembered = bytes.Clone(state); return true },
		})
	}
	if p.admit != nil {
		server.EnableEarlyData(EarlyData{Store: func() ([]byte, bool) { return []byte("mark"), p.issue }, Resume: p.admit})
	}
	for _, s := range []*side{client, server} {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	run(t, client, server, whole)
	mustSucceed(t, client, server)
	if err := server.SendTicket(); err != nil {
		t.Fatal(err)
	}
	run(t, client, server, whole)
}

// early reports how 0-RTT went: what the client tried, and whether the server took it.
func early(client, server *side) (tried, taken bool) {
	tried, taken = client.write[EarlyLevel].secret != nil, server.read[EarlyLevel].secret != nil
	return tried, taken && !slices.Contains(client.kinds, EarlyRejected)
}

func TestEarlyDataIsTriedAndTakenOnlyWhereBothAllowIt(t *testing.T) {
	for _, c := range []struct {
		name         string
		edit         func(p *earlyPair) // after the first connection
		tried, taken bool
	}{
		{"both", func(*earlyPair) {}, true, true},
		{"the client has it off", func(p *earlyPair) { p.offer = false }, false, false},
		{"the server has it off", func(p *earlyPair) { p.admit = nil }, true, false},
		{"the server says no", func(p *earlyPair) { p.admit = func([]byte) bool { return false } }, true, false},
		{"the server speaks another protocol", func(p *earlyPair) { p.server.NextProtos = []string{"x"}; p.client.NextProtos = []string{"h3", "x"} }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newEarlyPair()
			p.connect(t)
			c.edit(p)
			client, server := p.connect(t)
			tried, taken := early(client, server)
			if tried != c.tried || taken != c.taken {
				t.Errorf("tried %v, taken %v", tried, taken)
			}
			if taken && !bytes.Equal(client.write[EarlyLevel].secret, server.read[EarlyLevel].secret) {
				t.Error("the sides have different keys")
			}
			if rejected := slices.Contains(client.kinds, EarlyRejected); rejected != (c.tried && !c.taken) {
				t.Errorf("rejected: %v", rejected)
			}
			if !client.State().DidResume {
				t.Error("the session was not resumed")
			}
		})
	}
}

func TestATicketThatDoesNotAllowEarlyDataIsOnlyResumed(t *testing.T) {
	p := newEarlyPair()
	p.issue = false
	p.connect(t)
	client, server := p.connect(t)
	if tried, _ := early(client, server); tried || !client.State().DidResume {
		t.Errorf("tried %v, resumed %v", tried, client.State().DidResume)
	}
}

func TestBothSidesGetBackWhatTheyStored(t *testing.T) {
	p := newEarlyPair()
	var mark []byte
	p.admit = func(state []byte) bool { mark = bytes.Clone(state); return true }
	client, _ := p.connect(t)
	p.learns = []byte("learned later")
	client.StoreAgain()
	client.Close()
	client.StoreAgain() // does nothing
	p.connect(t)
	if string(mark) != "mark" || string(p.remembered) != "learned later" {
		t.Errorf("the server got %q, the client %q", mark, p.remembered)
	}
}

func TestASessionIsUsedForEarlyDataOnce(t *testing.T) {
	// Rules: 9001:4.5/1
	p := newEarlyPair()
	p.connect(t)
	p.server.SessionTicketsDisabled = false
	first, _ := pair(t, p.client, p.server)
	second, _ := pair(t, p.client, p.server)
	for _, c := range []*side{first, second} {
		defer c.Close()
		c.EnableEarlyData(EarlyData{Store: func() ([]byte, bool) { return nil, true }, Resume: func([]byte) bool { return true }})
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			e, ok := c.Next()
			if !ok {
				break
			}
			if e.Kind == WriteKeys {
				c.write[e.Level] = key{e.Suite, bytes.Clone(e.Secret)}
			}
		}
	}
	if first.write[EarlyLevel].secret == nil || second.write[EarlyLevel].secret != nil {
		t.Error("not the first connection, and it alone, tries 0-RTT")
	}
}

// A server's handshake that resumes goes on while events are taken: a failure there must come out too.
func TestAFailureOfAResumedHandshakeIsTold(t *testing.T) {
	p := newEarlyPair()
	p.connect(t)
	p.server.VerifyConnection = func(tls.ConnectionState) error { return errClosed }
	client, server := connect(t, p.client, p.server, whole)
	defer client.Close()
	if server.err == nil {
		t.Error("nobody was told")
	}
}
