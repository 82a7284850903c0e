package audit

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
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
	Of         []string `json:"of"` // commits from which it came; of many with the same change some
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
	book   *ownerBook
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
	k, err := v.seek(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("look back: %w", err)
	}
	defer k.close()
	if err := k.complete(ctx); err != nil {
		return nil, fmt.Errorf("look back: %w", err)
	}
	if err := k.name(ctx); err != nil {
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
	hit, might   numbers        // uses that are asked for, and those that leave it open
	in           numbers        // repositories
	chosen       map[int64]bool // commits, where more is asked for than uses; else nil

	record           []int64
	unknown, unnamed int64
}

// Numbers are some of a few.
type numbers []bool

func (n numbers) has(id int64) bool { return id >= 0 && id < int64(len(n)) && n[id] }

func (n *numbers) set(id int64, to bool) {
	for id >= int64(len(*n)) {
		*n = append(*n, false)
	}
	(*n)[id] = to
}

// A gathering is what one reader of the ledger found. Members stand in large pieces of
// memory: a million of them are no million objects.
type gathering struct {
	pieces           [][]member
	uses             []EntryUse
	unknown, unnamed int64
}

const piece = 4096

func (g *gathering) keep(e *Entry, match match) {
	if n := len(g.pieces); n == 0 || len(g.pieces[n-1]) == piece {
		g.pieces = append(g.pieces, make([]member, 0, piece))
	}
	if len(g.uses)+len(e.Uses) > cap(g.uses) {
		g.uses = make([]EntryUse, 0, max(piece, len(e.Uses)))
	}
	from := len(g.uses)
	g.uses = append(g.uses, e.Uses...)
	last := &g.pieces[len(g.pieces)-1]
	*last = append(*last, member{commit: e.Commit, repo: e.Repo, committed: e.Committed, at: e.At, added: e.Added, uses: g.uses[from:len(g.uses):len(g.uses)],
		evidence: e.Evidence, class: e.Class, merge: e.Merge, own: e.Own, match: match, ties: noTies})
}

// What a commit is to a quest by itself.
type match byte

const (
	isNone match = iota
	isRecord
	isUnknown // nothing is known of it
	isUnnamed // its claims leave open what is asked for
)

// seek finds the commits of record, and those that are bound to any, and counts those
// that may be of record.
func (v *View) seek(ctx context.Context, q Quest) (*kinship, error) {
	s, err := v.seeker(ctx, q)
	if err != nil {
		return nil, err
	}
	k := &kinship{view: v, seeker: s, shapes: map[int64]map[string][]int64{}, settled: map[star]bool{}, opened: map[int64]*opened{}, open: map[string]bool{}}
	if k.joined, err = v.bonds(ctx); err != nil {
		return nil, err
	}
	k.digests = k.joined.digests
	readers := make([]gathering, Readers())
	if err := v.Entries(ctx, false, func(n int, e *Entry) {
		r, match := &readers[n], s.match(e)
		switch match {
		case isUnknown:
			r.unknown++
		case isUnnamed:
			r.unnamed++
		}
		if match == isRecord || k.joined.bound(e.Commit) {
			r.keep(e, match)
		}
	}); err != nil {
		return nil, err
	}
	var last sql.NullInt64
	if err := v.Store.QueryRowContext(ctx, "SELECT max(id) FROM commits").Scan(&last); err != nil {
		return nil, err
	}
	k.members = make([]*member, last.Int64+1)
	for _, r := range readers {
		s.unknown, s.unnamed = s.unknown+r.unknown, s.unnamed+r.unnamed
		for _, p := range r.pieces {
			for i := range p {
				k.members[p[i].commit] = &p[i]
			}
		}
	}
	for id, m := range k.members {
		if m != nil && m.match == isRecord {
			s.record = append(s.record, int64(id))
		}
	}
	return k, nil
}

func (v *View) seeker(ctx context.Context, q Quest) (*seeker, error) {
	s := &seeker{Quest: q, since: -1 << 62, until: 1<<63 - 1}
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
		s.hit.set(id, matchesUse(q.Tool, q.Model, u))
		s.might.set(id, mightBe(q.Tool, q.Model, u))
	}
	for id, r := range v.Repositories {
		s.in.set(id, q.Repository == "" || matches(q.Repository, r.Name))
	}
	return s, nil
}

