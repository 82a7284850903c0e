package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
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
	Next     []string     `json:"next"` // AI-Provenance values, without lines, which the commit counts
	Sources  []sourceView `json:"sources"`
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
	v := statusView{Schema: "gatekeeper/status/v1", Sources: []sourceView{}, Answers: []answerView{}, Problems: []string{}}
	records, err := p.nextRecords(r, &v)
	if err != nil {
		return err
	}
	for _, value := range records.Values() {
		v.Next = append(v.Next, withoutLines(value))
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

// nextRecords joins what was declared here with the agents seen around this
// process, as the hooks would. A commit made from another terminal sees others.
func (p process) nextRecords(r *repo.Repo, v *statusView) (provenance.Provenance, error) {
	pending, broken, err := session.Open(r.GitDir).Pending()
	if err != nil {
		return provenance.Provenance{}, err
	}
	for _, b := range broken {
		v.Problems = append(v.Problems, b.Error())
	}
	sets := []provenance.Provenance{{None: provenance.ViaProcess}}
	add := func(rec provenance.Record, why string) {
		sets = append(sets, provenance.Provenance{Records: []provenance.Record{rec}})
		v.Sources = append(v.Sources, sourceView{string(rec.Via), rec.Tool.Name, rec.Model.ID(), why})
	}
	for _, o := range agent.Detect(p.Environ, agent.Ancestors()) {
		add(o.Record(), "seen in the environment or above this process")
	}
	for _, d := range pending {
		add(d.Record(), "declared at "+d.Time.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return provenance.Union(0, sets...), nil
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
