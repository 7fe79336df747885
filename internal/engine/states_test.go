package engine

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; commit them only if you understand what changed")

// TestStateTables prints every state with every input, so that a change to a machine is reviewed as a change to a table.
func TestStateTables(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "sending part of a stream (RFC 9000, section 3.1)")
	for s := sendState(0); s < numSendStates; s++ {
		for in := sendInput(0); in < numSendInputs; in++ {
			next := s
			ok := next.on(in)
			row(&b, s, in, next, ok)
		}
	}
	fmt.Fprintln(&b, "\nreceiving part of a stream (RFC 9000, section 3.2)")
	for s := recvState(0); s < numRecvStates; s++ {
		for in := recvInput(0); in < numRecvInputs; in++ {
			next := s
			ok := next.on(in)
			row(&b, s, in, next, ok)
		}
	}
	fmt.Fprintln(&b, "\nlife of a connection (RFC 9000, section 10)")
	for s := lifeState(0); s < numLifeStates; s++ {
		for in := lifeInput(0); in < numLifeInputs; in++ {
			next := s
			ok := next.on(in)
			row(&b, s, in, next, ok)
		}
	}
	const golden = "testdata/states.golden"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the state tables changed; go test -run StateTables -rewrite writes %s anew", golden)
	}
}

func row(b *strings.Builder, from, in, to fmt.Stringer, ok bool) {
	next := "-"
	if ok {
		next = to.String()
	}
	fmt.Fprintf(b, "  %-12s %-14s %s\n", from, in, next)
}
