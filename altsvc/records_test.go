package altsvc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is a resolver with some records. Over UDP it truncates the answers about
// names that begin with "big".
type zone struct {
	addr    string
	all     atomic.Int64
	silent  atomic.Bool
	refuses atomic.Bool
}

func newZone(t *testing.T, text string) *zone {
	t.Helper()
	z := &zone{}
	var records []dns.RR
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, rr)
		}
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		z.all.Add(1)
		_, udp := w.RemoteAddr().(*net.UDPAddr)
		if z.silent.Load() {
			return
		}
		m := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		if strings.HasPrefix(name, "refused") || z.refuses.Load() {
			m.Rcode = dns.RcodeRefused
		}
		if m.Truncated = udp && strings.HasPrefix(name, "big"); !m.Truncated {
			for range 3 { // CNAMEs, as resolvers follow them
				for _, rr := range records {
					if strings.ToLower(rr.Header().Name) != name {
						continue
					}
					if c, ok := rr.(*dns.CNAME); ok {
						m.Answer, name = append(m.Answer, rr), c.Target
						break
					}
				}
			}
			for _, rr := range records {
				if strings.ToLower(rr.Header().Name) == name && rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		w.WriteMsg(m)
	})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z.addr = conn.LocalAddr().String()
	l, err := net.Listen("tcp", z.addr)
	if err != nil {
		conn.Close()
		t.Skip("the port is taken for TCP: ", err)
	}
	for _, s := range []*dns.Server{{PacketConn: conn, Handler: handler}, {Listener: l, Handler: handler}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { s.Shutdown(); <-ended })
	}
	return z
}

func TestWhatRecordsSay(t *testing.T) {
	z := newZone(t, `
		plain.test. 300 IN HTTPS 1 . alpn="h3,h2"
		_8443._https.plain.test. 300 IN HTTPS 1 svc.test. alpn=h3
		port.test. 300 IN HTTPS 1 . alpn=h3 port=8443
		other.test. 300 IN HTTPS 1 Elsewhere.test. alpn=h3 ipv4hint=192.0.2.1
		none.test. 300 IN HTTPS 1 . alpn=h2
		default.test. 300 IN HTTPS 1 .
		order.test. 300 IN HTTPS 2 second.test. alpn=h3
		order.test. 200 IN HTTPS 1 first.test. alpn=h3
		order.test. 300 IN HTTPS 3 . alpn=h2
		mandatory.test. 300 IN HTTPS 1 . mandatory=alpn,port alpn=h3 port=1
		unknown.test. 300 IN HTTPS 1 . mandatory=alpn,key667 alpn=h3 key667=x
		alias.test. 300 IN HTTPS 0 plain.test.
		gone.test. 300 IN HTTPS 0 .
		cname.test. 300 IN CNAME www.cname.test.
		www.cname.test. 300 IN CNAME plain.test.
		big.test. 300 IN HTTPS 1 . alpn=h3
		loop.test. 300 IN HTTPS 0 loop.test.
		short.test. 1 IN HTTPS 1 . alpn=h3
		long.test. 9999999 IN HTTPS 1 . alpn=h3
	`)
	r := &Records{Servers: []string{z.addr}}
	for _, c := range []struct {
		origin origin
		want   string
		ttl    time.Duration
	}{
		{origin{"plain.test", 443}, "plain.test:443", 300 * time.Second},
		{origin{"plain.test", 8443}, "svc.test:8443", 300 * time.Second},
		{origin{"port.test", 443}, "port.test:8443", 300 * time.Second},
		{origin{"other.test", 443}, "elsewhere.test:443", 300 * time.Second},
		{origin{"none.test", 443}, "", 300 * time.Second},
		{origin{"default.test", 443}, "", 300 * time.Second},
		{origin{"order.test", 443}, "first.test:443 second.test:443", 200 * time.Second},
		{origin{"mandatory.test", 443}, "mandatory.test:1", 300 * time.Second},
		{origin{"unknown.test", 443}, "", 300 * time.Second},
		{origin{"alias.test", 443}, "plain.test:443", 300 * time.Second},
		{origin{"gone.test", 443}, "", 300 * time.Second},
		{origin{"cname.test", 443}, "plain.test:443", 300 * time.Second},
		{origin{"big.test", 443}, "big.test:443", 300 * time.Second},
		{origin{"absent.test", 443}, "", maxNoRecord},
		{origin{"short.test", 443}, "short.test:443", minRecordAge},
		{origin{"long.test", 443}, "long.test:443", maxRecordAge},
		{origin{"loop.test", 443}, "altsvc: too many aliases", 0},
		{origin{"refused.test", 443}, "altsvc: " + z.addr + " answers REFUSED", 0},
	} {
		found, ttl, err := r.lookup(t.Context(), c.origin)
		var list []string
		for _, f := range found {
			list = append(list, f.route.String())
		}
		got := strings.Join(list, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want || ttl != c.ttl {
			t.Errorf("%v: %q for %v, want %q for %v", c.origin, got, ttl, c.want, c.ttl)
		}
	}
	// One server does not want to, and the next one knows.
	unwilling := newZone(t, "")
	unwilling.refuses.Store(true)
	r.Servers = []string{unwilling.addr, z.addr}
	if found, _, err := r.lookup(t.Context(), origin{"plain.test", 443}); err != nil || len(found) != 1 || unwilling.all.Load() == 0 {
		t.Errorf("behind a server that refuses: %v, %v", found, err)
	}
}

// asks makes a visitor that asks z.
func (s *site) asks(z *zone, tune ...func(*visitor)) *visitor {
	s.says("")
	return s.visitor(append(tune, func(v *visitor) {
		v.Records = &Records{Servers: []string{z.addr}, Timeout: time.Hour}
	})...)
}

func TestARecordLeadsToHTTP3(t *testing.T) {
	s := newSite(t)
	z := newZone(t, fmt.Sprintf(`origin.test. 300 IN HTTPS 1 other.test. alpn=h3 port=%d`, s.wire.port()))
	v := s.asks(z)
	v.get(t, "/first") // by whichever is faster
	v.wait(t, 1, 0)
	v.stands()
	if got := v.get(t, "/"); got != "HTTP/3.0" {
		t.Errorf("it went by %s", got)
	}
	// The records are no alternative services: Alt-Used is not about them.
	if c, ok := v.m.choose(home); !ok || c.altSvc || !c.proven {
		t.Errorf("%+v, %v", c, ok)
	}
	// And where TCP does not work the first request waits for the answer.
	v = s.asks(z, func(v *visitor) {
		v.TCP.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, fmt.Errorf("no TCP here") }
	})
	if got := v.get(t, "/"); got != "HTTP/3.0" {
		t.Errorf("without TCP it went by %s", got)
	}
}

