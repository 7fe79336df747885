package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// checkComments wants a package comment on every package, and one on every exported identifier of the public ones. The
// comment of a group of constants or variables serves all of them.
func checkComments(t *tree) (found []string) {
	documented, seen := map[string]bool{}, []string{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		if _, ok := documented[f.dir]; !ok {
			seen = append(seen, f.dir)
		}
		documented[f.dir] = documented[f.dir] || f.syntax.Doc.Text() != ""
		if !public(f) {
			continue
		}
		for _, d := range f.syntax.Decls {
			for _, id := range uncommented(d) {
				found = append(found, fmt.Sprintf("%s: %s.%s is exported and has no comment", t.at(id.Pos()), f.dir, id.Name))
			}
		}
	}
	for _, dir := range seen {
		if !documented[dir] {
			found = append(found, dir+": the package has no comment")
		}
	}
	return found
}

// uncommented returns the exported names that a declaration introduces without a comment.
func uncommented(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		r := strings.TrimSuffix(receiver(d), ".")
		if d.Doc.Text() == "" && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(r)) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		group := d.Doc.Text() != "" && (d.Tok != token.TYPE || !d.Lparen.IsValid())
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if !group && s.Doc.Text() == "" && s.Comment.Text() == "" && s.Name.IsExported() {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if !group && s.Doc.Text() == "" && s.Comment.Text() == "" && name.IsExported() {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

func TestWhatIsPublicIsExplained(t *testing.T) { holds(t, checkComments) }

func TestCommentRuleCatches(t *testing.T) {
	in := func(name, source, want string) plant {
		return plant{name, "quic/q.go", "// Package quic is here.\npackage quic\n\n" + source, want}
	}
	catches(t, checkComments, []plant{
		{"a package", "internal/wire/w.go", "package wire", "internal/wire: the package has no comment"},
		{"only tests", "internal/wire/w_test.go", "package wire", ""},
		in("a function", "func F() {}", "quic.F is exported"),
		in("a function with a comment", "// F is.\nfunc F() {}", ""),
		in("a function with a directive", "//go:noinline\nfunc F() {}", "quic.F is exported"),
		in("a method", "// T is.\ntype T int\n\nfunc (t *T) M() {}", "quic.M is exported"),
		in("a method of a hidden type", "type t int\n\nfunc (t *t) M() {}", ""),
		in("a type", "type T int", "quic.T is exported"),
		in("a type in a group", "// These are.\ntype (\n\tT int\n)", "quic.T is exported"),
		in("an alias with a comment behind", "type (\n\tT = int // T is.\n)", ""),
		in("a variable", "var V int", "quic.V is exported"),
		in("constants with one comment", "// The As and Bs.\nconst (\n\tA = 1\n\tB = 2\n)", ""),
		in("a constant without", "const (\n\tA = 1 // A is.\n\tB = 2\n)", "quic.B is exported"),
		{"internal packages may be terse", "internal/wire/w.go", "// Package wire is.\npackage wire\n\nfunc F() {}", ""},
		{"commands may be terse", "cmd/x/x.go", "// Command x is.\npackage main\n\nfunc F() {}", ""},
	})
}
