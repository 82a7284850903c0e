package session

import (
	"cmp"
	"context"
	"crypto/sha1"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A scene is a work tree in memory, in which a person and agents write lines that carry
// their author in their text. So who wrote a line is read off the line, and never from
// what is to be tested.
type scene struct {
	t     *testing.T
	seed  uint64
	loose bool // agents are killed and overlap: doubt is allowed
	rand  *rand.Rand
	watch *Watch
	log   []string

	commits map[change.ID]map[string]string
	head    change.ID
	branch  map[string]change.ID
	index   map[string]string
	work    map[string]string
	stash   []change.ID // of whole files
	n       int
	calls   int

	doubts, sure int // lines of agents that were in doubt, and not
}

func newScene(t *testing.T, seed uint64) *scene {
	s := &scene{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 7)), commits: map[change.ID]map[string]string{},
		branch: map[string]change.ID{}, index: map[string]string{}, work: map[string]string{}}
	s.watch = &Watch{s, fastDir(t), func(string) bool { return false }}
	for i := range 3 {
		var b strings.Builder
		for n := range 12 {
			fmt.Fprintf(&b, "human base %d %d\n", i, n)
		}
		s.work[s.path(i)] = b.String()
	}
	s.index = maps.Clone(s.work)
	s.commitIndex()
	s.branch["main"], s.branch["other"] = s.head, s.head
	return s
}

// fastDir is a directory in memory, where the system has one: the states are written and
// moved into place a million times.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "gatekeeper-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *scene) path(i int) string { return fmt.Sprintf("dir/file%d", i) }

func (s *scene) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// The scene as a Tree.

func (s *scene) Dirty(context.Context) ([]repo.Dirty, error) {
	var dirty []repo.Dirty
	all := map[string]bool{}
	for _, m := range []map[string]string{s.commits[s.head], s.index, s.work} {
		for p := range m {
			all[p] = true
		}
	}
	for p := range all {
		h, inHead := s.commits[s.head][p]
		i, inIndex := s.index[p]
		w, inWork := s.work[p]
		if h != i || i != w || inHead != inIndex || inIndex != inWork {
			dirty = append(dirty, repo.Dirty{Path: p, Between: inIndex && i != h && (i != w || !inWork)})
		}
	}
	slices.SortFunc(dirty, func(a, b repo.Dirty) int { return strings.Compare(a.Path, b.Path) })
	return dirty, nil
}

func (s *scene) Staged(_ context.Context, path string) ([]byte, error) {
	text, ok := s.index[path]
	if !ok {
		return nil, nil
	}
	return []byte(text), nil
}

func (s *scene) Head(context.Context) (change.ID, error) { return s.head, nil }

func (s *scene) FileAt(_ context.Context, commit change.ID, path string) ([]byte, change.ID, error) {
	text, ok := s.commits[commit][path]
	if !ok {
		return nil, "", nil
	}
	sum := sha1.Sum([]byte(text))
	return []byte(text), change.ID(sum[:]), nil
}

func (s *scene) Read(path string) ([]byte, error) {
	text, ok := s.work[path]
	if !ok {
		return nil, nil
	}
	return []byte(text), nil
}

func (s *scene) Stashes(context.Context) ([]change.ID, error) { return s.stash, nil }