func TestTheDNSIsAskedOnce(t *testing.T) {
	s := newSite(t)
	z := newZone(t, "")
	v := s.asks(z)
	v.once.Do(v.start)
	question := func() bool {
		done := v.ask(home)
		if done != nil {
			<-done
		}
		return done != nil
	}
	if !question() || question() {
		t.Error("it is not asked once")
	}
	v.clock.advance(maxNoRecord - 1)
	if question() {
		t.Error("it is asked again too soon")
	}
	v.clock.advance(1)
	if !question() {
		t.Error("it is never asked again")
	}
	for _, o := range []origin{{"192.0.2.1", 443}, {"::1", 443}, {"localhost", 443}} {
		if v.ask(o) != nil {
			t.Errorf("the DNS is asked about %v", o)
		}
	}
	if n := z.all.Load(); n != 2 {
		t.Errorf("%d questions", n)
	}
	// Without an answer things go on, and the error is that of TCP.
	v = s.asks(z, func(v *visitor) {
		v.TCP.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, fmt.Errorf("no TCP here") }
	})
	req := request(t, "/")
	if _, err := v.RoundTrip(req); err == nil || err.Error() != "no TCP here" {
		t.Errorf("%v", err)
	}
	z.silent.Store(true)
	v = s.asks(z)
	if got := v.get(t, "/"); got != "HTTP/2.0" {
		t.Errorf("without an answer it went by %s", got)
	}
	v = s.asks(z)
	v.Records = &Records{Servers: []string{z.addr}, Timeout: time.Millisecond}
	v.once.Do(v.start)
	if !question() || defaultRecordTimeout < time.Second {
		t.Error("nobody was asked")
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	s := newSite(t)
	z := newZone(t, "")
	z.silent.Store(true)
	v := s.asks(z)
	v.once.Do(v.start)
	for i := range maxQuestions {
		if v.ask(origin{fmt.Sprint(i, ".test"), 443}) == nil {
			t.Fatalf("question %d is not asked", i)
		}
	}
	if v.ask(home) != nil {
		t.Error("one more is asked")
	}
}

func FuzzRecords(f *testing.F) {
	for _, text := range []string{`a.test. 1 IN HTTPS 1 . alpn=h3 port=1 mandatory=port`, `a.test. 1 IN HTTPS 0 b.test.`, `a.test. 1 IN CNAME a.test.`} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		b, err := (&dns.Msg{Answer: []dns.RR{rr}}).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m dns.Msg
		if m.Unpack(b) != nil {
			return
		}
		found, _, ttl := recordsOf(&m, "a.test.", 443)
		if len(found) > maxKept || ttl < 0 {
			t.Fatal(found, ttl)
		}
		for _, r := range found {
			if r.route.port == 0 || !isHostName(r.route.host) {
				t.Fatal(r)
			}
		}
	})
}
