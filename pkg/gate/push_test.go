package gate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

var none = []string{"none via=hook"}

// root is a commit that any rule accepts.
func (w *world) root() change.ID {
	return w.commit(sketch{files: before, values: none, by: w.by(alice)})
}

func (w *world) by(seeds ...byte) (list []attestation.Signer) {
	for _, s := range seeds {
		list = append(list, signer(w.t, s))
	}
	return list
}

// line adds n commits to parent; those whose number silent names say nothing.
func (w *world) line(parent change.ID, n int, silent ...int) change.ID {
	skip := map[int]bool{}
	for _, i := range silent {
		skip[i] = true
	}
	for i := range n {
		s := sketch{parents: []change.ID{parent}, files: map[string]string{"a.txt": fmt.Sprintf("%d\n", i)}, values: none, by: w.by(alice)}
		if skip[i] {
			s.values, s.by = nil, nil
		}
		parent = w.commit(s)
	}
	return parent
}

func TestMerges(t *testing.T) {
	left := map[string]string{"a.txt": "one\nTWO\nthree\n"}
	right := map[string]string{"a.txt": "one\ntwo\nthree\n", "b.txt": "new\n"}
	both := map[string]string{"a.txt": "one\nTWO\nthree\n", "b.txt": "new\n"}
	evil := map[string]string{"a.txt": "one\nEVIL\nthree\n", "b.txt": "new\n"}
	for _, c := range []struct {
		name   string
		merge  sketch // its parents are filled in
		octo   bool
		old    bool // a git without merge-tree
		clash  bool // git's merge leaves a conflict
		want   Outcome
		faults []string
	}{
		{name: "git's own merge needs no attestation", merge: sketch{files: both}, want: Exempt},
		{name: "a stale attestation on git's own merge", merge: sketch{files: both, claimed: evil, values: none, by: nil}, want: Exempt},
		{name: "a merge that adds something of its own", merge: sketch{files: evil}, want: Refused, faults: []string{AttestationMissing}},
		{name: "a merge that adds something, signed exactly", merge: sketch{files: evil, values: none}, want: Accepted},
		{name: "a merge that adds something, signed as if it did not", merge: sketch{files: evil, claimed: both, values: none}, want: Refused, faults: []string{AttestationStale}},
		{name: "a conflict that git's merge leaves", merge: sketch{files: both}, clash: true, want: Refused, faults: []string{AttestationMissing}},
		{name: "without merge-tree every merge is signed", merge: sketch{files: both}, old: true, want: Refused, faults: []string{AttestationMissing}},
		{name: "three parents are never git's own merge", merge: sketch{files: both}, octo: true, want: Refused, faults: []string{AttestationMissing}},
		{name: "three parents, signed exactly", merge: sketch{files: both, values: none}, octo: true, want: Accepted},
		{name: "a forgery on git's own merge", merge: sketch{files: both, values: none, forge: later1}, want: Refused, faults: []string{AttestationInvalid}},
		{name: "a denied model, signed, on git's own merge", merge: sketch{files: both, values: []string{strings.Replace(good, "anthropic/claude-sonnet-4-5", "acme/banned", 1)}}, want: Refused, faults: []string{ModelDenied}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			root := w.root()
			a := w.commit(sketch{parents: []change.ID{root}, files: left, values: none, by: w.by(alice)})
			b := w.commit(sketch{parents: []change.ID{root}, files: right, values: none, by: w.by(alice)})
			if w.noMerge = c.old; !c.clash {
				w.merges[[2]change.ID{a, b}] = w.tree(both)
			}
			s := c.merge
			s.parents = []change.ID{a, b}
			if c.octo {
				s.parents = append(s.parents, w.commit(sketch{parents: []change.ID{root}, files: right, values: none, by: w.by(gateway)}))
			}
			if s.values != nil {
				s.by = w.by(alice)
			}
			v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(s))
			last := v.Commits[len(v.Commits)-1]
			if last.Verdict != c.want {
				t.Errorf("verdict %s, want %s: %+v", last.Verdict, c.want, last)
			}
			if diff := cmp.Diff(append([]string{}, c.faults...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s", diff)
			}
		})
	}
}

func later1(a attestation.Attestation) attestation.Attestation {
	a.Time = a.Time.Add(time.Second)
	return a
}

