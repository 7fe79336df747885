package tidy

import (
	"fmt"
	"strings"
	"testing"
)

// floors: a package imports only packages of strictly lower floors. A package that is missing here is an error, so that
// its floor is decided when it begins.
var floors = map[string]int{
	"internal/instant":     0,
	"internal/varint":      0,
	"internal/rangeset":    0,
	"internal/tidy":        0, // imports nothing, is imported by nothing
	"internal/conformance": 0, // the same
	"fec":                  0,

	"internal/wire":  1,
	"internal/seal":  1,
	"internal/qpack": 1,
	"internal/h3":    1,
	"congestion":     1,
	"qlog":           1,
	"quiclb":         1,

	"internal/recovery":  2,
	"internal/handshake": 2,

	"internal/engine": 3,

	"internal/udp":    4,
	"internal/simnet": 4,

	"quic":          5,
	"internal/link": 5,

	"http3": 6,

	"gateway": 7,
	"tunnel":  7,
	"altsvc":  7,
	"doctor":  7,

	"internal/sim":     8,
	"internal/hostile": 8,
	"internal/soak":    8,

	"cmd": 9, // and every command below it
}

func floorOf(dir string) (floor int, ok bool) {
	if strings.HasPrefix(dir, "cmd/") {
		dir = "cmd"
	}
	floor, ok = floors[dir]
	return floor, ok
}

// checkFloors looks at every import between packages of the module. Tests in a package obey like the package; tests in
// package foo_test stand outside it and may look from above.
func checkFloors(t *tree) (found []string) {
	homeless := map[string]bool{}
	for _, f := range t.files {
		floor, ok := floorOf(f.dir)
		if !ok {
			if !homeless[f.dir] {
				found = append(found, fmt.Sprintf("%s: package %s is on no floor", f.path, f.dir))
			}
			homeless[f.dir] = true
			continue
		}
		if f.external {
			continue
		}
		for _, spec := range f.syntax.Imports {
			to, ok := t.local(importPath(spec))
			if !ok {
				continue
			}
			if below, ok := floorOf(to); !ok || below >= floor {
				found = append(found, fmt.Sprintf("%s: %s (floor %d) imports %s, which is not below it", t.at(spec.Pos()), f.dir, floor, to))
			}
		}
	}
	return found
}

// never are imports that the floors would allow. "*" is everyone. A package is part of itself.
var never = []struct {
	from, to string
	reason   string
}{
	{"internal/udp", "internal/engine", "sockets carry bytes of any protocol"},
	{"internal/udp", "internal/wire", "sockets carry bytes of any protocol"},
	{"http3", "internal/engine", "HTTP/3 stands on the public stream interface"},
	{"http3", "internal/udp", "HTTP/3 stands on the public stream interface"},
	{"http3", "internal/wire", "HTTP/3 stands on the public stream interface"},
	{"gateway", "internal/engine", "products stand on the public interfaces"},
	{"gateway", "internal/udp", "products stand on the public interfaces"},
	{"gateway", "tunnel", "the products are independent"},
	{"tunnel", "internal/engine", "products stand on the public interfaces"},
	{"tunnel", "internal/udp", "products stand on the public interfaces"},
	{"tunnel", "gateway", "the products are independent"},
	{"*", "cmd", "commands are wiring"},
	{"*", "internal/sim", "the simulator looks at everything, nothing looks at it"},
}

func checkNever(t *tree) (found []string) {
	for _, f := range t.files {
		if f.external {
			continue
		}
		for _, spec := range f.syntax.Imports {
			to, ok := t.local(importPath(spec))
			if !ok {
				continue
			}
			for _, n := range never {
				if (n.from == "*" || within(f.dir, n.from)) && within(to, n.to) && !within(f.dir, n.to) {
					found = append(found, fmt.Sprintf("%s: %s must never import %s: %s", t.at(spec.Pos()), f.dir, to, n.reason))
				}
			}
		}
	}
	return found
}

// within reports whether dir is root or below it.
func within(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

func TestPackagesImportOnlyLowerFloors(t *testing.T) { holds(t, checkFloors) }
func TestSomeImportsNeverHappen(t *testing.T)        { holds(t, checkNever) }

func TestFloorRuleCatches(t *testing.T) {
	catches(t, checkFloors, []plant{
		{"down is allowed", "quic/q.go", "package quic\nimport _ \"example.net/m/internal/engine\"\nimport _ \"fmt\"", ""},
		{"up", "internal/wire/w.go", "package wire\nimport _ \"example.net/m/internal/engine\"", "internal/wire (floor 1) imports internal/engine"},
		{"sideways", "congestion/c.go", "package congestion\nimport _ \"example.net/m/qlog\"", "not below"},
		{"up in a test", "internal/wire/w_test.go", "package wire\nimport _ \"example.net/m/quic\"", "not below"},
		{"up in an external test", "internal/wire/w_test.go", "package wire_test\nimport _ \"example.net/m/quic\"", ""},
		{"no floor", "internal/novel/n.go", "package novel", "internal/novel is on no floor"},
		{"no floor below a package that has one", "quic/sub/n.go", "package sub", "quic/sub is on no floor"},
		{"the root", "root.go", "package m", "on no floor"},
		{"importing what has no floor", "quic/q.go", "package quic\nimport _ \"example.net/m/internal/novel\"", "not below"},
		{"a command", "cmd/tool/main.go", "package main\nimport _ \"example.net/m/gateway\"", ""},
		{"a command imports a command", "cmd/tool/main.go", "package main\nimport _ \"example.net/m/cmd/other\"", "not below"},
		{"another module of a longer name", "quic/q.go", "package quic\nimport _ \"example.net/mm/x\"", ""},
	})
}

func TestNeverRuleCatches(t *testing.T) {
	catches(t, checkNever, []plant{
		{"udp to wire", "internal/udp/u.go", "package udp\nimport _ \"example.net/m/internal/wire\"", "never import internal/wire"},
		{"http3 to udp", "http3/h.go", "package http3\nimport _ \"example.net/m/internal/udp\"", "never import internal/udp"},
		{"gateway to tunnel", "gateway/g.go", "package gateway\nimport _ \"example.net/m/tunnel\"", "never import tunnel"},
		{"tunnel to engine", "tunnel/t.go", "package tunnel\nimport _ \"example.net/m/internal/engine\"", "never import internal/engine"},
		{"anyone to a command", "quic/q.go", "package quic\nimport _ \"example.net/m/cmd/godwit\"", "never import cmd/godwit"},
		{"a command to the simulator", "cmd/x/x.go", "package main\nimport _ \"example.net/m/internal/sim\"", "never import internal/sim"},
		{"simnet is not the simulator", "quic/q_test.go", "package quic\nimport _ \"example.net/m/internal/simnet\"", ""},
		{"http3 to quic", "http3/h.go", "package http3\nimport _ \"example.net/m/quic\"", ""},
	})
}
