package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Schema names the version of Report as JSON.
const Schema = "gatekeeper/audit-report/v1"

// Questions say what a report is about. The view has the time as of which it answers.
type Questions struct {
	Parameters
	During audit.Period
	Teams  audit.Teams
	Policy *policy.Policy // by which uses are judged, instead of those of the index

	// Open opens a repository, for incidents and lines that live.
	Open func(ctx context.Context, place string) (*repo.Repo, error)
	// Count asks git how many commits tips reach; ErrNotHere says that the repository is gone,
	// and any other error that some of its commits are.
	Count func(ctx context.Context, r audit.Repository, tips []change.ID) (int64, error)
}

// Parameters are all that decides what is in a report, beside the index, the program and
// the time.
type Parameters struct {
	Title     string   `json:"title"`
	Since     *string  `json:"since"` // RFC 3339; null for no limit
	Until     *string  `json:"until"`
	Incidents []string `json:"incidents"` // patterns of models that were withdrawn
	Living    bool     `json:"living"`    // lines that live at default branches were counted
	Teams     *string  `json:"teams"`     // sha256:... of the mapping; null for none
	Policy    *string  `json:"policy"`    // digest of one by which all is judged; null for those of the index
	People    bool     `json:"people"`
	Purpose   string   `json:"purpose"`
}

// Check refuses parameters by which no report is made.
func (p Parameters) Check() error {
	if len(p.Incidents) > maxIncidents {
		return fmt.Errorf("%d models to look back at, and %d are the most", len(p.Incidents), maxIncidents)
	}
	for _, text := range append([]string{p.Title, p.Purpose}, p.Incidents...) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%q is not UTF-8", text)
		}
	}
	for _, pattern := range p.Incidents {
		if strings.Trim(pattern, "*/ ") == "" {
			return fmt.Errorf("incident %q: name a model, or a pattern of some", pattern)
		}
	}
	if p.People && strings.TrimSpace(p.Purpose) == "" {
		return errors.New("persons are shown for a purpose, and there is none")
	}
	return nil
}

// A Report is all that was found out.
type Report struct {
	Schema     string     `json:"schema"`
	Program    string     `json:"program"` // version of gatekeeper
	AsOf       string     `json:"as_of"`   // RFC 3339
	Parameters Parameters `json:"parameters"`

	All          *audit.Usage     `json:"all"` // one row, of everything
	Tools        *audit.Usage     `json:"tools"`
	Repositories *audit.Usage     `json:"repositories"`
	Teams        *audit.Usage     `json:"teams"`
	Months       *audit.Usage     `json:"months"`
	People       *audit.Usage     `json:"people"` // null unless asked for
	Shadow       *audit.Shadow    `json:"shadow"`
	Withdrawn    *audit.Shadow    `json:"withdrawn"`
	MCP          *audit.MCP       `json:"mcp"`
	Controls     []audit.Controls `json:"controls"`
	Policies     []Policy         `json:"policies"`
	Incidents    []Incident       `json:"incidents"`
	Actions      []Action         `json:"actions"`
	Held         []Held           `json:"held"`

	teams audit.Teams
}

// An Incident is what carries models that were withdrawn.
type Incident struct {
	Model string            `json:"model"` // the pattern
	Found *audit.Timetravel `json:"found"`
}

// Held ties a repository of the index to what git has.
type Held struct {
	Repository string            `json:"repository"`
	Commits    int64             `json:"commits"` // of the index that its tips reach
	Git        *int64            `json:"git"`     // the same by git rev-list --count; null when git could not be asked
	Problem    string            `json:"problem"` // why it could not
	Tips       map[string]string `json:"tips"`    // refs, and the commits at their ends
}

// Why git could not be asked: these words, whatever git said of this machine.
const (
	notHere  = "the repository is not at hand"
	notWhole = "not all of its commits are there any more"
)

// Uncounted is why git could not be asked.
func (h Held) Uncounted() error {
	if h.Problem == notHere {
		return fmt.Errorf("the repository is %w", ErrNotHere)
	}
	return errors.New(notWhole)
}

