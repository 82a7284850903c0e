package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// The baseline holds the tips of the refs whose rule is enforce: what they reach
// was there before and is never judged. Refs that only warn, or are not judged,
// are left out, or a commit parked there would be whitewashed for the others.
//
// A policy that enforces nothing is on trial. Then the tips are of the refs that
// warn, so that switching to enforce later does not block what is there today.
// What came in during the trial, --rebaseline takes in.
const baselineFile = "gatekeeper/baseline"

// placeBaseline writes the baseline once. Only again asks for it, so that a second
// installation does not take in what has slipped through since.
func (s *site) placeBaseline(ctx context.Context, p *policy.Policy, o ServerOptions) error {
	tips, err := s.tips(ctx)
	if err != nil {
		return err
	}
	s.enforcing = s.enforces(ctx, p, tips)
	old, err := s.read(baselineFile)
	if err != nil {
		return err
	}
	if old != nil && !o.Rebaseline {
		s.result.did(Kept, Baseline, s.path(baselineFile), "--rebaseline writes it anew")
		return nil
	}
	mode := policy.Enforce
	if !s.enforcing {
		mode = policy.Warn
	}
	ids := baseline(tips, func(ref string) bool { return modeOf(p, ref) == mode })
	data := []byte(strings.Join(ids, ""))
	detail := fmt.Sprintf("%d commits, never judged, nor what they reach", len(ids))
	switch {
	case old == nil:
		err = s.write(baselineFile, data, s.modes.plain)
	case bytes.Equal(old, data):
		s.result.did(Kept, Baseline, s.path(baselineFile), "")
		return nil
	default:
		err = s.rebaseline(old, data, o)
	}
	if err != nil {
		return err
	}
	s.result.did(Wrote, Baseline, s.path(baselineFile), detail)
	return nil
}

// rebaseline replaces the baseline and keeps the old one beside it.
func (s *site) rebaseline(old, data []byte, o ServerOptions) error {
	aside := s.unused(baselineFile, o.Now)
	if err := s.copyFile(baselineFile, aside, old); err != nil {
		return err
	}
	if s.ours(baselineFile, old) {
		s.record.setFile(aside, digest(old))
	}
	return s.write(baselineFile, data, s.modes.plain)
}

// baseline are the commits of the refs that count, a line each, sorted.
func baseline(tips []tip, counts func(ref string) bool) []string {
	var ids []string
	for _, t := range tips {
		if counts(t.ref) {
			ids = append(ids, t.commit+"\n")
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A tip is a ref and the commit that it comes to, through tags.
type tip struct{ ref, commit string }

// tips are all refs that hold commits and that people push to.
func (s *site) tips(ctx context.Context) ([]tip, error) {
	out, err := s.git.run(ctx, nil, "show-ref", "--dereference")
	if exit := (*gitError)(nil); errors.As(err, &exit) && exit.code == 1 && exit.stderr == "" {
		return nil, nil // no refs at all
	}
	if err != nil {
		return nil, err
	}
	peeled := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		id, ref, _ := strings.Cut(line, " ")
		ref = strings.TrimSuffix(ref, "^{}") // comes after the tag itself
		if !strings.HasPrefix(ref, "refs/gatekeeper/") && !strings.HasPrefix(ref, "refs/notes/") && !strings.HasPrefix(ref, "refs/replace/") {
			peeled[ref] = id
		}
	}
	return s.commits(ctx, peeled)
}

// commits leaves out refs that hold no commit, or one that is missing.
func (s *site) commits(ctx context.Context, refs map[string]string) ([]tip, error) {
	names := sorted(refs)
	var ask strings.Builder
	for _, ref := range names {
		ask.WriteString(refs[ref] + "\n")
	}
	out, err := s.git.run(ctx, []byte(ask.String()), "cat-file", "--batch-check=%(objecttype)")
	if err != nil {
		return nil, err
	}
	var tips []tip
	for i, kind := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if kind == "commit" {
			tips = append(tips, tip{names[i], refs[names[i]]})
		}
	}
	return tips, nil
}

// enforces reports whether the policy refuses anything on a ref that is there, or
// on a branch that is likely to come.
func (s *site) enforces(ctx context.Context, p *policy.Policy, tips []tip) bool {
	refs := []string{"refs/heads/main", "refs/heads/master"}
	if head, err := s.git.line(ctx, "symbolic-ref", "--quiet", "HEAD"); err == nil {
		refs = append(refs, head)
	}
	for _, t := range tips {
		refs = append(refs, t.ref)
	}
	return slices.ContainsFunc(refs, func(ref string) bool { return modeOf(p, ref) == policy.Enforce })
}

// modeOf is the mode of a ref's rule; whatever is neither warn nor off enforces.
func modeOf(p *policy.Policy, ref string) policy.Mode {
	if m := p.Rule(ref).Mode; m == policy.Warn || m == policy.Off {
		return m
	}
	return policy.Enforce
}
