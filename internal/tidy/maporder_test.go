package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// anyOrder is what a comment beside a range over a map says in a pure package: that the author has thought about it.
const anyOrder = "any order"

// maps are the names that a package declares with a map type. Without the type checker this is a good guess, not a proof:
// what is returned from a call is not seen, and a field name that is a map in one struct and not in another is let go.
type maps struct {
	types, vars, fields, otherFields map[string]bool
}

func checkMapOrder(t *tree) (found []string) {
	packages := map[string]*maps{}
	for pass := range 2 { // named map types first, then what is declared with them
		for _, f := range t.files {
			if !isPure(f) {
				continue
			}
			if packages[f.dir] == nil {
				packages[f.dir] = &maps{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
			}
			packages[f.dir].collect(f, pass)
		}
	}
	for _, f := range t.files {
		if !isPure(f) {
			continue
		}
		said := linesSaying(t, f, anyOrder)
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			r, ok := n.(*ast.RangeStmt)
			if !ok || !packages[f.dir].isMap(r.X) {
				return true
			}
			if line := t.fset.Position(r.Pos()).Line; !said[line] && !said[line-1] {
				found = append(found, fmt.Sprintf("%s: a range over a map in the pure package %s without a comment that says %q",
					t.at(r.Pos()), f.dir, anyOrder))
			}
			return true
		})
	}
	return found
}

// linesSaying returns the last lines of the comments that contain the words.
func linesSaying(t *tree, f *source, words string) map[int]bool {
	lines := map[int]bool{}
	for _, group := range f.syntax.Comments {
		if strings.Contains(group.Text(), words) {
			lines[t.fset.Position(group.End()).Line] = true
		}
	}
	return lines
}

func (m *maps) collect(f *source, pass int) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			if m.isMapType(n.Type) {
				m.types[n.Name.Name] = true
			}
		case *ast.StructType:
			for _, field := range n.Fields.List {
				for _, name := range field.Names {
					if m.isMapType(field.Type) {
						m.fields[name.Name] = true
					} else if pass == 1 {
						m.otherFields[name.Name] = true
					}
				}
			}
		}
		return true
	})
	for _, d := range f.syntax.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					m.vars[name.Name] = m.vars[name.Name] || m.specIsMap(spec, i)
				}
			}
		}
	}
}

func (m *maps) isMapType(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.MapType:
		return true
	case *ast.ParenExpr:
		return m.isMapType(e.X)
	case *ast.Ident:
		return m.types[e.Name]
	}
	return false
}

// isMap reports whether an expression is known to be a map, or an iterator over one.
func (m *maps) isMap(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return m.isMap(e.X)
	case *ast.CompositeLit:
		return m.isMapType(e.Type)
	case *ast.SelectorExpr:
		return m.fields[e.Sel.Name] && !m.otherFields[e.Sel.Name]
	case *ast.CallExpr:
		switch fun := e.Fun.(type) {
		case *ast.Ident:
			return fun.Name == "make" && m.isMapType(e.Args[0])
		case *ast.SelectorExpr:
			x, ok := fun.X.(*ast.Ident)
			return ok && x.Name == "maps" && x.Obj == nil && (fun.Sel.Name == "Keys" || fun.Sel.Name == "Values" || fun.Sel.Name == "All")
		}
	case *ast.Ident:
		if e.Obj == nil { // declared in another file of the package
			return m.vars[e.Name]
		}
		return m.declaredAsMap(e)
	}
	return false
}

// declaredAsMap looks at the declaration of a name within its file.
func (m *maps) declaredAsMap(id *ast.Ident) bool {
	switch d := id.Obj.Decl.(type) {
	case *ast.Field:
		return m.isMapType(d.Type)
	case *ast.ValueSpec:
		for i, name := range d.Names {
			if name.Name == id.Name {
				return m.specIsMap(d, i)
			}
		}
	case *ast.AssignStmt:
		for i, left := range d.Lhs {
			if name, ok := left.(*ast.Ident); ok && name.Name == id.Name && len(d.Rhs) == len(d.Lhs) {
				return m.isMap(d.Rhs[i])
			}
		}
	}
	return false
}

func (m *maps) specIsMap(spec *ast.ValueSpec, i int) bool {
	if spec.Type != nil {
		return m.isMapType(spec.Type)
	}
	return len(spec.Values) == len(spec.Names) && m.isMap(spec.Values[i])
}

func TestRangesOverMapsSayThatOrderDoesNotMatter(t *testing.T) { holds(t, checkMapOrder) }

func TestMapOrderRuleCatches(t *testing.T) {
	const want = "a range over a map"
	in := func(name, source, want string) plant {
		return plant{name, "internal/engine/e.go", "package engine\n" + source, want}
	}
	catches(t, checkMapOrder, []plant{
		in("a field", "type s struct{ m map[int]int }\nfunc (s *s) f() {\n\tfor range s.m {\n\t}\n}", want),
		in("a field of a field", "type s struct{ m map[int]int }\nfunc f(x struct{ s s }) {\n\tfor range x.s.m {\n\t}\n}", want),
		in("a field of a named type", "func (s *s) f() {\n\tfor range s.m {\n\t}\n}\ntype s struct{ m set }\ntype set map[int]int", want),
		in("a package variable", "var m = map[int]int{}\nfunc f() {\n\tfor range m {\n\t}\n}", want),
		in("a parameter", "func f(m map[int]int) {\n\tfor k := range m {\n\t\t_ = k\n\t}\n}", want),
		in("a local variable", "func f() {\n\tm := make(map[int]int)\n\tfor range m {\n\t}\n}", want),
		in("a declared local variable", "func f() {\n\tvar m map[int]int\n\tfor range m {\n\t}\n}", want),
		in("a copy of a field", "type s struct{ m map[int]int }\nfunc f(s s) {\n\tm := s.m\n\tfor range m {\n\t}\n}", want),
		in("a literal", "func f() {\n\tfor range (map[int]int{}) {\n\t}\n}", want),
		in("its keys", "import \"maps\"\nfunc f(m set) {\n\tfor range maps.Keys(m) {\n\t}\n}", want),
		in("another comment", "func f(m map[int]int) {\n\tfor range m { // all of them\n\t}\n}", want),
		in("a comment elsewhere", "// any order\nfunc f(m map[int]int) {\n\n\tfor range m {\n\t}\n}", want),
		in("a trailing comment", "func f(m map[int]int) {\n\tfor range m { // any order: only counted\n\t}\n}", ""),
		in("a preceding comment", "func f(m map[int]int) {\n\t// In any order,\n\t// as they are only counted.\n\tfor range m {\n\t}\n}", ""),
		in("sorted keys", "import (\"maps\"; \"slices\")\nfunc f(m set) {\n\tfor range slices.Sorted(maps.Keys(m)) {\n\t}\n}", ""),
		in("a slice", "type s struct{ m []int }\nfunc (s *s) f() {\n\tfor range s.m {\n\t}\n}", ""),
		in("a shadowed map", "var m map[int]int\nfunc f(m []int) {\n\tfor range m {\n\t}\n}", ""),
		{"a shell", "quic/q.go", "package quic\nfunc f(m map[int]int) {\n\tfor range m {\n\t}\n}", ""},
	})
}
