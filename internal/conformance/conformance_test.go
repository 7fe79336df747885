package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write what is derived: the tests in the lists, the table and the ratchet")

// everything is what the tests look at.
type everything struct {
	root  string
	lists []*list
	fset  *token.FileSet
	files []*ast.File
	cited []citation
}

// loaded is what load has found. Tests do not run at the same time.
var loaded *everything

func load(t *testing.T) *everything {
	t.Helper()
	if loaded != nil {
		return loaded
	}
	e := &everything{}
	loaded = e
	var err error
	if e.root, err = root(); err != nil {
		t.Fatal(err)
	}
	if e.fset, e.files, err = parseTree(e.root); err != nil {
		t.Fatal(err)
	}
	var found []string
	e.cited, found = citations(e.root, e.fset, e.files)
	for _, rfc := range rfcs {
		l, faults := loadList(e.root, rfc)
		e.lists = append(e.lists, l)
		found = append(found, faults...)
	}
	for _, f := range found {
		t.Error(f)
	}
	if *write {
		for _, l := range e.lists {
			e.rewrite(t, l)
		}
	}
	return e
}

// rewrite brings the tests in a list up to date.
func (e *everything) rewrite(t *testing.T, l *list) {
	for _, r := range l.rows {
		if tests := testsOf(e.cited, l.rfc+":"+r.id); len(tests) > 0 {
			r.status = "tested: " + strings.Join(tests, ", ")
		} else if r.kind() == "tested" {
			r.status = "open: the test that cited it is gone"
		}
		l.lines[r.line] = r.String()
	}
	save(t, l.path, strings.Join(l.lines, "\n"))
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryRuleThatIsCitedExists(t *testing.T) {
	e := load(t)
	known := map[string]bool{}
	for _, l := range e.lists {
		for _, r := range l.rows {
			known[l.rfc+":"+r.id] = true
		}
	}
	for _, c := range e.cited {
		if !known[c.rule] {
			t.Errorf("%s: %s cites %s, which is in no list", c.at, c.test, c.rule)
		}
	}
}

func TestRowsSayWhichTestsCiteThem(t *testing.T) {
	e := load(t)
	for _, l := range e.lists {
		for _, r := range l.rows {
			rule := l.rfc + ":" + r.id
			want, got := strings.Join(testsOf(e.cited, rule), ", "), ""
			if r.kind() == "tested" {
				got = r.detail()
			}
			if got != want {
				t.Errorf("%s: tested by %q, cited by %q; `make conformance` writes it anew", rule, got, want)
			}
		}
	}
}

func TestPlacesThatKeepARuleExist(t *testing.T) {
	e := load(t)
	for _, l := range e.lists {
		for _, r := range l.rows {
			if r.kind() != "kept" {
				continue
			}
			place, _, _ := strings.Cut(r.detail(), " ")
			if _, err := os.Stat(filepath.Join(e.root, place)); err != nil {
				t.Errorf("%s:%s is kept in %s, which does not exist", l.rfc, r.id, place)
			}
		}
	}
}

// TestQuotationsAreTrueWords: a sentence with a keyword has to be in the lists; the rest of what is quoted is looked up when
// there are texts to look it up in.
func TestQuotationsAreTrueWords(t *testing.T) {
	e := load(t)
	b := books{t: t, folder: os.Getenv("GODWIT_SPECS"), specs: map[string]*spec{}, lists: map[string]*list{}}
	for _, l := range e.lists {
		b.lists[l.rfc] = l
	}
	n := 0
	for _, f := range e.files {
		for _, q := range quotations(e.fset, f) {
			n++
			var wrong string
			for _, p := range q.places {
				if wrong = b.lacks(&q, p); wrong == "" {
					break
				}
			}
			if wrong != "" {
				t.Errorf("%s: RFC %s, section %s does not say %q", q.at, q.places[0].rfc, q.places[0].section, wrong)
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d quotations found: are they still looked for in the right way?", n)
	}
}

// books are what quotations are looked up in.
type books struct {
	t      *testing.T
	folder string // empty: there are only the lists
	specs  map[string]*spec
	lists  map[string]*list
}

// lacks returns what of a quotation does not stand in a place.
func (b *books) lacks(q *quotation, p place) string {
	if b.folder != "" {
		if _, ok := b.specs[p.rfc]; !ok {
			s, err := loadSpec(b.folder, p.rfc)
			if err != nil {
				b.t.Fatal(err)
			}
			b.specs[p.rfc] = s
		}
		if s := b.specs[p.rfc]; s != nil {
			sec := s.byNumber[p.section]
			if sec == nil {
				return "anything: there is no such section"
			}
			return q.in(sec.text())
		}
	}
	if l := b.lists[p.rfc]; l != nil {
		return q.inList(l, p.section)
	}
	return ""
}

// TestListsAreTheRFCs: every row is a sentence of its section, and none that has a keyword is missing.
func TestListsAreTheRFCs(t *testing.T) {
	folder := specs(t)
	e := load(t)
	for _, l := range e.lists {
		s, err := loadSpec(folder, l.rfc)
		if err != nil || s == nil {
			t.Fatalf("RFC %s: %v", l.rfc, err)
		}
		has := map[string][]string{}
		for _, r := range l.rows {
			has[r.section()] = append(has[r.section()], r.text)
		}
		for _, sec := range s.sections {
			want := sec.requirements()
			if strings.Contains(strings.Join(want, ""), "BCP 14") {
				want = nil // what the keywords mean
			}
			for i, text := range want {
				if i >= len(has[sec.number]) || has[sec.number][i] != text {
					t.Errorf("%s:%s/%d should be %q", l.rfc, sec.number, i+1, text)
				}
			}
			if len(has[sec.number]) > len(want) {
				t.Errorf("RFC %s, section %s has %d rows too many", l.rfc, sec.number, len(has[sec.number])-len(want))
			}
			delete(has, sec.number)
		}
		for number := range has { // any order
			t.Errorf("RFC %s has no section %s", l.rfc, number)
		}
	}
}

// TestTestedRulesOnlyGrow is the ratchet.
func TestTestedRulesOnlyGrow(t *testing.T) {
	e := load(t)
	path := filepath.Join(e.root, "docs", "conformance", "ratchet.txt")
	least := map[string]int{}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(f) != 2 {
			b.WriteString(line)
			continue
		}
		if least[f[0]], err = strconv.Atoi(f[1]); err != nil {
			t.Error(err)
		}
	}
	for _, l := range e.lists {
		n := 0
		for _, r := range l.rows {
			if r.kind() == "tested" {
				n++
			}
		}
		if n < least[l.rfc] {
			t.Errorf("RFC %s: %d requirements are tested, and %d were", l.rfc, n, least[l.rfc])
		}
		if n > least[l.rfc] && !*write {
			t.Errorf("RFC %s: %d requirements are tested, and the ratchet holds %d; `make conformance` turns it", l.rfc, n, least[l.rfc])
		}
		fmt.Fprintln(&b, l.rfc, max(n, least[l.rfc]))
	}
	if *write {
		save(t, path, b.String())
	}
}

// writeTable renders docs/conformance.md, and writes it if that is wanted.
func (e *everything) writeTable(t *testing.T) (path, want string) {
	t.Helper()
	all, err := loadMutations()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(e.root, "docs", "conformance.md")
	want = table(e.lists, countTrials(all, loadTrials(e.root)))
	if *write || *mutate {
		save(t, path, want)
	}
	return path, want
}

func TestTableIsUpToDate(t *testing.T) {
	e := load(t)
	path, want := e.writeTable(t)
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("docs/conformance.md is not what the lists say (%v); `make conformance` writes it", err)
	}
}
