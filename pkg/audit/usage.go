package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// UsageSchema names the version of Usage as JSON.
const UsageSchema = "gatekeeper/audit-usage/v1"

// Dimensions by which usage can be told apart. The first five are of what took part, the
// others of the commit.
const (
	ByTool       = "tool"
	ByVersion    = "version"
	ByProvider   = "provider"
	ByModel      = "model"
	ByEvidence   = "evidence"
	ByRepository = "repository"
	ByPath       = "path"
	ByTeam       = "team"
	ByMonth      = "month"
	ByPerson     = "person"
)

// Dimensions lists them.
func Dimensions() []string {
	return []string{ByTool, ByVersion, ByProvider, ByModel, ByEvidence, ByRepository, ByPath, ByTeam, ByMonth, ByPerson}
}

// claimed are the dimensions of what took part.
var claimed = []string{ByTool, ByVersion, ByProvider, ByModel, ByEvidence}

// A Question says which commits to count, and how to tell them apart.
type Question struct {
	By           []string       // dimensions; none is one row for everything
	Since, Until time.Time      // of the commit: from, and before; zero is no limit
	Tool, Model  string         // patterns with * and ?, the model as provider/name or without its provider; "" is all
	Repository   string         // a pattern of names; "" is all
	Teams        Teams          //
	Team         string         // only this one; "" is all
	Person       string         // only the one with this address; "" is all
	Depth        int            // of ByPath, in folders; 0 is 1, and the most is 3
	Policy       *policy.Policy // by which uses are judged, instead of those of the index
	Living       *Living        // look for lines that live at a ref, too; nil is not
	Within       *Set           // only commits of it; nil is all
}

// A Share is how many of all it is: at least Known, and at most Known and Unknown.
type Share struct {
	Known   int64   `json:"known"`
	Unknown int64   `json:"unknown"` // those that may belong to it, too
	Of      int64   `json:"of"`
	Least   float64 `json:"least"` // Known of Of
	Most    float64 `json:"most"`  // Known and Unknown of Of
}

func share(known, unknown, of int64) Share {
	s := Share{Known: known, Unknown: unknown, Of: of}
	if of > 0 {
		s.Least, s.Most = float64(known)/float64(of), float64(min(known+unknown, of))/float64(of)
	}
	return s
}

// Usage is what was used.
type Usage struct {
	Schema string     `json:"schema"`
	AsOf   *time.Time `json:"as_of"` // null: all that is known
	By     []string   `json:"by"`
	Total  Total      `json:"total"`
	Groups []Group    `json:"groups"`
	Rows   []UsageRow `json:"rows"`
}

// A Group is all commits of one value of the dimensions of the commit, whether a row tells of
// anything that took part in them or not.
type Group struct {
	Key []string `json:"key"` // in the order of By, which leaves out the dimensions of what took part
	Total
}

// Total is all commits that were asked about.
type Total struct {
	Commits      int64              `json:"commits"` // that count, see Merges
	Merges       int64              `json:"merges"`  // silent ones that bring nothing of their own; counted nowhere else
	Evidence     map[Evidence]int64 `json:"evidence"`
	Added        int64              `json:"added"`         // lines
	Living       *int64             `json:"living"`        // lines of these commits that live at the ref; null unless asked for
	UnknownAdded int64              `json:"unknown_added"` // lines of commits of which nothing is known
	Uncounted    int64              `json:"uncounted"`     // commits whose lines are not known: merges with something of their own
}

// A UsageRow is one value of each dimension.
type UsageRow struct {
	Key      []string           `json:"key"` // in the order of By
	Commits  Share              `json:"commits"`
	Added    Share              `json:"added"`    // lines that came of it
	Evidence map[Evidence]int64 `json:"evidence"` // of Commits.Known
	First    string             `json:"first"`    // date of the first of these commits
	Last     string             `json:"last"`
	Approval ApprovalCount      `json:"approval"`
	Living   *Share             `json:"living"` // lines that live at a ref; null unless asked for
}

