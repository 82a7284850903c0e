package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A Text is one version of a file, as far as attribution needs it: a number for each
// line, and who wrote it. The lines themselves are not kept.
type Text struct {
	Lines  []uint64
	Owners []Owner // of the lines, as many
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

// LinesOf gives each line of a file a number: the first eight bytes of the SHA-256 of
// the line without its end, so that a file with CRLF in the work tree and LF in the
// index has the same lines in both. It reports false for a file that is binary or too
// large to be attributed line by line.
func LinesOf(content []byte) ([]uint64, bool) {
	if len(content) > maxBytes || bytes.IndexByte(content[:min(len(content), binaryProbe)], 0) >= 0 {
		return nil, false
	}
	lines := make([]uint64, 0, bytes.Count(content, []byte{'\n'})+1)
	for len(content) > 0 {
		line, rest, _ := bytes.Cut(content, []byte{'\n'})
		sum := sha256.Sum256(bytes.TrimSuffix(line, []byte{'\r'}))
		lines = append(lines, binary.BigEndian.Uint64(sum[:8]))
		content = rest
	}
	return lines, len(lines) <= maxLines
}

// by is the text in which one owner wrote every line.
func by(lines []uint64, o Owner) Text {
	owners := make([]Owner, len(lines))
	if o != Nobody {
		for i := range owners {
			owners[i] = o
		}
	}
	return Text{lines, owners}
}

// edited is the text after o turned it into other lines: what they have in common
// keeps its owners, all else is o's.
func (t Text) edited(lines []uint64, o Owner) Text {
	matches, ok := change.Align(t.Lines, lines)
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
func (t Text) rewritten(lines []uint64, o Owner) Text {
	before := make(map[uint64]Owner, len(t.Lines))
	for i, l := range t.Lines {
		if was, ok := before[l]; ok && was != t.Owners[i] {
			before[l] = Anyone
		} else {
			before[l] = t.Owners[i]
		}
	}
	next := by(lines, o)
	for i, l := range lines {
		if was, ok := before[l]; ok && was != o {
			next.Owners[i] = Anyone
		}
	}
	return next
}

// perhaps is the owner of a line that o may have written, or may not.
func perhaps(o Owner) Owner { return min(o, -o) }

// same reports whether the text has exactly these lines.
func (t Text) same(lines []uint64) bool {
	if len(t.Lines) != len(lines) {
		return false
	}
	for i, l := range lines {
		if t.Lines[i] != l {
			return false
		}
	}
	return true
}

// alignOrNot is change.Align; texts that differ too much have nothing in common.
func alignOrNot(old, new []uint64) []change.Match {
	matches, _ := change.Align(old, new)
	return matches
}
