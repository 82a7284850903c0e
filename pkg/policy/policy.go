package policy

import (
	"errors"
	"fmt"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// Limits bound what one push may cost the server.
type Limits struct {
	Message int64 // bytes of one commit object
	Commits int   // commits judged for one push
	Refs    int   // refs in one push
	Read    int64 // bytes of file content read for change digests, for one push
}

// A Policy is a loaded policy. It does not change and may be shared.
type Policy struct {
	name    string
	digest  string
	signers *trust.Set
	limits  Limits
}

// An Error is one fault of a policy, or of a file that it names.
type Error struct {
	File string // as it was named to Load or Parse
	Line int    // from 1; 0 when the fault has no place
	Col  int    // in bytes, from 1; 0 when not known
	Msg  string
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
		if e.Col > 0 {
			s += fmt.Sprintf(":%d", e.Col)
		}
	}
	s += ": " + e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Load reads the policy at path and the files beside it that it names.
func Load(path string) (*Policy, error) { return nil, errors.New("not implemented") }

// Parse reads a policy from data. open reads a file that stands beside it, by its
// slash-separated name; it is never asked for a name that leads elsewhere.
func Parse(name string, data []byte, open func(name string) ([]byte, error)) (*Policy, error) {
	return nil, errors.New("not implemented")
}

// Name is the policy's file name as Parse was given it.
func (p *Policy) Name() string { return p.name }

// Digest identifies the policy: "sha256:" and the hex SHA-256 over its bytes and
// those of the files that it read, each preceded by its length.
func (p *Policy) Digest() string { return p.digest }

// Signers is everyone whose signature counts.
func (p *Policy) Signers() *trust.Set { return p.signers }

// Limits returns the limits, with defaults filled in.
func (p *Policy) Limits() Limits { return p.limits }

// Baseline returns the hex ids of commits that are never judged, with all they reach.
func (p *Policy) Baseline() []string { return nil }

// Rule returns the rule for a ref, by its whole name.
func (p *Policy) Rule(ref string) Rule { return Rule{} }

// Unenforced lists what is set but not judged by this version, as "file:line: key: why".
func (p *Policy) Unenforced() []string { return nil }
