// Package trailer reads and writes the provenance trailers of a commit message.
//
// # Reading
//
// Two keys are reserved: AI-Provenance and AI-Attestation. Read finds them in
// the final trailer block, which is the one that git itself finds: the last
// paragraph, never the first, when all its lines are trailers, or when it
// holds a line that git writes ("Signed-off-by: ", "(cherry picked from
// commit ") and at least one trailer for three other lines. Trailing blank
// lines, lines with '#', an old "Conflicts:" list and everything from a
// scissors line on stand after the block; a NUL ends the message. Read agrees
// with `git interpret-trailers --parse --no-divider` and
// `git log --format=%(trailers:only,unfold)` on all that it accepts, whatever
// core.commentChar or trailer.* says: it is neutral, and reads as git does
// without configuration.
//
// A reserved line counts only as `Key: value`, in this case, with one space,
// unfolded. Any other line that some reader could take for a reserved trailer
// makes the message ambiguous. The rule: a reserved key, in any case, with
// nothing between it and the start of its line but white space, control and
// invisible characters, followed, perhaps after such characters, by `:`, `=`
// or `#` (trailer.separators can make the latter two separators), anywhere in
// the message: body, subject, behind scissors, behind a NUL. A line starts at
// the start of the message and after LF, CR, NUL, VT, FF, FS, GS, RS, U+0085,
// U+2028 and U+2029, since one reader or another breaks lines there.
//
// So a reader sees the lines that Read returns, or fewer, and never others. It
// is ambiguous, too, when git's own readers see fewer: when a `---` line hides
// reserved lines from `git interpret-trailers` without --no-divider, when the
// message holds a NUL, when blank lines at its start move the block.
//
// What no reader takes for a trailer is prose: a key inside a line, a key
// without separator, a key behind a quoting mark (`> `, `* `, `- `, `# `).
//
// # Writing
//
// Stamp changes nothing but the trailer block: the subject, body, comment lines
// and any other trailers come back byte for byte. Stamping twice is the same as
// stamping once.
//
// The package does not decide which trailers a commit needs (package session),
// and it does not know what the values mean (provenance, attestation).
package trailer

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Keys of the trailers. The first two are reserved; the third is the public
// face of a record and nothing of ours depends on it.
const (
	KeyProvenance  = "AI-Provenance"
	KeyAttestation = "AI-Attestation"
	KeyAssistedBy  = "Assisted-by"
)

// Limits of a trailer block that holds reserved lines. Values are limited by
// provenance.MaxValue.
const (
	MaxBlock        = 32 << 10 // bytes, from the first line of the block to its last
	MaxReserved     = 64       // lines with a reserved key
	MaxAttestations = 8
)

// A Line is one trailer.
type Line struct{ Key, Value string }

func (l Line) String() string { return l.Key + ": " + l.Value }

// Reserved reports whether the key of l is AI-Provenance or AI-Attestation.
func (l Line) Reserved() bool { return l.Key == KeyProvenance || l.Key == KeyAttestation }

// A Block is what the final trailer block of a message says.
type Block struct {
	Provenance  []string // values of AI-Provenance, in the order in which they stand
	Attestation []string // values of AI-Attestation, likewise
	Other       []Line   // all other trailers, likewise, trimmed and unfolded
}

// AmbiguousError reports a line that some reader could take for a reserved
// trailer and another could not.
type AmbiguousError struct {
	Line   int    // from 1; 0 when no line is to blame
	Text   string // the line, shortened
	Reason string
}

func (e *AmbiguousError) Error() string { return place(e.Line, e.Text) + e.Reason }

// Liftable reports whether the line is one that Buffer.Lift takes out, as far as the
// part of it tells that is kept here, or one of dashes that is in the way of such lines.
func (e *AmbiguousError) Liftable() bool {
	_, ours := reservedLine([]byte(e.Text))
	return ours || e.Text != "" && divider([]byte(e.Text)) == 0
}

// MalformedError reports a reserved trailer that stands where it should and
// holds what no value can hold, or more of them than there may be.
type MalformedError struct {
	Line   int    // from 1
	Text   string // the line, shortened
	Reason string
}

func (e *MalformedError) Error() string { return place(e.Line, e.Text) + e.Reason }

func place(line int, text string) string {
	switch {
	case line == 0 && text == "":
		return ""
	case line == 0:
		return fmt.Sprintf("%q: ", text)
	}
	return fmt.Sprintf("line %d: %q: ", line, text)
}

