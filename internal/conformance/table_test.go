package conformance

import (
	"fmt"
	"strings"
)

const tableHead = `# Conformance

One row for each sentence of an RFC that says MUST, MUST NOT, SHOULD or SHOULD NOT (or SHALL, REQUIRED, RECOMMENDED). The lists are in
[conformance](conformance); ` + "`make conformance`" + ` counts them. *Tested*: a test names the rule. *Kept*: there is code for it, named in the
list, and no test that names it. *Not ours*: it binds others, or something that there is not. *Deviation*: not obeyed, with the reason.
`

// table renders docs/conformance.md. mutations is what countTrials says.
func table(lists []*list, mutations string) string {
	var b strings.Builder
	b.WriteString(tableHead)
	b.WriteString("\n| RFC | level | all | tested | kept | not ours | deviation | open |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, l := range lists {
		for _, level := range levels {
			n := map[string]int{}
			all := 0
			for _, r := range l.rows {
				if r.level == level {
					n[r.kind()]++
					all++
				}
			}
			if all > 0 {
				fmt.Fprintf(&b, "| [%s](conformance/rfc%s.md) | %s | %d | %d | %d | %d | %d | %d |\n",
					l.rfc, l.rfc, level, all, n["tested"], n["kept"], n["not ours"], n["deviation"], n["open"])
			}
		}
	}
	b.WriteString("\n## Rules that were removed\n\n" + mutations)
	b.WriteString("\n## Without a test\n\n")
	for _, l := range lists {
		for _, r := range l.rows {
			if r.kind() == "kept" && strings.HasPrefix(r.level, "MUST") {
				fmt.Fprintf(&b, "* RFC %s, %s, %s: %s\n", l.rfc, r.id, r.level, r.detail())
			}
		}
	}
	b.WriteString("\n## Deviations\n\n")
	for _, l := range lists {
		for _, r := range l.rows {
			if r.kind() == "deviation" {
				fmt.Fprintf(&b, "* RFC %s, %s, %s: %s\n", l.rfc, r.id, r.level, r.detail())
			}
		}
	}
	return b.String()
}
