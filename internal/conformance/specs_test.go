package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// specs returns the folder with the texts of the RFCs; it skips the test when there is none.
func specs(t *testing.T) string {
	folder := os.Getenv("GODWIT_SPECS")
	if folder == "" {
		t.Skip("GODWIT_SPECS names no folder with the RFCs")
	}
	return folder
}

// spec is the text of an RFC, by sections in their order.
type spec struct {
	sections []*section
	byNumber map[string]*section
}

// section is one numbered section, without those inside it.
type section struct {
	number string // "5.1.1", "A.2"
	title  string
	blocks []block
}

// block is a paragraph, or an item of a list, with its line breaks gone.
type block struct {
	indent int
	item   bool
	text   string
}

// text returns all of a section as one line.
func (s *section) text() string {
	var all []string
	for _, b := range s.blocks {
		all = append(all, b.text)
	}
	return strings.Join(all, " ")
}

// loadSpec finds and reads an RFC; nil: it is not in the folder.
func loadSpec(folder, number string) (*spec, error) {
	plain := filepath.Join(folder, "rfc"+number+".txt")
	if data, err := os.ReadFile(plain); err == nil {
		return parsePlain(string(data)), nil
	}
	names, err := filepath.Glob(filepath.Join(folder, "rfc"+number+"-*.md"))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	data, err := os.ReadFile(names[0])
	return parseMarkdown(string(data)), err
}

func (s *spec) begin(number, title string) *section {
	n := &section{number: number, title: title}
	s.sections = append(s.sections, n)
	s.byNumber[number] = n
	return n
}

var (
	plainHeading = regexp.MustCompile(`^(?:Appendix )?((?:\d+|[A-Z])(?:\.\d+)*)\.  (\S.*)$`)
	bullet       = regexp.MustCompile(`^ *(?:[*-]|\d+\.|\(\d+\)) +`)
)

// parsePlain reads an RFC as it is published.
func parsePlain(text string) *spec {
	s := &spec{byNumber: map[string]*section{}}
	var at *section
	broken := true // the next line begins a block
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n\f")
		if m := plainHeading.FindStringSubmatch(line); m != nil {
			at, broken = s.begin(m[1], m[2]), true
			continue
		}
		trimmed := strings.Join(strings.Fields(line), " ")
		if at == nil || trimmed == "" {
			broken = true
			continue
		}
		item := bullet.FindString(line)
		if item != "" && (broken || !strings.HasSuffix(at.last(), " Section")) {
			trimmed = strings.Join(strings.Fields(bullet.ReplaceAllString(line, "")), " ")
		}
		at.add(broken || item != "" && !strings.HasSuffix(at.last(), " Section"), block{
			indent: len(line) - len(strings.TrimLeft(line, " ")), item: item != "", text: trimmed,
		})
		broken = false
	}
	return s
}

// last returns how far the last block has come.
func (s *section) last() string {
	if len(s.blocks) == 0 {
		return ""
	}
	return s.blocks[len(s.blocks)-1].text
}

// add begins a block or goes on with the last.
func (s *section) add(begins bool, b block) {
	if begins || len(s.blocks) == 0 {
		s.blocks = append(s.blocks, b)
		return
	}
	last := &s.blocks[len(s.blocks)-1]
	space := " "
	if strings.HasSuffix(last.text, "-") && !strings.HasSuffix(last.text, " -") && !strings.HasSuffix(last.text, "--") {
		space = "" // a word that is broken at its hyphen
	}
	last.text += space + b.text
}

var (
	markdownHeading = regexp.MustCompile(`^(#+) +(.*?)(?: *\{#([\w-]+)\})?$`)
	reference       = regexp.MustCompile(`\{\{([^}]+)\}\}`)
)

