package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// A Policy is one that is in force somewhere, as a list.
type Policy struct {
	Digest       string         `json:"digest"`
	Repositories []string       `json:"repositories"` // under it
	Default      []string       `json:"default"`      // of these, in the same order: the mode of the default branch
	Rules        []Rule         `json:"rules"`
	Models       []Model        `json:"models"`
	Signers      map[string]int `json:"signers"`  // keys by class
	Override     int            `json:"override"` // how many may push past a refusal
}

// A Rule is what refs ask of commits.
type Rule struct {
	Match    string `json:"match"`
	Mode     string `json:"mode"`
	Evidence string `json:"evidence"`
	Via      string `json:"via"`
	Binding  string `json:"binding"`
	Author   string `json:"author"`
}

// A Model is an approval or a denial.
type Model struct {
	Entry  string   `json:"entry"` // file:line
	Model  string   `json:"model"`
	Status string   `json:"status"`
	Tools  []string `json:"tools"`
	Refs   []string `json:"refs"`
	From   string   `json:"from"` // date; "" for no limit
	Until  string   `json:"until"`
	Owner  string   `json:"owner"`
	Reason string   `json:"reason"`
}

// policies lists those in force, each once.
func (r *Report) policies() {
	r.Policies = []Policy{}
	for _, c := range r.Controls {
		if c.Policy == nil {
			continue
		}
		i := slices.IndexFunc(r.Policies, func(p Policy) bool { return p.Digest == c.Policy.Digest() })
		if i < 0 {
			i = len(r.Policies)
			r.Policies = append(r.Policies, r.listed(c.Policy))
		}
		p := &r.Policies[i]
		p.Repositories, p.Default = append(p.Repositories, c.Repository), append(p.Default, string(c.Policy.Rule(c.Default).Mode))
	}
	slices.SortFunc(r.Policies, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(len(b.Repositories), len(a.Repositories)), cmp.Compare(a.Digest, b.Digest))
	})
}

func (r *Report) listed(p *policy.Policy) Policy {
	list := Policy{Digest: p.Digest(), Rules: []Rule{}, Models: []Model{}, Signers: map[string]int{}, Override: len(p.Override())}
	for _, rule := range p.Rules() {
		list.Rules = append(list.Rules, Rule{rule.Match, string(rule.Mode), string(rule.Evidence), string(rule.Via), string(rule.Binding), rule.Author})
	}
	for _, m := range p.Models() {
		status := "approved"
		if m.Denied {
			status = "denied"
		}
		list.Models = append(list.Models, Model{Entry: m.Entry, Model: m.Model, Status: status, Tools: m.Tools, Refs: m.Refs,
			From: day(m.From), Until: day(m.Until), Owner: r.owner(m.Owner), Reason: m.Reason})
	}
	for _, s := range p.Signers().All() {
		list.Signers[s.Class.String()]++
	}
	return list
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
