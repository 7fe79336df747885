package tidy

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"path"
	"regexp"
	"testing"
	"testing/fstest"
	"time"
)

// defaults is the document whose table tells the numbers of limits.
const defaults = "docs/security.md"

var (
	defaultsRow  = regexp.MustCompile("(?m)^\\| [^|]+ \\| ([^|]+) \\| (`[a-z0-9]+\\.[A-Za-z]+`[^|]*) \\|$")
	limitName    = regexp.MustCompile("`([a-z0-9]+)\\.([A-Za-z]+)`")
	limitNumber  = regexp.MustCompile(`([0-9]+)(?: (KiB|MiB|s|min))?`)
	limitFolders = map[string]string{"engine": "internal/engine"}
)

// checkDefaults holds each row of the table that names constants of limits.go files against them. A row with several has as many
// numbers, in their order.
func checkDefaults(t *tree) (found []string) {
	for _, text := range t.texts {
		if text.path != defaults {
			continue
		}
		for _, row := range defaultsRow.FindAllStringSubmatch(text.data, -1) {
			numbers := limitNumber.FindAllStringSubmatch(row[1], -1)
			for i, name := range limitName.FindAllStringSubmatch(row[2], -1) {
				dir := name[1]
				if d, ok := limitFolders[dir]; ok {
					dir = d
				}
				limits := t.limits(dir)
				is := limits[name[2]]
				switch {
				case is == nil && len(limits) == 0:
					continue // it is of another kind of file
				case is == nil:
					found = append(found, fmt.Sprintf("%s: there is no limit %s", defaults, name[0]))
					continue
				}
				if i >= len(numbers) || !constant.Compare(said(numbers[i]), token.EQL, is) {
					found = append(found, fmt.Sprintf("%s: %s is %v, and not what stands there: %s", defaults, name[0], is, row[1]))
				}
			}
		}
	}
	return found
}

// said is the value of a number with its unit; a time.Duration is its nanoseconds.
func said(number []string) constant.Value {
	unit := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": int64(time.Second), "min": int64(time.Minute)}[number[2]]
	return constant.BinaryOp(constant.MakeFromLiteral(number[1], token.INT, 0), token.MUL, constant.MakeInt64(unit))
}

// limits are the constants of a package's limits.go that can be computed from literals and from each other.
func (t *tree) limits(dir string) map[string]constant.Value {
	known := map[string]constant.Value{}
	for _, f := range t.files {
		if f.path != path.Join(dir, "limits.go") {
			continue
		}
		for _, d := range f.syntax.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, s := range gen.Specs {
				for i, v := range s.(*ast.ValueSpec).Values {
					if c := compute(v, known); c != nil {
						known[s.(*ast.ValueSpec).Names[i].Name] = c
					}
				}
			}
		}
	}
	return known
}

// compute is the value of an expression, nil when it is none that this knows.
func compute(e ast.Expr, known map[string]constant.Value) constant.Value {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.Ident:
		return known[e.Name]
	case *ast.SelectorExpr:
		durations := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute}
		if d := durations[e.Sel.Name]; d != 0 {
			return constant.MakeInt64(int64(d))
		}
	case *ast.BinaryExpr:
		x, y := compute(e.X, known), compute(e.Y, known)
		switch {
		case x == nil || y == nil:
			return nil
		case e.Op == token.SHL:
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(n))
		case e.Op == token.MUL || e.Op == token.ADD || e.Op == token.SUB:
			return constant.BinaryOp(x, e.Op, y)
		}
	}
	return nil
}

func TestTheDefaultsAreWhatTheDocumentSays(t *testing.T) { holds(t, checkDefaults) }

func TestWrongDefaultsAreFound(t *testing.T) {
	limits := "package p\n\nconst (\n\tmaxA = 4\n\tmaxB = 2 * maxA << 10\n\tmaxC = 3 * time.Second\n)\n"
	for row, findings := range map[string]int{ // any order
		"| a | 4 | `p.maxA` |":                        0,
		"| a | 5 | `p.maxA` |":                        1,
		"| b and a | 8 KiB, 4 | `p.maxB`, `p.maxA` |": 0,
		"| b and a | 8 KiB | `p.maxB`, `p.maxA` |":    1,
		"| c | 3 s | `p.maxC` |":                      0,
		"| c | 3 min | `p.maxC` |":                    1,
		"| elsewhere | off | `p.Config.Resumption` |": 0,
		"| misspelt | 4 | `p.maxAA` |":                1,
	} {
		tree, err := load(fstest.MapFS{"go.mod": {Data: []byte("module m\n")}, "p/limits.go": {Data: []byte(limits)}, defaults: {Data: []byte(row + "\n")}})
		if err != nil {
			t.Fatal(err)
		}
		if found := checkDefaults(tree); len(found) != findings {
			t.Errorf("%s: found %q, want %d", row, found, findings)
		}
	}
}