// ApprovalCount says under which approvals the commits of a row were, at their time.
type ApprovalCount struct {
	Approved     int64           `json:"approved"`
	Unsanctioned int64           `json:"unsanctioned"`
	NotJudged    int64           `json:"not_judged"` // no policy is known
	Under        []ApprovalGiven `json:"under"`
}

// An ApprovalGiven is an entry of a policy that allowed, or the rule by which it did not.
type ApprovalGiven struct {
	Policy  string `json:"policy"`
	Entry   string `json:"entry,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Commits int64  `json:"commits"`
}

// A tally counts for one row.
type tally struct {
	commits, ai, doubt int64 // doubt: lines that may have come of it, beside those of unknown commits
	living, maybe      int64 // the same of lines that live
	evidence           [6]int64
	first, last        int64
	approval           map[*Approval]int64
}

// A total counts for one group of commits.
type total struct {
	commits, unknown, merges, added, unknownAdded, uncounted, living, unknownLiving int64
	evidence                                                                        [6]int64
}

// Keys of groups and rows: numbers, since there are a million of them to look up.
type groupKey struct {
	repo, place, person int64
	month               int32
	team                int32
}

type rowKey struct {
	groupKey
	claim int32 // number among the values of claimed dimensions; 0 is none asked for
}

// Usage counts.
func (v *View) Usage(ctx context.Context, q Question) (*Usage, error) {
	c, err := v.counting(ctx, q)
	if err != nil {
		return nil, err
	}
	readers := make([]*counter, Readers())
	for i := range readers {
		readers[i] = c.counter()
	}
	if err := v.Entries(ctx, c.has(ByPath), func(reader int, e *Entry) { readers[reader].count(e) }); err != nil {
		return nil, err
	}
	for _, r := range readers[1:] {
		readers[0].add(r)
	}
	return readers[0].usage(), nil
}

// A counting is a question made ready.
type counting struct {
	Question
	view    *View
	repos   map[int64]bool // nil is all
	persons []bool         // by number; nil is all
	people  map[int64]Person
	teams   []string // names by number
	teamOf  []int32  // of persons, by number
	folders map[int64]string
	cutTo   []int64              // folder to the first one with the same name at the asked depth
	alive   map[int64][]survivor // by commit
	claims  map[claimOf]int32    // use and evidence to the number of their values
	values  []string             // of claimed dimensions by number, joined by NUL
	match   map[int64]bool       // uses that the question asks for
	group   map[string]bool      // dimensions asked for
	since   int64
	until   int64
}

type claimOf struct {
	use      int64
	evidence Evidence
}

func (c *counting) has(dimension string) bool { return c.group[dimension] }

func (v *View) counting(ctx context.Context, q Question) (*counting, error) {
	c := &counting{Question: q, view: v, group: map[string]bool{}, claims: map[claimOf]int32{}, values: []string{""},
		match: map[int64]bool{}}
	for _, d := range q.By {
		if !slices.Contains(Dimensions(), d) {
			return nil, fmt.Errorf("usage by %q: want one of %s", d, strings.Join(Dimensions(), ", "))
		}
		c.group[d] = true
	}
	c.since, c.until = Period{q.Since, q.Until}.seconds()
	c.Depth = min(max(q.Depth, 1), placeDepth)
	c.selectRepositories()
	c.numberClaims()
	if err := c.selectPeople(ctx); err != nil {
		return nil, err
	}
	if q.Living != nil {
		var err error
		if c.alive, err = v.living(ctx, *q.Living, c.repos); err != nil {
			return nil, err
		}
	}
	return c, c.foldFolders(ctx)
}

func (c *counting) selectRepositories() {
	if c.Repository == "" {
		return
	}
	c.repos = map[int64]bool{}
	for id, r := range c.view.Repositories {
		c.repos[id] = matches(c.Repository, r.Name)
	}
}

// numberClaims numbers the values that uses have in the dimensions asked for.
func (c *counting) numberClaims() {
	numbers := map[string]int32{}
	for _, id := range slices.Sorted(maps.Keys(c.view.Uses)) {
		u := c.view.Uses[id]
		c.match[id] = matchesUse(c.Tool, c.Model, u)
		for _, e := range tiers {
			var parts []string
			for _, d := range claimed {
				if c.has(d) {
					parts = append(parts, valueOf(d, u, e))
				}
			}
			if len(parts) == 0 {
				continue
			}
			value := strings.Join(parts, "\x00")
			n, ok := numbers[value]
			if !ok {
				n = int32(len(c.values))
				numbers[value], c.values = n, append(c.values, value)
			}
			c.claims[claimOf{id, e}] = n
		}
	}
}

func valueOf(dimension string, u Use, e Evidence) string {
	switch dimension {
	case ByTool:
		return spelt(u.Tool.Name)
	case ByVersion:
		return spelt(u.Tool.Name) + "/" + spelt(u.Tool.Version)
	case ByProvider:
		return spelt(u.Model.Provider)
	case ByModel:
		return u.Model.ID()
	}
	return string(u.tier(e))
}

// selectPeople finds the teams of people, and the people that the question asks for.
func (c *counting) selectPeople(ctx context.Context) (err error) {
	if !c.has(ByTeam) && !c.has(ByPerson) && c.Team == "" && c.Person == "" {
		return nil
	}
	if c.people, err = c.view.People(ctx); err != nil {
		return err
	}
	size := 1 + largest(c.people)
	c.teamOf = make([]int32, size)
	numbers := map[string]int32{}
	if c.Team != "" || c.Person != "" {
		c.persons = make([]bool, size)
	}
	for id, p := range c.people {
		team := c.Teams.Of(p.Email)
		n, ok := numbers[team]
		if !ok {
			n = int32(len(c.teams))
			numbers[team], c.teams = n, append(c.teams, team)
		}
		c.teamOf[id] = n
		if c.persons != nil {
			c.persons[id] = (c.Team == "" || team == c.Team) && (c.Person == "" || strings.EqualFold(p.Email, c.Person))
		}
	}
	return nil
}

// largest is the largest number in use; they are given without gaps.
func largest[V any](numbered map[int64]V) (n int64) {
	for id := range numbered {
		n = max(n, id)
	}
	return n
}

// numbered is the value of a number, zero for one that a run under way has given since.
func numbered[V any](list []V, n int64) (v V) {
	if n < int64(len(list)) {
		v = list[n]
	}
	return v
}

// foldFolders cuts folders to the depth asked for.
func (c *counting) foldFolders(ctx context.Context) (err error) {
	if !c.has(ByPath) {
		return nil
	}
	if c.folders, err = c.view.Folders(ctx); err != nil {
		return err
	}
	c.cutTo = make([]int64, 1+largest(c.folders))
	first := map[string]int64{}
	for _, id := range slices.Sorted(maps.Keys(c.folders)) {
		name := folderOf(c.folders[id], c.Depth)
		if _, ok := first[name]; !ok {
			first[name] = id
		}
		c.cutTo[id] = first[name]
	}
	return nil
}

// A counter counts the entries of one reader.
type counter struct {
	*counting
	approvals *Approvals
	rows      map[rowKey]*tally
	groups    map[groupKey]*total
	all       total
	keys      []int32 // of the entry at hand, each once
	places    map[int64]int
}

func (c *counting) counter() *counter {
	return &counter{counting: c, approvals: c.view.Approvals(c.Policy), rows: map[rowKey]*tally{}, groups: map[groupKey]*total{}, places: map[int64]int{}}
}

// count takes in one entry.
func (c *counter) count(e *Entry) {
	if c.Within != nil && !c.Within.Has(e.Commit) {
		return
	}
	if e.Committed < c.since || e.Committed >= c.until || c.repos != nil && !c.repos[e.Repo] || c.persons != nil && !numbered(c.persons, e.Author) {
		return
	}
	alive := c.aliveIn(e, everywhere)
	c.all.count(e, e.Added, alive)
	g := groupKey{}
	if c.has(ByRepository) {
		g.repo = e.Repo
	}
	if c.has(ByMonth) {
		g.month = monthOf(e.Committed)
	}
	if c.has(ByTeam) {
		g.team = numbered(c.teamOf, e.Author)
	}
	if c.has(ByPerson) {
		g.person = e.Author
	}
	if !c.has(ByPath) {
		c.row(e, g, e.Added, alive)
		return
	}
	clear(c.places)
	for _, p := range e.Places {
		c.places[numbered(c.cutTo, p.Place)] += p.Added
	}
	for place, added := range c.places {
		g.place = place
		if e.Added < 0 {
			added = -1
		}
		c.row(e, g, added, c.aliveIn(e, folderOf(c.folders[place], c.Depth)))
	}
}

// aliveIn is how many lines of a commit live, anywhere or, by path, in one folder. What
// moved to a folder that the commit itself did not touch is in none.
func (c *counter) aliveIn(e *Entry, folder string) (n int) {
	for _, s := range c.alive[e.Commit] {
		if folder == everywhere || folderOf(s.folder, c.Depth) == folder {
			n += s.lines
		}
	}
	return n
}

// everywhere is no folder.
const everywhere = "/"

// row counts an entry in its group, and in the row of each of its claims. added are the
// lines that count there: fewer than the entry's own where it touches several folders.
func (c *counter) row(e *Entry, g groupKey, added, alive int) {
	t := c.groups[g]
	if t == nil {
		t = &total{}
		c.groups[g] = t
	}
	t.count(e, added, alive)
	c.keys = c.keys[:0]
	for i, u := range e.Uses {
		if !c.match[u.Use] {
			continue
		}
		key := c.claims[claimOf{u.Use, e.Evidence}]
		if slices.Contains(c.keys, key) {
			continue
		}
		c.keys = append(c.keys, key)
		c.claim(e, rowKey{g, key}, i, added, alive)
	}
}

// claim counts an entry in the row of its i-th claim and of those after it with the
// same key.
func (c *counter) claim(e *Entry, k rowKey, i, added, alive int) {
	t := c.rows[k]
	if t == nil {
		t = &tally{approval: map[*Approval]int64{}, first: 1<<63 - 1, last: -1 << 63}
		c.rows[k] = t
	}
	t.commits++
	t.first, t.last = min(t.first, e.Committed), max(t.last, e.Committed)
	ai, counted, best, worst := 0, true, len(tiers)-1, (*Approval)(nil)
	for _, u := range e.Uses[i:] {
		if !c.match[u.Use] || c.claims[claimOf{u.Use, e.Evidence}] != k.claim {
			continue
		}
		counted = counted && u.AI >= 0
		ai += max(u.AI, 0)
		best = min(best, int(number(tiers, c.view.Uses[u.Use].tier(e.Evidence))))
		if a := c.approvals.Of(e, u.Use); worst == nil || worst.Allowed && !a.Allowed {
			worst = a
		}
	}
	t.evidence[best]++
	t.approval[worst]++
	least, most := spread(ai, counted, e.Added, added)
	t.ai += int64(least)
	t.doubt += int64(most - least)
	if alive > 0 {
		least, most = spread(ai, counted, max(e.Added, alive), alive)
		if e.Added < 0 { // of a merge nobody knows how many lines it added
			least = 0
		}
		t.living += int64(least)
		t.maybe += int64(most - least)
	}
}

// spread is how many of the lines added here came of a claim, at least and at most, when it
// speaks of ai lines of all that the commit adds, and was counted or not.
func spread(ai int, counted bool, all, here int) (least, most int) {
	if all < 0 || here < 0 {
		return 0, 0
	}
	ai = min(ai, all)
	least = max(0, ai-(all-here))
	if !counted {
		return least, here
	}
	return least, min(ai, here)
}

func (t *total) count(e *Entry, added, alive int) {
	if !e.Counts() {
		t.merges++
		return
	}
	t.commits++
	t.evidence[number(tiers, e.Evidence)]++
	if added < 0 {
		t.uncounted++
		added = 0
	}
	t.added += int64(added)
	t.living += int64(alive)
	if e.Open() {
		t.unknown++
		t.unknownAdded += int64(added)
		t.unknownLiving += int64(alive)
	}
}

// Open reports whether anything may have taken part in the commit: nothing is known of it,
// or nothing was observed, as somebody says who did not sign.
func (e *Entry) Open() bool { return e.Evidence != NoneObserved && len(e.Uses) == 0 }

// add takes in what another reader counted.
func (c *counter) add(o *counter) {
	c.all.add(&o.all)
	for k, t := range o.groups {
		if mine := c.groups[k]; mine != nil {
			mine.add(t)
		} else {
			c.groups[k] = t
		}
	}
	for k, t := range o.rows {
		if mine := c.rows[k]; mine != nil {
			mine.add(t)
		} else {
			c.rows[k] = t
		}
	}
}

func (t *total) add(o *total) {
	t.commits, t.unknown, t.merges = t.commits+o.commits, t.unknown+o.unknown, t.merges+o.merges
	t.living, t.unknownLiving = t.living+o.living, t.unknownLiving+o.unknownLiving
	t.added, t.unknownAdded, t.uncounted = t.added+o.added, t.unknownAdded+o.unknownAdded, t.uncounted+o.uncounted
	for i := range t.evidence {
		t.evidence[i] += o.evidence[i]
	}
}

func (t *tally) add(o *tally) {
	t.commits, t.ai, t.doubt = t.commits+o.commits, t.ai+o.ai, t.doubt+o.doubt
	t.living, t.maybe = t.living+o.living, t.maybe+o.maybe
	for i := range t.evidence {
		t.evidence[i] += o.evidence[i]
	}
	for a, n := range o.approval {
		t.approval[a] += n
	}
	t.first, t.last = min(t.first, o.first), max(t.last, o.last)
}

// usage writes down what was counted, in a fixed order: the most commits first.
func (c *counter) usage() *Usage {
	u := &Usage{Schema: UsageSchema, AsOf: c.view.AsOf, By: append([]string{}, c.By...), Rows: []UsageRow{}, Total: c.all.total()}
	for k, t := range c.rows {
		g := c.groups[k.groupKey]
		row := UsageRow{Key: c.keyOf(k), Commits: share(t.commits, g.unknown, g.commits), Added: share(t.ai, t.doubt+g.unknownAdded, g.added),
			Evidence: byTier(t.evidence), First: dateOf(t.first), Last: dateOf(t.last), Approval: approvalsOf(t.approval)}
		if c.Living != nil {
			living := share(t.living, t.maybe+g.unknownLiving, g.living)
			row.Living = &living
		}
		u.Rows = append(u.Rows, row)
	}
	if c.Living != nil {
		u.Total.Living = &c.all.living
	}
	u.Groups = c.groupTotals()
	slices.SortFunc(u.Rows, func(a, b UsageRow) int {
		return cmp.Or(cmp.Compare(b.Commits.Known, a.Commits.Known), slices.Compare(a.Key, b.Key))
	})
	return u
}

func (t *total) total() Total {
	return Total{Commits: t.commits, Merges: t.merges, Evidence: byTier(t.evidence), Added: t.added, UnknownAdded: t.unknownAdded, Uncounted: t.uncounted}
}

// groupTotals are the groups in the order of their keys.
func (c *counter) groupTotals() []Group {
	groups := []Group{}
	for k, t := range c.groups {
		g := Group{Key: c.keyOf(rowKey{groupKey: k}), Total: t.total()}
		if c.Living != nil {
			g.Living = &t.living
		}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b Group) int { return slices.Compare(a.Key, b.Key) })
	return groups
}

// keyOf is the values of a row in the order asked for; without a claim only those of the
// commit.
func (c *counter) keyOf(k rowKey) []string {
	values := map[string]string{}
	if k.claim > 0 {
		parts := strings.Split(c.values[k.claim], "\x00")
		for _, d := range claimed {
			if c.has(d) {
				values[d], parts = parts[0], parts[1:]
			}
		}
	}
	values[ByRepository] = c.view.Repositories[k.repo].Name
	values[ByMonth] = monthName(k.month)
	if c.has(ByTeam) {
		values[ByTeam] = c.teams[k.team]
	}
	if c.has(ByPerson) {
		p := c.people[k.person]
		values[ByPerson] = p.Name + " <" + p.Email + ">"
	}
	if c.has(ByPath) {
		values[ByPath] = "./" + folderOf(c.folders[k.place], c.Depth)
	}
	key := []string{}
	for _, d := range c.By {
		if k.claim > 0 || !slices.Contains(claimed, d) {
			key = append(key, values[d])
		}
	}
	return key
}

// monthOf numbers months: years times twelve, and the month from 0.
func monthOf(seconds int64) int32 {
	// From days to a civil date, by shifting the year to begin in March
	// (https://howardhinnant.github.io/date_algorithms.html#civil_from_days).
	days := seconds / 86400
	if seconds%86400 < 0 {
		days--
	}
	days += 719468
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	day := days - era*146097
	year := (day - day/1460 + day/36524 - day/146096) / 365
	month := (5*(day-(365*year+year/4-year/100)) + 2) / 153
	return int32((year+era*400)*12 + month + 2)
}

func monthName(n int32) string { return fmt.Sprintf("%04d-%02d", n/12, n%12+1) }

func dateOf(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateOnly) }

func byTier(counts [6]int64) map[Evidence]int64 {
	all := map[Evidence]int64{}
	for i, e := range tiers {
		all[e] = counts[i]
	}
	return all
}

func approvalsOf(counts map[*Approval]int64) ApprovalCount {
	c := ApprovalCount{Under: []ApprovalGiven{}}
	given := map[ApprovalGiven]int64{}
	for a, n := range counts {
		switch {
		case !a.Judged:
			c.NotJudged += n
			continue
		case a.Allowed:
			c.Approved += n
		default:
			c.Unsanctioned += n
		}
		given[ApprovalGiven{Policy: a.Policy, Entry: a.Entry, Rule: a.Rule}] += n
	}
	for g, n := range given {
		g.Commits = n
		c.Under = append(c.Under, g)
	}
	slices.SortFunc(c.Under, func(a, b ApprovalGiven) int {
		return cmp.Or(cmp.Compare(b.Commits, a.Commits), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Policy, b.Policy))
	})
	return c
}

// matchesUse reports whether a use is one that patterns for tool and model ask for.
func matchesUse(tool, model string, u Use) bool {
	return (tool == "" || matches(tool, spelt(u.Tool.Name))) && (model == "" || MatchesModel(model, u.Model))
}

// MatchesModel reports whether a pattern asks for a model: for its provider/name or, when it
// has no slash, its name alone. What a name has in brackets at its end, as Claude Code's [1m]
// of a larger context, is a variant of the model, which need not be asked for.
func MatchesModel(pattern string, m provenance.Model) bool {
	name := spelt(m.Name)
	if strings.Contains(pattern, "/") {
		name = m.ID()
	}
	if matches(pattern, name) {
		return true
	}
	plain, variant, ok := strings.Cut(name, "[")
	return ok && strings.HasSuffix(variant, "]") && matches(pattern, plain)
}
