package prereceive

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// patience bounds the writing of a receipt: other pushes may be writing theirs, and a
// key service may be slow. It counts also where the time for judging is over.
const patience = time.Minute

// witness writes down every commit as it is judged.
type witness struct {
	*receipt.Draft
	retellings
}

func (w *witness) Judged(c gate.CommitVerdict) error {
	w.hear(c)
	id, err := change.ParseID(c.ID)
	if err != nil {
		return err
	}
	r := receipt.Ruling{Verdict: string(c.Verdict), Evidence: string(c.Evidence), Beside: c.Beside, Made: c.Made}
	if c.Binding != nil {
		r.Binding = string(*c.Binding)
	}
	for _, f := range c.Findings {
		r.Rules = append(r.Rules, f.Rule)
	}
	slices.Sort(r.Rules)
	r.Rules = slices.Compact(r.Rules)
	return w.Commit(c.Ref, id, r, c.Statements...)
}

func (w *witness) Mark() error {
	w.retellings.mark()
	return w.Draft.Mark()
}

func (w *witness) Back() {
	w.retellings.back()
	w.Draft.Back()
}

// write finishes the receipt of a push.
func (r ruling) write(ctx context.Context, draft *receipt.Draft) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := draft.Decide(ctx, r.decision(), r.key)
	return err
}

// decision is what the receipt says of the push as a whole. Nothing of the environment
// goes into it but the pusher's name and the reason for an override.
func (r ruling) decision() receipt.Decision {
	d := receipt.Decision{Time: r.at, Pusher: r.pushedBy(), Policy: r.verdict.Policy, Verdict: string(r.verdict.Verdict)}
	if r.overridden() {
		d.Override = r.override
	}
	if r.err != nil {
		d.Verdict, d.Reason = receipt.Unchecked, gate.Plain(r.err.Error())
	}
	d.Findings = findings(r.retold)
	if r.verdict.Verdict == gate.Refused {
		d.Changes = r.refused
	}
	judged := slices.EqualFunc(r.verdict.Refs, r.updates, func(v gate.RefVerdict, u gate.Update) bool { return v.Ref == u.Ref })
	if !judged {
		for _, v := range r.verdict.Refs { // no ref was looked at
			d.Findings = append(d.Findings, findings(v.Findings)...)
		}
		if len(r.updates) > maxUnjudged {
			d.Omitted = int64(len(r.updates))
			return d
		}
	}
	excluded := r.excluded()
	for i, u := range r.updates {
		ref := receipt.Ref{Name: u.Ref, Old: u.Old, New: u.New, Baseline: excluded[u.Old]}
		if judged {
			judgedAs(&ref, r.verdict.Refs[i])
		}
		d.Refs = append(d.Refs, ref)
	}
	return d
}

// maxUnjudged bounds the refs that a receipt lists of a push that nobody judged.
const maxUnjudged = 10_000

// excluded are those old values that are the baseline's.
func (r ruling) excluded() map[change.ID]bool {
	is := make(map[change.ID]bool, len(r.updates))
	for _, u := range r.updates {
		is[u.Old] = false
	}
	for _, id := range r.baseline {
		if _, asked := is[id]; asked {
			is[id] = true
		}
	}
	return is
}

func judgedAs(ref *receipt.Ref, v gate.RefVerdict) {
	ref.Target, ref.Mode, ref.Verdict = v.Target, v.Mode, string(v.Verdict)
	ref.Evidence, ref.Via, ref.Binding = string(v.Rule.Evidence), string(v.Rule.Via), string(v.Rule.Binding)
	ref.Models = v.Rule.Models
	ref.Judged, ref.Faulty, ref.Findings = int64(v.Judged), int64(v.Faulty), findings(v.Findings)
}

func findings(list []gate.Finding) (said []receipt.Finding) {
	for _, f := range list {
		said = append(said, receipt.Finding{Rule: f.Rule, Detail: f.Detail})
	}
	return said
}

// finish notes which updates of a push happened. A failure is said and changes
// nothing: they have.
func (h Hook) finish(ctx context.Context, input []byte) {
	if err := finish(ctx, h, input); err != nil {
		h.say("the receipt was not finished: %s", gate.Plain(err.Error()))
	}
}

func finish(ctx context.Context, h Hook, input []byte) error {
	updates, err := parseUpdates(input)
	if err != nil {
		return err
	}
	r, err := repo.FromHook(h.Environ, h.Dir)
	if err != nil {
		return err
	}
	var happened []receipt.Ref
	for _, u := range updates {
		happened = append(happened, receipt.Ref{Name: u.Ref, Old: u.Old, New: u.New})
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	decision, err := receipt.Open(receipt.In(r.CommonDir)).Finish(ctx, h.Now(), happened)
	if err == nil && decision == 0 {
		err = errors.New("no decision in the receipts lets in what was pushed; tell the server's admin")
	}
	return err
}
