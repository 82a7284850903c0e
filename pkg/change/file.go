package change

import (
	"bytes"
	"io"
)

// A FileChange is what a commit does to the content of one file or symbolic link.
type FileChange struct {
	Path     string
	Old, New ID // of the blobs; "" where there is none
	// Text is the new content where the change is told by lines, and nil where it is not,
	// or the file goes:
	// such a file adds no lines. It is valid during the call only.
	Text []byte
	// Added are the lines that the hunks add, from top to bottom.
	Added []Span
}

// A Span is lines [From, To) of a text, from 0.
type Span struct{ From, To int }

// visit tells of a file.
func (d *Digester) visit(path []byte, old, new treeEntry, text []byte, hunks []hunk) error {
	if d.Visit == nil {
		return nil
	}
	f := FileChange{Path: string(path), Old: ID(old.id), New: ID(new.id), Text: text}
	at, line := 0, 0
	for _, h := range hunks {
		line += bytes.Count(text[at:h.newStart], newline)
		at = h.newStart
		if n := countLines(text[h.newStart:h.newEnd]); n > 0 {
			f.Added = append(f.Added, Span{line, line + n})
		}
	}
	return d.Visit(f)
}

var newline = []byte{'\n'}

// AddedLines finds the lines that a file's new content adds to its old, as the change digest
// counts them; old is "" for none. The ids are of blobs.
func AddedLines(objs Objects, old, new ID) (added []Span, err error) {
	d := Digester{objs: objs, out: stream{w: io.Discard}, Visit: func(f FileChange) error {
		added = f.Added
		return nil
	}}
	if old == new {
		return nil, nil
	}
	err = d.content(nil, fileEntry(old), fileEntry(new), true)
	return added, err
}

func fileEntry(blob ID) treeEntry {
	if blob == "" {
		return treeEntry{}
	}
	return treeEntry{id: []byte(blob), mode: 0o100644}
}
