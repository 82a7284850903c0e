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
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// TimetravelSchema names the version of Timetravel as JSON.
const TimetravelSchema = "gatekeeper/audit-timetravel/v1"

// A Quest says what is looked for, and what is to be told of it. All of Tool to Session that
// are not "" must hold of one claim; Key holds of a signer beside it.
type Quest struct {
	Tool, Model  string    // patterns as in Question
	MCP          string    // a pattern of names of servers
	Key          string    // SHA256:...
	Session      string    // to the letter
	Repository   string    // a pattern of names
	Since, Until time.Time // of the commits of record: from, and before; zero is no limit

	// Open opens a repository. Without it changes are compared only where their digests
	// are known.
	Open func(ctx context.Context, place string) (*repo.Repo, error)

	Refs      bool // tell which branches and tags contain the carriers
	Artifacts bool // tell which artifacts were built from them
	Files     bool // tell which files they touch, and who did so later

	Living  []string // refs at which to look for lines; HEAD is the default branch of each repository
	Owners  bool     // tell who owns the files, by CODEOWNERS of the default branch
	Inverse bool     // try to take each back
	Work    bool     // list what is to be done; best with all of the above

	Replay *policy.Policy // judge the uses by this one, too; nil for not
}

// How a commit came to carry what is looked for.
const (
	OfRecord   = "record"      // its own provenance says so
	SameChange = "same-change" // a clean rebase or pick: what it changes is the same
	Picked     = "pick"        // it says that it was picked, and changes something else
	Squashed   = "squash"      // what commits in a row change, in one
	Reapplied  = "reapply"     // it takes a revert back
)

// Timetravel is what carries something, and what may.
type Timetravel struct {
	Schema  string           `json:"schema"`
	AsOf    *time.Time       `json:"as_of"`
	Bounds  Bounds           `json:"bounds"`
	By      map[string]int64 `json:"by"` // commits, by how they came to carry it
	Commits []Carrier        `json:"commits"`
	Reverts []Undoing        `json:"reverts"`
	Open    []string         `json:"open"`   // what could not be looked at, and why
	Work    []WorkItem       `json:"work"`   // null unless asked for
	Replay  *Replay          `json:"replay"` // null unless asked for
}

// Bounds say how many commits carry it: at least Least, and at most Most.
type Bounds struct {
	Least   int64 `json:"least"`   // those known
	Unknown int64 `json:"unknown"` // commits of the time of which nothing is known
	Unnamed int64 `json:"unnamed"` // those whose claims leave open what is asked for
	Most    int64 `json:"most"`
}

// A Carrier is a commit that carries it.
type Carrier struct {
	Repository string   `json:"repository"`
	Commit     string   `json:"commit"`
	Date       string   `json:"date"`
	How        string   `json:"how"`
	Of         []string `json:"of"` // commits from which it came
	Evidence   Evidence `json:"evidence"`
	Uses       []string `json:"uses"`      // tool and model
	Added      int      `json:"added"`     // lines; -1 when not known
	Undone     string   `json:"undone"`    // "", whole, or said: the message says so, the change is another
	UndoneBy   []string `json:"undone_by"` // commits that stand

	// Null unless asked for.
	Refs      []string  `json:"refs"`      // branches and tags that contain it
	UndoneIn  []string  `json:"undone_in"` // of these, where a revert of it stands, too
	Artifacts []string  `json:"artifacts"` // names of those that it is in
	Files     []Touched `json:"files"`     // that it touches
	Living    []Alive   `json:"living"`    // lines of it at the refs asked for, by file
	Owners    []string  `json:"owners"`    // of its files and of those where its lines live
	Inverse   string    `json:"inverse"`   // how taking it back goes at the default branch: clean, conflict, nothing, or why it was not tried

	member *member
	rules  Owners
}

