package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate/report"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) verifyCommand() *cli.Command {
	return &cli.Command{Name: "verify", Usage: "judge commits as the server's hook would", ArgsUsage: "[RANGE]",
		Description: `Judges the commits of RANGE, such as origin/main..HEAD, by the rule for a ref.
RANGE is @{upstream}..HEAD, or all of HEAD where there is no upstream. What the
baseline reaches is left out, as on the server.

--format says how: text, json, sarif (SARIF 2.1.0) or github (the commands by
which a workflow on GitHub annotates itself). --json is --format json.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "policy", Usage: "judge by this policy `FILE` instead of the one in force"},
			&cli.StringFlag{Name: "ref", Usage: "judge as if pushed to `REF` (default: the current branch)"},
			&cli.StringFlag{Name: "at", Usage: "judge as if received at `TIME`"},
			&cli.StringFlag{Name: "format", Usage: "`FORMAT`: text, json, sarif or github", Value: "text"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.verify(c.Context, c) }}
}

// verification is a verdict with what only a server could have added.
type verification struct {
	gate.Verdict
	NotJudged []string `json:"not_judged"`
}

func (p process) verify(ctx context.Context, c *cli.Context) error {
	spec, err := atMostOne(c, "")
	if err != nil {
		return err
	}
	if err := wholeRef(c.String("ref")); err != nil {
		return err
	}
	format, err := verifyFormat(c)
	if err != nil {
		return err
	}
	now, err := p.at(c.String("at"))
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	pol, err := p.policyFor(ctx, r, c.String("policy"))
	if err != nil {
		return err
	}
	rg, err := p.rangeOf(ctx, r, spec, c.String("ref"))
	if err != nil {
		return err
	}
	reader := r.Reader()
	defer reader.Close()
	g, err := newGate(ctx, reader, pol)
	if err != nil {
		return err
	}
	g.Now = now
	rg.Exclude = append(rg.Exclude, g.Baseline...)
	verdict, err := g.Check(ctx, rg, gate.KeepAll)
	if err != nil {
		return withHint(err)
	}
	notJudged := gate.NotJudged(g.Policy.Rule(rg.Ref))
	switch format {
	case "json":
		err = p.printJSON(verification{verdict, notJudged})
	case "sarif":
		err = p.printSARIF(ctx, r, verdict, c.String("policy"), notJudged)
	case "github":
		err = p.annotate(verdict)
	default:
		err = p.tellVerdict(verdict)
	}
	if err != nil {
		return err
	}
	return p.concludeVerification(verdict, pol, notJudged)
}

// verifyFormat is the form that a verdict is wanted in.
func verifyFormat(c *cli.Context) (string, error) {
	format := c.String("format")
	switch {
	case !slices.Contains([]string{"text", "json", "sarif", "github"}, format):
		return "", usage("--format %q: want text, json, sarif or github", format)
	case !c.Bool("json"):
		return format, nil
	case c.IsSet("format"):
		return "", usage("--json is --format json; give one of them")
	}
	return "json", nil
}

// withHint tells how to get what a judgement lacks. A commit cannot be judged
// without its parents, which a shallow clone leaves out.
func withHint(err error) error {
	if errors.Is(err, change.ErrMissing) {
		return fmt.Errorf("%w (in a shallow clone: git fetch --unshallow)", err)
	}
	return err
}

// newGate is a gate under pol or, without one, for form and signatures only.
func newGate(ctx context.Context, reader *repo.Reader, pol *inforce.Policy) (*gate.Gate, error) {
	records, err := record.All(ctx, reader)
	if err != nil {
		return nil, err
	}
	if pol == nil {
		lenient, err := orFormOnly(pol)
		return &gate.Gate{Policy: lenient, Source: reader, Records: records, FormOnly: true}, err
	}
	known, err := pol.Unjudged(ctx, reader)
	return &gate.Gate{Policy: pol.Policy, Source: reader, Records: records, Baseline: known}, err
}

// orFormOnly is the policy or, without one, a policy that knows nobody.
func orFormOnly(pol *inforce.Policy) (*policy.Policy, error) {
	if pol != nil {
		return pol.Policy, nil
	}
	return policy.Parse("built in", []byte("schema = 1\n"), nil)
}

// rangeOf resolves a range of revisions and the ref that it is judged for.
func (p process) rangeOf(ctx context.Context, r *repo.Repo, spec, ref string) (gate.Range, error) {
	head, tip, err := r.Head(ctx)
	if err != nil {
		return gate.Range{}, err
	}
	if ref == "" {
		if ref = head; ref == "" {
			return gate.Range{}, usage("HEAD is detached; say which branch the commits are for: --ref refs/heads/NAME")
		}
	}
	rg := gate.Range{Ref: ref}
	if spec == "" {
		if tip == "" {
			return rg, errors.New("there is no commit yet")
		}
		rg.Include = []change.ID{tip}
		if up, err := r.Resolve(ctx, "@{upstream}"); err == nil {
			rg.Exclude = []change.ID{up}
		}
		return rg, nil
	}
	rg.Include, rg.Exclude, err = r.Range(ctx, spec)
	if err != nil {
		return rg, usage("range %q: %v", spec, err)
	}
	return rg, nil
}

func (p process) tellVerdict(v gate.Verdict) error {
	if err := v.WriteText(p.Stderr, gate.Words{Refused: "refused", Warned: "warning for"}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.Stdout, summary(v))
	return err
}

// annotate says of findings only what stands in commands: a runner reads both streams,
// and would find commands in the words of strangers.
func (p process) annotate(v gate.Verdict) error {
	if err := report.GitHub(p.Stdout, v); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.Stdout, summary(v))
	return err
}

func (p process) printSARIF(ctx context.Context, r *repo.Repo, v gate.Verdict, policy string, notJudged []string) error {
	origin, err := r.Origin(ctx)
	if err != nil {
		return err
	}
	return report.SARIF(p.Stdout, v, report.Run{Version: release(), Policy: p.policyWithin(r, policy),
		Remote: origin, NotJudged: notJudged})
}

// policyWithin is the policy's path below the top of the work tree. For one that is kept
// elsewhere it is where a repository has its policy.
func (p process) policyWithin(r *repo.Repo, named string) string {
	if named != "" && r.WorkTree != "" {
		if in, err := filepath.Rel(r.WorkTree, p.path(named)); err == nil && filepath.IsLocal(in) {
			return filepath.ToSlash(in)
		}
	}
	return inforce.Dir + "/" + inforce.File
}

func (p process) concludeVerification(v gate.Verdict, pol *inforce.Policy, notJudged []string) error {
	if pol == nil {
		p.say("no policy seen; only form and signatures were checked")
	} else {
		p.say("policy %s; only a server can judge:", pol.Where)
		io.WriteString(p.Stderr, gate.Fold(strings.Join(notJudged, ", "), "gatekeeper:   "))
	}
	if v.Verdict == gate.Refused {
		return exit(exitRefused)
	}
	return nil
}

func summary(v gate.Verdict) string {
	counts := map[gate.Outcome]int{}
	for _, c := range v.Commits {
		counts[c.Verdict]++
	}
	return fmt.Sprintf("%s: %d accepted, %d exempt, %d warned, %d refused", v.Refs[0].Ref,
		counts[gate.Accepted], counts[gate.Exempt], counts[gate.Warned], counts[gate.Refused])
}
