// Package trailer reads and writes the provenance trailers of a commit message.
package trailer

import "fmt"

// Keys of the trailers.
const (
	KeyProvenance  = "AI-Provenance"
	KeyAttestation = "AI-Attestation"
	KeyAssistedBy  = "Assisted-by"
)

// A Line is one trailer.
type Line struct{ Key, Value string }

func (l Line) String() string { return l.Key + ": " + l.Value }

// A Block is the final trailer block of a message.
type Block struct {
	Provenance  []string // values of AI-Provenance, in order
	Attestation []string // values of AI-Attestation, in order
	Other       []Line   // all other trailers, in order
}

// AmbiguousError reports a line that some reader could take for a reserved trailer.
type AmbiguousError struct {
	Line   int // from 1
	Text   string
	Reason string
}

func (e *AmbiguousError) Error() string { return fmt.Sprintf("line %d: %q: %s", e.Line, e.Text, e.Reason) }

// MalformedError reports a reserved trailer in its place with a value that cannot be.
type MalformedError struct {
	Line   int // from 1
	Text   string
	Reason string
}

func (e *MalformedError) Error() string { return fmt.Sprintf("line %d: %q: %s", e.Line, e.Text, e.Reason) }

// Read reads the trailer block of a stored message.
func Read(message []byte) (Block, error) { return Block{}, nil }

// A Buffer says what git will do with the message file after the hooks.
type Buffer struct {
	Comment  string // core.commentChar or core.commentString; "" is "#"
	Strip    bool   // comment lines go
	Cut      bool   // everything from the scissors line on goes
	Verbatim bool   // nothing is touched
}

// Read reads what Read would once git has cleaned the message.
func (b Buffer) Read(message []byte) (Block, error) { return Block{}, nil }

// Stamp takes out and adds lines.
func (b Buffer) Stamp(message []byte, remove, add []Line) ([]byte, error) { return message, nil }

// Empty reports whether git would refuse the message as empty.
func (b Buffer) Empty(message []byte) bool { return false }

// Lift takes reserved lines out of the body.
func (b Buffer) Lift(message []byte) (rest []byte, lifted []Line) { return message, nil }

// Comment resolves core.commentChar.
func Comment(commentChar string, message []byte) string { return "#" }