func TestModesAndRefs(t *testing.T) {
	w := newWorld(t)
	bad := w.line(w.root(), 1, 0)
	tagged := func(id change.ID, kind string) change.ID {
		return w.put("tag", fmt.Appendf(nil, "object %s\ntype %s\ntag v1\n\nv1\n", id, kind))
	}
	blob := w.put("blob", []byte("x"))
	w.symrefs["refs/heads/wip/alias"] = "refs/heads/main"
	w.symrefs["refs/heads/free/alias"] = "refs/gatekeeper/policy"
	p := rules(t, house(t, ""))
	for _, c := range []struct {
		name, ref string
		old, new  change.ID
		want      Outcome
		rules     []string
	}{
		{"enforce refuses", "refs/heads/main", "", bad, Refused, []string{AttestationMissing}},
		{"warn tells and lets in", "refs/heads/wip/x", "", bad, Warned, []string{AttestationMissing}},
		{"off does not look", "refs/heads/free/x", "", bad, Accepted, nil},
		{"a tag of a commit is judged", "refs/tags/v1", "", tagged(bad, "commit"), Refused, []string{AttestationMissing}},
		{"a tag of a tag of a commit is judged", "refs/tags/v1", "", tagged(tagged(bad, "commit"), "tag"), Refused, []string{AttestationMissing}},
		{"a tag of a blob is no place for code", "refs/tags/v1", "", tagged(blob, "blob"), Refused, []string{RefForbidden}},
		{"a ref that holds a tree", "refs/heads/wip/x", "", w.tree(before), Refused, []string{RefForbidden}},
		{"notes are commits too", "refs/notes/x", "", bad, Refused, []string{AttestationMissing}},
		{"a name of a forge's own", "refs/for/main", "", bad, Refused, []string{AttestationMissing}},
		{"a symbolic ref is judged by the stricter rule", "refs/heads/wip/alias", "", bad, Refused, []string{AttestationMissing}},
		{"a symbolic ref into what is forbidden", "refs/heads/free/alias", "", w.root(), Refused, []string{RefForbidden}},
		{"replacement objects", "refs/replace/" + bad.String(), "", w.root(), Refused, []string{RefForbidden}},
		{"replacement objects go", "refs/replace/" + bad.String(), w.root(), "", Accepted, nil},
		{"the server's own refs", "refs/gatekeeper/policy", "", w.root(), Refused, []string{RefForbidden}},
		{"the server's own refs do not go either", "refs/gatekeeper/policy", w.root(), "", Refused, []string{RefForbidden}},
		{"records, which are not judged yet", "refs/gatekeeper/records/0123456789abcdef", "", w.root(), Refused, []string{RefForbidden}},
		{"a name outside refs/", "HEAD", "", w.root(), Refused, []string{RefForbidden}},
		{"a name that tries to leave", "../../x", "", w.root(), Refused, []string{RefForbidden}},
		{"a deletion", "refs/heads/main", bad, "", Accepted, nil},
		{"what the ref held is not judged again", "refs/heads/main", bad, w.line(bad, 2), Accepted, nil},
		{"a forced update to something unsigned", "refs/heads/main", w.line(w.root(), 3), bad, Refused, []string{AttestationMissing}},
		{"a ref that held a tree", "refs/tags/v1", w.tree(before), bad, Refused, []string{AttestationMissing}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := Gate{Policy: p, Source: w, Now: now}
			v, err := g.Push(context.Background(), []Update{{c.ref, c.old, c.new}}, KeepFaulty)
			if err != nil {
				t.Fatal(err)
			}
			if v.Verdict != c.want {
				t.Errorf("verdict %s, want %s", v.Verdict, c.want)
			}
			if diff := cmp.Diff(append([]string{}, c.rules...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s", diff)
			}
		})
	}
}

func TestTheBaselineIsNeverJudged(t *testing.T) {
	w := newWorld(t)
	old := w.line(w.root(), 3, 0, 1, 2)
	g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Baseline: []change.ID{old}}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: w.line(old, 2)}}, KeepAll)
	if err != nil {
		t.Fatal(err)
	}
	if v.Verdict != Accepted || v.Refs[0].Judged != 2 {
		t.Errorf("got %+v", v.Refs)
	}
}

