package policy

import (
	"slices"
	"strings"
)

// notJudged lists the keys that load and are checked but that no part of this
// version judges. A key leaves the list when the gate judges it.
var notJudged = []struct {
	key   string // dotted, as in schema
	value string // only with this value; "" is any
	why   string
}{
	{"defaults.author", AuthorSigner, "the author's address is not compared with the signer"},
	{"override", "", "nobody can override a refusal; change the policy instead"},
}

// Unenforced lists what is set but not judged by this version, in the order of
// the file, each as "file:line: key: why".
func (p *Policy) Unenforced() []string {
	list := make([]string, len(p.unenforced))
	for i, n := range p.unenforced {
		list[i] = n.String()
	}
	return list
}

func (d *document) unenforced() []Note {
	var notes []Note
	for _, key := range d.first {
		for _, n := range notJudged {
			if key.schema() == n.key && (n.value == "" || d.at(key) == n.value) {
				notes = append(notes, d.note(key, n.why))
			}
		}
	}
	slices.SortStableFunc(notes, func(a, b Note) int { return a.Line - b.Line })
	return notes
}

func (d *document) note(key keyPath, text string) Note {
	return Note{File: d.file, Line: d.keys[key].line, Key: strings.TrimPrefix(key.schema(), "."), Text: text}
}

// at is the value under a key of plain tables; nil under an array of tables.
func (d *document) at(key keyPath) any {
	var v any = d.root
	for _, part := range strings.Split(string(key), "\x00")[1:] {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}
