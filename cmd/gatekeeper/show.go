package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) showCommand() *cli.Command {
	return &cli.Command{Name: "show", Usage: "show the provenance of a commit, verified", ArgsUsage: "[REV]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "policy", Usage: "look up signers and models in this policy `FILE`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.show(c.Context, c) }}
}

func (p process) show(ctx context.Context, c *cli.Context) error {
	rev, err := atMostOne(c, "HEAD")
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	id, err := r.Resolve(ctx, rev+"^{commit}")
	if err != nil {
		return usage("%q names no commit here", rev)
	}
	pol, err := p.policyFor(ctx, r, c.String("policy"))
	if err != nil {
		return err
	}
	v, err := p.judgeOne(ctx, r, id, pol)
	if err != nil {
		return fmt.Errorf("%s: %w", rev, err)
	}
	judged := v.Commits[len(v.Commits)-1]
	if c.Bool("json") {
		return p.printJSON(shown{"gatekeeper/show/v1", v.Policy, judged})
	}
	writeShown(p.Stdout, judged, pol)
	return nil
}

// judgeOne judges one commit as a push of it alone to the current branch.
func (p process) judgeOne(ctx context.Context, r *repo.Repo, id change.ID, pol *inforce.Policy) (gate.Verdict, error) {
	reader := r.Reader()
	defer reader.Close()
	g, err := newGate(ctx, reader, pol)
	if err != nil {
		return gate.Verdict{}, err
	}
	g.Now = p.Now()
	ref, _, err := r.Head(ctx)
	if err != nil {
		return gate.Verdict{}, err
	}
	commit, err := readCommit(ctx, r, id.String())
	if err != nil {
		return gate.Verdict{}, err
	}
	rg := gate.Range{Ref: ref, Include: []change.ID{id}}
	if rg.Exclude, err = reader.Present(ctx, commit.Parents); err != nil { // a shallow clone has not all
		return gate.Verdict{}, err
	}
	v, err := g.Check(ctx, rg, gate.KeepAll)
	if err == nil && len(v.Commits) == 0 {
		err = errors.New("the commit cannot be read")
	}
	return v, withHint(err)
}

// shown is one commit of a verdict.
type shown struct {
	Schema string             `json:"schema"`
	Policy string             `json:"policy"`
	Commit gate.CommitVerdict `json:"commit"`
}

func writeShown(w io.Writer, c gate.CommitVerdict, pol *inforce.Policy) {
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "  %-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "%.10s  %s\n", c.ID, c.Subject)
	for _, r := range c.Records {
		row("tool", "%s %s", gate.Plain(r.Tool), gate.Plain(r.Version))
		row("model", "%s", gate.Plain(r.Model))
		row("lines", "%s", lines(r.Lines))
		row("observed", "via %s, session %s", r.Via, r.Session)
		if len(r.MCP) > 0 {
			row("mcp", "%s", gate.Plain(strings.Join(r.MCP, ", ")))
		}
	}
	if c.None != "" {
		row("tool", "none observed via %s; this does not say that a human wrote it", c.None)
	}
	row("evidence", "%s%s", c.Evidence, bound(c.Binding))
	if c.Beside {
		row("kept", "in a record beside the commit, not in its message")
	}
	for _, s := range c.Signers {
		if s.Principal == "unknown" {
			row("signed", "%s by %s, whose key no policy here names", s.Time, s.Key)
			continue
		}
		row("signed", "%s by %s (%s) %s", s.Time, gate.Plain(s.Principal), s.Class, s.Key)
	}
	if pol == nil {
		row("verdict", "form and signature only; no policy seen")
	} else {
		row("verdict", "%s by %s", c.Verdict, pol.Where)
	}
	for _, f := range c.Findings {
		row("["+f.Rule+"]", "%s", f.Detail)
		if f.Hint != "" {
			row("", "hint: %s", f.Hint)
		}
	}
}

func lines(l *gate.LinesView) string {
	if l.AI == nil {
		return fmt.Sprintf("unknown of %d added", l.Added)
	}
	return fmt.Sprintf("%d of %d added", *l.AI, l.Added)
}

func bound(b *gate.Binding) string {
	switch {
	case b == nil:
		return ""
	case *b == gate.Exact:
		return ", bound to this content on this parent (exact)"
	}
	return ", bound to this change, rebased (change)"
}
