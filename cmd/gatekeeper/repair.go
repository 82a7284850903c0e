package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/hooks/prepush"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

func (p process) repairCommand() *cli.Command {
	return &cli.Command{Name: "repair", Usage: "stamp commits that lost or never had their provenance", ArgsUsage: "[RANGE]",
		Description: `Looks at the commits of RANGE, such as origin/main..HEAD; without it at those of
HEAD that no remote has. A commit that nothing covers gets another in its place,
with the same tree, author, dates and message, and its provenance: what it says
without a valid signature is signed as declared, and one that says nothing is of
unknown origin. Work tree and index are not touched; the old branch is in the
reflog. Name what was used where nobody knows:

   gatekeeper repair --tool claude-code --model anthropic/claude-sonnet-4-5`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done"},
			&cli.BoolFlag{Name: "beside", Usage: "rewrite nothing; keep records beside the commits, also of those on a remote"},
			&cli.BoolFlag{Name: "force", Usage: "rewrite commits that are on a remote, too"},
			&cli.StringFlag{Name: "tool", Usage: "the assistant's `NAME`, where nobody knows"},
			&cli.StringFlag{Name: "model", Usage: "its `PROVIDER/MODEL`"},
			&cli.StringFlag{Name: "version", Usage: "its `VERSION`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.repair(c.Context, c) }}
}

// repaired is a plan as people and programs see it.
type repaired struct {
	Schema  string       `json:"schema"`
	Branch  string       `json:"branch"` // a ref, or HEAD where that is detached
	Old     string       `json:"old"`    // what it held
	New     string       `json:"new"`    // what it holds now; as Old with --dry-run
	DryRun  bool         `json:"dry_run"`
	Commits []repairView `json:"commits"`
}

type repairView struct {
	ID      string        `json:"id"`
	Subject string        `json:"subject"`
	Action  repair.Action `json:"action"`
	Values  []string      `json:"provenance"` // what is signed; empty where a commit only follows
	Why     string        `json:"why,omitempty"`
	Hint    string        `json:"hint,omitempty"`
	Moves   bool          `json:"rewritten"` // a new commit takes its place, or would
	New     string        `json:"new"`
}

func (p process) repair(ctx context.Context, c *cli.Context) error {
	spec, err := atMostOne(c, "")
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	if doing := underWay(r); doing != "" {
		return usage("a %s is under way; finish or abort it first", doing)
	}
	branch, tip, err := r.Head(ctx)
	if err != nil {
		return err
	}
	if tip == "" {
		return usage("there is no commit yet")
	}
	o, err := p.repairOptions(ctx, c, r, branch, tip, spec)
	if err != nil {
		return err
	}
	if o.Signed, err = p.signWaiting(ctx, r, c.Bool("dry-run")); err != nil {
		return err
	}
	plan, err := repair.Find(ctx, o)
	if errors.Is(err, repair.ErrElsewhere) {
		return usage("%v; git switch to theirs first,\nor cover them without rewriting: gatekeeper repair --beside RANGE", err)
	}
	if err != nil {
		return withHint(err)
	}
	if branch == "" {
		branch = "HEAD"
	}
	if err := p.onRemote(ctx, c, r, plan); err != nil {
		return err
	}
	if !c.Bool("dry-run") {
		if err := p.applyRepair(ctx, r, plan, branch); err != nil {
			return err
		}
	}
	if err := p.tellRepair(c, plan, branch, tip); err != nil || spec != "" {
		return err
	}
	return p.tellUnseen(ctx, r, tip, o.Exclude)
}

// tellUnseen names the commits that a push would bring to the upstream branch and
// that were not looked at, because another branch of a remote has them.
func (p process) tellUnseen(ctx context.Context, r *repo.Repo, tip change.ID, exclude []change.ID) error {
	up, err := r.Resolve(ctx, "@{upstream}")
	if errors.Is(err, repo.ErrNoRef) {
		return nil
	}
	if err != nil {
		return err
	}
	pushed, err := r.Count(ctx, []change.ID{tip}, []change.ID{up}, maxUnseen)
	if err != nil {
		return err
	}
	seen, err := r.Count(ctx, []change.ID{tip}, exclude, maxUnseen)
	if err != nil || pushed <= seen {
		return err
	}
	p.say("%d commits on other branches of a remote were not looked at;", pushed-seen)
	p.say("cover them: gatekeeper repair --beside @{upstream}..")
	return nil
}

const maxUnseen = 1 << 20

// signWaiting signs what was recorded when no key was to be had, so that nothing less
// takes its place; without signing, it names the commits.
func (p process) signWaiting(ctx context.Context, r *repo.Repo, dryRun bool) (commits []change.ID, err error) {
	waiting, err := session.Open(r.CommonDir).Waiting()
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	for _, u := range waiting {
		commits = append(commits, u.Commit)
	}
	p.say("%d recorded commits wait for a signature, which goes beside them", len(commits))
	if dryRun {
		return commits, nil
	}
	open := func(ctx context.Context) (attestation.Signer, error) { return p.signer(ctx, r) }
	return nil, prepush.SignOwed(ctx, r, open, p.Now())
}

func (p process) applyRepair(ctx context.Context, r *repo.Repo, plan *repair.Plan, branch string) (err error) {
	var signer attestation.Signer
	if plan.Attests() {
		if signer, err = p.signer(ctx, r); err != nil {
			return err
		}
	}
	return plan.Apply(ctx, signer, branch)
}

// underWay names what git has not finished, "" when nothing: a rewritten branch would
// pull the ground from under it.
func underWay(r *repo.Repo) string {
	for _, sign := range []struct{ file, name string }{
		{"rebase-merge", "rebase"}, {"rebase-apply", "rebase or am"}, {"MERGE_HEAD", "merge"},
		{"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"}, {"sequencer", "cherry-pick or revert"}, {"BISECT_LOG", "bisect"},
	} {
		if _, err := os.Lstat(filepath.Join(r.GitDir, sign.file)); err == nil {
			return sign.name
		}
	}
	return ""
}

func (p process) repairOptions(ctx context.Context, c *cli.Context, r *repo.Repo, branch string, tip change.ID, spec string) (o repair.Options, err error) {
	o = repair.Options{Repo: r, Ref: branch, Now: p.Now(), Tip: tip, Beside: c.Bool("beside")}
	if o.Named, err = named(c); err != nil {
		return o, err
	}
	settings, err := r.Settings(ctx)
	if err != nil {
		return o, err
	}
	if o.Style = settings.Value(trailer.StyleSetting); o.Style == "" {
		o.Style = trailer.Styles[0]
	}
	if !slices.Contains(trailer.Styles, o.Style) {
		return o, usage("%s is %q, not one of: %s", trailer.StyleSetting, o.Style, strings.Join(trailer.Styles, ", "))
	}
	pol, err := p.policyFor(ctx, r, "")
	if err != nil {
		return o, err
	}
	if o.Policy, err = orFormOnly(pol); err != nil {
		return o, err
	}
	o.Include, o.Exclude, err = p.repairRange(ctx, r, pol, tip, spec)
	return o, err
}

// named is what a person says was used.
func named(c *cli.Context) (*provenance.Record, error) {
	if c.String("tool") == "" && c.String("model") == "" && c.String("version") == "" {
		return nil, nil
	}
	if err := needs(c, "tool", "model"); err != nil {
		return nil, err
	}
	model, err := namedModel(c)
	if err != nil {
		return nil, err
	}
	r := provenance.Record{Tool: provenance.Tool{Name: c.String("tool"), Version: c.String("version")}, Model: model, Via: provenance.ViaDeclared}
	if err := provenance.CheckValue(r.String()); err != nil {
		return nil, usage("%v", err)
	}
	return &r, nil
}

// namedModel reads --model.
func namedModel(c *cli.Context) (provenance.Model, error) {
	model := agent.CanonicalModel(c.String("model"))
	if model.Name == "" {
		return model, usage("--model %q names no model; want PROVIDER/MODEL, such as anthropic/claude-sonnet-4-5", c.String("model"))
	}
	return model, nil
}

// repairRange is what to look at: RANGE, or what no remote has and the policy's
// baseline does not reach.
func (p process) repairRange(ctx context.Context, r *repo.Repo, pol *inforce.Policy, tip change.ID, spec string) (include, exclude []change.ID, err error) {
	if spec != "" {
		include, exclude, err = r.Range(ctx, spec)
		if err != nil {
			return nil, nil, usage("range %q: %v", spec, err)
		}
		return include, exclude, nil
	}
	if exclude, err = remoteTips(ctx, r); err != nil {
		return nil, nil, err
	}
	remotes, err := r.Remotes(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(remotes) == 0 {
		return nil, nil, usage("no remote tells which commits are yours alone;\n" +
			"name a range: gatekeeper repair BASE..HEAD")
	}
	if pol != nil {
		reader := r.Reader()
		defer reader.Close()
		known, err := pol.Unjudged(ctx, reader)
		if err != nil {
			return nil, nil, err
		}
		exclude = append(exclude, known...)
	}
	return []change.ID{tip}, exclude, nil
}

func remoteTips(ctx context.Context, r *repo.Repo) (tips []change.ID, err error) {
	for ref, err := range r.Refs(ctx, "refs/remotes/") {
		if err != nil {
			return nil, err
		}
		tips = append(tips, ref.ID)
	}
	return tips, nil
}

// onRemote refuses to rewrite what others may have.
func (p process) onRemote(ctx context.Context, c *cli.Context, r *repo.Repo, plan *repair.Plan) error {
	if plan.Rewrites() == 0 || c.Bool("force") {
		return nil
	}
	tips, err := remoteTips(ctx, r)
	if err != nil {
		return err
	}
	own := map[change.ID]bool{}
	for raw, err := range r.Commits(ctx, []change.ID{plan.Tip}, tips, 0) {
		if err != nil {
			return err
		}
		own[raw.ID] = true
	}
	there := 0
	for _, s := range plan.Steps {
		if s.Moves && !own[s.ID] {
			there++
		}
	}
	if there > 0 {
		return usage("%d of %d commits to rewrite are on a remote, and others may have them;\n"+
			"cover them without rewriting: gatekeeper repair --beside RANGE\n"+
			"or rewrite them all the same: gatekeeper repair --force RANGE", there, plan.Rewrites())
	}
	return nil
}

// signer is the key that signs here.
func (p process) signer(ctx context.Context, r *repo.Repo) (attestation.Signer, error) {
	settings, err := r.Settings(ctx)
	if err != nil {
		return nil, err
	}
	k := attestation.KeyNames(settings.Value)[0]
	s, err := p.openSigner(ctx, k.Spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Source, err)
	}
	return s, nil
}

func (p process) tellRepair(c *cli.Context, plan *repair.Plan, branch string, old change.ID) error {
	v := repaired{Schema: "gatekeeper/repair/v1", Branch: branch, Old: old.String(), New: plan.Tip.String(), DryRun: c.Bool("dry-run"), Commits: []repairView{}}
	for _, s := range plan.Steps {
		v.Commits = append(v.Commits, repairView{s.ID.String(), s.Subject, s.Action, append([]string{}, s.Values...), s.Why, s.Hint, s.Moves, s.New.String()})
	}
	if c.Bool("json") {
		return p.printJSON(v)
	}
	writeRepair(p.Stdout, v)
	if n := plan.Signatures(); n > 0 {
		p.say("%d of the old commits had a signature of git's own, which is gone;", n)
		p.say("sign anew: git rebase -f -r -S BASE")
	}
	if v.New != v.Old {
		p.say("%s was %.10s; git reset --soft %.10s brings it back", branch, v.Old, v.Old)
	}
	return nil
}

func writeRepair(w io.Writer, v repaired) {
	counts := map[repair.Action]int{}
	for _, c := range v.Commits {
		counts[c.Action]++
		id := fmt.Sprintf("%.10s", c.ID)
		if c.New != c.ID {
			id += fmt.Sprintf(" -> %.10s", c.New)
		}
		fmt.Fprintf(w, "%-6s %s  %s\n", c.Action, id, c.Subject)
		if c.Why != "" {
			fmt.Fprintf(w, "       %s\n", c.Why)
		}
		if c.Hint != "" {
			fmt.Fprintf(w, "       hint: %s\n", c.Hint)
		}
		for _, value := range c.Values {
			fmt.Fprintf(w, "       %s: %s\n", trailer.KeyProvenance, value)
		}
	}
	if len(v.Commits) == 0 {
		fmt.Fprintf(w, "%s: every commit is covered\n", v.Branch)
		return
	}
	verb := ""
	if v.DryRun {
		verb = "would be "
	}
	fmt.Fprintf(w, "%s: %d %sstamped, %d attested beside, %d moved along", v.Branch,
		counts[repair.Stamp], verb, counts[repair.Beside], counts[repair.Follow])
	if n := counts[repair.Clean]; n > 0 {
		fmt.Fprintf(w, ", %d cleaned", n)
	}
	if n := counts[repair.Leave]; n > 0 {
		fmt.Fprintf(w, ", %d not covered", n)
	}
	fmt.Fprintln(w)
}
