package quic

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/godwit-net/godwit/quiclb"
)

// configured is a QUIC-LB configuration with an ID.
func configured(id int) quiclb.Config {
	return quiclb.Config{ID: id, ServerIDLen: 2, NonceLen: 10, Key: []byte{byte(id), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
}

func generator(t *testing.T, c quiclb.Config, server ...byte) *quiclb.Generator {
	t.Helper()
	g, err := quiclb.NewGenerator(c, server)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// note is a qlog that stays in memory.
type note struct {
	mu sync.Mutex
	bytes.Buffer
}

func (n *note) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Buffer.Write(b)
}

func (n *note) Close() error { return nil }

// ids returns the connection IDs of its peer that a connection's qlog speaks of.
func (n *note) ids(t *testing.T) map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := map[string]bool{}
	for _, record := range bytes.Split(n.Bytes(), []byte{0x1e}) {
		var event struct {
			Name string
			Data any
		}
		if len(record) == 0 || json.Unmarshal(record, &event) != nil {
			continue
		}
		key := map[string]string{"quic:packet_sent": "dcid", "quic:packet_received": "scid"}[event.Name]
		walk(event.Data, func(k string, v any) {
			text, _ := v.(string)
			if text != "" && (k == key || event.Name == "quic:packet_received" && k == "connection_id") {
				found[text] = true
			}
		})
	}
	return found
}

// walk calls f for each field of all objects in a JSON value.
func walk(v any, f func(key string, value any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			f(key, value)
			walk(value, f)
		}
	case []any:
		for _, value := range v {
			walk(value, f)
		}
	}
}

// Every connection ID that a client is ever given leads to its server: that of the Retry packet, the first, those to spare,
// that of the preferred address, those that replace others, and those of another configuration.
func TestEveryIDOfAnEndpointIsRoutable(t *testing.T) {
	loopbackNet(t)
	free, err := net.ListenPacket("udp", loopback2.String())
	if err != nil {
		t.Fatal(err)
	}
	preferred := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	server := []byte{0x17, 0x04}
	conf := withIDs(generator(t, configured(2), server...))
	conf.Preferred, conf.AddressValidation = []netip.AddrPort{preferred}, ValidateAlways
	var log note
	var original []byte
	client := &Config{QLog: func(info QLogInfo) io.WriteCloser {
		original = bytes.Clone(info.ODCID)
		return &log
	}}
	c, s := pair(t, client, conf)
	eventually(t, "the client moves to the preferred address", func() bool { return c.RemoteAddr().String() == preferred.String() })
	for range 3 {
		migrate(t, c, loopback2)
		download(t, c, s, 100_000, func(int) {})
	}
	if err := s.ep.ReplaceConnIDs(generator(t, configured(5), server...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client has none of the old configuration", func() bool {
		download(t, c, s, 1000, func(int) {})
		s.ep.mu.Lock()
		defer s.ep.mu.Unlock()
		for _, id := range s.ids {
			if id.Bytes()[0]>>5 != 5 {
				return false
			}
		}
		return true
	})
	download(t, c, s, 100_000, func(int) {})
	c.Close()
	<-c.ep.sock.ended

	d, err := quiclb.NewDecoder(configured(2), configured(5))
	if err != nil {
		t.Fatal(err)
	}
	byConfig := map[byte]int{}
	for text := range log.ids(t) {
		id, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(id, original) {
			continue // the one that it made up itself
		}
		if got, ok := d.AppendServerID(nil, id); !ok || !bytes.Equal(got, server) {
			t.Errorf("the client was given %x, which is of server %x, %v", id, got, ok)
		}
		byConfig[id[0]>>5]++
	}
	// Retry, the first, the preferred address's, two to spare, three that took the place of those that migrations used; then four.
	if byConfig[2] < 8 || byConfig[5] < 4 || len(byConfig) != 2 {
		t.Errorf("the client was given, by configuration, %v", byConfig)
	}
}

