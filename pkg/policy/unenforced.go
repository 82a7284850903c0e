package policy

import (
	"slices"
	"strings"
)

// notJudged lists the keys that load and are checked but that no part of this
// version judges. A key leaves the list when the gate judges it.
var notJudged = []struct {
	key string // dotted, as in schema
	why string
}{
	{"model.paths", "paths are not judged; the entry applies everywhere"},
	{"mcp", "MCP servers are judged where agents call them, not on the server"},
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
			if key.schema() == n.key {
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