// An Undoing is a commit that says that it reverts others.
type Undoing struct {
	Repository string   `json:"repository"`
	Commit     string   `json:"commit"`
	Date       string   `json:"date"`
	Of         []string `json:"of"`
	Whole      bool     `json:"whole"`  // it takes back all that they change, and nothing else
	Undone     bool     `json:"undone"` // it was reverted itself
}

// Timetravel finds all commits that carry what is looked for: those of record, and what
// became of them by picks, rebases, squashes and reverts.
func (v *View) Timetravel(ctx context.Context, q Quest) (*Timetravel, error) {
	s, err := v.seek(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("look back: %w", err)
	}
	k := &kinship{view: v, seeker: s, members: map[int64]*member{}, open: map[string]bool{}, opened: map[int64]*opened{}}
	defer k.close()
	if err := k.complete(ctx); err != nil {
		return nil, fmt.Errorf("look back: %w", err)
	}
	t := k.report()
	if err := k.tell(ctx, t); err != nil {
		return nil, fmt.Errorf("look back: %w", err)
	}
	t.Open = append(t.Open, slices.Sorted(maps.Keys(k.open))...)
	return t, nil
}

// tell adds what the quest asks for beside.
func (k *kinship) tell(ctx context.Context, t *Timetravel) error {
	for _, part := range []struct {
		asked bool
		tell  func(context.Context, []Carrier) error
	}{{k.seeker.Refs, k.refs}, {k.seeker.Artifacts, k.artifacts}, {k.seeker.Files || k.seeker.Work, k.files}, {len(k.seeker.Living) > 0, k.living}, {k.seeker.Owners, k.owners}, {k.seeker.Inverse, k.inverses}} {
		if !part.asked || len(t.Commits) == 0 {
			continue
		}
		if err := part.tell(ctx, t.Commits); err != nil {
			return err
		}
	}
	if k.seeker.Work {
		t.Work = work(t.Commits)
	}
	if k.seeker.Replay != nil {
		t.Replay = k.replay(t.Commits)
	}
	return nil
}

// A seeker tells commits of record from those that may be some, and counts the latter.
type seeker struct {
	Quest
	since, until int64
	hit, might   map[int64]bool // uses that are asked for, and those that leave it open
	in           map[int64]bool // repositories
	chosen       map[int64]bool // commits, where more is asked for than uses; else nil

	record           []Entry
	unknown, unnamed int64
}

// What a commit is to a quest by itself.
type match int

const (
	isNone match = iota
	isRecord
	isUnknown // nothing is known of it
	isUnnamed // its claims leave open what is asked for
)

// seek finds the commits of record, and counts those that may be some.
func (v *View) seek(ctx context.Context, q Quest) (*seeker, error) {
	s := &seeker{Quest: q, since: -1 << 62, until: 1<<63 - 1, hit: map[int64]bool{}, might: map[int64]bool{}, in: map[int64]bool{}}
	var err error
	if s.chosen, err = v.chosen(ctx, q); err != nil {
		return nil, err
	}
	if !q.Since.IsZero() {
		s.since = q.Since.Unix()
	}
	if !q.Until.IsZero() {
		s.until = q.Until.Unix()
	}
	for id, u := range v.Uses {
		s.hit[id], s.might[id] = matchesUse(q.Tool, q.Model, u), mightBe(q.Tool, q.Model, u)
	}
	for id, r := range v.Repositories {
		s.in[id] = q.Repository == "" || matches(q.Repository, r.Name)
	}
	readers := make([]seeker, Readers())
	err = v.Entries(ctx, false, func(n int, e *Entry) {
		switch r := &readers[n]; s.match(e) {
		case isRecord:
			kept := *e
			kept.Uses, kept.Places = slices.Clone(e.Uses), nil
			r.record = append(r.record, kept)
		case isUnknown:
			r.unknown++
		case isUnnamed:
			r.unnamed++
		}
	})
	for _, r := range readers {
		s.record = append(s.record, r.record...)
		s.unknown, s.unnamed = s.unknown+r.unknown, s.unnamed+r.unnamed
	}
	slices.SortFunc(s.record, func(a, b Entry) int { return cmp.Compare(a.Commit, b.Commit) })
	return s, err
}

