package change

import (
	"errors"
	"fmt"
	"time"
)

// A Commit is a commit object that every reader understands in the same way.
type Commit struct {
	Tree      ID
	Parents   []ID
	Author    Ident
	Committer Ident
	Encoding  string // of the message, as the header spells it; "" means UTF-8
	Message   []byte // all after the blank line; shares the memory of the raw object
}

// An Ident is who made or committed a commit, and when. Name and Email are
// claims in bytes of any encoding.
type Ident struct {
	Name, Email string
	When        time.Time
}

// MalformedError reports an object that is not what git writes.
type MalformedError struct {
	Object string // "commit" or "tree"
	Line   int    // line of a commit, entry of a tree, from 1
	Reason string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed %s, line %d: %s", e.Object, e.Line, e.Reason)
}

// ParseCommit reads the bytes of a commit object.
func ParseCommit(raw []byte) (Commit, error) { return Commit{}, errors.ErrUnsupported }
