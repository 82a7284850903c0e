package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/blame"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) blameCommand() *cli.Command {
	return &cli.Command{Name: "blame", Usage: "which tool and model each line of a file came from", ArgsUsage: "FILE",
		Description: `Joins what git blame says with the trace of each line's commit:

  claude-code …   the trace says that this agent wrote the line
  -               the trace says that no agent that was seen did
  ?               an agent may have written it, or not
  ~claude-code …  there is no trace; the commit's records are shown, of
                  which any may be the line's, or none
  ~none           there is no trace; the commit says that no agent was seen
  ~unknown        there is no trace, and the commit says nothing that counts

No sign says that a person wrote a line.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rev", Usage: "as `REV` has the file, not as the work tree does"},
			&cli.StringFlag{Name: "policy", Usage: "look up signers in this policy `FILE`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.blame(c.Context, c) }}
}

// blamedView is one line of a file.
type blamedView struct {
	Line     int               `json:"line"`
	Text     string            `json:"text"`
	Commit   *string           `json:"commit"` // null: not committed
	From     blame.From        `json:"from"`   // trace | commit | work tree
	Doubt    bool              `json:"doubt"`  // perhaps an agent's
	Evidence gate.Evidence     `json:"evidence"`
	Records  []gate.RecordView `json:"records"`
}

func (p process) blame(ctx context.Context, c *cli.Context) error {
	name, err := one(c, "file")
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	path, err := p.inWorkTree(r, name)
	if err != nil {
		return err
	}
	lines, err := p.blamed(ctx, r, path, c.String("rev"), c.String("policy"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		views := []blamedView{}
		for _, l := range lines {
			views = append(views, viewOf(l))
		}
		return p.printJSON(struct {
			Schema string       `json:"schema"`
			File   string       `json:"file"`
			Lines  []blamedView `json:"lines"`
		}{"gatekeeper/blame/v1", path, views})
	}
	return writeBlame(p.Stdout, lines)
}

// blamed blames a file under the policy that is named or in force.
func (p process) blamed(ctx context.Context, r *repo.Repo, path, rev, policy string) ([]blame.Line, error) {
	pol, err := p.policyFor(ctx, r, policy)
	if err != nil {
		return nil, err
	}
	reader := r.Reader()
	defer reader.Close()
	records, err := record.All(ctx, reader)
	if err != nil {
		return nil, err
	}
	judge, err := p.judgeOf(ctx, r, reader, pol)
	if err != nil {
		return nil, err
	}
	objects, err := r.Batch(ctx)
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	traces := func(ctx context.Context, d provenance.Digest) (record.Trace, bool, error) {
		if text, err := record.KeptTrace(r.CommonDir, d); err == nil && text != nil {
			t, err := record.ParseTrace(string(text))
			return t, err == nil, nil
		}
		return records.Trace(ctx, d)
	}
	return blame.Source{Repo: r, Objects: objects, Judge: judge, Traces: traces}.File(ctx, path, rev)
}

// judgeOf gives verdicts on commits, each as if it were pushed alone to the current
// branch.
func (p process) judgeOf(ctx context.Context, r *repo.Repo, reader *repo.Reader, pol *inforce.Policy) (func(context.Context, change.ID) (gate.CommitVerdict, error), error) {
	g, err := newGate(ctx, reader, pol)
	if err != nil {
		return nil, err
	}
	g.Now = p.Now()
	g.Baseline = nil // what is not judged on a push is told all the same
	ref, _, err := r.Head(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, id change.ID) (gate.CommitVerdict, error) {
		commit, err := readCommit(ctx, r, id.String())
		if err != nil {
			return gate.CommitVerdict{}, err
		}
		rg := gate.Range{Ref: ref, Include: []change.ID{id}}
		if rg.Exclude, err = reader.Present(ctx, commit.Parents); err != nil {
			return gate.CommitVerdict{}, err
		}
		v, err := g.Check(ctx, rg, gate.KeepAll)
		if err == nil && len(v.Commits) == 0 {
			err = fmt.Errorf("the commit %s cannot be read", id)
		}
		if err != nil {
			return gate.CommitVerdict{}, err
		}
		return v.Commits[len(v.Commits)-1], nil
	}, nil
}

// inWorkTree is the path of a file from the top of the work tree, with slashes.
func (p process) inWorkTree(r *repo.Repo, name string) (string, error) {
	if r.WorkTree == "" {
		return filepath.ToSlash(name), nil
	}
	rel, err := filepath.Rel(r.WorkTree, p.path(name))
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", usage("%s is not in the work tree %s", name, r.WorkTree)
	}
	return filepath.ToSlash(rel), nil
}

func viewOf(l blame.Line) blamedView {
	v := blamedView{Line: l.Number, Text: l.Text, From: l.From, Doubt: l.Doubt, Evidence: l.Evidence, Records: l.Records}
	if v.Records == nil {
		v.Records = []gate.RecordView{}
	}
	if l.Commit != "" {
		id := l.Commit.String()
		v.Commit = &id
	}
	return v
}

func writeBlame(w io.Writer, lines []blame.Line) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		commit := "not committed"
		if l.Commit != "" {
			commit = fmt.Sprintf("%.10s", l.Commit)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", commit, blamedOn(l), l.Evidence, l.Number, gate.Plain(l.Text))
	}
	return table.Flush()
}

// blamedOn is whose a line is, in a word or two.
func blamedOn(l blame.Line) string {
	if l.Doubt {
		return "?"
	}
	if len(l.Records) == 0 {
		switch {
		case l.From != blame.Commit:
			return "-"
		case l.Evidence == gate.NoneObserved:
			return "~none"
		}
		return "~unknown"
	}
	var names []string
	for _, r := range l.Records {
		names = append(names, gate.Plain(r.Tool)+" "+gate.Plain(r.Model))
	}
	if l.From == blame.Commit {
		return "~" + strings.Join(names, ", ")
	}
	return strings.Join(names, ", ")
}
