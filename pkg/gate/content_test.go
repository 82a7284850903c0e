package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// A library is a world whose readers keep what they have fetched, and watch how they
// are used.
type library struct {
	*world
	plain   bool // its readers take no hints
	forgets bool // they let go at once of what is released
	mu      sync.Mutex
	readers []*librarian
}

func (l *library) Contents(context.Context) (change.ObjectReader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &librarian{library: l, here: map[change.ID]bool{}, fetched: map[change.ID]int{}}
	l.readers = append(l.readers, r)
	if l.plain {
		return struct{ change.ObjectReader }{r}, nil
	}
	return r, nil
}

type librarian struct {
	library *library
	users   atomic.Int32 // of which there may be one at a time
	shared  bool
	here    map[change.ID]bool
	fetched map[change.ID]int
	opened  []change.ID
	hints   int
	closed  int
}

func (r *librarian) use() (done func()) {
	r.shared = r.users.Add(1) > 1 || r.shared
	return func() { r.users.Add(-1) }
}

func (r *librarian) fetch(id change.ID) {
	if !r.here[id] {
		r.here[id] = true
		r.fetched[id]++
	}
}

func (r *librarian) Open(id change.ID) (change.Object, error) {
	defer r.use()()
	r.opened = append(r.opened, id)
	r.fetch(id)
	return r.library.world.Open(id)
}

func (r *librarian) Prefetch(ids []change.ID) {
	defer r.use()()
	r.hints += len(ids)
	for _, id := range ids {
		r.fetch(id)
	}
}

func (r *librarian) Release(ids []change.ID) {
	defer r.use()()
	for _, id := range ids {
		r.here[id] = r.here[id] && !r.library.forgets
	}
}

func (r *librarian) Close() error {
	defer r.use()()
	r.closed++
	return nil
}

// rebased is a line of commits that change some files of folders each, signed on
// another base than the one they stand on.
func (w *world) rebased(commits int) (base, tip change.ID) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("f%02d", i)] = strings.Repeat(fmt.Sprintf("line of %d\n", i), 10)
	}
	signedOn := w.commit(sketch{files: files, values: none, by: w.by(alice)})
	files["other"] = "came later\n"
	base = w.commit(sketch{files: files, values: none, by: w.by(alice)})
	tip = base
	for n := range commits {
		claimed := maps.Clone(files)
		delete(claimed, "other")
		for i := range 3 {
			name := fmt.Sprintf("f%02d", (n*3+i)%20)
			files[name] += fmt.Sprintf("commit %d\n", n)
			claimed[name] = files[name]
		}
		s := sketch{files: maps.Clone(files), claimed: claimed, values: none, by: w.by(alice)}
		s.parents, s.onto = []change.ID{tip}, []change.ID{signedOn}
		tip = w.commit(s)
		signedOn = w.commit(sketch{files: claimed, values: none, by: w.by(alice)})
	}
	return base, tip
}

func (l *library) judge(t *testing.T, policyText string, workers int, base, tip change.ID) Verdict {
	t.Helper()
	l.readers = nil
	g := Gate{Policy: rules(t, house(t, "")+policyText), Source: l, Now: now, Workers: workers}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: base, New: tip}}, KeepAll)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// However many workers there are, what one commit leaves behind is not fetched again
// for those that change it.
func TestEachFileOfAPushIsFetchedOnce(t *testing.T) {
	l := &library{world: newWorld(t)}
	base, tip := l.rebased(100)
	for _, workers := range []int{1, 2, 8} {
		l.forgets = workers == 1 // others may come to a commit after the one that follows it
		v := l.judge(t, "", workers, base, tip)
		for _, c := range v.Commits {
			if c.Verdict != Accepted || c.Binding == nil || *c.Binding != Change {
				t.Fatalf("commit %s: %+v", c.ID, c)
			}
		}
		if len(v.Commits) != 100 || len(l.readers) != 1 {
			t.Fatalf("%d workers: %d commits, %d readers", workers, len(v.Commits), len(l.readers))
		}
		r := l.readers[0]
		if r.shared || r.closed != 1 {
			t.Errorf("%d workers: used by two at once: %v; closed %d times", workers, r.shared, r.closed)
		}
		for id, n := range r.fetched {
			if n != 1 {
				t.Errorf("%d workers: object %s was fetched %d times", workers, id, n)
			}
		}
		if r.hints == 0 {
			t.Error("nothing was announced")
		}
	}
}

