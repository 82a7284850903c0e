// Package provenance is the vocabulary of gatekeeper: which tool and model a
// commit used, how that was observed, and how it is written down.
//
// It holds values only. A Record and its text form (the value of one
// AI-Provenance trailer) say the same thing: ParseRecord accepts exactly what String
// writes, so two spellings of one model cannot meet different rules.
//
// It does not know where trailers stand in a message (package trailer), who
// signed them (package attestation) or whether they are welcome (package policy).
package provenance

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// A Digest is a SHA-256 sum. Its text form is unpadded base64url, 43 characters.
type Digest [sha256.Size]byte

func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads the text form of a digest. A form that String would not
// write is refused, stray trailing bits included.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if base64.RawURLEncoding.DecodedLen(len(s)) != len(d) {
		return d, fmt.Errorf("digest %q: want 43 characters of unpadded base64url", s)
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", s, err)
	}
	if d.String() != s { // the decoder passes over line ends
		return Digest{}, fmt.Errorf("digest %q: want 43 characters of unpadded base64url", s)
	}
	return d, nil
}

// Unknown is the word that stands for a part nobody knows. It is never left out.
const Unknown = "unknown"

// Via says how the use of a tool was observed.
type Via string

const (
	ViaHook     Via = "hook"     // the agent's own hook events
	ViaProcess  Via = "process"  // environment or ancestry of the committing process
	ViaDeclared Via = "declared" // a person, or the tool's own trailer
	ViaImport   Via = "import"   // another recorder's format
	ViaUnknown  Via = Unknown
)

// Tool is a coding assistant. An empty part is unknown; a part that is the word
// "unknown" is written, and read back, as empty.
type Tool struct{ Name, Version string }

// Model is a language model. An empty part is unknown, as in Tool.
type Model struct{ Provider, Name string }

// ID is the canonical provider/model, unescaped, with unknown parts spelt out.
func (m Model) ID() string { return orUnknown(m.Provider) + "/" + orUnknown(m.Name) }

// Lines counts added lines of one commit. Total is what the commit adds, AI is
// how many of them came from the record; AI means nothing unless Known.
type Lines struct {
	AI, Total int
	Known     bool
}

// A Record says that one tool, with one model, in one session took part in a commit.
type Record struct {
	Tool    Tool
	Model   Model
	Lines   Lines
	Via     Via
	Session string   // first 12 hex digits of SHA-256 of the agent's session id, or ""
	MCP     []string // servers used, each once, in the byte order of their escaped form
	Extra   []string // fields this version does not know, as written, after the known ones
}

// Provenance is all that a commit says of itself: records, or None with the
// grade at which nothing was observed. None is not a claim of human work.
type Provenance struct {
	Records []Record
	None    Via // "" when there are records
}

func orUnknown(s string) string {
	if s == "" {
		return Unknown
	}
	return s
}
