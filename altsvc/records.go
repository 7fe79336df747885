package altsvc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/godwit-net/godwit/http3"
)

// Records asks the DNS for HTTPS records (RFC 9460), in which a domain says that
// it has HTTP/3 before anybody has connected. The questions are asked beside what
// goes on, and nothing waits for an answer: when it comes before the connection
// over TCP does, QUIC is dialled too, and the first one to stand is used.
//
// Addresses are still those of the system's resolver; the hints in records, and
// encrypted ClientHellos, are not used.
type Records struct {
	// Servers are the resolvers to ask in turn: "192.0.2.53:53". nil: those of
	// /etc/resolv.conf.
	Servers []string

	// Timeout is how long a question may take. 0: 3 seconds.
	Timeout time.Duration
}

// record is what an HTTPS record says about HTTP/3.
type record struct {
	route    route
	priority uint16
}

// ask has the DNS asked about an origin of which nothing is known, if that is
// wanted. done is closed when the answer is in the memory; nil: nobody was asked.
func (t *Transport) ask(o origin) (done chan struct{}) {
	if t.Records == nil || t.Preference != WhenKnown && t.Preference != Always {
		return nil
	}
	if _, err := netip.ParseAddr(o.host); err == nil || o.host == "localhost" {
		return nil
	}
	select {
	case t.questions <- struct{}{}:
	default:
		return nil
	}
	if !t.m.mayAsk(o) {
		<-t.questions
		return nil
	}
	done = make(chan struct{})
	go func() {
		defer func() { <-t.questions; close(done) }()
		timeout := t.Records.Timeout
		if timeout == 0 {
			timeout = defaultRecordTimeout
		}
		ctx, cancel := context.WithTimeout(t.life, timeout)
		defer cancel()
		found, ttl, err := t.Records.lookup(ctx, o)
		if err != nil {
			t.logger().Debug("no HTTPS record", "origin", o, "error", err)
			found, ttl = nil, maxNoRecord
		}
		if !t.assured() {
			found = slices.DeleteFunc(found, func(r record) bool { return r.route.host != o.host })
		}
		t.m.answer(o, found, ttl)
	}()
	return done
}

// lookup follows aliases until it finds records with HTTP/3, or that there are
// none. ttl is how long that holds.
func (r *Records) lookup(ctx context.Context, o origin) (found []record, ttl time.Duration, err error) {
	servers := r.Servers
	if servers == nil {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, 0, err
		}
		for _, s := range conf.Servers {
			servers = append(servers, net.JoinHostPort(s, conf.Port))
		}
	}
	name := dns.Fqdn(o.host)
	if o.port != 443 {
		name = "_" + strconv.Itoa(int(o.port)) + "._https." + name // RFC 9460, section 9.1
	}
	ttl = maxRecordAge
	for range maxAliases {
		msg, err := askEach(ctx, servers, name)
		if err != nil {
			return nil, 0, err
		}
		var alias string
		var age time.Duration
		found, alias, age = recordsOf(msg, name, o.port)
		ttl = min(ttl, age)
		if alias == "" {
			return found, max(ttl, minRecordAge), nil
		}
		name = alias
	}
	return nil, 0, errors.New("altsvc: too many aliases")
}

// recordsOf reads the records for name in an answer, or where they are an alias
// for.
func recordsOf(msg *dns.Msg, name string, port uint16) (found []record, alias string, ttl time.Duration) {
	ttl = maxNoRecord
	owner := strings.ToLower(name)
	for range msg.Answer { // CNAMEs, in any order
		for _, rr := range msg.Answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.ToLower(c.Hdr.Name) == owner {
				owner = strings.ToLower(c.Target)
			}
		}
	}
	for _, rr := range msg.Answer {
		h, ok := rr.(*dns.HTTPS)
		if !ok || strings.ToLower(h.Hdr.Name) != owner {
			continue
		}
		age := time.Duration(min(h.Hdr.Ttl, math.MaxInt32)) * time.Second
		if len(found) == 0 && alias == "" {
			ttl = age
		}
		ttl = min(ttl, age)
		target := strings.ToLower(h.Target)
		if h.Priority == 0 {
			if alias == "" && target != "." {
				alias = target
			}
			continue
		}
		if target == "." {
			target = owner
		}
		r := record{route{strings.TrimSuffix(target, "."), port}, h.Priority}
		if r.read(h.Value) && r.route.host != "" && isHostName(r.route.host) && len(found) < maxKept {
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		alias = ""
	}
	slices.SortStableFunc(found, func(a, b record) int { return cmp.Compare(a.priority, b.priority) })
	return found, alias, ttl
}

// read takes the parameters of a record. It reports whether there is HTTP/3: a
// record with a mandatory parameter that we do not know is not for us (RFC 9460,
// section 8).
func (r *record) read(params []dns.SVCBKeyValue) (h3 bool) {
	for _, p := range params {
		switch p := p.(type) {
		case *dns.SVCBAlpn:
			h3 = slices.Contains(p.Alpn, http3.NextProto)
		case *dns.SVCBPort:
			r.route.port = p.Port
		case *dns.SVCBMandatory:
			for _, key := range p.Code {
				switch key {
				case dns.SVCB_ALPN, dns.SVCB_NO_DEFAULT_ALPN, dns.SVCB_PORT, dns.SVCB_IPV4HINT, dns.SVCB_IPV6HINT:
				default:
					return false
				}
			}
		}
	}
	return h3 && r.route.port > 0
}

// askEach asks one question, of one server after the other.
func askEach(ctx context.Context, servers []string, name string) (msg *dns.Msg, err error) {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeHTTPS)
	q.SetEdns0(maxDNSPayload, false)
	err = errors.New("altsvc: there is no resolver")
	for i, server := range servers {
		patience := ctx
		if deadline, ok := ctx.Deadline(); ok && i < len(servers)-1 { // all of them get their turn
			var cancel context.CancelFunc
			patience, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(servers)-i))
			defer cancel()
		}
		for _, network := range []string{"udp", "tcp"} {
			msg, _, err = (&dns.Client{Net: network, Timeout: time.Hour}).ExchangeContext(patience, q, server)
			if err != nil || !msg.Truncated {
				break
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
		case msg.Rcode == dns.RcodeSuccess || msg.Rcode == dns.RcodeNameError:
			return msg, nil
		default:
			err = fmt.Errorf("altsvc: %s answers %s", server, dns.RcodeToString[msg.Rcode])
		}
	}
	return nil, err
}

// mayAsk reports whether nothing is known of what the DNS says about o, and notes
// that it is being asked.
func (m *memory) mayAsk(o origin) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, now := m.get(o), m.now()
	if now.Before(e.asked) {
		return false
	}
	e.asked = now.Add(maxNoRecord)
	return true
}

// answer notes what the DNS says about o, for as long as that holds.
func (m *memory) answer(o origin, found []record, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.get(o)
	e.asked, e.records = m.now().Add(ttl), nil
	for _, r := range found {
		e.records = append(e.records, alternative{route: r.route, expires: e.asked})
	}
}
