package interop

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ECT(0) is on the packets of both ends, the other end's kernel sees it, and each is told so by acknowledgments.
func TestNamespacesCarryECN(t *testing.T) {
	for _, server := range []string{"10.77.0.2", "fd77::2"} {
		t.Run(server, func(t *testing.T) {
			a, b := two(t, 1500)
			addr := hostPort(server, 4433)
			s := b.serveHere(order{Addr: addr})
			client := a.dialFrom(order{Addr: addr})
			cable := a.capture("e0")
			client.fetch(4 * MiB)
			client.do(order{Do: "put", Bytes: 4 * MiB})
			client.wantSum(4 * MiB)
			frames := cable.stop()
			for who, agent := range map[string]*agent{"server": s, "client": client} {
				if c := agent.conn(); c.ECN != "capable" || c.CE != 0 {
					t.Errorf("%s: ECN is %s, %d packets were marked CE", who, c.ECN, c.CE)
				}
				// Ten packets are a test, and those behind them wait for its outcome; from then on all of them are marked.
				sent := only(frames, func(f frame) bool { return f.out == (who == "client") })
				if bare := only(sent[len(sent)/2:], func(f frame) bool { return f.ecn != ect0 }); len(bare) > 0 {
					t.Errorf("%s: a packet without ECT(0): %v", who, bare[0])
				}
			}
			if n := received(a.counters(), "ECT0") + received(b.counters(), "ECT0"); n < 5000 {
				t.Errorf("the kernels have received %d packets with ECT(0)", n)
			}
		})
	}
}

// The codepoints of RFC 3168.
const (
	notECT = 0
	ect0   = 2
	ce     = 3
)

// received is how many packets with a mark a host has received, in both families.
func received(counters map[string]int64, mark string) int64 {
	return counters["IpExt.In"+mark+"Pkts"] + counters["Ip6In"+mark+"Pkts"]
}

// An end that does not mark sends nothing marked, and reports what the other one marks.
func TestNamespacesCarryECNOneWay(t *testing.T) {
	a, b := two(t, 1500)
	server := b.serveHere(order{Addr: "10.77.0.2:4433", NoECN: true})
	client := a.dialFrom(order{Addr: "10.77.0.2:4433"})
	cable := a.capture("e0")
	client.fetch(MiB)
	client.do(order{Do: "put", Bytes: MiB})
	client.wantSum(MiB)
	if marked := only(cable.stop(), func(f frame) bool { return !f.out && f.ecn != notECT }); len(marked) > 0 {
		t.Errorf("the server has marked %v", marked[0])
	}
	if s, c := server.conn().ECN, client.conn().ECN; s != "" || c != "capable" {
		t.Errorf("ECN is %q for the server and %q for the client", s, c)
	}
}

// Routers that clear the marks, that set CE, and that drop what is marked.
func TestNamespacesHaveRoutersThatMeddleWithECN(t *testing.T) {
	for _, server := range []string{"10.77.2.1", "fd77:2::1"} {
		family := map[string]string{"10.77.2.1": "ip", "fd77:2::1": "ip6"}[server]
		for _, c := range []struct{ name, rule, ecn string }{
			{"clears", "FAMILY ecn ect0 FAMILY ecn set not-ect", "failed"},
			{"marks every packet", "FAMILY ecn ect0 FAMILY ecn set ce", "failed"}, // RFC 9000, appendix A.4 allows it: no queue does so
			{"marks every hundredth packet", "FAMILY ecn ect0 numgen inc mod 100 < 1 FAMILY ecn set ce", "capable"},
			{"drops", "FAMILY ecn != not-ect drop", ""},
		} {
			t.Run(family+", one that "+c.name, func(t *testing.T) {
				a, r, b := routed(t, 1500)
				for _, h := range []*host{a, b} { // a queue would cut runs after the mark was counted
					h.switchOff("e0", unix.ETHTOOL_STXCSUM)
				}
				r.nft("table " + family + " meddle {\n chain forward {\n type filter hook forward priority 0;\n" +
					strings.ReplaceAll(c.rule, "FAMILY", family) + "\n }\n}\n")
				addr := hostPort(server, 4433)
				s := b.serveHere(order{Addr: addr})
				cable := b.capture("e0")
				client := a.dialFrom(order{Addr: addr})
				client.fetch(2 * MiB)
				conn := s.conn()
				frames := only(cable.stop(), func(f frame) bool { return f.out })
				marks := packets(only(frames, func(f frame) bool { return f.ecn == ect0 }))
				t.Logf("ECN %s, %d packets of %d had ECT(0), %d of %d reported as CE, %d lost", conn.ECN, marks, packets(frames), conn.CE, received(a.counters(), "CE"), conn.PacketsLost)
				if c.ecn != "" && conn.ECN != c.ecn || c.ecn == "" && conn.ECN == "capable" {
					t.Errorf("ECN is %s, want %s", conn.ECN, c.ecn)
				}
				if c.ecn != "capable" {
					if marks == 0 || packets(only(frames[len(frames)/2:], func(f frame) bool { return f.ecn != notECT })) > 0 {
						t.Errorf("%d packets were marked, in the second half too", marks)
					}
					return
				}
				if bare := only(frames[len(frames)/2:], func(f frame) bool { return f.ecn != ect0 }); len(bare) > 0 {
					t.Errorf("a packet without ECT(0): %v", bare[0])
				}
				if n := received(a.counters(), "CE"); conn.CE == 0 || conn.CE > n {
					t.Errorf("%d packets reported as CE, of %d that the client's host received", conn.CE, n)
				}
			})
		}
	}
}
