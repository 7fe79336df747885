package conformance

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// quotation is what a comment says that an RFC says.
type quotation struct {
	text   string  // without the outer quotation marks
	places []place // where it may stand: the section named last before it, and the one named next
	at     string
}

// place is a section of an RFC.
type place struct{ rfc, section string }

var (
	// mention names a section. The RFC may have been named before, or a draft, which is not looked up.
	mention = regexp.MustCompile(`(?:RFC (\d{4}), )?[Ss]ections? ([A-Z\d]+(?:\.\d+)*)`)
	another = regexp.MustCompile(`RFC (\d{4})|draft-[a-z\d-]+`)
)

// minWords is how many words make a quotation of what stands in quotation marks after the mention of a section.
const minWords = 5

// quotations finds the quotations in a file's comments.
func quotations(fset *token.FileSet, f *ast.File) (all []quotation) {
	for _, group := range f.Comments {
		text := strings.Join(strings.Fields(group.Text()), " ")
		q := quotation{at: fset.Position(group.Pos()).String()}
		var last place
		for text != "" {
			before, after, ok := strings.Cut(text, `"`)
			last = lastPlace(before, last)
			if !ok {
				break
			}
			words, n := untilClosed(after)
			text = after[n:]
			if q.text = words; len(strings.Fields(words)) < minWords {
				continue
			}
			q.places = nil
			if last.section != "" {
				q.places = append(q.places, last)
			}
			if next, ok := nextPlace(text, last); ok {
				q.places = append(q.places, next)
			}
			if len(q.places) > 0 {
				all = append(all, q)
			}
		}
	}
	return all
}

// lastPlace returns the section that a text names last.
func lastPlace(text string, at place) place {
	for _, m := range another.FindAllStringSubmatch(text, -1) {
		at = place{rfc: m[1]}
	}
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		at.section = m[2]
	}
	if at.rfc == "" {
		at.section = ""
	}
	return at
}

// nextPlace returns the section that a text names first.
func nextPlace(text string, at place) (place, bool) {
	m := mention.FindStringSubmatch(text)
	if m == nil || m[1] == "" && at.rfc == "" {
		return at, false
	}
	if m[1] != "" {
		at.rfc = m[1]
	}
	at.section = m[2]
	return at, true
}

// untilClosed returns what stands before the quotation mark that closes the one before s. Marks nest: one after a space, a
// bracket or nothing opens.
func untilClosed(s string) (words string, n int) {
	depth := 1
	for i := range len(s) {
		if s[i] != '"' {
			continue
		}
		if i > 0 && (s[i-1] == ' ' || s[i-1] == '(') {
			depth++
			continue
		}
		if depth--; depth == 0 {
			return s[:i], i + 1
		}
	}
	return s, len(s)
}

// plainly takes away what typography adds: the marks of lists, of emphasis, and the two kinds of quotation marks.
var plainly = strings.NewReplacer(" * ", " ", "*", "", "<sub>", "", "</sub>", "", "`", "", `"`, "'", "_", "", "\u201c", "'", "\u201d", "'").Replace

// pieces cuts a quotation where it leaves something out.
func (q *quotation) pieces() (all []string) {
	for p := range strings.SplitSeq(q.text, "[...]") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

// in reports the first piece that is not in a text, in the order of the quotation.
func (q *quotation) in(text string) string {
	text = plainly(text)
	for _, p := range q.pieces() {
		p = plainly(p)
		i := strings.Index(text, p)
		if i < 0 {
			return p
		}
		text = text[i+len(p):]
	}
	return ""
}

// inList checks a quotation against the sentences of a section that are in a list. What has no keyword is not there.
func (q *quotation) inList(l *list, section string) string {
	var all []string
	for _, r := range l.rows {
		if r.section() == section {
			all = append(all, r.text)
		}
	}
	text := plainly(strings.Join(all, " "))
	for _, p := range q.pieces() {
		for _, s := range sentences(p) {
			if keyword.MatchString(s) && !strings.Contains(text, plainly(s)) {
				return s
			}
		}
	}
	return ""
}
