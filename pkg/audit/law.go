package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// A law is the policies of a repository, each in force from a time on.
type law []enacted

type enacted struct {
	since time.Time
	*policy.Policy
}

// at is the policy that was in force at a time, nil when none was. The first one counts
// for what was before it, too: there is no other.
func (l law) at(t time.Time) *policy.Policy {
	i, _ := slices.BinarySearchFunc(l, t, func(e enacted, t time.Time) int {
		return cmp.Or(e.since.Compare(t), -1) // on the second itself it is in force
	})
	switch {
	case len(l) == 0:
		return nil
	case i == 0:
		return l[0].Policy
	}
	return l[i-1].Policy
}

// form is a policy that judges nothing but knows every signer of the law: package gate
// is asked by it whether a signature is valid and what it binds. Whether its signer
// counted at the time is asked of the policy that was in force then.
func (l law) form() (*policy.Policy, error) {
	var text strings.Builder
	text.WriteString("schema = 1\n[limits]\nmessage = \"1MiB\"\n")
	known := map[string]bool{}
	for _, e := range l {
		for _, s := range e.Signers().All() {
			block := policy.SignerTOML("signer", s.Class.String(), s.Key.AuthorizedKey())
			if !known[block] {
				known[block] = true
				text.WriteString("\n" + block)
			}
		}
	}
	p, err := policy.Parse("signers of the index", []byte(text.String()), nil)
	if err != nil {
		return nil, fmt.Errorf("collect signers: %w", err)
	}
	return p, nil
}

// signers are those behind a key who counted at a time. Without a receipt the time is
// the word of whoever made the commit; then a key that was compromised at any time
// counts at none.
func signers(p *policy.Policy, key string, at time.Time, received bool) (valid []trust.Signer, rule string) {
	rule = "signer-unknown"
	for _, s := range p.Signers().Find(key) {
		err := s.Valid(at)
		switch {
		case !s.CompromisedSince.IsZero() && (err != nil || !received):
			return nil, "signer-revoked"
		case err == nil:
			valid = append(valid, s)
		default:
			rule = "signer-not-allowed"
		}
	}
	return valid, rule
}
