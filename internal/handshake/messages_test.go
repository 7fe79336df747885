package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
)

func message(typ byte, body ...byte) []byte {
	return append([]byte{typ, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

func TestMessagesAfterTheHandshakeAreRefused(t *testing.T) {
	// Rules: 9001:4.4/3, 9001:6/2
	for _, c := range []struct {
		name      string
		toServer  bool
		data      []byte
		alert     uint8
		violation bool
	}{
		{"KeyUpdate to the client", false, message(24, 0), 10, false},
		{"KeyUpdate to the server", true, message(24, 1), 10, false},
		{"CertificateRequest to the client", false, message(13, 0, 0, 0), 10, true},
		{"CertificateRequest to the server", true, message(13, 0, 0, 0), 10, false},
		{"Finished to the client", false, message(20, 1, 2, 3), 10, false},
		{"NewSessionTicket to the server", true, message(4, 1, 2, 3), 10, false},
		{"malformed NewSessionTicket", false, message(4, 1, 2, 3), 50, false},
		{"unknown type", true, message(99), 10, false},
		{"type alone", true, []byte{24}, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientConf, serverConf := configs()
			client, server := connect(t, clientConf, serverConf, whole)
			mustSucceed(t, client, server)
			s := client
			if c.toServer {
				s = server
			}
			err := s.Receive(AppLevel, c.data)
			var e *Error
			if !errors.As(err, &e) || e.Alert != c.alert || e.Violation != c.violation {
				t.Fatalf("error %v", err)
			}
			if again := s.Receive(AppLevel, message(4)); again != err {
				t.Errorf("afterwards: %v", again)
			}
			if _, ok := s.Next(); ok {
				t.Error("events after failure")
			}
		})
	}
}

func TestDataAtTheWrongLevelIsAViolation(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, l := range []Level{InitialLevel, EarlyLevel, HandshakeLevel, AppLevel, 7} {
			clientConf, serverConf := configs()
			client, server := connect(t, clientConf, serverConf, whole)
			mustSucceed(t, client, server)
			h, reads := server.Handshake, AppLevel
			if !late {
				h, reads = NewServer(serverConf, []byte{}), InitialLevel
				defer h.Close()
				if err := h.Start(); err != nil {
					t.Fatal(err)
				}
			}
			if l == reads {
				continue
			}
			err := h.Receive(l, []byte{1})
			var e *Error
			if !errors.As(err, &e) || e.Code() != 0x0a {
				t.Errorf("%s while reading %s: %v", l, reads, err)
			}
		}
	}
}

// crypto/tls must notice before it hands out keys of the next level, and it must not leave its caller waiting.
func TestBytesBehindTheLastMessageOfALevelAreAnAlert(t *testing.T) {
	for _, fromServer := range []bool{false, true} {
		for _, l := range []Level{InitialLevel, HandshakeLevel} {
			clientConf, serverConf := configs()
			client, server := pair(t, clientConf, serverConf)
			from, to := client, server
			if fromServer {
				from, to = server, client
			}
			from.alter = func(at Level, data []byte) []byte {
				if at == l {
					data = append(data, 1)
				}
				return data
			}
			run(t, client, server, whole)
			mustFail(t, to, 10)
		}
	}
}

func TestGarbageIsAnAlert(t *testing.T) {
	_, serverConf := configs()
	for name, data := range map[string][]byte{
		"not a ClientHello":   message(2, make([]byte, 40)...),
		"malformed hello":     message(1, 1, 2, 3),
		"unknown type":        message(77, 1, 2, 3),
		"KeyUpdate too early": message(24, 0),
	} {
		h := NewServer(serverConf, []byte{})
		defer h.Close()
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		err := h.Receive(InitialLevel, data)
		if e, ok := errors.AsType[*Error](err); !ok || e.Violation || e.Alert == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHugeMessageIsRefused(t *testing.T) {
	_, serverConf := configs()
	h := NewServer(serverConf, []byte{})
	defer h.Close()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if err := h.Receive(InitialLevel, []byte{1, 1, 0, 1}); err == nil {
		t.Error("a ClientHello of 65537 bytes is waited for")
	}
}

func TestTicketsPastTheLimitAreDropped(t *testing.T) {
	for _, piece := range []int{whole, 3} {
		t.Run(fmt.Sprintf("pieces of %d", piece), func(t *testing.T) {
			clientConf, serverConf := configs()
			cache := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			clientConf.ClientSessionCache = cache
			client, server := connect(t, clientConf, serverConf, whole)
			mustSucceed(t, client, server)
			if err := server.SendTicket(); err != nil {
				t.Fatal(err)
			}
			e, _ := server.Next()
			tickets := bytes.Repeat(e.Data, 40)
			for len(tickets) > 0 {
				n := min(piece, len(tickets))
				if err := client.Receive(AppLevel, tickets[:n]); err != nil {
					t.Fatal(err)
				}
				if _, ok := client.Next(); ok {
					t.Fatal("a ticket is no event")
				}
				tickets = tickets[n:]
			}
			if cache.puts != maxTickets {
				t.Errorf("%d tickets reached the cache, want %d", cache.puts, maxTickets)
			}
			if client.Receive(AppLevel, message(24, 0)) == nil {
				t.Error("lost count of the messages")
			}
		})
	}
}

type countingCache struct {
	tls.ClientSessionCache
	puts int
}

func (c *countingCache) Put(k string, s *tls.ClientSessionState) {
	c.puts++
	c.ClientSessionCache.Put(k, s)
}

func FuzzServerSurvivesAnyBytes(f *testing.F) {
	clientConf, serverConf := configs()
	h := NewClient(clientConf, []byte("parameters"))
	if err := h.Start(); err != nil {
		f.Fatal(err)
	}
	e, _ := h.Next()
	f.Add(bytes.Clone(e.Data), byte(0), uint16(100))
	h.Close()
	f.Add(message(24, 0), byte(3), uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, level byte, piece uint16) {
		survives(t, NewServer(serverConf, []byte{}), data, Level(level), int(piece)+1)
	})
}

// FuzzClientSurvivesAnyBytes has a server answer a client with bytes that nobody has authenticated.
func FuzzClientSurvivesAnyBytes(f *testing.F) {
	clientConf, serverConf := configs()
	h, server := NewClient(clientConf, []byte("parameters")), NewServer(serverConf, []byte{})
	defer h.Close()
	defer server.Close()
	for _, start := range [...]*Handshake{h, server} {
		if err := start.Start(); err != nil {
			f.Fatal(err)
		}
	}
	hello, _ := h.Next()
	if err := server.Receive(InitialLevel, hello.Data); err != nil {
		f.Fatal(err)
	}
	for e, ok := server.Next(); ok; e, ok = server.Next() {
		if e.Kind == Data {
			f.Add(bytes.Clone(e.Data), byte(e.Level), uint16(100))
		}
	}
	f.Add(message(24, 0), byte(3), uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, level byte, piece uint16) {
		survives(t, NewClient(clientConf, []byte("parameters")), data, Level(level), int(piece)+1)
	})
}

// survives has h receive data in pieces: an error stays.
func survives(t *testing.T, h *Handshake, data []byte, level Level, piece int) {
	defer h.Close()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	var failed error
	for len(data) > 0 {
		n := min(piece, len(data))
		err := h.Receive(level, data[:n])
		if failed != nil && err != failed {
			t.Fatalf("%v, then %v", failed, err)
		}
		failed = err
		data = data[n:]
		for ok := true; ok; {
			_, ok = h.Next()
		}
	}
}
