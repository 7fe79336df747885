package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	mutate  = flag.Bool("mutate", false, "remove rules from the code, one after another, and run the tests that name them")
	untried = flag.Bool("untried", false, "of these mutations, those that were never tried")
	only    = flag.String("only", "", "of these mutations, those whose rule or file contains this")
)

// mutation removes one rule from the code.
type mutation struct {
	rule     string
	file     string
	old, new string
}

// loadMutations reads testdata/mutations.txt: blocks of lines that begin with "rule ", "file ", "-" and "+", with a line between
// them that is empty. Lines that begin with # are comments.
func loadMutations() (all []mutation, err error) {
	data, err := os.ReadFile(filepath.Join("testdata", "mutations.txt"))
	if err != nil {
		return nil, err
	}
	for block := range strings.SplitSeq(string(data), "\n\n") {
		var m mutation
		for line := range strings.Lines(block) {
			switch {
			case strings.HasPrefix(line, "rule "):
				m.rule = strings.TrimSpace(line[5:])
			case strings.HasPrefix(line, "file "):
				m.file = strings.TrimSpace(line[5:])
			case strings.HasPrefix(line, "-"):
				m.old += line[1:]
			case strings.HasPrefix(line, "+"):
				m.new += line[1:]
			}
		}
		if m.rule != "" {
			m.old, m.new = strings.TrimSuffix(m.old, "\n"), strings.TrimSuffix(m.new, "\n")
			all = append(all, m)
		}
	}
	return all, nil
}

// TestMutationsAreOfRulesThatAreTested holds the list against the others. Whether each mutation still applies, and what becomes of
// it, is for `make mutations`, which takes half an hour.
func TestMutationsAreOfRulesThatAreTested(t *testing.T) {
	e := load(t)
	all, err := loadMutations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if len(testsOf(e.cited, m.rule)) == 0 {
			t.Errorf("%s, which a mutation removes, is cited by no test", m.rule)
		}
		if _, err := os.Stat(filepath.Join(e.root, m.file)); err != nil || m.old == "" || m.old == m.new {
			t.Errorf("the mutation of %s in %s is none", m.rule, m.file)
		}
	}
	if len(all) < 50 {
		t.Errorf("there are %d mutations", len(all))
	}
}

func TestMutations(t *testing.T) {
	if !*mutate {
		t.Skip("-mutate is not set")
	}
	e := load(t)
	all, err := loadMutations()
	if err != nil {
		t.Fatal(err)
	}
	tried := loadTrials(e.root)
	for i := range all {
		m := &all[i]
		if !strings.Contains(m.rule, *only) && !strings.Contains(m.file, *only) || *untried && tried[m.key()].verdict != "" {
			continue
		}
		verdict := m.try(t, e)
		fmt.Printf("%-18s %-44s %s\n", m.rule, m.file, verdict)
		if !strings.HasPrefix(verdict, "found") {
			t.Errorf("%s in %s: %s\n-%s\n+%s", m.rule, m.file, verdict, m.old, m.new)
		}
		verdict, _, _ = strings.Cut(verdict, "\n")
		tried[m.key()] = trial{verdict, time.Now().UTC().Format(time.DateOnly)}
		save(t, filepath.Join(e.root, "docs", "conformance", "mutations.md"), renderTrials(all, tried))
	}
	e.writeTable(t)
}

const mutationHead = `# Mutations

Each of these changes, one at a time, removes a rule from the code, and the tests that name the rule are run: they have to fail.
` + "`make mutations`" + ` does it and writes this; ` + "`make mutations ARGS=-untried`" + ` does those that are not in this list yet. The changes are in
internal/conformance/testdata/mutations.txt: the third column is the CRC of one.

`

const mutationHistory = `The first time six of 106 survived. Three changed nothing, because the code has the rule in two places (one each of 9000:4.5/3, 9000:13.3/2 and
9368:4/12; they are other changes now, or gone). Three tests were too weak and are mended: the one of the amplification limit ended before the
limit was reached (9000:8.1/1), nothing told the story in which only the missing acknowledgment forbids a key update (9001:6.1/2), and
no packet of padding alone was ever lost (9002:7.6.2/1).

Of 75 that came later six survived. Nothing told that a first close keeps to the limit of an address that is not proved (9000:10.2.1/3), nothing held the least
round trip to the least (9002:5.2/2), and what begins the questions about a narrow path had no test of its own (9000:14.2/4): they have one
now. Three changed nothing (9000:17.2.5.2/4 and 9000:19.7/4, which the code had in two places, and 9369:4.1/3).

`

// try makes the change, in a copy that lies over the file, and says what the tests that name the rule make of it.
func (m *mutation) try(t *testing.T, e *everything) string {
	path := filepath.Join(e.root, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return fmt.Sprintf("does not apply: the old text is there %d times", n)
	}
	dir := t.TempDir()
	copied, overlay := filepath.Join(dir, "copy.go"), filepath.Join(dir, "overlay.json")
	save(t, copied, strings.Replace(string(source), m.old, m.new, 1))
	places, err := json.Marshal(map[string]any{"Replace": map[string]string{path: copied}})
	if err != nil {
		t.Fatal(err)
	}
	save(t, overlay, string(places))
	folders, names := m.tests(e)
	args := []string{"test", "-count=1", "-vet=off", "-timeout=120s", "-overlay", overlay, "-run", "^(" + strings.Join(names, "|") + ")$"}
	cmd := exec.Command("go", append(args, folders...)...)
	cmd.Dir = e.root
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return "survived"
	case strings.Contains(string(out), "[build failed]"):
		return "does not compile: " + string(out)
	}
	for _, name := range names {
		if strings.Contains(string(out), "--- FAIL: "+name+" ") {
			return "found by " + name
		}
	}
	return "found, as the tests came to no end"
}

// tests returns the tests that name the rule, and the folders of their packages.
func (m *mutation) tests(e *everything) (folders, names []string) {
	for _, c := range e.cited {
		if c.rule != m.rule {
			continue
		}
		_, name, _ := strings.Cut(c.test, ".")
		folder := "./" + filepath.ToSlash(filepath.Dir(c.at))
		if strings.HasPrefix(folder, "./interop") || strings.HasPrefix(folder, "./bench") {
			continue
		}
		if !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return folders, names
}