func (s *seeker) match(e *Entry) match {
	if e.Committed < s.since || e.Committed >= s.until || !s.in[e.Repo] {
		return isNone
	}
	hit, might := false, false
	for _, u := range e.Uses {
		hit, might = hit || s.hit[u.Use], might || s.might[u.Use]
	}
	switch {
	case s.chosen[e.Commit] || s.chosen == nil && hit:
		return isRecord
	case s.Key != "": // who signed is known of each commit
		return isNone
	case e.Open() && e.Counts():
		return isUnknown
	case might && !hit:
		return isUnnamed
	}
	return isNone
}

// mightBe reports whether a use leaves open whether it is one that the patterns ask for.
func mightBe(tool, model string, u Use) bool {
	if matchesUse(tool, model, u) {
		return false
	}
	toolMay := tool == "" || u.Tool.Name == "" || matches(tool, u.Tool.Name)
	modelMay := model == "" || u.Model.Name == "" || MatchesModel(model, u.Model)
	if provider, name, ok := strings.Cut(model, "/"); ok && !modelMay && u.Model.Provider == "" {
		modelMay = provider != "" && matches(name, u.Model.Name)
	}
	return toolMay && modelMay
}

// chosen are the commits of which signers, sessions and servers are as asked for; nil
// when none are.
func (v *View) chosen(ctx context.Context, q Quest) (map[int64]bool, error) {
	var parts []string
	var args []any
	if q.Key != "" {
		parts, args = append(parts, "SELECT judgement FROM signer WHERE key = ?"), append(args, q.Key)
	}
	if q.MCP != "" || q.Session != "" || q.Key != "" && (q.Tool != "" || q.Model != "") {
		part := "SELECT k.judgement FROM claim k WHERE k.use IN (SELECT value FROM json_each(?))"
		var uses []int64
		for id, u := range v.Uses {
			if matchesUse(q.Tool, q.Model, u) {
				uses = append(uses, id)
			}
		}
		slices.Sort(uses)
		args = append(args, asJSON(uses))
		if q.Session != "" {
			part, args = part+" AND k.session = ? AND k.session <> ''", append(args, q.Session)
		}
		if q.MCP != "" {
			names, err := v.serversLike(ctx, q.MCP)
			if err != nil {
				return nil, err
			}
			part += " AND (k.judgement, k.n) IN (SELECT judgement, n FROM server WHERE name IN (SELECT value FROM json_each(?)))"
			args = append(args, names)
		}
		parts = append(parts, part)
	}
	if parts == nil {
		return nil, nil
	}
	rows, err := v.Store.QueryContext(ctx, "SELECT j.commit_id FROM judgement j WHERE j.id IN ("+strings.Join(parts, " INTERSECT ")+") AND "+counts("j"),
		append(args, v.Run, v.Run)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		found[id] = true
	}
	return found, rows.Err()
}

// counts is the condition that a judgement counts; it takes the run of the view twice.
func counts(j string) string {
	return j + ".run <= ? AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.judgement = " + j + ".id AND x.run <= ?)"
}

// serversLike are the names of MCP servers that fit a pattern, as JSON.
func (v *View) serversLike(ctx context.Context, pattern string) (string, error) {
	rows, err := v.Store.QueryContext(ctx, "SELECT DISTINCT name FROM server")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	names := []string{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		if matches(pattern, name) {
			names = append(names, name)
		}
	}
	return asJSON(names), rows.Err()
}

