// Package repair gives commits the provenance that they lost or never had: made
// with the hooks switched off, by another implementation of git, before gatekeeper
// was installed, or rewritten by a tool that asks no hook.
//
// It claims only what is known. What a commit says of itself without a signature
// that fits is somebody's word, and is signed as declared; a commit that says
// nothing is of unknown origin. It never says that nothing was used.
//
// Find looks at commits and makes a plan; Apply writes the new commits, with the
// same trees, authors, dates and messages as before but for the trailers, and moves
// the branch. Neither touches work tree or index. A commit whose message cannot
// carry trailers is attested beside itself (package record).
//
// What is a fault is package gate's to say.
package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
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
	Tip              change.ID   // the branch: what stands on a new commit moves along, up to here

	Named  *provenance.Record // what a person says was used where nobody knows; nil when nothing
	Beside bool               // attest all beside the commits, and rewrite none
	Style  string             // of public trailers, one of trailer.Styles
}

// An Action is what becomes of a commit.
type Action string

const (
	Stamp  Action = "stamp"  // a new commit carries trailers, signed
	Beside Action = "beside" // a record beside the commit does
	Follow Action = "follow" // a new commit says the same on new parents
)

// A Step is what becomes of one commit.
type Step struct {
	ID      change.ID
	Subject string
	Action  Action
	Values  []string  // of AI-Provenance, that will be signed
	Why     string    // what is wrong now; "" where it only follows
	New     change.ID // after Apply: the commit in its place, which may be itself

	raw    []byte
	commit change.Commit
	trees  []change.ID // of the parents
	about  provenance.Digest
	said   provenance.Provenance // by the commit itself, in whatever form
}

// A Plan is what is to be done, parents before children.
type Plan struct {
	Steps []Step
	Tip   change.ID // of the branch; after Apply the new one

	options Options
}

// Find makes the plan. Nothing is written.
func Find(ctx context.Context, o Options) (*Plan, error) {
	reader := o.Repo.Reader()
	defer reader.Close()
	faults, err := o.faults(ctx, reader)
	if err != nil {
		return nil, err
	}
	p := &Plan{Tip: o.Tip, options: o}
	if len(faults) == 0 {
		return p, nil
	}
	f := finder{plan: p, reader: reader, faults: faults, moved: map[change.ID]bool{}, trees: map[change.ID]change.ID{}}
	defer f.close()
	for raw, err := range o.Repo.Commits(ctx, []change.ID{o.Tip}, o.Exclude, maxCommit) {
		if err != nil {
			return nil, err
		}
		if err := f.look(ctx, raw); err != nil {
			return nil, err
		}
	}
	if len(f.faults) > 0 {
		return nil, fmt.Errorf("%d of the commits are not on this branch", len(f.faults))
	}
	return p, nil
}

// maxCommit bounds a commit object that can be rewritten, in bytes.
const maxCommit = 16 << 20

// faults says of each commit in the range that is not covered why it is not.
func (o Options) faults(ctx context.Context, reader *repo.Reader) (map[change.ID]string, error) {
	records, err := record.All(ctx, reader)
	if err != nil {
		return nil, err
	}
	g := gate.Gate{Policy: o.Policy, Source: reader, Records: records, Now: o.Now, FormOnly: true}
	v, err := g.Check(ctx, gate.Range{Ref: o.Ref, Include: o.Include, Exclude: o.Exclude}, gate.KeepAll)
	if err != nil {
		return nil, err
	}
	faults := map[change.ID]string{}
	for _, c := range v.Commits {
		id, err := change.ParseID(c.ID)
		if err != nil {
			return nil, err
		}
		if why := o.fault(c); why != "" {
			faults[id] = why
		}
	}
	return faults, nil
}

// mendable are the rules that a new stamp satisfies.
var mendable = []string{gate.AttestationMissing, gate.AttestationInvalid, gate.AttestationStale, gate.TrailerAmbiguous, gate.TrailerMalformed, gate.TimeSkew}

// fault says why a commit needs repair, "" when it does not or cannot have it.
func (o Options) fault(c gate.CommitVerdict) string {
	for _, f := range c.Findings {
		if slices.Contains(mendable, f.Rule) {
			return f.Detail
		}
	}
	switch {
	case len(c.Findings) > 0 || c.Verdict == gate.Exempt:
		return ""
	case c.Evidence == gate.Unknown:
		return "it does not say whether AI took part"
	case c.Evidence == gate.Declared:
		return "its provenance is not signed"
	case o.Named != nil && slices.ContainsFunc(c.Records, o.names):
		return "its model is unknown"
	}
	return ""
}