// What is read ahead is counted when it is opened, neither sooner nor twice.
func TestTheBudgetCountsWhatDigestsOpen(t *testing.T) {
	l := &library{world: newWorld(t)}
	base, tip := l.rebased(40)
	l.plain = true
	l.judge(t, "", 1, base, tip)
	var total int64
	for _, id := range l.readers[0].opened {
		total += max(int64(len(l.objects[id].data)), openCost)
	}
	for _, plain := range []bool{true, false} {
		l.plain = plain
		for limit, want := range map[int64]Outcome{total: Accepted, total - 1: Refused} {
			v := l.judge(t, fmt.Sprintf("\n[limits]\nread = \"%dB\"\n", limit), 3, base, tip)
			if v.Verdict != want {
				t.Errorf("hints taken: %v; limit %d of %d bytes: %s", !plain, limit, total, v.Verdict)
			}
			if want == Refused && !slices.Contains(names(v), PushTooLarge) {
				t.Errorf("rules %q", names(v))
			}
		}
	}
}

func TestNothingIsReadWhenTheBudgetIsUsedUp(t *testing.T) {
	l := &library{world: newWorld(t), plain: true}
	base, tip := l.rebased(100)
	v := l.judge(t, fmt.Sprintf("\n[limits]\nread = \"%dB\"\n", 10*openCost), 2, base, tip)
	if v.Refs[0].Judged != 100 || v.Refs[0].Faulty < 95 {
		t.Fatalf("%+v", v.Refs)
	}
	if r := l.readers[0]; len(r.opened) != 11 { // with the one that was too much
		t.Errorf("%d objects opened", len(r.opened))
	}
}

// A digest that cannot be made may leave objects unread that were announced, and
// nobody would count them.
func TestAfterAFailureNothingIsReadAhead(t *testing.T) {
	l := &library{world: newWorld(t)}
	_, tip := l.rebased(1)
	s := sketch{parents: []change.ID{tip}, files: after, values: none}
	bad := l.put("tree", []byte("nonsense"))
	s.raw = func(object string) string {
		_, rest, _ := strings.Cut(object, "\n")
		return "tree " + bad.String() + "\n" + rest
	}
	broken := l.commit(s)
	c := &content{source: l}
	b := newBudget(rules(t, house(t, "")).Limits())
	parse := func(commit change.ID) *job {
		parsed, err := change.ParseCommit(l.objects[commit].data)
		if err != nil {
			t.Fatal(err)
		}
		return &job{id: commit, commit: parsed, parents: []change.ID{l.treeOf(parsed.Parents[0])}}
	}
	digest := func(commit change.ID) (hints int, err error) {
		j := parse(commit)
		c.digests(context.Background(), b, j)
		return l.readers[0].hints, j.digestErr
	}
	once, err := digest(tip)
	if err != nil || once == 0 {
		t.Fatalf("%d objects announced, %v", once, err)
	}
	failed, err := digest(broken)
	if bad := (*change.MalformedError)(nil); !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	if again, err := digest(tip); err != nil || again != failed {
		t.Errorf("%d objects announced after a failure, %v", again-failed, err)
	}
}

func TestContentThatCannotBeOpenedIsAnError(t *testing.T) {
	l := &library{world: newWorld(t)}
	base, tip := l.rebased(30)
	l.world.mute = errors.New("no git")
	g := Gate{Policy: rules(t, house(t, "")), Source: l.world, Now: now}
	if _, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: base, New: tip}}, KeepFaulty); !errors.Is(err, l.world.mute) {
		t.Errorf("got %v", err)
	}
}