// report writes down what was found: by repository, then time.
func (k *kinship) report() *Timetravel {
	t := &Timetravel{Schema: TimetravelSchema, AsOf: k.view.AsOf, By: map[string]int64{}, Commits: []Carrier{}, Reverts: []Undoing{}, Open: []string{}}
	names, list, date := k.useNames(), k.inOrder(), dates()
	t.Commits = make([]Carrier, 0, len(list))
	for _, m := range list {
		if m.how != "" {
			t.By[m.how]++
			t.Commits = append(t.Commits, k.carrier(m, names, date(m.Committed)))
		}
		if len(m.reverts) > 0 {
			u := Undoing{Repository: k.view.Repositories[m.Repo].Name, Commit: m.oid.String(), Date: dateOf(m.Committed), Of: k.idsOf(m.reverts), Whole: true, Undone: !k.standing(m.Commit)}
			for id := range m.reverts {
				u.Whole = u.Whole && k.members[id].undoneBy[m.Commit]
			}
			t.Reverts = append(t.Reverts, u)
		}
	}
	t.Bounds = k.bounds(int64(len(t.Commits)))
	return t
}

// dates is dateOf, each day written once.
func dates() func(seconds int64) string {
	known := map[int64]string{}
	return func(seconds int64) string {
		day := seconds / 86400
		if seconds < 0 { // rounded up
			return dateOf(seconds)
		}
		if known[day] == "" {
			known[day] = dateOf(seconds)
		}
		return known[day]
	}
}

// inOrder are the members that something is told of.
func (k *kinship) inOrder() (list []*member) {
	for _, m := range k.members {
		if m.how != "" || len(m.reverts) > 0 {
			list = append(list, m)
		}
	}
	rank := map[int64]int{}
	for id := range k.view.Repositories {
		rank[id] = len(rank)
	}
	byName := slices.SortedFunc(maps.Keys(rank), func(a, b int64) int {
		return cmp.Compare(k.view.Repositories[a].Name, k.view.Repositories[b].Name)
	})
	for n, id := range byName {
		rank[id] = n
	}
	slices.SortFunc(list, func(a, b *member) int {
		return cmp.Or(cmp.Compare(rank[a.Repo], rank[b.Repo]), cmp.Compare(a.Committed, b.Committed), cmp.Compare(a.oid, b.oid))
	})
	return list
}

func (k *kinship) carrier(m *member, names map[int64]string, date string) Carrier {
	c := Carrier{Repository: k.view.Repositories[m.Repo].Name, Commit: m.oid.String(), Date: date, How: m.how, Of: k.idsOf(m.of),
		Evidence: m.Evidence, Uses: namesOf(m, names), Added: m.Added, UndoneBy: []string{}, member: m}
	for id, whole := range m.undoneBy {
		if k.standing(id) {
			c.UndoneBy = append(c.UndoneBy, k.members[id].oid.String())
			if whole {
				c.Undone = "whole"
			}
		}
	}
	if len(c.UndoneBy) > 0 {
		c.Undone = cmp.Or(c.Undone, "said")
	}
	slices.Sort(c.UndoneBy)
	return c
}

// bounds takes those out of the unknown ones that turned out to be kin.
func (k *kinship) bounds(least int64) Bounds {
	b := Bounds{Least: least, Unknown: k.seeker.unknown, Unnamed: k.seeker.unnamed}
	for _, m := range k.members {
		if m.how == "" || m.how == OfRecord {
			continue
		}
		switch k.seeker.match(&m.Entry) {
		case isUnknown:
			b.Unknown--
		case isUnnamed:
			b.Unnamed--
		}
	}
	b.Most = b.Least + b.Unknown + b.Unnamed
	return b
}

// useNames spells all uses: tool and model.
func (k *kinship) useNames() map[int64]string {
	names := map[int64]string{}
	for id, u := range k.view.Uses {
		names[id] = spelt(u.Tool.Name) + " " + u.Model.ID()
	}
	return names
}

func namesOf(m *member, names map[int64]string) []string {
	list := make([]string, 0, len(m.Uses))
	for _, u := range m.Uses {
		if name := names[u.Use]; !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func (k *kinship) idsOf(of map[int64]bool) []string {
	ids := []string{}
	for id := range of {
		if m := k.members[id]; m != nil {
			ids = append(ids, m.oid.String())
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
