package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
	"testing"
)

// hollow names say nothing about what is inside.
var hollow = words("util utils common helper helpers type types misc")

// checkNames refuses hollow names of folders, packages and files.
func checkNames(t *tree) (found []string) {
	for _, f := range t.files {
		elements := strings.Split(f.dir, "/")
		stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		for _, name := range append(elements, stem) {
			if hollow[name] {
				found = append(found, fmt.Sprintf("%s: %q is a hollow name", f.path, name))
			}
		}
		if name := strings.TrimSuffix(f.syntax.Name.Name, "_test"); hollow[name] && name != path.Base(f.dir) {
			found = append(found, fmt.Sprintf("%s: package %s has a hollow name", f.path, name))
		}
	}
	return found
}

// checkForbidden refuses init functions, go:linkname and cgo.
func checkForbidden(t *tree) (found []string) {
	for _, f := range t.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, fmt.Sprintf("%s: an init function: what happens should be called by name", t.at(fn.Pos())))
			}
		}
		for _, spec := range f.syntax.Imports {
			if importPath(spec) == "C" {
				found = append(found, fmt.Sprintf("%s: cgo", t.at(spec.Pos())))
			}
		}
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:linkname") {
					found = append(found, fmt.Sprintf("%s: go:linkname reaches into another package", t.at(c.Pos())))
				}
			}
		}
	}
	return found
}

// machinePaths are paths that exist on one machine only. They are spelled in two pieces here because this file is read too.
var machinePaths = []string{"/wo" + "rk/", "../sha" + "red"}

func checkPaths(t *tree) (found []string) {
	for _, list := range [][]*source{t.files, t.texts} {
		for _, f := range list {
			for _, p := range machinePaths {
				if i := strings.Index(f.data, p); i >= 0 {
					line := 1 + strings.Count(f.data[:i], "\n")
					found = append(found, fmt.Sprintf("%s:%d: mentions %s, which readers do not have", f.path, line, p))
				}
			}
		}
	}
	return found
}

func TestNamesSayWhatIsInside(t *testing.T)   { holds(t, checkNames) }
func TestNothingForbiddenIsUsed(t *testing.T) { holds(t, checkForbidden) }
func TestNoMachineIsMentioned(t *testing.T)   { holds(t, checkPaths) }

func TestNameRuleCatches(t *testing.T) {
	catches(t, checkNames, []plant{
		{"a folder", "internal/util/x.go", "package util", "hollow"},
		{"a folder above", "common/x/x.go", "package x", "hollow"},
		{"a package", "quic/x.go", "package helpers", "hollow"},
		{"a file", "quic/types.go", "package quic", "hollow"},
		{"a test file", "quic/misc_test.go", "package quic", "hollow"},
		{"a name with such a word in it", "quic/frame_types.go", "package quic", ""},
	})
}

func TestForbiddenRuleCatches(t *testing.T) {
	catches(t, checkForbidden, []plant{
		{"init", "quic/q.go", "package quic\nfunc init() {}", "an init function"},
		{"init in a test", "quic/q_test.go", "package quic\nfunc init() {}", "an init function"},
		{"a method called init", "quic/q.go", "package quic\ntype t int\nfunc (t) init() {}", ""},
		{"cgo", "quic/q.go", "package quic\nimport \"C\"", "cgo"},
		{"linkname", "quic/q.go", "package quic\n\n//go:linkname now time.now\nfunc now() int64", "go:linkname"},
		{"a word about linkname", "quic/q.go", "package quic\n\n// f does without go:linkname.\nfunc f() {}", ""},
	})
}

func TestPathRuleCatches(t *testing.T) {
	bad := machinePaths[0] + "x"
	catches(t, checkPaths, []plant{
		{"in a comment", "quic/q.go", "package quic\n\n// See " + bad, "quic/q.go:3: mentions"},
		{"in a document", "docs/x.md", "See " + machinePaths[1] + "/x", "docs/x.md:1: mentions"},
		{"in the Makefile", "Makefile", "all:\n\tls " + bad, "Makefile:2: mentions"},
		{"networking", "docs/x.md", "net/working and /workers/", ""},
	})
}
