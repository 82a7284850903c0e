package session

import (
	"bytes"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A Text is one version of a file, as far as attribution needs it: numbers for each
// line, and who wrote it. The lines themselves are not kept.
type Text struct {
	Lines
	Owners []Owner // of the lines, as many
}

// Lines are the numbers of a text's lines: equal lines have equal numbers.
type Lines struct {
	Exact []uint64
	Loose []uint64 // without white space
}

// An Owner is who wrote a line: Nobody, the n-th actor of the file (from 1), as its
// negative perhaps that one, or Anyone.
type Owner int32

const (
	// Nobody is the owner of lines that no agent is known to have written. It does
	// not say that a person did.
	Nobody Owner = 0
	// Anyone is the owner of lines that any actor of the file may have written, or
	// none.
	Anyone Owner = -1 << 30
)

// Bounds on what is attributed line by line; beyond them a file is only known to have
// been touched.
const (
	maxBytes = 4 << 20
	maxLines = 1 << 16
)

// binaryProbe is how far git looks for a NUL that makes a file binary.
const binaryProbe = 8000

// LinesOf gives each line of a file its numbers. The end of a line does not count, so
// that a file with CRLF in the work tree and LF in the index has the same lines in both.
// It reports false for a file that is binary or too large to be attributed line by line.
func LinesOf(content []byte) (Lines, bool) {
	if len(content) > maxBytes || bytes.IndexByte(content[:min(len(content), binaryProbe)], 0) >= 0 {
		return Lines{}, false
	}
	n := bytes.Count(content, []byte{'\n'}) + 1
	if n > maxLines {
		return Lines{}, false
	}
	lines := Lines{make([]uint64, 0, n), make([]uint64, 0, n)}
	for len(content) > 0 {
		line, rest, _ := bytes.Cut(content, []byte{'\n'})
		exact, loose := numbersOf(bytes.TrimSuffix(line, []byte{'\r'}))
		lines.Exact, lines.Loose = append(lines.Exact, exact), append(lines.Loose, loose)
		content = rest
	}
	return lines, true
}

// numbersOf is the 64-bit FNV-1a hash of a line, and of what of it is not white space.
func numbersOf(line []byte) (exact, loose uint64) {
	const offset, prime = 14695981039346656037, 1099511628211
	exact, loose = offset, offset
	for _, c := range line {
		exact = (exact ^ uint64(c)) * prime
		if c != ' ' && c != '\t' {
			loose = (loose ^ uint64(c)) * prime
		}
	}
	return exact, loose
}

// by is the text in which one owner wrote every line.
func by(lines Lines, o Owner) Text {
	owners := make([]Owner, len(lines.Exact))
	if o != Nobody {
		for i := range owners {
			owners[i] = o
		}
	}
	return Text{lines, owners}
}

// edited is the text after o turned it into other lines: what they have in common
// keeps its owners, all else is o's.
func (t Text) edited(lines Lines, o Owner) Text {
	matches, ok := change.Align(t.Exact, lines.Exact)
	if !ok {
		return t.rewritten(lines, o)
	}
	next := by(lines, o)
	for _, m := range matches {
		copy(next.Owners[m.New:m.New+m.N], t.Owners[m.Old:m.Old+m.N])
	}
	return next
}

// rewritten is edited for texts that differ too much to be compared. A line that was
// nowhere before is o's. One that was somewhere may have stayed or been written again,
// which makes a difference only where an agent had a hand in it.
func (t Text) rewritten(lines Lines, o Owner) Text {
	before := make(map[uint64]Owner, len(t.Exact))
	for i, l := range t.Exact {
		if was, ok := before[l]; ok && was != t.Owners[i] {
			before[l] = Anyone
		} else {
			before[l] = t.Owners[i]
		}
	}
	next := by(lines, o)
	for i, l := range lines.Exact {
		if was, ok := before[l]; ok && was != o {
			next.Owners[i] = Anyone
		}
	}
	return next
}

// perhaps is the owner of a line that o may have written, or may not.
func perhaps(o Owner) Owner { return min(o, -o) }

// same reports whether the text has exactly these lines.
func (t Text) same(lines Lines) bool { return slices.Equal(t.Exact, lines.Exact) }

// alignOrNot is change.Align; texts that differ too much have nothing in common.
func alignOrNot(old, new []uint64) []change.Match {
	matches, _ := change.Align(old, new)
	return matches
}