func TestReplaceConnIDsRefusesWhatCannotBe(t *testing.T) {
	random := listen(t, nil)
	if err := random.ReplaceConnIDs(lengthy(8)); err == nil {
		t.Error("an endpoint that began without a generator takes one")
	}
	e := listen(t, withIDs(lengthy(8)))
	if err := e.ReplaceConnIDs(lengthy(9)); err == nil {
		t.Error("a generator of other lengths is taken")
	}
	if err := e.ReplaceConnIDs(nil); err == nil {
		t.Error("none is taken")
	}
	if err := e.ReplaceConnIDs(lengthy(8)); err != nil {
		t.Error(err)
	}
}

// balancer is a load balancer without any state of connections: a datagram goes to the server that its connection ID names,
// else to one by the client's address. What the servers see are ports of the balancer's, one for each client's address.
type balancer struct {
	t       *testing.T
	front   *net.UDPConn
	servers map[string]*net.UDPAddr
	decoder *quiclb.Decoder
	all     sync.WaitGroup

	mu       sync.Mutex
	backs    map[string]*net.UDPConn
	strayed  int // datagrams with a short header that could not be routed
	routable int
}

func newBalancer(t *testing.T, servers map[string]*Endpoint, configs ...quiclb.Config) *balancer {
	d, err := quiclb.NewDecoder(configs...)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{t: t, front: front, decoder: d, servers: map[string]*net.UDPAddr{}, backs: map[string]*net.UDPConn{}}
	for id, e := range servers {
		b.servers[id] = e.Addr().(*net.UDPAddr)
	}
	b.all.Go(b.run)
	t.Cleanup(func() {
		front.Close()
		b.mu.Lock()
		for _, back := range b.backs {
			back.Close()
		}
		b.mu.Unlock()
		b.all.Wait()
	})
	return b
}

func (b *balancer) run() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := b.front.ReadFromUDP(buf)
		if err != nil {
			return
		}
		id, ok := b.decoder.AppendServerIDOf(nil, buf[:n])
		to := b.servers[string(id)]
		b.mu.Lock()
		switch {
		case ok && to != nil:
			b.routable++
		case buf[0]&0x80 == 0 && n > 43: // a stateless reset of a client's has no ID
			b.strayed++
		}
		b.mu.Unlock()
		if to == nil { // a client's first datagrams: all servers but one are busy, say
			to = b.servers[string([]byte{0, 1})]
			if from.Port%2 == 0 {
				to = b.servers[string([]byte{0, 2})]
			}
		}
		if back := b.back(from); back != nil {
			back.WriteToUDP(buf[:n], to)
		}
	}
}

// back returns the port by which a client's datagrams go to the servers.
func (b *balancer) back(client *net.UDPAddr) *net.UDPConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if back := b.backs[client.String()]; back != nil {
		return back
	}
	back, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.t.Error(err)
		return nil
	}
	b.backs[client.String()] = back
	b.all.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			b.front.WriteToUDP(buf[:n], client)
		}
	})
	return back
}

// Two servers behind a load balancer that keeps nothing of connections, and clients that move: each stays with its server.
func TestMovingClientsStayWithTheirServerBehindALoadBalancer(t *testing.T) {
	loopbackNet(t)
	servers := map[string]*Endpoint{}
	for _, id := range [][]byte{{0, 1}, {0, 2}} {
		conf := withIDs(generator(t, configured(3), id...))
		conf.AddressValidation = ValidateAlways
		e := listen(t, conf)
		go echo(e)
		servers[string(id)] = e
	}
	b := newBalancer(t, servers, configured(3))
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), b.front.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c, err := Dial(testContext(t), at.String(), func() *tls.Config { conf := clientTLS(); conf.ServerName = "localhost"; return conf }(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for _, to := range []netip.AddrPort{loopback2, {}, loopback2} {
				err := c.Migrate(testContext(t), to)
				for err == ErrNoAnswer { // given up, on a slow machine
					err = c.Migrate(testContext(t), to)
				}
				if err != nil {
					t.Error(err)
				}
				want := randomBytes(50_000)
				if got := ask(t, c, want); !bytes.Equal(got, want) {
					t.Error("other bytes came back")
				}
			}
		})
	}
	all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.strayed > 0 || b.routable == 0 {
		t.Errorf("%d datagrams could be routed, %d strayed", b.routable, b.strayed)
	}
	accepted := 0
	for _, e := range servers {
		accepted += int(e.Stats().Accepted)
	}
	if accepted != 8 {
		t.Errorf("%d connections were accepted", accepted)
	}
}
