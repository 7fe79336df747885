package tidy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// tree is a module's source: every Go file that belongs to it, parsed, and the texts beside them.
type tree struct {
	module string
	fset   *token.FileSet
	files  []*source
	texts  []*source // *.md and Makefile
}

// source is one file. Everything but path and data is of Go files only.
type source struct {
	path string // slash-separated, from the module's root
	data string

	dir      string // of the package, from the module's root; "." for the root
	test     bool   // a _test.go file
	external bool   // of a package named *_test
	syntax   *ast.File
}

// load reads the tree. Nested modules, hidden folders and testdata are not part of it.
func load(fsys fs.FS) (*tree, error) {
	gomod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	t := &tree{fset: token.NewFileSet()}
	for line := range strings.Lines(string(gomod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			t.module = strings.TrimSpace(name)
		}
	}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && skipped(fsys, p):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		return t.add(fsys, p)
	})
	return t, err
}

func skipped(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, dir+"/go.mod")
	return err == nil
}

func (t *tree) add(fsys fs.FS, p string) error {
	isGo := path.Ext(p) == ".go"
	if !isGo && path.Ext(p) != ".md" && path.Base(p) != "Makefile" {
		return nil
	}
	data, err := fs.ReadFile(fsys, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an editor's temporary file, gone since the folder was listed
	}
	if err != nil {
		return err
	}
	s := &source{path: p, data: string(data)}
	if !isGo {
		t.texts = append(t.texts, s)
		return nil
	}
	s.dir = path.Dir(p)
	s.test = strings.HasSuffix(p, "_test.go")
	if s.syntax, err = parser.ParseFile(t.fset, p, data, parser.ParseComments); err != nil {
		return err
	}
	s.external = s.test && strings.HasSuffix(s.syntax.Name.Name, "_test")
	t.files = append(t.files, s)
	return nil
}

// at is where a finding is: the file and the line.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// local returns the folder of an imported package of this module.
func (t *tree) local(importPath string) (dir string, ok bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

func importPath(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, `"`+"`") }

// module is the module that this test belongs to.
var module = sync.OnceValues(func() (*tree, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return load(os.DirFS(dir))
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, errors.New("no go.mod above this package")
		}
		dir = parent
	}
})

// holds reports what a rule finds in the module.
func holds(t *testing.T, rule func(*tree) []string) {
	t.Helper()
	m, err := module()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range rule(m) {
		t.Error(finding)
	}
}

// plant is one file in an otherwise empty module example.net/m, and what the rule must say about it.
type plant struct {
	name, path, source string
	want               string // part of the only finding; "" for none
}

// catches proves a rule on planted files.
func catches(t *testing.T, rule func(*tree) []string, plants []plant) {
	t.Helper()
	for _, p := range plants {
		m, err := load(fstest.MapFS{
			"go.mod": {Data: []byte("module example.net/m\n")},
			p.path:   {Data: []byte(p.source)},
		})
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		found := rule(m)
		switch {
		case p.want == "" && len(found) > 0:
			t.Errorf("%s: found %q", p.name, found)
		case p.want != "" && (len(found) != 1 || !strings.Contains(found[0], p.want)):
			t.Errorf("%s: found %q, want one finding with %q", p.name, found, p.want)
		}
	}
}

func TestTreeEndsAtNestedModules(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("package p\n")}
	m, err := load(fstest.MapFS{
		"go.mod":               {Data: []byte("module example.net/m\n\ngo 1.26\n")},
		"a/a.go":               file,
		"a/testdata/x.go":      {Data: []byte("not Go")},
		".hidden/x.go":         {Data: []byte("not Go")},
		"bench/go.mod":         {Data: []byte("module example.net/m/bench\n")},
		"bench/x.go":           file,
		"interop/deep/x.go":    file,
		"interop/go.mod":       {Data: []byte("module example.net/m/interop\n")},
		"docs/path.md":         {Data: []byte("text")},
		"Makefile":             {Data: []byte("all:")},
		"a/golden.json":        {Data: []byte("{}")},
		"a/external_test.go":   {Data: []byte("package p_test\n")},
		"a/in_package_test.go": file,
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.module != "example.net/m" || len(m.files) != 3 || len(m.texts) != 2 {
		t.Errorf("module %q, %d Go files, %d texts", m.module, len(m.files), len(m.texts))
	}
	for _, f := range m.files {
		if f.external != strings.HasPrefix(f.path, "a/external") || f.test != strings.HasSuffix(f.path, "_test.go") || f.dir != "a" {
			t.Errorf("%+v", f)
		}
	}
}
