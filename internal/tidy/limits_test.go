package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// untested are the names of limits.go files that no test is known to hit: durations and sizes of ours that nobody outside can push
// against, most of them, and some limits that wait for their test. The list only shrinks: a name in it that has its test, or
// is gone, fails as well.
var untested = map[string]bool{
	"gateway.keepAlive":           true,
	"gateway.dialTimeout":         true,
	"gateway.maxIdleUpstream":     true,
	"gateway.idleUpstreamTimeout": true,
	"gateway.copyBuffer":          true,

	"http3.openTimeout":           true,
	"http3.maxSessions":           true,
	"http3.maxHeldAcks":           true,
	"http3.replyDelay":            true,
	"http3.maxUnsentInstructions": true,
	"http3.maxUnsaid":             true,
	"http3.maxKeptInstructions":   true,
	"http3.maxTooEarly":           true,
	"http3.frameRoom":             true,
	"http3.responseBufferSize":    true,
	"http3.copyBufferSize":        true,
	"http3.maxPooled":             true,

	"internal/engine.defaultStreamWindow":     true,
	"internal/engine.defaultMaxStreamWindow":  true,
	"internal/engine.defaultConnWindow":       true,
	"internal/engine.defaultMaxConnWindow":    true,
	"internal/engine.defaultMaxStreams":       true,
	"internal/engine.defaultHandshakeTimeout": true,
	"internal/engine.defaultIdleTimeout":      true,

	"internal/link.smallBuffer": true,
	"internal/link.maxFree":     true,
	"internal/link.maxRun":      true,
	"internal/link.maxRunBytes": true,
	"internal/link.heldBack":    true,

	"internal/recovery.baseSlots": true,
	"internal/recovery.baseFacts": true,

	"internal/udp.defaultBuffer": true,
	"internal/udp.slabSize":      true,
	"internal/udp.maxReadErrors": true,

	"quic.slabSize":        true,
	"quic.minRoom":         true,
	"quic.maxMessages":     true,
	"quic.closeTimeout":    true,
	"quic.socketGrace":     true,
	"quic.migratePatience": true,
	"quic.attemptTimeout":  true,
	"quic.newcomerShare":   true,

	"tunnel.maxHeaderBytes":      true,
	"tunnel.streamWindow":        true,
	"tunnel.maxStreamWindow":     true,
	"tunnel.windows":             true,
	"tunnel.firstBackoff":        true,
	"tunnel.maxBackoff":          true,
	"tunnel.minAttemptGap":       true,
	"tunnel.attemptTimeout":      true,
	"tunnel.attemptStagger":      true,
	"tunnel.patience":            true,
	"tunnel.keepAlive":           true,
	"tunnel.idleTimeout":         true,
	"tunnel.defaultSilence":      true,
	"tunnel.platformDialTimeout": true,
	"tunnel.flushDelay":          true,
}

var testName = regexp.MustCompile(`\bTest[A-Z]\w*`)

// checkLimits wants each constant and variable of a limits.go to say why it is what it is, and to name a test of this module that
// hits it, unless it is in the list of those that have none. A comment serves the names in the lines right below it that have none of
// their own, and the comment of a group, if it names a test, the whole group.
func checkLimits(untested map[string]bool) func(*tree) []string {
	return func(t *tree) (found []string) {
		tests, listed := t.testFuncs(), map[string]bool{}
		for _, f := range t.files {
			if path.Base(f.path) != "limits.go" {
				continue
			}
			for _, d := range f.syntax.Decls {
				if d, ok := d.(*ast.GenDecl); ok && d.Tok != token.IMPORT {
					found = append(found, t.limitsOf(f, d, tests, untested, listed)...)
				}
			}
		}
		for name := range untested {
			if !listed[name] {
				found = append(found, fmt.Sprintf("%s is listed as untested and has a test, or is gone: take it off the list", name))
			}
		}
		return found
	}
}