func TestOneRefOfAPushProvesNothingForAnother(t *testing.T) {
	w := newWorld(t)
	bad := w.line(w.root(), 1, 0)
	g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/wip/a", New: bad}, {Ref: "refs/heads/free/a", New: bad}, {Ref: "refs/heads/main", New: bad}}, KeepFaulty)
	if err != nil {
		t.Fatal(err)
	}
	got := []Outcome{v.Verdict}
	for _, r := range v.Refs {
		got = append(got, r.Verdict)
	}
	if diff := cmp.Diff([]Outcome{Refused, Warned, Accepted, Refused}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	tip := w.line(w.root(), 9)
	p := rules(t, house(t, "")+"\n[limits]\ncommits = 5\nrefs = 2\n")
	if v := w.push(p, "refs/heads/main", tip); v.Verdict != Refused || v.Refs[0].Judged != 5 || names(v)[0] != PushTooLarge {
		t.Errorf("too many commits: %+v", v.Refs)
	}
	if v := w.push(p, "refs/heads/wip/x", tip); v.Verdict != Warned {
		t.Errorf("where the policy only warns, too many commits: %+v", v.Refs)
	}
	g := Gate{Policy: p, Source: w, Now: now}
	v, err := g.Push(context.Background(), make([]Update, 3), KeepFaulty)
	if err != nil || v.Verdict != Refused || names(v)[0] != PushTooLarge {
		t.Errorf("too many refs: %+v, %v", v, err)
	}
	if got := text(t, v); !strings.Contains(got, "refused the push") {
		t.Errorf("words:\n%s", got)
	}
}

func TestAVerdictDoesNotGrowWithThePush(t *testing.T) {
	w := newWorld(t)
	var silent []int
	for i := range 3 * MaxListed {
		silent = append(silent, i)
	}
	tip := w.line(w.root(), len(silent), silent...)
	var updates []Update
	for i := range 15 {
		updates = append(updates, Update{Ref: fmt.Sprintf("refs/heads/b%d", i), New: tip})
	}
	g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now}
	v, err := g.Push(context.Background(), updates, KeepFaulty)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Commits) != maxListedAll {
		t.Errorf("%d commits listed", len(v.Commits))
	}
	if r := v.Refs[14]; r.Faulty != len(silent) || r.Judged != len(silent)+1 {
		t.Errorf("they are not all counted: %+v", r)
	}
}

// However many look at commits at once, the verdict is the same, in the same order.
func TestManyWorkersGiveOneVerdict(t *testing.T) {
	w := newWorld(t)
	tip := w.line(w.root(), 600, 3, 77, 78, 300, 599)
	var want Verdict
	for _, n := range []int{1, 2, 7, 64} {
		g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now, Workers: n}
		got, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			want = got
			if got.Refs[0].Judged != 601 || got.Refs[0].Faulty != 5 {
				t.Fatalf("%+v", got.Refs)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers: -one +many\n%s", n, diff)
		}
	}
}

func TestWhatCannotBeCheckedIsAnErrorNeverAnAcceptance(t *testing.T) {
	gone := errors.New("the disk is gone")
	for _, c := range []struct {
		name  string
		spoil func(w *world, tip change.ID)
		want  error
	}{
		{"a hole in history", func(w *world, tip change.ID) { w.cut[tip] = true }, change.ErrMissing},
		{"files that cannot be read", func(w *world, _ change.ID) { w.mute = gone }, gone},
		{"a new value that is not there", func(w *world, tip change.ID) { delete(w.objects, tip) }, change.ErrMissing},
		{"a file that is not there", func(w *world, _ change.ID) {
			for id, o := range w.objects {
				if o.kind == "blob" {
					delete(w.objects, id)
				}
			}
		}, change.ErrMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			root := w.root()
			// Signed elsewhere, so that files must be read.
			base := w.commit(sketch{parents: []change.ID{root}, files: moved, values: none, by: w.by(alice)})
			tip := w.commit(sketch{parents: []change.ID{base}, files: picked, onto: []change.ID{root}, claimed: after, values: none, by: w.by(alice)})
			c.spoil(w, tip)
			g := Gate{Policy: rules(t, house(t, "")), Source: w, Now: now}
			v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepFaulty)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v (%+v)", err, c.want, v)
			}
		})
	}
}

