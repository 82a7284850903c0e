package audit

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// ShadowSchema names the version of Shadow as JSON.
const ShadowSchema = "gatekeeper/audit-shadow/v1"

// Shadow is what was used without an approval at the time.
type Shadow struct {
	Schema    string      `json:"schema"`
	AsOf      *time.Time  `json:"as_of"`
	Rows      []ShadowRow `json:"rows"`
	NotJudged int64       `json:"not_judged"` // commits with uses in repositories of which no policy is known
}

// A ShadowRow is one tool with one model.
type ShadowRow struct {
	Tool         string             `json:"tool"`
	Model        string             `json:"model"`
	Commits      int64              `json:"commits"`
	First        string             `json:"first"` // date of the first of these commits
	Last         string             `json:"last"`
	People       int                `json:"people"` // how many authors, by address
	Teams        []string           `json:"teams"`
	Repositories []string           `json:"repositories"`
	Evidence     map[Evidence]int64 `json:"evidence"`
	Rules        map[string]int64   `json:"rules"`  // that speak against it, with commits
	Reason       string             `json:"reason"` // of one of them
}

// Shadow finds it in the commits of a period. A nil policy means those of the index.
func (v *View) Shadow(ctx context.Context, during Period, teams Teams, instead *policy.Policy) (*Shadow, error) {
	return v.shadow(ctx, ShadowSchema, during, teams, func() (speaks func(*Entry, EntryUse) *Approval) {
		approvals := v.Approvals(instead)
		return func(e *Entry, u EntryUse) *Approval { return approvals.Of(e, u.Use) }
	})
}

// WithdrawnSchema names the version of what Withdrawn returns as JSON.
const WithdrawnSchema = "gatekeeper/audit-withdrawn/v1"

// Withdrawn finds what was approved when it was used and is not by the policy in force at a
// time: rules and reasons are those of then.
func (v *View) Withdrawn(ctx context.Context, during Period, teams Teams, at time.Time) (*Shadow, error) {
	return v.shadow(ctx, WithdrawnSchema, during, teams, func() (speaks func(*Entry, EntryUse) *Approval) {
		past, now := v.Approvals(nil), v.Approvals(nil)
		return func(e *Entry, u EntryUse) *Approval {
			if a := past.Of(e, u.Use); !a.Judged || !a.Allowed {
				return a.passedOver()
			}
			later := *e
			later.At = at.Unix()
			return now.Of(&later, u.Use)
		}
	})
}

// passedOver is an approval that no longer speaks against anything.
func (a *Approval) passedOver() *Approval { return &Approval{Judged: a.Judged, Allowed: true} }

// shadow counts uses that something speaks against. Each reader makes one of what speaks.
func (v *View) shadow(ctx context.Context, schema string, during Period, teams Teams, speaks func() func(*Entry, EntryUse) *Approval) (*Shadow, error) {
	people, err := v.People(ctx)
	if err != nil {
		return nil, err
	}
	readers := make([]*shadows, Readers())
	for i := range readers {
		readers[i] = &shadows{view: v, speaks: speaks(), found: map[shadowKey]*shadow{}}
	}
	since, until := during.seconds()
	err = v.Entries(ctx, false, func(n int, e *Entry) {
		if e.Committed >= since && e.Committed < until {
			readers[n].count(e)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, r := range readers[1:] {
		readers[0].add(r)
	}
	found := readers[0].report(people, teams)
	found.Schema = schema
	return found, nil
}

type shadowKey struct{ tool, model string }

// A shadow is one of them, counted.
type shadow struct {
	commits, first, last int64
	people, repos        map[int64]bool
	evidence             [6]int64
	rules                map[string]int64
	reason               string
}

type shadows struct {
	view      *View
	speaks    func(*Entry, EntryUse) *Approval
	found     map[shadowKey]*shadow
	notJudged int64
	seen      []shadowKey // of the entry at hand
}

func (s *shadows) count(e *Entry) {
	s.seen = s.seen[:0]
	judged := true
	for _, u := range e.Uses {
		a := s.speaks(e, u)
		judged = judged && a.Judged
		if a.Allowed || !a.Judged {
			continue
		}
		use := s.view.Uses[u.Use]
		key := shadowKey{spelt(use.Tool.Name), use.Model.ID()}
		if slices.Contains(s.seen, key) {
			continue
		}
		s.seen = append(s.seen, key)
		f := s.found[key]
		if f == nil {
			f = &shadow{first: 1<<63 - 1, last: -1 << 63, people: map[int64]bool{}, repos: map[int64]bool{}, rules: map[string]int64{}}
			s.found[key] = f
		}
		f.commits++
		f.first, f.last = min(f.first, e.Committed), max(f.last, e.Committed)
		f.people[e.Author], f.repos[e.Repo] = true, true
		f.evidence[number(tiers, use.tier(e.Evidence))]++
		f.rules[a.Rule]++
		f.reason = max(f.reason, a.Reason)
	}
	if !judged {
		s.notJudged++
	}
}

func (s *shadows) add(o *shadows) {
	s.notJudged += o.notJudged
	for key, f := range o.found {
		mine := s.found[key]
		if mine == nil {
			s.found[key] = f
			continue
		}
		mine.commits += f.commits
		mine.first, mine.last, mine.reason = min(mine.first, f.first), max(mine.last, f.last), max(mine.reason, f.reason)
		maps.Copy(mine.people, f.people)
		maps.Copy(mine.repos, f.repos)
		for i := range f.evidence {
			mine.evidence[i] += f.evidence[i]
		}
		for rule, n := range f.rules {
			mine.rules[rule] += n
		}
	}
}

func (s *shadows) report(people map[int64]Person, teams Teams) *Shadow {
	r := &Shadow{AsOf: s.view.AsOf, Rows: []ShadowRow{}, NotJudged: s.notJudged}
	for key, f := range s.found {
		emails, in, repos := map[string]bool{}, map[string]bool{}, []string{}
		for id := range f.people {
			emails[people[id].Email] = true
			in[teams.Of(people[id].Email)] = true
		}
		for id := range f.repos {
			repos = append(repos, s.view.Repositories[id].Name)
		}
		slices.Sort(repos)
		r.Rows = append(r.Rows, ShadowRow{Tool: key.tool, Model: key.model, Commits: f.commits, First: dateOf(f.first), Last: dateOf(f.last),
			People: len(emails), Teams: slices.Sorted(maps.Keys(in)), Repositories: repos, Evidence: byTier(f.evidence), Rules: f.rules, Reason: f.reason})
	}
	slices.SortFunc(r.Rows, func(a, b ShadowRow) int {
		return cmp.Or(cmp.Compare(b.Commits, a.Commits), cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.Model, b.Model))
	})
	return r
}
