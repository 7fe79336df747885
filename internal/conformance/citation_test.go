package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// citation is a test that says which rule it is about.
type citation struct {
	rule string // "9000:5.1.1/3"
	test string // "engine.TestX"
	at   string
}

var (
	rulesLine = regexp.MustCompile(`(?m)^(?://)?\s*Rules: (.*)$`)
	ruleID    = regexp.MustCompile(`^\d{4}:[A-Z\d]+(?:\.\d+)*/\d+$`)
)

// parseTree parses the Go files of the module and of those nested in it.
func parseTree(root string) (*token.FileSet, []*ast.File, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != root && (name == "testdata" || name[0] == '.' || name[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		files = append(files, f)
		return err
	})
	return fset, files, err
}

// citations finds what the tests cite, and what is wrong with how they do.
func citations(root string, fset *token.FileSet, files []*ast.File) (all []citation, found []string) {
	for _, f := range files {
		name := fset.Position(f.Pos()).Filename
		rel, _ := filepath.Rel(root, name)
		pkg := path.Base(path.Dir(filepath.ToSlash(rel)))
		if path.Base(path.Dir(filepath.ToSlash(rel))) == "conformance" {
			continue
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				for _, m := range rulesLine.FindAllStringSubmatch(strings.TrimPrefix(c.Text, "//"), -1) {
					at := fmt.Sprintf("%s:%d", rel, fset.Position(c.Pos()).Line)
					test := testAround(f, group)
					if test == "" {
						found = append(found, at+": rules are cited outside a test")
					}
					for _, rule := range strings.Split(strings.TrimSuffix(strings.TrimSpace(m[1]), "."), ", ") {
						if !ruleID.MatchString(rule) {
							found = append(found, fmt.Sprintf("%s: %q is no id of a rule; they look like 9000:5.1.1/3, separated by a comma and a space", at, rule))
							continue
						}
						all = append(all, citation{rule: rule, test: pkg + "." + test, at: at})
					}
				}
			}
		}
	}
	return all, found
}

// testAround returns the test or fuzz target that a comment stands above or in, or that goes through the table in which the
// comment stands.
func testAround(f *ast.File, group *ast.CommentGroup) string {
	table := tableAround(f, group)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Fuzz") {
			continue
		}
		if fn.Doc == group || fn.Pos() <= group.Pos() && group.End() <= fn.End() || table != "" && mentions(fn, table) {
			return fn.Name.Name
		}
	}
	return ""
}

// tableAround returns the variable in whose declaration a comment stands.
func tableAround(f *ast.File, group *ast.CommentGroup) string {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || group.Pos() < g.Pos() || g.End() < group.End() {
			continue
		}
		for _, s := range g.Specs {
			if v := s.(*ast.ValueSpec); v.Pos() <= group.Pos() && group.End() <= v.End() {
				return v.Names[0].Name
			}
		}
	}
	return ""
}

func mentions(fn *ast.FuncDecl, name string) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// testsOf returns the tests that cite a rule, each once, in order.
func testsOf(all []citation, rule string) (tests []string) {
	for _, c := range all {
		if c.rule == rule && !slices.Contains(tests, c.test) {
			tests = append(tests, c.test)
		}
	}
	slices.Sort(tests)
	return tests
}
