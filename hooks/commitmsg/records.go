package commitmsg

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// said is what a message says in our own lines, and beside them.
type said struct {
	values      []string       // of AI-Provenance
	attestation []string       // of AI-Attestation
	other       []trailer.Line // among which there may be marks of agents
	merge       bool           // it is that of a merge, which need say nothing
}

// orUnknown is s or, when that says nothing, that nobody knows: work that is moved
// or melted into other work does not become known by that.
func (s said) orUnknown() said {
	if s.empty() && !s.merge && !s.marked() {
		s.values = []string{provenance.Record{}.String()}
	}
	return s
}

func (s said) empty() bool { return len(s.values)+len(s.attestation) == 0 }

func saidBy(b trailer.Block) said {
	return said{values: b.Provenance, attestation: b.Attestation, other: b.Other}
}

// records reads every value by itself: together they may no longer fit, as those
// of several commits melted into one do not. Marks of which they do not tell follow.
func (s said) records() (provenance.Provenance, error) {
	var p provenance.Provenance
	for _, v := range s.values {
		if one, err := provenance.Parse([]string{v}); err == nil && one.None != "" {
			continue // what nobody saw then says nothing of what is committed now
		}
		r, err := provenance.ParseRecord(v)
		if err != nil {
			return p, fmt.Errorf("an old %s line: %w", trailer.KeyProvenance, err)
		}
		p.Records = append(p.Records, r)
	}
	p.Records = append(p.Records, markRecords(s.other, p.Records)...)
	return p, nil
}

// fitting finds the attestation of s that fits the commit at p and was
// really made for these lines; "" when none does. digest is asked only when the
// binding is not exact.
func (h *hook) fitting(s said, p *place, digest func() (provenance.Digest, error)) (string, error) {
	if len(s.values) == 0 || len(s.attestation) == 0 {
		return "", nil
	}
	if _, err := provenance.Parse(s.values); err != nil {
		return "", nil
	}
	var claims []attestation.Attestation
	for _, v := range s.attestation {
		a, err := attestation.Parse(v)
		if err == nil && h.genuine(s.values, a) {
			claims = append(claims, a)
		}
	}
	for _, a := range claims {
		if a.Bind == p.bind {
			return a.String(), nil
		}
	}
	if len(p.parents) != 1 || len(claims) == 0 {
		return "", nil
	}
	d, err := digest()
	if err != nil {
		return "", err
	}
	for _, a := range claims {
		if a.Change == d {
			return a.String(), nil
		}
	}
	return "", nil
}

// genuine reports whether the signature holds, as far as can be seen without
// knowing keys: keeping a broken one would leave the commit refused for ever,
// however often it is amended.
func (h *hook) genuine(values []string, a attestation.Attestation) bool {
	err := attestation.VerifyEd25519(values, a)
	switch {
	case !errors.Is(err, attestation.ErrOtherKey):
		return err == nil
	case a.Scheme != attestation.SSHSIG:
		return true
	case h.Verify == nil:
		h.otherKeys = true
		return true
	}
	return h.Verify(values, a) == nil
}

// joined is what the new commit says: the old records, what was declared, what agents
// told and which are seen now.
func (h *hook) joined(total int, old []provenance.Provenance, declared []session.Declaration, l *heard) provenance.Provenance {
	var now provenance.Provenance
	for _, d := range declared {
		now.Records = append(now.Records, d.Record())
	}
	now.Records = append(now.Records, h.seen(l)...)
	all := provenance.Union(total, append(slices.Clone(old), now)...)
	l.count(all.Records, total)
	if len(all.Records) == 0 {
		all.None = h.noneVia(l)
	}
	return all
}

// declared are the declarations that the commit may use. A rebase, pick or
// revert moves work that is already there, which is not what was declared.
func (h *hook) declared(ctx context.Context) []session.Declaration {
	pending, broken, err := h.state.Pending()
	for _, b := range broken {
		h.say("a declaration is lost, declare it again: %v", b)
	}
	if err != nil {
		h.say("declarations are not recorded: %v", err)
	}
	if len(pending) == 0 || h.invocation().sequencer() || h.startedBySequencer() {
		return nil
	}
	if used := h.settle(ctx); len(used) > 0 {
		pending = slices.DeleteFunc(pending, func(d session.Declaration) bool { return slices.Contains(used, d.ID) })
	}
	return pending
}

// startedBySequencer reports whether the `git commit` at work is a step of a
// rebase, pick or revert, and not typed by somebody.
func (h *hook) startedBySequencer() bool {
	above := h.ancestors()
	for n, p := range above {
		if p.PID != h.invocation().pid || n+1 >= len(above) || !above[n+1].IsGit() {
			continue
		}
		return parseInvocation(above[n+1].Arguments()).sequencer()
	}
	return false
}

// settle marks the declarations of an earlier commit as used, where no
// post-commit did: git merge runs none.
func (h *hook) settle(ctx context.Context) (used []string) {
	p, ok, err := h.state.Prepared()
	if !ok || err != nil || len(p.Declared) == 0 || p.Unsigned {
		return nil
	}
	if _, landed, err := h.landed(ctx, p); err != nil || !landed {
		return nil
	}
	if err := h.state.Use(p.Declared...); err != nil {
		h.say("%v", err)
	}
	return p.Declared
}

// publicStyle is gatekeeper.publicTrailer.
func (h *hook) publicStyle(ctx context.Context) string {
	style := h.setting(ctx, trailer.StyleSetting)
	switch {
	case style == "":
		return trailer.Styles[0]
	case slices.Contains(trailer.Styles, style):
		return style
	}
	h.say("%s is %q, not assisted-by, kernel or none", trailer.StyleSetting, style)
	return "none"
}
