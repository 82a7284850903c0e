package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/hooks/commitmsg"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

func (p process) statusCommand() *cli.Command {
	return &cli.Command{Name: "status", Usage: "what the next commit would say, and why", Flags: []cli.Flag{jsonFlag},
		Action: func(c *cli.Context) error { return p.status(c.Context, c) }}
}

// statusView is what the next commit here would carry.
type statusView struct {
	Schema   string       `json:"schema"`
	Next     []string     `json:"next"` // AI-Provenance values of a commit of what is staged now
	Sources  []sourceView `json:"sources"`
	Files    []fileView   `json:"files"`  // whose added lines agents' own hooks told of
	Agents   []agentView  `json:"agents"` // of this user
	Key      *keyView     `json:"key"`    // null: the commit would not be signed
	Policy   *string      `json:"policy"` // null: none is seen
	Ref      string       `json:"ref"`
	Answers  []answerView `json:"answers"` // of the policy, one a record
	Problems []string     `json:"problems"`
}

// sourceView is one reason for a record.
type sourceView struct {
	Via   string `json:"via"`
	Tool  string `json:"tool"`
	Model string `json:"model"`
	Why   string `json:"why"`
}

// fileView is whose the lines are that a file adds: those staged to HEAD, the others to
// what is staged.
type fileView struct {
	Path    string   `json:"path"`
	Staged  bool     `json:"staged"`
	Added   int      `json:"added"`
	Nobody  int      `json:"nobody"`  // from no agent that was seen
	Unknown int      `json:"unknown"` // perhaps from one
	By      []byView `json:"by"`
}

type byView struct {
	Tool    string `json:"tool"`
	Model   string `json:"model"`
	Session string `json:"session"`
	Lines   int    `json:"lines"`
}

