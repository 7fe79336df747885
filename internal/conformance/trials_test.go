package conformance

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
)

// trial is what became of a mutation, and when.
type trial struct{ verdict, date string }

// key tells a mutation from all others, and from what it was before somebody changed it.
func (m *mutation) key() string {
	return fmt.Sprintf("| %s | `%s` | %08x |", m.rule, m.file, crc32.ChecksumIEEE([]byte(m.old+"\n"+m.new)))
}

// loadTrials reads docs/conformance/mutations.md.
func loadTrials(root string) map[string]trial {
	tried := map[string]trial{}
	data, err := os.ReadFile(filepath.Join(root, "docs", "conformance", "mutations.md"))
	if err != nil {
		return tried
	}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, " | "); len(cells) == 5 {
			tried[strings.Join(cells[:3], " | ")+" |"] = trial{cells[3], strings.TrimSuffix(strings.TrimSpace(cells[4]), " |")}
		}
	}
	return tried
}

// renderTrials writes docs/conformance/mutations.md.
func renderTrials(all []mutation, tried map[string]trial) string {
	var b strings.Builder
	b.WriteString(mutationHead + mutationHistory + "| rule | file | change | | tried |\n|---|---|---|---|---|\n")
	for i := range all {
		m := &all[i]
		if r := tried[m.key()]; r.verdict != "" {
			fmt.Fprintf(&b, "%s %s | %s |\n", m.key(), r.verdict, r.date)
		}
	}
	return b.String()
}

// countTrials says what the mutations have shown so far.
func countTrials(all []mutation, tried map[string]trial) string {
	found, unknown, first, last, survived := 0, 0, "", "", ""
	rules := map[string]bool{}
	for i := range all {
		m := &all[i]
		switch r := tried[m.key()]; {
		case r.verdict == "":
			unknown++
			continue
		case strings.HasPrefix(r.verdict, "found"):
			found++
		default:
			survived += fmt.Sprintf("* %s in %s: %s\n", m.rule, m.file, r.verdict)
		}
		rules[m.rule] = true
		date := tried[m.key()].date
		if first == "" {
			first = date
		}
		first, last = min(first, date), max(last, date)
	}
	s := fmt.Sprintf("Of %d changes that each remove a rule from the code, %d were tried, for %d rules, between %s and %s: %d were found by the "+
		"tests that name the rule, %d were not.\n[mutations.md](conformance/mutations.md) has them all.\n",
		len(all), len(all)-unknown, len(rules), first, last, found, len(all)-unknown-found)
	if survived != "" {
		s += "\n" + survived
	}
	return s
}