func (s *scene) Stashed(_ context.Context, stash change.ID) (paths []string, err error) {
	for p, text := range s.commits[stash] {
		if s.commits[s.head][p] != text {
			paths = append(paths, p)
		}
	}
	for p := range s.commits[s.head] {
		if _, ok := s.commits[stash][p]; !ok {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// What people and agents do.

// edit changes some lines of a file as an author.
func (s *scene) edit(author, path string) {
	lines := strings.SplitAfter(s.work[path], "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	for range 1 + s.rand.IntN(3) {
		at := s.rand.IntN(len(lines) + 1)
		if len(lines) > 0 && s.rand.IntN(3) == 0 {
			at = min(at, len(lines)-1)
			lines = slices.Delete(lines, at, at+1)
			continue
		}
		s.n++
		lines = slices.Insert(lines, at, fmt.Sprintf("%s %d\n", author, s.n))
	}
	s.work[path] = strings.Join(lines, "")
}

// somePath is a file that is there or may be, one that was renamed among them.
func (s *scene) somePath() string {
	if there := slices.Sorted(maps.Keys(s.work)); len(there) > 0 && s.rand.IntN(3) == 0 {
		return there[s.rand.IntN(len(there))]
	}
	return s.path(s.rand.IntN(5))
}

func actorNamed(name string) Actor {
	return Actor{Tool: provenance.Tool{Name: name}, Model: provenance.Model{Provider: "p", Name: name}, Session: name}
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// agentEdits is one edit by an agent's own tool. Some agents say what the file held
// before, some are heard before the edit, and some both.
func (s *scene) agentEdits(name string) {
	ctx := context.Background()
	path := s.somePath()
	var before []byte
	heard := s.rand.IntN(2) == 0
	if s.rand.IntN(2) == 0 || !heard {
		before = []byte(s.work[path])
	}
	c := s.call(name)
	if heard {
		s.must(s.watch.BeforeEdit(ctx, c, []string{path}))
	}
	s.edit(name, path)
	var after []byte
	if s.rand.IntN(2) == 0 {
		after = []byte(s.work[path])
	}
	s.must(s.watch.AfterEdit(ctx, c, []Edited{{Path: path, Before: before, After: after}}))
	s.note("%s edits %s", name, path)
}

func (s *scene) call(name string) Call {
	s.calls++
	return Call{Actor: actorNamed(name), ID: fmt.Sprintf("call%d", s.calls)}
}

// agentRuns is a command of an agent's, in which things happen as in a shell.
func (s *scene) agentRuns(name string, things int) {
	ctx := context.Background()
	c := s.call(name)
	s.must(s.watch.BeforeShell(ctx, c))
	s.note("%s runs a command {", name)
	for range things {
		switch s.rand.IntN(4) {
		case 0:
			s.gitThing(func(a Actor) bool { return a == c.Actor })
		case 1:
			s.rename()
		default:
			path := s.somePath()
			s.edit(name, path)
			s.note("  which edits %s", path)
		}
	}
	s.must(s.watch.AfterShell(ctx, c))
	s.note("}")
}

// rename moves a file to a name that was never used, so that nothing else explains it. It
// is long enough to be known by its lines, whatever a few edits do to it.
func (s *scene) rename() {
	from := s.somePath()
	text, ok := s.work[from]
	if !ok || strings.Count(text, "\n") < 10 {
		return
	}
	s.n++
	to := fmt.Sprintf("moved/file%d", s.n)
	s.work[to] = text
	delete(s.work, from)
	s.note("%s becomes %s", from, to)
}

func (s *scene) clean() bool {
	dirty, _ := s.Dirty(context.Background())
	return len(dirty) == 0
}

// gitThing is something that git does to the work tree, typed by anybody.
func (s *scene) gitThing(live func(Actor) bool) {
	switch s.rand.IntN(6) {
	case 0: // git stash
		if !s.clean() {
			s.stash = append(s.stash, s.store(s.work))
			s.work = maps.Clone(s.commits[s.head])
			s.index = maps.Clone(s.work)
			s.note("stash")
		}
	case 1: // git stash pop, of whole files, where nothing stands in the way
		if len(s.stash) > 0 && s.clean() {
			s.work = maps.Clone(s.commits[s.stash[len(s.stash)-1]])
			s.stash = s.stash[:len(s.stash)-1]
			s.note("stash pop")
		}
	case 2: // git checkout of another branch
		if s.clean() {
			for name, id := range s.branch {
				if id == s.head {
					continue
				}
				s.head = id
				s.work = maps.Clone(s.commits[id])
				s.index = maps.Clone(s.work)
				s.note("checkout %s", name)
				break
			}
		}
	case 3: // git add of one file
		path := s.somePath()
		s.add(path, s.work)
		s.note("add %s", path)
	case 4:
		s.commit(live)
	case 5: // git add -p: some hunks of one file
		s.addHunks(s.somePath())
	}
}

func (s *scene) add(path string, from map[string]string) {
	if text, ok := from[path]; ok {
		s.index[path] = text
	} else {
		delete(s.index, path)
	}
}

// addHunks puts every second hunk of a file into the index, which knows the file.
func (s *scene) addHunks(path string) {
	old, known := s.index[path]
	new, there := s.work[path]
	if !known || !there || old == new {
		return
	}
	a, b := strings.SplitAfter(old, "\n"), strings.SplitAfter(new, "\n")
	x, _ := LinesOf([]byte(old))
	y, _ := LinesOf([]byte(new))
	matches, _ := change.Align(x.Exact, y.Exact)
	var out strings.Builder
	i, j, hunk := 0, 0, s.rand.IntN(2)
	take := func(oldEnd, newEnd int) {
		if i < oldEnd || j < newEnd {
			if hunk++; hunk%2 == 0 {
				out.WriteString(strings.Join(b[j:newEnd], ""))
			} else {
				out.WriteString(strings.Join(a[i:oldEnd], ""))
			}
		}
		i, j = oldEnd, newEnd
	}
	for _, m := range matches {
		take(m.Old, m.New)
		out.WriteString(strings.Join(a[m.Old:m.Old+m.N], ""))
		i, j = m.Old+m.N, m.New+m.N
	}
	take(len(x.Exact), len(y.Exact))
	s.index[path] = out.String()
	s.note("add -p %s", path)
}

// commit commits the index, and holds every line that it adds to its text.
func (s *scene) commit(live func(Actor) bool) {
	for _, path := range slices.Sorted(maps.Keys(s.index)) {
		if s.index[path] != s.commits[s.head][path] {
			s.check(path, live)
		}
	}
	s.commitIndex()
	for name, id := range s.branch {
		if _, moved := s.commits[id]; moved && name == "main" {
			s.branch[name] = s.head
		}
	}
	s.note("commit")
}

func (s *scene) commitIndex() { s.head = s.store(s.index) }

func (s *scene) store(files map[string]string) change.ID {
	s.n++
	sum := sha1.Sum(fmt.Appendf(nil, "commit %d", s.n))
	id := change.ID(sum[:])
	s.commits[id] = maps.Clone(files)
	return id
}

// inHead reports whether HEAD has a line, in whatever file.
func (s *scene) inHead(line string) bool {
	for _, text := range s.commits[s.head] {
		if slices.Contains(strings.SplitAfter(text, "\n"), line) {
			return true
		}
	}
	return false
}

func (s *scene) check(path string, live func(Actor) bool) {
	old, _ := LinesOf([]byte(s.commits[s.head][path]))
	text := s.index[path]
	new, _ := LinesOf([]byte(text))
	_, had := s.commits[s.head][path]
	got, err := s.watch.Staged(context.Background(), path, []byte(text), !had, live)
	s.must(err)
	lines := strings.SplitAfter(text, "\n")
	matches, _ := change.Align(old.Exact, new.Exact)
	kept := make([]bool, len(new.Exact))
	for _, m := range matches {
		for i := range m.N {
			kept[m.New+i] = true
		}
	}
	for i := range new.Exact {
		if kept[i] {
			continue
		}
		if got != nil && len(got.Owners) > 0 && !slices.ContainsFunc(got.Owners, func(o Owner) bool { return o != Anyone }) {
			continue // not one line was ever seen: a filter's, or typed and staged between two looks
		}
		want, _, _ := strings.Cut(lines[i], " ")
		o := Nobody
		if got != nil {
			o = got.Owners[i]
		}
		is := "human"
		if o != Nobody {
			a, ok := got.Actor(o)
			if is = a.Tool.Name; !ok || o < 0 {
				is = "doubt"
			}
		}
		if is == "human" && !had && s.inHead(lines[i]) {
			continue // a new name for what is committed: the commit before tells
		}
		if is == "doubt" {
			s.doubts++
			if s.loose {
				continue
			}
		} else if want != "human" {
			s.sure++
		}
		if is != want {
			s.t.Fatalf("seed %d: %s: line %q is said to be by %s\n%s\n%s", s.seed, path, lines[i], is, text, strings.Join(s.log, "\n"))
		}
	}
}

// Whatever people, agents and git do to files, in whatever order: each added line of a
// commit is whose its text says.
func TestAttributionIsNeverWrong(t *testing.T) {
	const seeds, shards = 1200, 8
	for shard := range uint64(shards) {
		t.Run(fmt.Sprintf("seeds %d and up", shard*seeds/shards), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds / shards) {
				playScene(t, shard*seeds/shards+seed)
			}
		})
	}
}

// Agents are killed between before and after, their calls overlap, and some are never
// heard to begin: a line may come out in doubt then, and never as somebody else's.
func TestDoubtIsSaid(t *testing.T) {
	const seeds, shards = 1200, 8
	for shard := range uint64(shards) {
		t.Run(fmt.Sprintf("seeds %d and up", shard*seeds/shards), func(t *testing.T) {
			t.Parallel()
			doubts, sure := 0, 0
			for seed := range uint64(seeds / shards) {
				s := playLoose(t, shard*seeds/shards+seed)
				doubts, sure = doubts+s.doubts, sure+s.sure
			}
			if doubts == 0 || sure < doubts/3 {
				t.Errorf("%d lines of agents in doubt, %d not", doubts, sure)
			}
		})
	}
}

// A goingOn call was begun by an agent and may end.
type goingOn struct {
	Call
	path  string // of an edit; "" for a command
	heard bool
}

func (s *scene) end(c *goingOn) {
	if c.path != "" {
		s.must(s.watch.AfterEdit(context.Background(), c.Call, []Edited{{Path: c.path}}))
	} else {
		s.must(s.watch.AfterShell(context.Background(), c.Call))
	}
	s.note("%s ends", c.ID)
}

func playLoose(t *testing.T, seed uint64) *scene {
	s := newScene(t, seed)
	s.loose = true
	ctx := context.Background()
	var open []*goingOn
	dead := map[string]bool{}
	s.watch.gone = func(p string) bool { return dead[p] }
	for range 40 {
		var c *goingOn
		if len(open) > 0 {
			c = open[s.rand.IntN(len(open))]
		}
		switch n := s.rand.IntN(10); {
		case n < 2: // a call begins, heard or not
			name := []string{"claude", "codex", "qwen"}[s.rand.IntN(3)]
			c := &goingOn{Call: s.call(name), heard: s.rand.IntN(6) > 0}
			c.Process = fmt.Sprintf("process %s %d", name, s.calls)
			if s.rand.IntN(2) == 0 {
				c.path = s.somePath()
			}
			s.note("%s %s begins %q heard %v", name, c.ID, c.path, c.heard)
			switch {
			case !c.heard: // what nobody looks at in between can still be told
				s.edit(name, cmp.Or(c.path, s.somePath()))
				s.end(c)
				continue
			case c.path != "":
				s.must(s.watch.BeforeEdit(ctx, c.Call, []string{c.path}))
			default:
				s.must(s.watch.BeforeShell(ctx, c.Call))
			}
			open = append(open, c)
		case n < 5 && c != nil: // it does something
			path := c.path
			if path == "" {
				path = s.somePath()
			}
			s.edit(c.Actor.Tool.Name, path)
			s.note("%s changes %s", c.ID, path)
		case n < 7 && c != nil: // it ends, is killed, or the whole session ends
			if s.rand.IntN(4) == 0 {
				dead[c.Process] = true
				s.note("%s is killed", c.ID)
			} else {
				s.end(c)
			}
			open = slices.DeleteFunc(open, func(o *goingOn) bool { return o == c })
		case n < 8: // a person; while calls are open that may change the file, nobody can tell
			path := s.somePath()
			if !slices.ContainsFunc(open, func(c *goingOn) bool { return c.path == "" || c.path == path }) {
				s.edit("human", path)
				s.note("a human edits %s", path)
			}
		case n < 9:
			s.gitThing(nil)
		default:
			s.agentEdits([]string{"claude", "codex"}[s.rand.IntN(2)])
		}
	}
	for _, c := range open {
		s.end(c)
	}
	s.index = maps.Clone(s.work)
	s.commit(nil)
	return s
}

func playScene(t *testing.T, seed uint64) {
	s := newScene(t, seed)
	for range 30 {
		agent := []string{"claude", "codex"}[s.rand.IntN(2)]
		switch s.rand.IntN(8) {
		case 0, 1:
			path := s.somePath()
			s.edit("human", path)
			s.note("a human edits %s", path)
		case 2, 3:
			s.agentEdits(agent)
		case 4:
			s.agentRuns(agent, 1+s.rand.IntN(3))
		case 5, 6:
			s.gitThing(nil)
		case 7:
			if s.rand.IntN(2) == 0 {
				s.rename()
				continue
			}
			path := s.somePath()
			delete(s.work, path)
			s.note("%s is deleted", path)
		}
	}
	s.index = maps.Clone(s.work)
	s.commit(nil)
}
