// Package trust says whose signature counts: which keys belong to which signers,
// what these may speak for, and when.
//
// Signers come from [[signer]] entries of a policy (package policy reads them) and
// from allowed_signers files as ssh-keygen reads them. This package
// does not judge signatures (package attestation does), nor does it
// know what a policy asks of a commit (package gate does).
package trust

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// A Class is the kind of thing that holds a key. A higher one is harder to
// borrow, so a policy may ask for a least class.
type Class int

// The classes, lowest first.
const (
	Developer Class = iota // a person's own machine
	Tool                   // a coding agent that signs for itself
	Gateway                // a proxy that sees the calls to the model
	Platform               // the forge or build system
)

func (c Class) String() string {
	switch c {
	case Developer:
		return "developer"
	case Tool:
		return "tool"
	case Gateway:
		return "gateway"
	case Platform:
		return "platform"
	}
	return fmt.Sprintf("class %d", int(c))
}

// ParseClass reads what String writes.
func ParseClass(s string) (Class, error) {
	for c := Developer; c <= Platform; c++ {
		if s == c.String() {
			return c, nil
		}
	}
	return 0, fmt.Errorf("class %q is none of developer, tool, gateway, platform", s)
}

// A Signer is a key, whose it is, and what its signature counts for.
type Signer struct {
	// Principal names the holder, usually by an e-mail address. In allowed_signers it
	// may be a list of patterns, as it stands there: "alice@example.com,*@ci.example.com".
	Principal string
	Class     Class
	Key       attestation.PublicKey

	// Tools and Models are patterns (see Match) of tool names and of
	// PROVIDER/MODEL that the signer may speak for. An empty list allows nothing.
	Tools, Models []string

	// The key is valid at ValidAfter and ValidBefore and in between, as
	// ssh-keygen has it, and never from CompromisedSince on. A zero time sets no limit.
	ValidAfter, ValidBefore, CompromisedSince time.Time

	Source     string   // where the signer is listed, "file:line"
	Namespaces []string // patterns of allowed_signers; empty when every namespace counts
}

// Valid reports whether the key counts at a time, that of the receipt of a
// commit: a signing time is the signer's own word. The error is *Revoked, *NotYet
// or *Expired.
func (s Signer) Valid(at time.Time) error {
	switch {
	case !s.CompromisedSince.IsZero() && !at.Before(s.CompromisedSince):
		return &Revoked{s, at}
	case !s.ValidAfter.IsZero() && at.Before(s.ValidAfter):
		return &NotYet{s, at}
	case !s.ValidBefore.IsZero() && at.After(s.ValidBefore):
		return &Expired{s, at}
	}
	return nil
}

// Speaks reports whether the signer may sign for the use of a tool and a model,
// given as PROVIDER/MODEL.
func (s Signer) Speaks(tool, model string) bool {
	return matchAny(s.Tools, tool) && matchAny(s.Models, model)
}

// Is reports whether identity, an e-mail address mostly, is a name of the signer: it
// is the Principal, or matches it as ssh-keygen -Y verify -I matches.
func (s Signer) Is(identity string) bool {
	return MatchList(strings.Split(s.Principal, ","), identity)
}

// NotYet reports a signer whose time has not come.
type NotYet struct {
	Signer Signer
	At     time.Time
}

func (e *NotYet) Error() string {
	return fmt.Sprintf("%s counts from %s on", e.Signer.describe(), stamp(e.Signer.ValidAfter))
}

// Expired reports a signer whose time is over.
type Expired struct {
	Signer Signer
	At     time.Time
}

func (e *Expired) Error() string {
	return fmt.Sprintf("%s counted until %s", e.Signer.describe(), stamp(e.Signer.ValidBefore))
}

// Revoked reports a signer whose key was compromised before the time asked about.
type Revoked struct {
	Signer Signer
	At     time.Time
}

func (e *Revoked) Error() string {
	return fmt.Sprintf("%s is compromised since %s", e.Signer.describe(), stamp(e.Signer.CompromisedSince))
}

func (s Signer) describe() string {
	return fmt.Sprintf("key %s of %q (%s)", s.Key.Fingerprint(), s.Principal, s.Source)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// A Set finds signers by their keys. It does not change, and may be read by
// several goroutines at once.
type Set struct {
	all   []Signer
	byKey map[string][]Signer
}

// NewSet returns a set of the signers. One key may belong to several.
func NewSet(signers []Signer) *Set {
	set := &Set{all: signers, byKey: make(map[string][]Signer, len(signers))}
	for _, s := range signers {
		set.byKey[s.Key.Fingerprint()] = append(set.byKey[s.Key.Fingerprint()], s)
	}
	return set
}

// Find returns the signers with the key of a fingerprint ("SHA256:…"), in the
// order in which they are listed.
func (s *Set) Find(fingerprint string) []Signer {
	if s == nil {
		return nil
	}
	return s.byKey[fingerprint]
}

// All returns all signers in the order in which they are listed.
func (s *Set) All() []Signer {
	if s == nil {
		return nil
	}
	return s.all
}
