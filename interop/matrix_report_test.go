package interop

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// resultLine is what became of a cell: one JSON object on a line of the results file.
type resultLine struct {
	Peer    string  `json:"peer"`
	Role    string  `json:"role"` // Godwit's
	Test    string  `json:"test"`
	Result  string  `json:"result"` // "pass", "fail", "cannot"
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds"`
}

// results collects the lines of a run, and appends each to the file that GODWIT_MATRIX_RESULTS names.
type results struct {
	mu    sync.Mutex
	file  *os.File
	lines []*resultLine
}

func openResults(t *testing.T) *results {
	r := new(results)
	if name := os.Getenv("GODWIT_MATRIX_RESULTS"); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		r.file = f
	}
	return r
}

func (r *results) write(t *testing.T, line *resultLine) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	line.Seconds = math.Round(10*line.Seconds) / 10
	r.lines = append(r.lines, line)
	if r.file == nil {
		return
	}
	text, err := json.Marshal(line)
	if err == nil {
		_, err = fmt.Fprintf(r.file, "%s\n", text)
	}
	if err != nil {
		t.Error(err)
	}
}

// close ends a run and says how it went.
func (r *results) close(t *testing.T) {
	count := map[string]int{}
	for _, l := range r.lines {
		count[l.Result]++
	}
	t.Logf("%d cells pass, %d fail, %d cannot be", count["pass"], count["fail"], count["cannot"])
	if r.file != nil {
		if err := r.file.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMatrixTable renders the results file that GODWIT_MATRIX_RESULTS names into the file that GODWIT_MATRIX_TABLE names. Of several
// lines for one cell, from several runs, the last counts.
func TestMatrixTable(t *testing.T) {
	from, to := os.Getenv("GODWIT_MATRIX_RESULTS"), os.Getenv("GODWIT_MATRIX_TABLE")
	if from == "" || to == "" {
		t.Skip("GODWIT_MATRIX_RESULTS and GODWIT_MATRIX_TABLE are not set")
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	cells := map[resultKey]*resultLine{}
	for record := range strings.Lines(string(text)) {
		l := new(resultLine)
		if err := json.Unmarshal([]byte(record), l); err != nil {
			t.Fatalf("%q: %v", record, err)
		}
		cells[resultKey{l.Peer, l.Role, l.Test}] = l
	}
	if err := os.WriteFile(to, []byte(renderMatrix(cells)), 0o644); err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder // the results file in the table's order, a line for each cell
	for _, p := range matrixPeers {
		for _, r := range []role{asServer, asClient} {
			for _, test := range runnerTests {
				if l := cells[resultKey{p.name, string(r), test.name}]; l != nil {
					line, err := json.Marshal(l)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&kept, "%s\n", line)
				}
			}
		}
	}
	if err := os.WriteFile(from, []byte(kept.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

type resultKey struct{ peer, role, test string }

// renderMatrix is docs/interop.md.
func renderMatrix(cells map[resultKey]*resultLine) string {
	var b strings.Builder
	b.WriteString(matrixPreface)
	b.WriteString("\n## Peers\n\n| peer | version |\n|---|---|\n| Godwit | this tree |\n")
	for _, p := range matrixPeers {
		fmt.Fprintf(&b, "| %s | %s |\n", p.name, p.version())
	}
	b.WriteString("| tshark, which decrypts for the checks | " + programVersion(tshark, "--version") + " |\n")
	for _, r := range []role{asServer, asClient} {
		renderRole(&b, cells, r)
	}
	b.WriteString("\n## Tests\n\n| letter | name | what | |\n|---|---|---|---|\n")
	for _, test := range runnerTests {
		slow := ""
		if test.slow {
			slow = "slow"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", test.letter, test.name, test.about, slow)
	}
	return b.String()
}

const matrixPreface = `# Interop matrix

Every test of the public interop runner (github.com/quic-interop/quic-interop-runner at 1d6f655), Godwit in one role and a peer
in the other. ` + "`make interop-matrix`" + ` writes this file, and [interop.jsonl](interop.jsonl) with a line for each cell: the results of real
runs. ` + "`make interop-matrix PEER=nginx`" + ` runs one column again. Continuous integration runs the quick half: all but the tests marked slow,
and with aioquic and Chromium only a few.

Between the two ends is the link emulator (internal/link) with the runner's scenario: 15 ms each way, 10 Mbit/s, a queue of 25
packets, unless the test says otherwise. HTTP/3 takes the place of HTTP/0.9. Whether a cell passes is decided by what was sent: the files, byte
for byte; Godwit's qlog, in both directions; and the link's capture, as tshark decrypts it. Exit codes decide nothing alone.

✓ passes, ✗ fails, and – means that the peer cannot do it; a number leads to the note below the table.
`

func renderRole(b *strings.Builder, cells map[resultKey]*resultLine, r role) {
	var peers []*matrixPeer
	for _, p := range matrixPeers {
		if p.has(r) {
			peers = append(peers, p)
		}
	}
	fmt.Fprintf(b, "\n## Godwit as %s\n\n| |", r)
	for _, p := range peers {
		b.WriteString(" " + p.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(peers)) + "\n")
	var notes []string
	for _, test := range runnerTests {
		fmt.Fprintf(b, "| %s %s |", test.letter, test.name)
		for _, p := range peers {
			l := cells[resultKey{p.name, string(r), test.name}]
			if l == nil {
				b.WriteString(" |")
				continue
			}
			sign := map[string]string{"pass": "✓", "fail": "✗", "cannot": "–"}[l.Result]
			if l.Reason != "" {
				note := strings.ReplaceAll(l.Reason, "\n", "; ")
				at := slices.Index(notes, note)
				if at < 0 {
					at = len(notes)
					notes = append(notes, note)
				}
				sign += fmt.Sprintf(" <sup>%d</sup>", at+1)
			}
			b.WriteString(" " + sign + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(b, "%d. %s\n", i+1, note)
	}
}

// programVersion is what a program says of itself: the first word with a digit and a dot in it.
func programVersion(p *peer, flag string) string {
	if p.missing() != "" {
		return "not installed"
	}
	out, _ := p.command(flag).CombinedOutput()
	for _, word := range strings.Fields(string(out)) {
		word = strings.Trim(word, "(),;v.")
		word = word[strings.LastIndex(word, "/")+1:]
		if strings.Contains(word, ".") && strings.ContainsAny(word[:min(2, len(word))], "0123456789") {
			return word
		}
	}
	return strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0])
}

// packageVersion is the version of the first of some Debian packages that is installed in the tree.
func packageVersion(names ...string) string {
	status, err := os.ReadFile(filepath.Join(tree(), "var/lib/dpkg/status"))
	if err != nil {
		return "not installed"
	}
	for _, name := range names {
		_, entry, found := strings.Cut(string(status), "\nPackage: "+name+"\n")
		entry, _, _ = strings.Cut(entry, "\n\n")
		if _, version, ok := strings.Cut(entry, "\nVersion: "); found && ok {
			return strings.SplitN(version, "\n", 2)[0]
		}
	}
	return "?"
}
