// Package repair gives commits the provenance that they lost or never had: made
// with the hooks switched off, by another implementation of git, before gatekeeper
// was installed, or rewritten by a tool that asks no hook.
//
// It claims only what is known. What a commit says of itself without a signature
// that fits is somebody's word, and is signed as declared; a commit that says
// nothing is of unknown origin. It never says that nothing was used. A signature
// that fits is left alone, whoever made it.
//
// Find looks at commits and makes a plan; Apply writes the new commits, with the
// same trees, authors, dates and messages as before but for the trailers, and moves
// the branch. Neither touches work tree or index. A commit whose message cannot
// carry trailers is attested beside itself (package record).
//
// What is a fault is package gate's to say.
package repair

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// Options say what to repair, and how.
type Options struct {
	Repo   *repo.Repo
	Policy *policy.Policy // who is known, and how closely a signature must bind
	Ref    string         // whose rule of the policy counts
	Now    time.Time

	Include, Exclude []change.ID // the commits to look at, as a range
	Signed           []change.ID // of these, those that are as good as signed
	Tip              change.ID   // the branch: what stands on a new commit moves along, up to here

	Named  *provenance.Record // what a person says was used where nobody knows; nil when nothing
	Beside bool               // attest all beside the commits, and rewrite none
	Style  string             // of public trailers, one of trailer.Styles
}

// An Action is what becomes of a commit.
type Action string

const (
	Stamp  Action = "stamp"  // a new commit carries trailers, signed
	Clean  Action = "clean"  // a new commit carries those signatures alone that fit
	Beside Action = "beside" // a record beside the commit carries the provenance, signed
	Follow Action = "follow" // a new commit says the same on new parents
	Leave  Action = "leave"  // nothing here can mend it
)

// A Step is what becomes of one commit.
type Step struct {
	ID      change.ID
	Subject string
	Action  Action
	Moves   bool      // a new commit takes its place
	Values  []string  // of AI-Provenance, that will be signed
	Why     string    // what is wrong now; "" where it only follows
	Hint    string    // what a person can do about it, where nothing else can
	New     change.ID // after Apply: the commit in its place, which may be itself

	raw    []byte
	commit change.Commit
	trees  []change.ID // of the parents
	about  provenance.Digest
	said   provenance.Provenance // by the commit itself, in whatever form
	text   []byte                // the message of the new commit, but for a stamp
}

// A Plan is what is to be done, parents before children.
type Plan struct {
	Steps []Step
	Tip   change.ID // of the branch; after Apply the new one

	options Options
}

// ErrElsewhere reports a range with commits that the branch to be moved does not reach.
var ErrElsewhere = errors.New("not on this branch")

// Find makes the plan. Nothing is written.
func Find(ctx context.Context, o Options) (*Plan, error) {
	reader := o.Repo.Reader()
	defer reader.Close()
	needs, err := o.needs(ctx, reader)
	if err != nil {
		return nil, err
	}
	p := &Plan{Tip: o.Tip, options: o}
	if len(needs) == 0 {
		return p, nil
	}
	f := finder{plan: p, reader: reader, needs: needs, moved: map[change.ID]bool{}, opaque: map[change.ID]bool{}, trees: map[change.ID]change.ID{}}
	defer f.close()
	from := []change.ID{o.Tip}
	if o.Beside {
		from = o.Include // nothing moves, so they may be anywhere
	}
	for raw, err := range o.Repo.Commits(ctx, from, o.Exclude, maxCommit) {
		if err != nil {
			return nil, err
		}
		if err := f.look(ctx, raw); err != nil {
			return nil, err
		}
	}
	if len(f.needs) > 0 {
		return nil, fmt.Errorf("%d of the commits to repair are %w", len(f.needs), ErrElsewhere)
	}
	return p, nil
}

// maxCommit bounds a commit object that can be rewritten, in bytes.
const maxCommit = 16 << 20

// A finder turns commits into steps.
type finder struct {
	plan    *Plan
	reader  *repo.Reader
	objects change.ObjectReader
	needs   map[change.ID]need // of commits that were not met yet
	moved   map[change.ID]bool // commits in whose place there will be another
	opaque  map[change.ID]bool // commits that the gate does not look into
	trees   map[change.ID]change.ID
}