// parseMarkdown reads the source that an RFC was made of.
func parseMarkdown(text string) *spec {
	s := &spec{byNumber: map[string]*section{}}
	anchors := map[string]string{}
	var at *section
	var depth []int
	letter, fence, broken := byte(0), false, true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n ")
		switch {
		case line == "--- middle":
			depth = []int{}
			continue
		case line == "--- back":
			letter, depth, at = 'A'-1, []int{}, nil
			continue
		case strings.HasPrefix(line, "~~~") || strings.HasPrefix(line, "```"):
			fence, broken = !fence, true
			continue
		case fence || depth == nil || strings.HasPrefix(line, "{:") || strings.HasPrefix(line, "|"):
			continue
		}
		if m := markdownHeading.FindStringSubmatch(line); m != nil {
			depth = count(depth, len(m[1]))
			at, broken = s.begin(numbered(depth, letter), m[2]), true
			anchors[m[3]] = at.number
			continue
		}
		if at == nil || line == "" {
			broken = true
			continue
		}
		definition := strings.HasPrefix(line, ": ")
		item := bullet.MatchString(line)
		at.add(broken && !definition || item, block{
			indent: len(line) - len(strings.TrimLeft(line, " ")), item: item, text: strings.TrimPrefix(strings.TrimSpace(bullet.ReplaceAllString(line, "")), ": "),
		})
		broken = false
	}
	for _, sec := range s.sections {
		for i := range sec.blocks {
			sec.blocks[i].text = resolve(sec.blocks[i].text, anchors)
		}
	}
	return s
}

// count goes to the next heading of a level.
func count(depth []int, level int) []int {
	for len(depth) < level {
		depth = append(depth, 0)
	}
	depth = depth[:level]
	depth[level-1]++
	return depth
}

// numbered writes a section's number; appendices begin with a letter.
func numbered(depth []int, letter byte) string {
	var all []string
	for i, n := range depth {
		if i == 0 && letter != 0 {
			all = append(all, string(rune(letter)+rune(n)))
			continue
		}
		all = append(all, fmt.Sprint(n))
	}
	return strings.Join(all, ".")
}

// resolve writes references as they are published.
func resolve(text string, anchors map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(r string) string {
		name := strings.TrimLeft(strings.Trim(r, "{}"), "!?<")
		name, _, _ = strings.Cut(name, "=")
		if n := anchors[name]; n != "" {
			return "Section " + n
		}
		if sec, of, ok := strings.Cut(name, " of "); ok {
			return sec + " of [" + strings.TrimLeft(of, "!?") + "]"
		}
		return "[" + name + "]"
	})
}

// keyword finds what RFC 2119 gives a meaning to, but for MAY and OPTIONAL.
var keyword = regexp.MustCompile(`\b(?:MUST NOT|MUST|SHALL NOT|SHALL|SHOULD NOT|SHOULD|NOT RECOMMENDED|RECOMMENDED|REQUIRED)\b`)

// requirements returns the sentences of a section that have a keyword.
func (s *section) requirements() (all []string) {
	for i := 0; i < len(s.blocks); i++ {
		b := s.blocks[i]
		list := sentences(b.text)
		for j, sentence := range list {
			if !keyword.MatchString(sentence) {
				continue
			}
			if j == len(list)-1 && strings.HasSuffix(sentence, ":") {
				// What follows the colon belongs to the sentence: the items, or else the next paragraph.
				for i+1 < len(s.blocks) && s.blocks[i+1].item && !keyword.MatchString(s.blocks[i+1].text) {
					i++
					sentence += " * " + s.blocks[i].text
				}
			}
			all = append(all, sentence)
		}
	}
	return all
}

// identifier begins a sentence although it is not in capitals.
var identifier = regexp.MustCompile(`^[a-z]+_`)

// sentences cuts a paragraph.
func sentences(text string) (all []string) {
	from := 0
	for i := 0; i+2 < len(text); i++ {
		if text[i] != '.' && text[i] != '?' && text[i] != '!' {
			continue
		}
		j := i + 1
		for j < len(text) && (text[j] == '"' || text[j] == ')') {
			j++
		}
		if j >= len(text)-1 || text[j] != ' ' {
			continue
		}
		next := strings.TrimLeft(text[j:], " (\"")
		before := text[from:i]
		if next == "" || next[0] >= 'a' && next[0] <= 'z' && !identifier.MatchString(next) || strings.HasSuffix(before, "e.g") || strings.HasSuffix(before, "i.e") ||
			strings.HasSuffix(before, " vs") || strings.HasSuffix(before, " al") {
			continue
		}
		all = append(all, strings.TrimSpace(text[from:j]))
		from = j
	}
	return append(all, strings.TrimSpace(text[from:]))
}
