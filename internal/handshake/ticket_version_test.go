package handshake

import (
	"crypto/tls"
	"testing"
)

func TestTicketsAreOfOneVersion(t *testing.T) {
	// Rules: 9369:5/1, 9369:5/2
	const v1, v2 = 1, 0x6b3343cf
	// RFC 9369, section 5: "After compatible version negotiation, any resulting session ticket maps to the negotiated version
	// rather than the original one."
	for _, c := range []struct {
		sentence                      string
		first, negotiated, later      uint32
		perClient, forced, wantResume bool
	}{
		{"a version 1 ticket in version 1", v1, v1, v1, false, false, true},
		{"a version 2 ticket in version 2", v2, v2, v2, false, false, true},
		{"a client does not use a version 1 ticket in version 2", v1, v1, v2, false, false, false},
		{"nor a version 2 ticket in version 1", v1, v2, v1, false, false, false},
		{"the negotiated version counts", v1, v2, v2, false, false, true},
		{"a server takes no version 1 ticket in version 2", v1, v1, v2, false, true, false},
		{"nor a version 2 ticket in version 1", v2, v2, v1, false, true, false},
		{"a Config for each client has tickets in version 1", v1, v1, v1, true, false, true},
		{"and none in version 2", v2, v2, v2, true, false, false},
	} {
		clientConf, serverConf := configs()
		cache := tls.NewLRUClientSessionCache(4)
		clientConf.ClientSessionCache = cache
		if c.forced { // the client uses whatever it has
			clientConf.ClientSessionCache = oneSession{cache}
		}
		if c.perClient {
			inner := serverConf.Clone()
			serverConf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		}
		for i, v := range []uint32{c.first, c.later} {
			client, server := pair(t, clientConf, serverConf)
			client.SetVersion(v)
			server.SetVersion(v)
			run(t, client, server, whole)
			mustSucceed(t, client, server)
			if i == 1 {
				if got := client.State().DidResume; got != c.wantResume || server.State().DidResume != got {
					t.Errorf("%s: resumed: %v", c.sentence, got)
				}
				break
			}
			client.SetVersion(c.negotiated)
			server.SetVersion(c.negotiated)
			if err := server.SendTicket(); err != nil {
				t.Fatal(err)
			}
			run(t, client, server, whole)
		}
	}
}

// oneSession keeps one session, whatever it is asked for.
type oneSession struct{ tls.ClientSessionCache }

func (c oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.ClientSessionCache.Get("") }
func (c oneSession) Put(_ string, s *tls.ClientSessionState)    { c.ClientSessionCache.Put("", s) }

func TestParametersCanDependOnTheClients(t *testing.T) {
	clientConf, serverConf := configs()
	client := &side{Handshake: NewClient(clientConf, []byte("client parameters"))}
	server := &side{Handshake: NewServer(serverConf, nil)}
	defer client.Close()
	defer server.Close()
	run(t, client, server, whole)
	last := server.kinds[len(server.kinds)-1]
	if string(server.params) != "client parameters" || last != NeedParams || client.params != nil {
		t.Fatalf("the server has %q and ends with %v", server.params, last)
	}
	server.SetParams([]byte("server parameters"))
	run(t, client, server, whole)
	mustSucceed(t, client, server)
	if string(client.params) != "server parameters" {
		t.Errorf("the client has %q", client.params)
	}

	waiting := NewServer(serverConf, nil)
	other := &side{Handshake: NewClient(clientConf, []byte("client parameters"))}
	defer other.Close()
	s := &side{Handshake: waiting}
	run(t, other, s, whole)
	waiting.Close() // ends the goroutine that waits for the parameters
	waiting.SetParams([]byte("late"))
	if _, ok := waiting.Next(); ok {
		t.Error("an event after Close")
	}
}