func (f *finder) close() {
	if f.objects != nil {
		f.objects.Close()
	}
}

// look adds a step for a commit that needs something, or stands on one that moves.
func (f *finder) look(ctx context.Context, raw change.RawCommit) error {
	n, needy := f.needs[raw.ID]
	delete(f.needs, raw.ID)
	s := Step{ID: raw.ID, New: raw.ID, Action: Follow, Why: n.why}
	s.raw = slices.Clone(raw.Data)
	var err error
	s.commit, err = change.ParseCommit(s.raw)
	f.opaque[raw.ID] = err != nil || raw.Size > f.plan.options.Policy.Limits().Message
	if err != nil {
		if err := f.cannotMove(raw, err); err != nil || !needy {
			return err
		}
		s.Action, s.Hint = Leave, n.hint
		f.plan.Steps = append(f.plan.Steps, s)
		return nil
	}
	s.text = s.commit.Message
	f.trees[raw.ID] = s.commit.Tree
	s.Moves = slices.ContainsFunc(s.commit.Parents, func(id change.ID) bool { return f.moved[id] })
	if !needy && !s.Moves {
		return nil
	}
	s.Subject = gate.Subject(s.commit.Message)
	if needy {
		if err := f.mend(ctx, &s, n); err != nil {
			return fmt.Errorf("commit %.10s: %w", raw.ID, err)
		}
	}
	if s.Moves {
		f.moved[raw.ID] = true
	}
	f.plan.Steps = append(f.plan.Steps, s)
	return nil
}

// cannotMove says of a commit that cannot be rewritten whether it would have to be.
func (f *finder) cannotMove(raw change.RawCommit, why error) error {
	switch {
	case raw.TooLarge && len(f.moved) > 0: // and its parents are not known
		why = fmt.Errorf("it has %d bytes, and may have %d", raw.Size, maxCommit)
	case f.standsOnMoved(raw.Data):
	default:
		return nil
	}
	return fmt.Errorf("commit %.10s stands on commits to repair, and cannot be rewritten: %w", raw.ID, why)
}

// standsOnMoved looks for parents in a commit that is none to a strict reader.
func (f *finder) standsOnMoved(raw []byte) bool {
	for line := range bytes.Lines(raw) {
		hex, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("parent "))
		if id, err := change.ParseID(string(hex)); ok && err == nil && f.moved[id] {
			return true
		}
	}
	return false
}

// mend works out what is to become of a commit that needs something. What cannot be
// helped is a step, too, and no error.
func (f *finder) mend(ctx context.Context, s *Step, n need) error {
	if !n.mendable {
		s.Action, s.Hint = Leave, n.hint
		return nil
	}
	// The gate cannot know what such a parent held, so no signature binds.
	if i := slices.IndexFunc(s.commit.Parents, func(id change.ID) bool { return f.opaque[id] }); i >= 0 {
		s.Action, s.Hint = Leave, fmt.Sprintf("mend its parent %.10s first", s.commit.Parents[i])
		return nil
	}
	o := f.plan.options
	if keep := o.fitting(n.verdict, s.commit.Message); n.partly && len(keep) > 0 {
		return o.clean(s, keep)
	}
	err := f.measure(ctx, s, n)
	if err == nil {
		err = o.place(s, n)
	}
	if hint := hopeless(err); hint != "" {
		s.Action, s.Values, s.Why, s.Hint = Leave, nil, gate.Plain(err.Error()), hint
		return nil
	}
	return err
}

const (
	byHand  = "change its message by hand: git rebase -i; then repair again"
	smaller = "make the commit again with git itself, in smaller parts"
	rewrite = "no record beside it helps; rewrite it: gatekeeper repair"
)

// hopeless is what a person can do where a commit can be neither stamped nor attested
// by its own fault, "" where an error is another's.
func hopeless(err error) (hint string) {
	var malformed *provenance.MalformedError
	var broken *change.MalformedError
	switch {
	case isTrailerError(err), errors.As(err, &malformed):
		return byHand
	case errors.As(err, &broken), errors.Is(err, change.ErrTooLarge):
		return smaller
	}
	return ""
}

