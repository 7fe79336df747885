package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// pure are the packages of the deterministic core: what they do depends on what they are handed and on nothing else.
// internal/handshake is not among them, because crypto/tls is not.
var pure = []string{
	"internal/instant", "internal/varint", "internal/rangeset", "fec",
	"internal/wire", "internal/seal", "internal/qpack", "internal/h3", "congestion", "qlog", "quiclb",
	"internal/recovery", "internal/engine",
}

func isPure(f *source) bool {
	if f.test {
		return false
	}
	for _, p := range pure {
		if within(f.dir, p) {
			return true
		}
	}
	return false
}

// impure are the packages, with all below them, that bring in the world: I/O, locks, goroutines' tools, randomness.
var impure = []string{"net", "os", "io/ioutil", "sync", "context", "log", "syscall", "crypto/rand", "runtime"}

var exempt = map[string]string{
	"net/netip": "addresses are values",
}

// clock are the functions of package time that read the clock or wait for it. Duration and Time are only numbers.
var clock = words("Now Since Until After AfterFunc Sleep Tick NewTimer NewTicker")

// seeded are what math/rand and math/rand/v2 offer to who brings a seed; every other function draws from the ambient one.
var seeded = words("New NewSource NewPCG NewChaCha8 NewZipf Rand Source Source64 PCG ChaCha8 Zipf")

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

func checkPurity(t *tree) (found []string) {
	for _, f := range t.files {
		if !isPure(f) {
			continue
		}
		names := map[string]string{} // by which the watched packages go in this file
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			for _, bad := range impure {
				if within(p, bad) && exempt[p] == "" {
					found = append(found, fmt.Sprintf("%s: the pure package %s imports %s", t.at(spec.Pos()), f.dir, p))
				}
			}
			switch p {
			case "time", "math/rand", "math/rand/v2":
				name := strings.TrimSuffix(p, "/v2")
				name = name[strings.LastIndex(name, "/")+1:]
				if spec.Name != nil {
					name = spec.Name.Name
				}
				if name == "." {
					found = append(found, fmt.Sprintf("%s: a dot import of %s hides what is used of it", t.at(spec.Pos()), p))
				}
				names[name] = p
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if what := impurity(n, names); what != "" {
				found = append(found, fmt.Sprintf("%s: %s in the pure package %s", t.at(n.Pos()), what, f.dir))
			}
			return true
		})
	}
	return found
}

// impurity says what about a piece of syntax has no place in a pure package, "" when nothing has.
func impurity(n ast.Node, imported map[string]string) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement"
	case *ast.SelectStmt:
		return "a select statement"
	case *ast.ChanType:
		return "a channel type"
	case *ast.SendStmt:
		return "a channel send"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel receive"
		}
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if !ok || x.Obj != nil { // Obj: a variable that shadows the package
			return ""
		}
		switch p := imported[x.Name]; {
		case p == "time" && clock[n.Sel.Name]:
			return "time." + n.Sel.Name
		case strings.HasPrefix(p, "math/rand") && !seeded[n.Sel.Name]:
			return p + "." + n.Sel.Name
		}
	}
	return ""
}

func TestCoreIsPure(t *testing.T) { holds(t, checkPurity) }

func TestPurityRuleCatches(t *testing.T) {
	const engine = "internal/engine/e.go"
	in := func(name, source, want string) plant { return plant{name, engine, "package engine\n" + source, want} }
	catches(t, checkPurity, []plant{
		in("net", `import _ "net"`, "imports net"),
		in("net/http", `import _ "net/http"`, "imports net/http"),
		in("net/netip", `import _ "net/netip"`, ""),
		in("os", `import _ "os"`, "imports os"),
		in("os/exec", `import _ "os/exec"`, "imports os/exec"),
		in("sync/atomic", `import _ "sync/atomic"`, "imports sync/atomic"),
		in("context", `import _ "context"`, "imports context"),
		in("log", `import _ "log"`, "imports log"),
		in("log/slog", `import _ "log/slog"`, "imports log/slog"),
		in("crypto/rand", `import _ "crypto/rand"`, "imports crypto/rand"),
		in("a go statement", `func f() { go f() }`, "a go statement"),
		in("select", `func f() { select {} }`, "a select statement"),
		in("a channel", `type c chan int`, "a channel type"),
		in("a send", `func f(c c) { c <- 1 }`, "a channel send"),
		in("a receive", `func f(c c) { <-c }`, "a channel receive"),
		in("time.Now", "import \"time\"\nvar t = time.Now()", "time.Now"),
		in("time.Since, renamed", "import clock \"time\"\nvar t = clock.Since(x)", "time.Since"),
		in("time.Sleep as a value", "import \"time\"\nvar f = time.Sleep", "time.Sleep"),
		in("time.Duration", "import \"time\"\nvar d = 3 * time.Second", ""),
		in("a dot import", `import . "time"`, "a dot import"),
		in("the ambient source", "import \"math/rand\"\nvar n = rand.Int()", "math/rand.Int"),
		in("the ambient source, v2", "import \"math/rand/v2\"\nvar n = rand.N(5)", "math/rand/v2.N"),
		in("a seeded source", "import \"math/rand/v2\"\nvar r = rand.New(rand.NewPCG(1, 2))", ""),
		in("a variable called time", "import \"time\"\nfunc f(time x) { time.Now() }\nvar _ time.Duration", ""),
		{"a package beneath", "internal/engine/sub/s.go", "package sub\nimport _ \"os\"", "imports os"},
		{"a public pure package", "congestion/c.go", "package congestion\nimport _ \"sync\"", "imports sync"},
		{"handshake is not pure", "internal/handshake/h.go", "package handshake\nimport _ \"context\"", ""},
		{"the shell is not pure", "quic/q.go", "package quic\nfunc f() { go f() }", ""},
		{"tests are not held to it", "internal/engine/e_test.go", "package engine\nimport _ \"os\"", ""},
	})
}