// names reports whether what a person says fills a record that lacks the model.
func (o Options) names(r gate.RecordView) bool {
	return r.Model == provenance.Model{}.ID() && (r.Tool == provenance.Unknown || r.Tool == o.Named.Tool.Name)
}

// A finder turns commits into steps.
type finder struct {
	plan    *Plan
	reader  *repo.Reader
	objects change.ObjectReader
	faults  map[change.ID]string // that were not met yet
	moved   map[change.ID]bool   // commits in whose place there will be another
	trees   map[change.ID]change.ID
}

func (f *finder) close() {
	if f.objects != nil {
		f.objects.Close()
	}
}

// look adds a step for a commit that has a fault, or stands on one that moves.
func (f *finder) look(ctx context.Context, raw change.RawCommit) error {
	why, faulty := f.faults[raw.ID]
	delete(f.faults, raw.ID)
	c, err := change.ParseCommit(raw.Data)
	if err == nil {
		f.trees[raw.ID] = c.Tree
	}
	follows := slices.ContainsFunc(c.Parents, func(id change.ID) bool { return f.moved[id] })
	switch {
	case !faulty && !follows && err == nil:
		return nil
	case err != nil && !faulty && len(f.moved) == 0:
		return nil // nothing before it moves, so it may stay as it is
	case raw.TooLarge:
		return fmt.Errorf("commit %.10s is larger than %d bytes", raw.ID, maxCommit)
	case err != nil:
		return fmt.Errorf("commit %.10s: %w", raw.ID, err)
	}
	s := Step{ID: raw.ID, New: raw.ID, Subject: gate.Subject(c.Message), Action: Follow, Why: why, raw: slices.Clone(raw.Data)}
	if s.commit, err = change.ParseCommit(s.raw); err != nil {
		return err
	}
	if faulty {
		if err := f.stamp(ctx, &s); err != nil {
			return fmt.Errorf("commit %.10s: %w", raw.ID, err)
		}
	}
	f.moved[raw.ID] = s.Action != Beside || follows
	if s.Action == Beside && follows {
		s.Action = Follow // and attested beside its new self
	}
	f.plan.Steps = append(f.plan.Steps, s)
	return nil
}

// stamp works out what a faulty commit is to say.
func (f *finder) stamp(ctx context.Context, s *Step) (err error) {
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
	s.said = said(s.commit)
	if s.Values, err = f.plan.options.values(stats.Added, s.said); err != nil {
		return err
	}
	s.Action = Stamp
	if _, err := f.plan.options.message(*s, "v1 sig"); f.plan.options.Beside || isTrailerError(err) {
		s.Action = Beside
	}
	return nil
}

// said is what a commit says of itself, in the final block or lifted out of the
// body, as far as it can be read: words, whose grade nobody vouches for.
func said(c change.Commit) (p provenance.Provenance) {
	_, lines := trailer.Buffer{Verbatim: true}.Lift(c.Message)
	for _, l := range lines {
		if l.Key != trailer.KeyProvenance {
			continue
		}
		if r, err := provenance.ParseRecord(l.Value); err == nil {
			if r.Via.Stronger(provenance.ViaDeclared) {
				r.Via = provenance.ViaDeclared
			}
			p.Records = append(p.Records, r)
		}
	}
	return p
}

// values are what the commit is to say: what it said, what a person names, and that
// nobody knows where neither says anything.
func (o Options) values(total int, said provenance.Provenance) ([]string, error) {
	if len(said.Records) == 0 {
		said.Records = []provenance.Record{{}}
	}
	sets := []provenance.Provenance{said}
	if o.Named != nil {
		sets = append(sets, provenance.Provenance{Records: []provenance.Record{*o.Named}})
	}
	values := provenance.Union(total, sets...).Values()
	_, err := provenance.Parse(values)
	return values, err
}

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
	lines := trailer.Public(p, o.Style)
	for _, v := range s.Values {
		lines = append(lines, trailer.Line{Key: trailer.KeyProvenance, Value: v})
	}
	lines = append(lines, trailer.Line{Key: trailer.KeyAttestation, Value: attestation})
	stamped, err := b.Stamp(text, append(trailer.PublicOf(s.said), trailer.Public(p, o.Style)...), lines)
	if err != nil {
		return nil, err
	}
	if block, err := trailer.Read(stamped); err != nil || len(block.Attestation) != 1 {
		return nil, &trailer.AmbiguousError{Reason: "there is no place in this message for trailers"}
	}
	return stamped, nil
}

func isTrailerError(err error) bool {
	var ambiguous *trailer.AmbiguousError
	var malformed *trailer.MalformedError
	return errors.As(err, &ambiguous) || errors.As(err, &malformed)
}