type answerView struct {
	Model   string `json:"model"`
	Verdict string `json:"verdict"` // approved | refused
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func (p process) status(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	v := statusView{Schema: "gatekeeper/status/v1", Sources: []sourceView{}, Files: []fileView{}, Answers: []answerView{}, Problems: []string{}}
	records, err := p.nextRecords(ctx, r, &v)
	if err != nil {
		return err
	}
	v.Next = records.Values()
	if v.Agents, err = p.agentViews(); err != nil {
		v.Problems = append(v.Problems, "the agents' entries cannot be read: "+err.Error())
	}
	if keys, err := p.keys(ctx, true); err == nil {
		v.Key = &keys[0]
	} else {
		v.Problems = append(v.Problems, "the commit would not be signed: "+err.Error())
	}
	if v.Ref, _, err = r.Head(ctx); err != nil {
		return err
	}
	pol, err := p.policyFor(ctx, r, "")
	if err != nil {
		v.Problems = append(v.Problems, "the policy cannot be read: "+err.Error())
	}
	p.foresee(&v, records, pol)
	if c.Bool("json") {
		return p.printJSON(v)
	}
	writeStatus(p.Stdout, v)
	return nil
}

// nextRecords is what the hooks would write now and here. A commit made from another
// terminal sees other agents.
func (p process) nextRecords(ctx context.Context, r *repo.Repo, v *statusView) (provenance.Provenance, error) {
	pending, broken, err := session.Open(r.GitDir).Pending()
	if err != nil {
		return provenance.Provenance{}, err
	}
	for _, b := range broken {
		v.Problems = append(v.Problems, b.Error())
	}
	f, err := commitmsg.Foresee(ctx, r, commitmsg.Env{Environ: p.Environ, Dir: p.Dir, Stderr: p.Stderr, Now: p.Now}, pending)
	if err != nil {
		return provenance.Provenance{}, err
	}
	add := func(rec provenance.Record, why string) {
		v.Sources = append(v.Sources, sourceView{string(rec.Via), rec.Tool.Name, rec.Model.ID(), why})
	}
	for _, rec := range f.Provenance.Records {
		if rec.Via == provenance.ViaHook {
			add(rec, "told by its own hooks")
		}
	}
	for _, o := range f.Seen {
		add(o.Record(), "seen in the environment or above this process")
	}
	for _, d := range pending {
		add(d.Record(), "declared at "+d.Time.UTC().Format("2006-01-02T15:04:05Z"))
	}
	for _, file := range f.Files {
		view := fileView{Path: file.Path, Staged: file.Staged, Added: file.Added, Nobody: file.Nobody, Unknown: file.Unknown, By: []byView{}}
		for _, by := range file.By {
			view.By = append(view.By, byView{by.Record.Tool.Name, by.Record.Model.ID(), by.Record.Session, by.Lines})
		}
		v.Files = append(v.Files, view)
	}
	return f.Provenance, nil
}

func (p process) foresee(v *statusView, records provenance.Provenance, pol *inforce.Policy) {
	if pol == nil {
		return
	}
	v.Policy = &pol.Where
	for _, rec := range records.Records {
		d := pol.Model(policy.Query{Tool: rec.Tool, Model: rec.Model, Via: rec.Via, Ref: v.Ref, At: p.Now(), Signed: p.Now()})
		a := answerView{Model: rec.Model.ID(), Verdict: "approved"}
		if !d.Allowed {
			a = answerView{rec.Model.ID(), "refused", d.Rule, d.Reason, d.Hint}
		}
		v.Answers = append(v.Answers, a)
	}
}

func writeStatus(w io.Writer, v statusView) {
	fmt.Fprintln(w, "the next commit here would say:")
	for _, value := range v.Next {
		fmt.Fprintf(w, "  AI-Provenance: %s\n", value)
	}
	fmt.Fprintln(w, "because:")
	if len(v.Sources) == 0 {
		fmt.Fprintln(w, "  no agent is seen and nothing is declared")
	}
	for _, s := range v.Sources {
		fmt.Fprintf(w, "  %s with %s: %s\n", gate.Plain(s.Tool), gate.Plain(s.Model), s.Why)
	}
	writeFiles(w, "lines that are staged:", v.Files, true)
	writeFiles(w, "lines that are not staged:", v.Files, false)
	writeAgents(w, v.Agents)
	if v.Key != nil {
		fmt.Fprintf(w, "signed with:\n  %s (%s)\n", v.Key.Key, v.Key.Source)
	}
	if v.Policy != nil {
		fmt.Fprintf(w, "policy %s, on %s:\n", *v.Policy, v.Ref)
		for _, a := range v.Answers {
			fmt.Fprintf(w, "  %s: %s", gate.Plain(a.Model), a.Verdict)
			if a.Rule != "" {
				fmt.Fprintf(w, " [%s] %s", a.Rule, gate.Plain(a.Reason))
			}
			fmt.Fprintln(w)
		}
	} else {
		fmt.Fprintln(w, "no policy is seen here")
	}
	for _, problem := range v.Problems {
		fmt.Fprintf(w, "problem: %s\n", gate.Plain(problem))
	}
}

func writeFiles(w io.Writer, head string, files []fileView, staged bool) {
	for _, f := range files {
		if f.Staged != staged {
			continue
		}
		if head != "" {
			fmt.Fprintln(w, head)
			head = ""
		}
		var parts []string
		for _, by := range f.By {
			parts = append(parts, fmt.Sprintf("%d from %s with %s", by.Lines, gate.Plain(by.Tool), gate.Plain(by.Model)))
		}
		if f.Unknown > 0 {
			parts = append(parts, fmt.Sprintf("%d perhaps from an agent", f.Unknown))
		}
		if f.Nobody > 0 {
			parts = append(parts, fmt.Sprintf("%d from no agent that was seen", f.Nobody))
		}
		fmt.Fprintf(w, "  %s: %s\n", gate.Plain(f.Path), strings.Join(parts, ", "))
	}
}