// measure works out what the commit changed, and what it is to say.
func (f *finder) measure(ctx context.Context, s *Step, n need) (err error) {
	if f.objects == nil {
		if f.objects, err = f.reader.Contents(ctx); err != nil {
			return err
		}
	}
	for _, p := range s.commit.Parents {
		tree, ok := f.trees[p]
		if !ok {
			if tree, err = f.reader.TreeOf(ctx, p); err != nil {
				return err
			}
			f.trees[p] = tree
		}
		s.trees = append(s.trees, tree)
	}
	about, stats, err := change.OfCommit(f.objects, s.trees, s.commit.Tree)
	if err != nil {
		return err
	}
	s.about = about
	s.said = said(s.commit.Message)
	records := slices.Clone(s.said.Records)
	if n.verdict.Beside {
		for _, r := range n.verdict.Records {
			records = append(records, recordOf(r))
		}
	}
	records = append(records, marked(s.commit, records)...)
	s.Values, err = f.plan.options.values(stats.Added, records)
	return err
}

// place finds where the provenance goes: into the message, or beside the commit,
// which must be free of what would speak against it.
func (o Options) place(s *Step, n need) error {
	_, err := o.message(*s, longest)
	switch {
	case err == nil && !o.Beside:
		s.Action, s.Moves = Stamp, true
		return nil
	case err != nil && !isTrailerError(err):
		return err
	case !n.loud:
		s.Action = Beside
		return nil
	case o.Beside:
		s.Action, s.Values, s.Hint = Leave, nil, rewrite
		return nil
	}
	rest, silent := silenced(s.commit)
	if !silent {
		return err
	}
	s.Action, s.Moves, s.text = Beside, true, rest
	return nil
}

// silenced is the message of a commit without reserved lines, false where some stay.
func silenced(c change.Commit) (rest []byte, ok bool) {
	rest, _ = trailer.Buffer{Verbatim: true}.Lift(c.Message)
	block, err := trailer.Read(rest)
	return rest, err == nil && len(block.Provenance)+len(block.Attestation) == 0 && trailer.CheckEncoding(c.Encoding) == nil
}

// clean takes out of a message the signatures that are not to be kept.
func (o Options) clean(s *Step, keep []string) error {
	if o.Beside {
		s.Action, s.Hint = Leave, rewrite
		return nil
	}
	block, err := trailer.Read(s.commit.Message)
	if err != nil {
		return err
	}
	s.text, err = trailer.Buffer{Verbatim: true}.Stamp(s.commit.Message, nil, reserved(block.Provenance, keep...))
	s.Action, s.Moves = Clean, true
	return err
}

// longest stands for an attestation that is yet to be made.
var longest = "v1 " + string(bytes.Repeat([]byte("x"), provenance.MaxValue-3))

// message is the commit's message with the lines of a step in it.
func (o Options) message(s Step, attestation string) ([]byte, error) {
	b := trailer.Buffer{Verbatim: true}
	if !trailer.UTF8(s.commit.Encoding) {
		return nil, &trailer.AmbiguousError{Reason: "the message is encoded as " + s.commit.Encoding}
	}
	text := s.commit.Message
	if _, err := b.Read(text); err != nil {
		text, _ = b.Lift(text)
	}
	p, err := provenance.Parse(s.Values)
	if err != nil {
		return nil, err
	}
	public := trailer.Public(p, o.Style)
	stamped, err := b.Stamp(text, append(trailer.PublicOf(s.said), public...), append(public, reserved(s.Values, attestation)...))
	if err != nil {
		return nil, err
	}
	if block, err := trailer.Read(stamped); err != nil || len(block.Attestation) != 1 {
		return nil, &trailer.AmbiguousError{Reason: "there is no place in this message for trailers"}
	}
	return stamped, nil
}

func reserved(values []string, attestations ...string) (lines []trailer.Line) {
	for _, v := range values {
		lines = append(lines, trailer.Line{Key: trailer.KeyProvenance, Value: v})
	}
	for _, v := range attestations {
		lines = append(lines, trailer.Line{Key: trailer.KeyAttestation, Value: v})
	}
	return lines
}

func isTrailerError(err error) bool {
	var ambiguous *trailer.AmbiguousError
	var malformed *trailer.MalformedError
	return errors.As(err, &ambiguous) || errors.As(err, &malformed)
}