func (s *seeker) match(e *Entry) match {
	if e.Committed < s.since || e.Committed >= s.until || !s.in.has(e.Repo) {
		return isNone
	}
	hit, might := false, false
	for _, u := range e.Uses {
		hit, might = hit || s.hit.has(u.Use), might || s.might.has(u.Use)
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

// name finds the ids of what is told of.
func (k *kinship) name(ctx context.Context) error {
	rest := k.found
	return k.view.spans(ctx, "ids", func(s *span) error {
		n, _ := slices.BinarySearch(rest, s.first+int64(s.count))
		for i, id := range s.hexOf(rest[:n]) {
			k.members[rest[i]].id = id
		}
		rest = rest[n:]
		return nil
	})
}

// report writes down what was found: by repository, then time.
func (k *kinship) report() *Timetravel {
	t := &Timetravel{Schema: TimetravelSchema, AsOf: k.view.AsOf, By: map[string]int64{}, Commits: []Carrier{}, Reverts: []Undoing{}, Open: []string{}}
	stands := k.standing()
	var carriers, reverts []*member
	for _, id := range k.found {
		m := k.members[id]
		if m.how != "" {
			carriers = append(carriers, m)
		}
		if len(m.reverts) > 0 {
			reverts = append(reverts, m)
		}
	}
	k.sort(carriers)
	k.sort(reverts)
	t.Commits = make([]Carrier, len(carriers))
	uses, dates, names := map[string][]string{}, map[int64]string{}, map[int64]string{}
	for id, r := range k.view.Repositories {
		names[id] = r.Name
	}
	for i, m := range carriers {
		day := floor(m.committed, 24*60*60)
		if dates[day] == "" {
			dates[day] = dateOf(m.committed)
		}
		c := Carrier{Repository: names[m.repo], Commit: m.id, Date: dates[day], How: m.how, Of: k.idsOf(m),
			Evidence: m.evidence, Uses: k.usesOf(m, uses), Added: m.added, UndoneBy: []string{}, member: m}
		for id, whole := range m.undoneBy {
			if stands(id) {
				c.UndoneBy = append(c.UndoneBy, k.members[id].id)
				if whole {
					c.Undone = "whole"
				}
			}
		}
		if len(c.UndoneBy) > 0 {
			c.Undone = cmp.Or(c.Undone, "said")
		}
		slices.Sort(c.UndoneBy)
		t.By[m.how]++
		t.Commits[i] = c
	}
	for _, m := range reverts {
		u := Undoing{Repository: k.view.Repositories[m.repo].Name, Commit: m.id, Date: dateOf(m.committed), Whole: true, Undone: !stands(m.commit)}
		for id := range m.reverts {
			u.Of = append(u.Of, k.members[id].id)
			u.Whole = u.Whole && k.members[id].undoneBy[m.commit]
		}
		slices.Sort(u.Of)
		t.Reverts = append(t.Reverts, u)
	}
	t.Bounds = k.bounds(carriers)
	return t
}

func floor(n, by int64) int64 { return n - (n%by+by)%by }

// sort orders members by the names of their repositories, then time. Those of one
// repository come mostly in that order.
func (k *kinship) sort(list []*member) {
	in := map[int64][]*member{}
	for _, m := range list {
		in[m.repo] = append(in[m.repo], m)
	}
	repos := slices.SortedFunc(maps.Keys(in), func(a, b int64) int { return cmp.Compare(k.view.Repositories[a].Name, k.view.Repositories[b].Name) })
	list = list[:0]
	for _, repo := range repos {
		slices.SortFunc(in[repo], func(a, b *member) int { return cmp.Or(cmp.Compare(a.committed, b.committed), cmp.Compare(a.id, b.id)) })
		list = append(list, in[repo]...)
	}
}

// bounds takes those out of the unknown ones that turned out to be kin.
func (k *kinship) bounds(carriers []*member) Bounds {
	b := Bounds{Least: int64(len(carriers)), Unknown: k.seeker.unknown, Unnamed: k.seeker.unnamed}
	for _, m := range carriers {
		switch m.match {
		case isUnknown:
			b.Unknown--
		case isUnnamed:
			b.Unnamed--
		}
	}
	b.Most = b.Least + b.Unknown + b.Unnamed
	return b
}

// usesOf spells the uses of a commit. Most have the same as another, and share the words.
func (k *kinship) usesOf(m *member, known map[string][]string) []string {
	var key [64]byte
	at := key[:0]
	for _, u := range m.uses {
		at = binary.AppendUvarint(at, uint64(u.Use))
	}
	if names, ok := known[string(at)]; ok {
		return names
	}
	names := []string{}
	for _, use := range m.uses {
		u := k.view.Uses[use.Use]
		if name := spelt(u.Tool.Name) + " " + u.Model.ID(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	known[string(at)] = names
	return names
}

// idsOf are the commits from which a member came.
func (k *kinship) idsOf(m *member) []string {
	ids := []string{}
	for _, id := range m.of {
		if id != m.commit {
			ids = append(ids, k.members[id].id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