// limitsOf checks one group. Names that are rightly in the list go to listed.
func (t *tree) limitsOf(f *source, d *ast.GenDecl, tests, untested, listed map[string]bool) (found []string) {
	group, comment, last := d.Doc.Text(), "", 0
	for _, s := range d.Specs {
		s, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		line := t.fset.Position(s.Pos()).Line
		if own := s.Doc.Text() + s.Comment.Text(); own != "" || line != last+1 {
			comment = own
		}
		last = t.fset.Position(s.End()).Line
		text := comment
		if text == "" || testName.MatchString(group) {
			text += group
		}
		for _, id := range s.Names {
			name := f.dir + "." + id.Name
			named, gone := testName.FindAllString(text, -1), ""
			for _, n := range named {
				if !tests[n] {
					gone = n
				}
			}
			switch {
			case strings.TrimSpace(text) == "":
				found = append(found, fmt.Sprintf("%s: %s has no reason", t.at(id.Pos()), name))
			case gone != "":
				found = append(found, fmt.Sprintf("%s: %s names %s, which is no test", t.at(id.Pos()), name, gone))
			case len(named) > 0:
			case untested[name]:
				listed[name] = true
			default:
				found = append(found, fmt.Sprintf("%s: %s names no test that hits it", t.at(id.Pos()), name))
			}
		}
	}
	return found
}

// testFuncs returns the names of all test functions.
func (t *tree) testFuncs() map[string]bool {
	tests := map[string]bool{}
	for _, f := range t.files {
		for _, d := range f.syntax.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && f.test && d.Recv == nil && testName.MatchString(d.Name.Name) {
				tests[d.Name.Name] = true
			}
		}
	}
	return tests
}

func TestLimitsNameTheTestThatHitsThem(t *testing.T) { holds(t, checkLimits(untested)) }

func TestLimitRuleCatches(t *testing.T) {
	for _, c := range []struct{ name, source, list, want string }{
		{"a test in the comment", "// maxA is. TestA.\nconst maxA = 1", "", ""},
		{"a test behind", "const maxA = 1 // TestA", "", ""},
		{"the comment of the line above", "const (\n\t// maxA and maxB are. TestA.\n\tmaxA = 1\n\tmaxB = 2\n)", "", ""},
		{"a group", "// The As. TestA.\nconst (\n\tmaxA = 1\n\n\tmaxB = 2 // of B\n)", "", ""},
		{"a variable", "// maxA is.\nvar maxA = 1", "", "p.maxA names no test"},
		{"no test", "// maxA is.\nconst maxA = 1", "", "p.maxA names no test"},
		{"no reason", "const (\n\t// maxA is. TestA.\n\tmaxA = 1\n\n\tmaxB = 2\n)", "", "p.maxB has no reason"},
		{"no reason, listed", "const maxA = 1", "p.maxA", "p.maxA has no reason"},
		{"a test that is gone", "// maxA is. TestB.\nconst maxA = 1", "", "names TestB"},
		{"a listed one", "// maxA is.\nconst maxA = 1", "p.maxA", ""},
		{"a listed one that has its test", "// maxA is. TestA.\nconst maxA = 1", "p.maxA", "take it off the list"},
		{"a listed one that is gone", "// maxA is. TestA.\nconst maxA = 1", "p.maxB", "take it off the list"},
	} {
		m, err := load(fstest.MapFS{
			"go.mod":      {Data: []byte("module example.net/m\n")},
			"p/limits.go": {Data: []byte("package p\n\n" + c.source + "\n")},
			"p/p_test.go": {Data: []byte("package p\n\nfunc TestA() {}\n")},
		})
		if err != nil {
			t.Fatal(c.name, err)
		}
		list := map[string]bool{}
		if c.list != "" {
			list[c.list] = true
		}
		found := checkLimits(list)(m)
		if c.want == "" && len(found) == 0 {
			continue
		}
		joined := strings.Join(found, "; ")
		if c.want == "" || !strings.Contains(joined, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, found, c.want)
		}
	}
}
