package handshake

import (
	"crypto/tls"
	"testing"
)

func TestRestGivesBackWhatIsNotNeededAnyMore(t *testing.T) {
	clientConf, serverConf := configs()
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	for name, s := range map[string]*side{"client": client, "server": server} {
		before := s.State()
		s.Rest()
		s.Rest()
		if s.quic != nil {
			t.Errorf("%s: crypto/tls is still there", name)
		}
		after := s.State()
		if !after.HandshakeComplete || after.NegotiatedProtocol != before.NegotiatedProtocol || after.CipherSuite != before.CipherSuite ||
			len(after.PeerCertificates) != len(before.PeerCertificates) {
			t.Errorf("%s: the state is %+v, it was %+v", name, after, before)
		}
		if _, ok := s.Next(); ok || s.Err() != nil {
			t.Errorf("%s: an event after the rest, or %v", name, s.Err())
		}
	}
	if err := client.Receive(AppLevel, message(typeNewSessionTicket, 1, 2)); err != nil {
		t.Errorf("a session ticket that nobody keeps: %v", err)
	}
	for name, s := range map[string]*side{"client": client, "server": server} {
		err := s.Receive(AppLevel, message(typeKeyUpdate, 0))
		if e, ok := err.(*Error); !ok || e.Alert != alertUnexpectedMessage {
			t.Errorf("%s: a KeyUpdate message after the rest: %v", name, err)
		}
		s.Close()
	}
}

func TestClientsThatKeepTicketsRestWhenOneHasCome(t *testing.T) {
	clientConf, serverConf := configs()
	cache := tls.NewLRUClientSessionCache(1)
	clientConf.ClientSessionCache = cache
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	client.Rest()
	if client.quic == nil {
		t.Fatal("no ticket has come")
	}
	if err := server.SendTicket(); err != nil {
		t.Fatal(err)
	}
	ticket, ok := server.Next()
	if !ok || ticket.Kind != Data || ticket.Level != AppLevel {
		t.Fatalf("no ticket: %v", ticket)
	}
	data := append([]byte(nil), ticket.Data...)
	if err := client.Receive(AppLevel, data[:10]); err != nil {
		t.Fatal(err)
	}
	if client.Rest(); client.quic == nil {
		t.Error("half a ticket has come")
	}
	if err := client.Receive(AppLevel, data[10:]); err != nil {
		t.Fatal(err)
	}
	for _, ok := client.Next(); ok; _, ok = client.Next() {
	}
	if _, ok := cache.Get("server.test"); !ok {
		t.Error("the ticket is not in the cache")
	}
	if client.Rest(); client.quic != nil {
		t.Error("the ticket has come")
	}
}
