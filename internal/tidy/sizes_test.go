package tidy

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// Sizes that a reader can hold. Files and functions count lines, structs their fields, embedded ones included, and
// Configs their exported fields.
const (
	maxFileLines   = 600
	maxFuncLines   = 70
	maxSwitchLines = 170 // of the functions in longFuncs
	maxFields      = 25
	maxKnobs       = 18
)

// longFuncs are the functions that may be longer than maxFuncLines, each with its reason. "One named protocol switch per
// file may": it has a case for each thing that the RFC lists, and pieces of it would be harder to hold against the list.
var longFuncs = map[string]string{}

// wideStructs are the structs that may have more than maxFields fields, each with its reason.
var wideStructs = map[string]string{}

// sizes is checkSizes with its exceptions, so that they can be planted too.
type sizes struct {
	funcs, structs map[string]string
}

func (z sizes) check(t *tree) (found []string) {
	needed := map[string]bool{}
	for _, f := range t.files {
		if n := strings.Count(f.data, "\n"); n > maxFileLines {
			found = append(found, fmt.Sprintf("%s: %d lines, more than %d", f.path, n, maxFileLines))
		}
		if f.test {
			continue // a table of cases is as long as it is
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			var finding, exception string
			switch n := n.(type) {
			case *ast.FuncDecl:
				finding, exception = z.funcSize(t, f, n)
			case *ast.TypeSpec:
				finding, exception = z.structSize(t, f, n)
			}
			if finding != "" {
				found = append(found, finding)
			}
			needed[exception] = true
			return true
		})
	}
	for _, exceptions := range []map[string]string{z.funcs, z.structs} {
		for name := range exceptions { // any order
			if !needed[name] {
				found = append(found, name+": is among the exceptions and is not too large")
			}
		}
	}
	return found
}

// funcSize names the exception that the function makes use of, if it does.
func (z sizes) funcSize(t *tree, f *source, fn *ast.FuncDecl) (finding, exception string) {
	lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
	if lines <= maxFuncLines {
		return "", ""
	}
	name, limit := f.dir+"."+receiver(fn)+fn.Name.Name, maxFuncLines
	if z.funcs[name] != "" {
		exception, limit = name, maxSwitchLines
	}
	if lines > limit {
		finding = fmt.Sprintf("%s: %s has %d lines, more than %d", t.at(fn.Pos()), name, lines, limit)
	}
	return finding, exception
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return ""
		}
	}
}

// structSize names the exception that the struct makes use of, if it does.
func (z sizes) structSize(t *tree, f *source, spec *ast.TypeSpec) (finding, exception string) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return "", ""
	}
	fields, exported := 0, 0
	for _, field := range s.Fields.List {
		fields += max(len(field.Names), 1)
		for _, name := range field.Names {
			if name.IsExported() {
				exported++
			}
		}
	}
	name := f.dir + "." + spec.Name.Name
	if public(f) && strings.HasSuffix(spec.Name.Name, "Config") && spec.Name.IsExported() && exported > maxKnobs {
		return fmt.Sprintf("%s: %s has %d knobs, more than %d", t.at(spec.Pos()), name, exported, maxKnobs), ""
	}
	switch {
	case fields <= maxFields:
		return "", ""
	case z.structs[name] != "":
		return "", name
	}
	return fmt.Sprintf("%s: %s has %d fields, more than %d", t.at(spec.Pos()), name, fields, maxFields), ""
}

// public reports whether users of the module can import the file's package.
func public(f *source) bool {
	return !within(f.dir, "internal") && !within(f.dir, "cmd") && f.syntax.Name.Name != "main"
}

func TestNothingIsTooLarge(t *testing.T) { holds(t, sizes{longFuncs, wideStructs}.check) }

func TestSizeRuleCatches(t *testing.T) {
	body := func(lines int) string { return "{\n" + strings.Repeat("\tf()\n", lines-2) + "}\n" }
	fields := func(n int) string {
		s := "{\n"
		for i := range n {
			s += fmt.Sprintf("\tF%d int\n", i)
		}
		return s + "}\n"
	}
	catches(t, sizes{}.check, []plant{
		{"a file of 600 lines", "quic/q.go", "package quic" + strings.Repeat("\n", 600), ""},
		{"a file of 601 lines", "quic/q.go", "package quic" + strings.Repeat("\n", 601), "601 lines"},
		{"a test file of 601 lines", "quic/q_test.go", "package quic" + strings.Repeat("\n", 601), "601 lines"},
		{"a function of 70 lines", "quic/q.go", "package quic\nfunc f() " + body(70), ""},
		{"a function of 71 lines", "quic/q.go", "package quic\nfunc f() " + body(71), "quic.f has 71 lines"},
		{"a method of 71 lines", "quic/q.go", "package quic\nfunc (t *T[A]) f() " + body(71), "quic.T.f has 71 lines"},
		{"a test of 71 lines", "quic/q_test.go", "package quic\nfunc f() " + body(71), ""},
		{"a struct of 25 fields", "quic/q.go", "package quic\ntype T struct " + fields(25), ""},
		{"a struct of 26 fields", "quic/q.go", "package quic\ntype T struct " + fields(26), "quic.T has 26 fields"},
		{"fields that share a line", "quic/q.go", "package quic\ntype T struct{ e; a" + strings.Repeat(", a", 25) + " int }", "27 fields"},
		{"a Config of 18 knobs", "quic/q.go", "package quic\ntype Config struct " + fields(18), ""},
		{"a Config of 19 knobs", "quic/q.go", "package quic\ntype Config struct " + fields(19), "19 knobs"},
		{"an internal Config of 19", "internal/engine/e.go", "package engine\ntype Config struct " + fields(19), ""},
	})
	catches(t, sizes{map[string]string{"quic.T.f": "a reason"}, nil}.check, []plant{
		{"an exception of 170 lines", "quic/q.go", "package quic\nfunc (T) f() " + body(170), ""},
		{"an exception of 171 lines", "quic/q.go", "package quic\nfunc (T) f() " + body(171), "more than 170"},
		{"an exception that is not needed", "quic/q.go", "package quic\nfunc (T) f() " + body(70), "is not too large"},
	})
	catches(t, sizes{nil, map[string]string{"quic.T": "a reason"}}.check, []plant{
		{"a wide exception", "quic/q.go", "package quic\ntype T struct " + fields(40), ""},
		{"a wide exception that is not needed", "quic/q.go", "package quic\ntype T struct " + fields(4), "is not too large"},
	})
}