// Gather finds out what a report says. program is the version that does.
func Gather(ctx context.Context, v *audit.View, q Questions, program string) (*Report, error) {
	if v.AsOf == nil {
		return nil, errors.New("gather a report: it needs the time as of which it answers")
	}
	r := &Report{Schema: Schema, Program: program, AsOf: v.AsOf.UTC().Format(time.RFC3339), Parameters: q.Parameters, Incidents: []Incident{}, teams: q.Teams}
	if r.Parameters.Incidents == nil {
		r.Parameters.Incidents = []string{}
	}
	for _, step := range []func(context.Context, *audit.View, Questions) error{r.usage, r.judged, r.incidents, r.held} {
		if err := step(ctx, v, q); err != nil {
			return nil, fmt.Errorf("gather a report: %w", err)
		}
	}
	r.policies()
	r.actions()
	return r, nil
}

// usage counts what was used, in the ways in which it is shown.
func (r *Report) usage(ctx context.Context, v *audit.View, q Questions) error {
	var living *audit.Living
	if q.Living {
		living = &audit.Living{Ref: "HEAD", Open: q.Open}
	}
	for _, w := range []struct {
		to     **audit.Usage
		by     []string
		living *audit.Living
	}{
		{&r.All, nil, living},
		{&r.Tools, []string{audit.ByTool, audit.ByModel}, living},
		{&r.Repositories, []string{audit.ByRepository}, living},
		{&r.Teams, []string{audit.ByTeam}, nil},
		{&r.Months, []string{audit.ByMonth}, nil},
		{&r.People, []string{audit.ByPerson}, nil},
	} {
		if w.to == &r.People && !q.People {
			continue
		}
		var err error
		if *w.to, err = v.Usage(ctx, audit.Question{By: w.by, Since: q.During.Since, Until: q.During.Until, Teams: q.Teams, Policy: q.Policy, Living: w.living}); err != nil {
			return err
		}
	}
	return nil
}

// judged asks what policies say and servers did.
func (r *Report) judged(ctx context.Context, v *audit.View, q Questions) (err error) {
	if r.Shadow, err = v.Shadow(ctx, q.During, q.Teams, q.Policy); err != nil {
		return err
	}
	if r.Withdrawn, err = v.Withdrawn(ctx, q.During, q.Teams, *v.AsOf); err != nil {
		return err
	}
	if r.MCP, err = v.MCP(ctx, q.During, q.Policy); err != nil {
		return err
	}
	for i := range r.MCP.Configured {
		m := &r.MCP.Configured[i]
		m.URL, m.Reason, m.Unpinned = withoutSecrets(m.URL), withoutSecrets(m.Reason), withoutSecrets(m.Unpinned)
		for n := range m.Command {
			m.Command[n] = withoutSecrets(m.Command[n])
		}
	}
	r.Controls, err = v.Controls(ctx, q.During)
	return err
}

// incidents looks back for each model that was withdrawn. Living lines are looked for in
// them only where they are in all of the report: they are what takes time.
func (r *Report) incidents(ctx context.Context, v *audit.View, q Questions) error {
	for _, model := range q.Incidents {
		quest := audit.Quest{Model: model, Since: q.During.Since, Until: q.During.Until, Open: q.Open, Refs: true, Artifacts: true, Files: true, Owners: true, Inverse: true, Work: true}
		if q.Living {
			quest.Living = []string{"HEAD"}
		}
		found, err := v.Timetravel(ctx, quest)
		if err != nil {
			return err
		}
		r.withoutPersons(found)
		withoutPlaces(found.Open, v.Repositories)
		r.Incidents = append(r.Incidents, Incident{model, found})
	}
	return nil
}

// held compares the index with git.
func (r *Report) held(ctx context.Context, v *audit.View, q Questions) error {
	commits, err := v.Held(ctx)
	if err != nil {
		return err
	}
	r.Held = []Held{}
	for id, in := range v.Repositories {
		h := Held{Repository: in.Name, Commits: commits[id], Tips: map[string]string{}}
		tips, err := v.Tips(ctx, id)
		if err != nil {
			return err
		}
		var ends []change.ID
		for ref, tip := range tips {
			h.Tips[ref] = tip.String()
			ends = append(ends, tip)
		}
		slices.Sort(ends)
		n, err := q.Count(ctx, in, slices.Compact(ends))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			h.Git = &n
		case errors.Is(err, ErrNotHere):
			h.Problem = notHere
		default:
			h.Problem = notWhole
		}
		r.Held = append(r.Held, h)
	}
	slices.SortFunc(r.Held, func(a, b Held) int { return cmp.Compare(a.Repository, b.Repository) })
	return nil
}
