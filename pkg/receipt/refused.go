package receipt

import (
	"encoding/base64"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A ChangeID names a change: the first 16 bytes of its digest.
type ChangeID [16]byte

// ChangeOf is the id of a change.
func ChangeOf(d provenance.Digest) ChangeID { return ChangeID(d[:16]) }

// A RefusedChange is a change in a commit that was refused, and which tools and models
// the commit named.
type RefusedChange struct {
	Change   ChangeID
	Said     string // "claude-code acme/coder", several joined by ", "
	Decision int64  // the seq of the refusal; not written, since it is that of the line
	Extra    []Field
}

// MaxChanges bounds the refused changes that one decision lists, and maxRefused those that
// are remembered of all, the latest.
const (
	MaxChanges = 100
	maxRefused = 1000
)

func appendChanges(o *builder, changes []RefusedChange) {
	if len(changes) == 0 {
		return
	}
	o.list("changes", len(changes), func(b []byte, i int) []byte {
		m := &builder{}
		m.text("change", base64.RawURLEncoding.EncodeToString(changes[i].Change[:]))
		m.text("said", changes[i].Said)
		m.extra(changes[i].Extra)
		return append(b, m.end()...)
	})
}

func readChanges(o *object) (changes []RefusedChange) {
	if !o.has("changes") {
		return nil
	}
	for _, raw := range o.list("changes") {
		m := parseObject(raw)
		id, ok := parseChangeID(m.text("change"))
		c := RefusedChange{Change: id, Said: m.text("said"), Extra: m.rest()}
		if m.err == nil && !ok {
			m.fail("change", "is not the id of a change")
		}
		if m.err != nil {
			o.fail("changes", "number %d: %w", len(changes)+1, m.err)
			return nil
		}
		changes = append(changes, c)
	}
	return changes
}

func parseChangeID(text string) (id ChangeID, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, false
	}
	return ChangeID(raw), true
}

// refuse remembers what a refused push said of changes.
func (a *Coverage) refuse(seq int64, changes []RefusedChange) {
	for _, c := range changes {
		a.refused = slices.DeleteFunc(a.refused, func(old RefusedChange) bool { return old.Change == c.Change })
		a.refused = append(a.refused, RefusedChange{Change: c.Change, Said: c.Said, Decision: seq})
	}
	a.refused = a.refused[max(0, len(a.refused)-maxRefused):]
}

// Refused are the changes that were refused lately, by what they are.
func (a *Coverage) Refused() map[ChangeID]RefusedChange {
	is := make(map[ChangeID]RefusedChange, len(a.refused))
	for _, c := range a.refused {
		is[c.Change] = c
	}
	return is
}