// Read reads the trailer block of a stored message: the bytes of a commit after
// the empty line that ends its headers. Errors are *AmbiguousError and
// *MalformedError. For a commit with an encoding header see CheckEncoding.
func Read(message []byte) (Block, error) {
	b := blockOfLog(message)
	found := candidates(message)
	if len(found) == 0 {
		return b.values(), nil
	}
	for _, at := range found {
		if err := checkPlace(message, at, b); err != nil {
			return Block{}, err
		}
	}
	if err := checkReaders(message, found, b); err != nil {
		return Block{}, err
	}
	if err := checkLimits(message, found, b); err != nil {
		return Block{}, err
	}
	return b.values(), nil
}

// checkPlace reports why the reserved key at offset at is not a trailer beyond doubt.
func checkPlace(message []byte, at int, b block) error {
	ambiguous := func(format string, args ...any) error {
		return &AmbiguousError{lineNumber(message, at), lineText(message, at), fmt.Sprintf(format, args...)}
	}
	key := keyAt(message[at:])
	line := message[at:lineEnd(message, at)]
	start := lineStart(message, at)
	switch {
	case start != at && len(bytes.Trim(message[start:at], " \t")) > 0:
		return ambiguous("%s stands behind a byte that some readers take for the end of a line", key)
	case start != at:
		return ambiguous("%s stands at the start of a line, indented", key)
	case !b.hasItem(at):
		return ambiguous("%s stands outside the final trailer block", key)
	case !bytes.HasPrefix(line, []byte(key)):
		return ambiguous("want %s, in this case", key)
	}
	value, ok := bytes.CutPrefix(line[len(key):], []byte(": "))
	switch {
	case !ok:
		return ambiguous("want one colon and one space after %s", key)
	case hasBreak(value):
		return ambiguous("the value holds a byte that some readers take for the end of a line")
	case len(bytes.TrimSpace(value)) != len(value) || len(value) == 0:
		return ambiguous("the value is empty or has white space around it")
	case b.folded(at):
		return ambiguous("%s is folded onto the next line", key)
	}
	return checkValue(message, at, string(value))
}

func checkValue(message []byte, at int, value string) error {
	var bad *provenance.MalformedError
	if errors.As(provenance.CheckValue(value), &bad) {
		return &MalformedError{lineNumber(message, at), lineText(message, at), "the value " + bad.Reason}
	}
	return nil
}

// checkReaders makes sure that git's readers all see the reserved lines at found.
func checkReaders(message []byte, found []int, b block) error {
	first := found[0]
	ambiguous := func(at int, reason string) error {
		return &AmbiguousError{lineNumber(message, at), lineText(message, at), reason}
	}
	if nul := bytes.IndexByte(message, 0); nul >= 0 {
		return ambiguous(nul, "some readers stop at the NUL byte in this message and some do not")
	}
	if !readAlike(message) && !b.sameItems(blockOfInterpretTrailers(message, len(message))) {
		return ambiguous(first, "git log and git interpret-trailers do not see the same trailer block")
	}
	// Without --no-divider, interpret-trailers takes the first line of three
	// dashes for the end of the message.
	if d := divider(message); d < len(message) {
		short := blockOfInterpretTrailers(message, d)
		for _, at := range found {
			if !short.hasItem(at) {
				return ambiguous(d, "this line hides "+keyAt(message[at:])+
					" from git interpret-trailers, but not from git log")
			}
		}
	}
	return nil
}

func checkLimits(message []byte, found []int, b block) error {
	malformed := func(at int, what string, n, most int) error {
		return &MalformedError{lineNumber(message, at), lineText(message, at),
			fmt.Sprintf("%s: %d, at most %d may be", what, n, most)}
	}
	if n := b.end - b.start; n > MaxBlock {
		return malformed(found[0], "bytes in the trailer block", n, MaxBlock)
	}
	if n := len(found); n > MaxReserved {
		return malformed(found[MaxReserved], "AI trailers", n, MaxReserved)
	}
	var attestations []int
	for _, at := range found {
		if keyAt(message[at:]) == KeyAttestation {
			attestations = append(attestations, at)
		}
	}
	if n := len(attestations); n > MaxAttestations {
		return malformed(attestations[MaxAttestations], "attestations", n, MaxAttestations)
	}
	return nil
}

// lineStart is the offset after the last LF before at.
func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

// lineEnd is the offset of the next LF, or the end of text.
func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(text)
}

// nextLine is the offset after the next LF, or the end of text.
func nextLine(text []byte, at int) int { return min(lineEnd(text, at)+1, len(text)) }

func lineNumber(text []byte, at int) int { return bytes.Count(text[:at], []byte("\n")) + 1 }

// lineText is the line around at, shortened for a message to people.
func lineText(text []byte, at int) string {
	const most = 100
	line := text[lineStart(text, at):lineEnd(text, at)]
	if len(line) > most {
		return string(line[:most]) + "..."
	}
	return string(line)
}
