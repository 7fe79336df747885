package conformance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// rfcs are those that have a list, in the order of the table.
var rfcs = []string{"9000", "9001", "9002", "9221", "9368", "9369", "9287"}

// list is docs/conformance/rfcN.md: text, and rows in it.
type list struct {
	rfc   string
	path  string
	lines []string
	rows  []*row
}

// row is one requirement.
type row struct {
	line   int // in list.lines
	id     string
	level  string
	binds  string
	status string
	text   string
}

func (r *row) section() string { return r.id[:strings.IndexByte(r.id, '/')] }

// kind returns the status without its explanation.
func (r *row) kind() string {
	kind, _, _ := strings.Cut(r.status, ":")
	return kind
}

// detail returns the explanation.
func (r *row) detail() string {
	_, detail, _ := strings.Cut(r.status, ":")
	return strings.TrimSpace(detail)
}

func (r *row) String() string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", r.id, r.level, r.binds, r.status, strings.ReplaceAll(r.text, "|", `\|`))
}

var (
	levels   = []string{"MUST", "MUST NOT", "SHOULD", "SHOULD NOT"}
	bound    = []string{"client", "server", "both", "other"}
	statuses = []string{"tested", "kept", "not ours", "deviation", "open"}

	rowID = regexp.MustCompile(`^[A-Z\d]+(?:\.\d+)*/\d+$`)
)

// root is the folder of the module.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		err = errors.New("no go.mod above this package")
	}
	return "", err
}

// loadList reads the list of an RFC and says what is wrong with its form.
func loadList(root, rfc string) (*list, []string) {
	l := &list{rfc: rfc, path: filepath.Join(root, "docs", "conformance", "rfc"+rfc+".md")}
	data, err := os.ReadFile(l.path)
	if err != nil {
		return l, []string{err.Error()}
	}
	l.lines = strings.Split(string(data), "\n")
	var found []string
	seen := map[string]bool{}
	for i, line := range l.lines {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) < 2 || !rowID.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		if len(cells) != 7 {
			found = append(found, fmt.Sprintf("rfc%s.md:%d: %d columns", rfc, i+1, len(cells)-2))
			continue
		}
		for c := range cells {
			cells[c] = strings.TrimSpace(strings.ReplaceAll(cells[c], "\x00", "|"))
		}
		r := &row{line: i, id: cells[1], level: cells[2], binds: cells[3], status: cells[4], text: cells[5]}
		l.rows = append(l.rows, r)
		found = append(found, r.faults(rfc, seen[r.id])...)
		seen[r.id] = true
	}
	return l, found
}

// faults says what is wrong with a row by itself.
func (r *row) faults(rfc string, twice bool) (found []string) {
	say := func(what string) { found = append(found, fmt.Sprintf("%s:%s: %s", rfc, r.id, what)) }
	if twice {
		say("stands there twice")
	}
	if !slices.Contains(levels, r.level) {
		say("has the level " + r.level)
	}
	if !slices.Contains(bound, r.binds) {
		say("binds " + r.binds)
	}
	switch {
	case !slices.Contains(statuses, r.kind()):
		say("has the status " + r.status)
	case r.detail() == "":
		say("says no more than " + r.status)
	}
	if !keyword.MatchString(r.text) {
		say("has no keyword")
	}
	return found
}