func TestGivingUpLeavesNothingRunning(t *testing.T) {
	w := newWorld(t)
	tip := w.line(w.root(), 300)
	p := rules(t, house(t, ""))
	start := runtime.NumGoroutine()
	for _, after := range []int{0, 1, 50, 250} {
		ctx, cancel := context.WithCancel(context.Background())
		g := Gate{Policy: p, Source: &quitting{world: w, after: after, quit: cancel}, Now: now, Workers: 3}
		if _, err := g.Push(ctx, []Update{{Ref: "refs/heads/main", New: tip}}, KeepFaulty); !errors.Is(err, context.Canceled) {
			t.Errorf("given up after %d commits: %v", after, err)
		}
		cancel()
	}
	for i := 0; runtime.NumGoroutine() > start; i++ {
		if i == 200 {
			t.Fatalf("%d goroutines are left, %d before", runtime.NumGoroutine(), start)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// quitting gives up in the middle, and its list of commits then just ends.
type quitting struct {
	*world
	after int
	quit  func()
}

func (q *quitting) Commits(ctx context.Context, include, exclude []change.ID, limit int64) iter.Seq2[change.RawCommit, error] {
	return func(yield func(change.RawCommit, error) bool) {
		n := 0
		for c, err := range q.world.Commits(context.Background(), include, exclude, limit) {
			if n++; n > q.after {
				q.quit()
				return
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// Where no policy is known, only what the commit itself gets wrong is told.
func TestFormAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		sketch sketch
		want   []string
	}{
		{"a stranger's good signature", sketch{values: []string{strings.Replace(good, "anthropic/claude-sonnet-4-5", "acme/banned", 1)}, by: []attestation.Signer{signer(t, stranger)}}, nil},
		{"nothing said", sketch{}, nil},
		{"a forgery", sketch{values: none, by: []attestation.Signer{signer(t, stranger)}, forge: later1}, []string{AttestationInvalid}},
		{"a stale signature", sketch{values: none, by: []attestation.Signer{signer(t, stranger)}, claimed: before}, []string{AttestationStale}},
		{"a signature that nobody here can check", sketch{values: none, by: []attestation.Signer{dsseSigner{newKey(stranger)}}}, []string{SignerUnknown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.sketch.parents, c.sketch.files = []change.ID{w.root()}, after
			g := Gate{Policy: rules(t, "schema = 1\n[defaults]\nmode = \"warn\"\n"), Source: w, Now: now, FormOnly: true}
			v, err := g.Check(context.Background(), Range{Ref: "refs/heads/main", Include: []change.ID{w.commit(c.sketch)}}, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Push and Check give the same findings: what a laptop is told is what the server says.
func TestCheckSaysWhatPushSays(t *testing.T) {
	w := newWorld(t)
	tip := w.line(w.root(), 20, 4, 9)
	p := rules(t, house(t, ""))
	pushed := w.push(p, "refs/heads/main", tip)
	g := Gate{Policy: p, Source: w, Now: now}
	checked, err := g.Check(context.Background(), Range{Ref: "refs/heads/main", Include: []change.ID{tip}}, KeepAll)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pushed.Commits, checked.Commits); diff != "" {
		t.Errorf("-push +check\n%s", diff)
	}
}

// A commit in any place of a long history finds its parent's tree.
func TestParentsFarBack(t *testing.T) {
	w := newWorld(t)
	m := treeMemory{young: map[change.ID]change.ID{}, source: w}
	root := w.root()
	m.learn(root, w.treeOf(root))
	for i := range 3 * maxYoung {
		m.learn(change.ID(fmt.Sprintf("%020d", i)), "t")
	}
	got, err := m.of(context.Background(), root)
	if err != nil || got != w.treeOf(root) {
		t.Errorf("got %v, %v", got, err)
	}
	if n := len(m.young) + len(m.old); n > 2*maxYoung {
		t.Errorf("%d trees are remembered", n)
	}
}

// Threat 33: the merge's signature must not fit a copy that hides what was merged.
func TestASignedMergeMadeAgainWithOneParentIsStale(t *testing.T) {
	w := newWorld(t)
	root := w.root()
	merged := map[string]string{"a.txt": "one\ntwo\nthree\n", "b.txt": "new\n"}
	side := w.commit(sketch{parents: []change.ID{root}, files: merged, values: none, by: w.by(alice)})
	merge := sketch{parents: []change.ID{root, side}, files: merged, values: none, by: w.by(alice)}
	again := sketch{parents: []change.ID{root}, files: merged, message: w.message(merge)}
	v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(again))
	if diff := cmp.Diff([]string{AttestationStale}, names(v)); diff != "" {
		t.Errorf("rules -want +got\n%s", diff)
	}
}

func TestNewRefsOfOneHistoryCostWhatOneDoes(t *testing.T) {
	w := newWorld(t)
	g := Gate{Policy: rules(t, house(t, "")+"[limits]\ncommits = 30\n"), Source: w, Now: now}
	good := w.line(w.root(), 10)
	bad := w.line(good, 1, 0)
	var updates []Update
	for i := range 20 {
		updates = append(updates, Update{Ref: fmt.Sprintf("refs/tags/v%d", i), New: good})
	}
	v, err := g.Push(context.Background(), updates, KeepFaulty)
	if err != nil || v.Verdict != Accepted || len(v.Refs) != 20 || v.Refs[0].Judged != 11 {
		t.Fatalf("%v, %+v", err, v)
	}
	g.Policy = rules(t, house(t, ""))
	updates[7].New = bad
	if v, err = g.Push(context.Background(), updates, KeepFaulty); err != nil || v.Verdict != Refused {
		t.Fatalf("%v, %+v", err, v)
	}
	for i, r := range v.Refs {
		if want := i == 7; (r.Verdict == Refused) != want || r.Ref != updates[i].Ref {
			t.Errorf("%s: %s", r.Ref, r.Verdict)
		}
	}
}

// An old commit made again fits its own signature on its own parent; merging it in
// would undo a fix. Where binding is exact the merge itself must be signed.
func TestWhereBindingIsExactNoMergeIsExempt(t *testing.T) {
	w := newWorld(t)
	root := w.root()
	left := map[string]string{"a.txt": "one\nTWO\nthree\n"}
	right := map[string]string{"a.txt": "one\ntwo\nthree\n", "b.txt": "new\n"}
	both := map[string]string{"a.txt": "one\nTWO\nthree\n", "b.txt": "new\n"}
	a := w.commit(sketch{parents: []change.ID{root}, files: left, values: none, by: w.by(alice)})
	b := w.commit(sketch{parents: []change.ID{root}, files: right, values: none, by: w.by(alice)})
	w.merges[[2]change.ID{a, b}] = w.tree(both)
	merge := sketch{parents: []change.ID{a, b}, files: both}
	exact := rules(t, house(t, `binding = "exact"`))
	v := w.push(exact, "refs/heads/main", w.commit(merge))
	if diff := cmp.Diff([]string{AttestationMissing}, names(v)); diff != "" {
		t.Errorf("unsigned: rules -want +got\n%s", diff)
	}
	merge.values, merge.by = none, w.by(alice)
	if v := w.push(exact, "refs/heads/main", w.commit(merge)); v.Verdict != Accepted {
		t.Errorf("signed: %+v", v)
	}
}

// A merge that needs no evidence is read by people all the same.
func TestAnExemptMergeMayNotCiteADeniedModel(t *testing.T) {
	w := newWorld(t)
	root := w.root()
	a := w.commit(sketch{parents: []change.ID{root}, files: after, values: none, by: w.by(alice)})
	b := w.commit(sketch{parents: []change.ID{root}, files: moved, values: none, by: w.by(alice)})
	w.merges[[2]change.ID{a, b}] = w.tree(picked)
	claim := []string{strings.Replace(good, "anthropic/claude-sonnet-4-5", "acme/banned", 1)}
	v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(sketch{parents: []change.ID{a, b}, files: picked, values: claim}))
	if diff := cmp.Diff([]string{ModelDenied}, names(v)); diff != "" {
		t.Errorf("rules -want +got\n%s", diff)
	}
}

func TestASignatureForOtherContentMayNotRideAlong(t *testing.T) {
	w := newWorld(t)
	root := w.root()
	s := sketch{parents: []change.ID{root}, files: after, values: none, by: w.by(alice)}
	other := sketch{parents: []change.ID{root}, files: moved, values: none, by: w.by(gateway)}
	stale := w.attest(other, w.by(gateway)[0])
	s.rewrite = func(message string) string { return message + "AI-Attestation: " + stale.String() + "\n" }
	v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(s))
	if diff := cmp.Diff([]string{AttestationStale}, names(v)); diff != "" {
		t.Errorf("rules -want +got\n%s", diff)
	}
}

func TestANamespaceHidesNoRef(t *testing.T) {
	w := newWorld(t)
	v := w.push(rules(t, house(t, "")), "refs/namespaces/a/refs/replace/x", w.root())
	if v.Verdict != Refused || v.Refs[0].Findings[0].Rule != RefForbidden {
		t.Errorf("%+v", v)
	}
}

// Opening is counted, too: a tree of a few bytes can be opened without end.
func TestReadingManySmallObjectsUsesUpTheBudget(t *testing.T) {
	w := newWorld(t)
	p := rules(t, house(t, "")+fmt.Sprintf("[limits]\nread = \"%dKiB\"\n", openCost>>10))
	root := w.root()
	s := sketch{parents: []change.ID{root}, files: after, values: none, by: w.by(alice), onto: []change.ID{}}
	v := w.push(p, "refs/heads/main", w.commit(s))
	if diff := cmp.Diff([]string{PushTooLarge}, names(v)); diff != "" {
		t.Errorf("rules -want +got\n%s", diff)
	}
}

func TestASignerForSomeModelsMayNotSayThatNoneWasUsed(t *testing.T) {
	w := newWorld(t)
	s := sketch{parents: []change.ID{w.root()}, files: after, values: none, by: w.by(bob)}
	v := w.push(rules(t, house(t, "")), "refs/heads/main", w.commit(s))
	if diff := cmp.Diff([]string{SignerNotAllowed}, names(v)); diff != "" {
		t.Errorf("rules -want +got\n%s", diff)
	}
}
