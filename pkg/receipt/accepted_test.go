package receipt

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A model is a repository as the receipts see it, and what was really judged.
type model struct {
	t        *testing.T
	rand     *rand.Rand
	log      *Log
	parents  map[change.ID][]change.ID
	all      []change.ID
	refs     map[string]change.ID
	baseline []change.ID
	judged   map[change.ID][]policy.Rule // the rules by which a commit was judged and accepted in enforce mode
	made     int
}

func (m *model) reach(from ...change.ID) map[change.ID]bool {
	seen := map[change.ID]bool{}
	for len(from) > 0 {
		c := from[0]
		from = from[1:]
		if c != "" && !seen[c] {
			seen[c] = true
			from = append(from, m.parents[c]...)
		}
	}
	return seen
}

// commit makes a commit upon what is there, now and then a merge, or picks an old one.
func (m *model) commit(onto change.ID) change.ID {
	if m.rand.IntN(6) == 0 && len(m.all) > 0 {
		return m.any()
	}
	m.made++
	c := id(m.made)
	if onto != "" {
		m.parents[c] = append(m.parents[c], onto)
	}
	if m.rand.IntN(4) == 0 && len(m.all) > 0 {
		m.parents[c] = append(m.parents[c], m.any())
	}
	m.all = append(m.all, c)
	return c
}

func (m *model) any() change.ID { return m.all[m.rand.IntN(len(m.all))] }

var rules = []policy.Rule{
	{Mode: policy.Enforce, Evidence: policy.Attested, Via: "hook", Binding: policy.Exact},
	{Mode: policy.Enforce, Evidence: policy.Attested, Via: "any", Binding: policy.Change},
	{Mode: policy.Enforce, Evidence: policy.Attested, Via: "any", Binding: policy.Change, Models: "a"},
	{Mode: policy.Enforce, Evidence: policy.Declared, Via: "any", Binding: policy.Change, Models: "b"},
	{Mode: policy.Enforce, Evidence: policy.Attested, Via: "hook", Binding: policy.Exact, Models: "a+b"},
	{Mode: policy.Enforce, Evidence: policy.Declared, Via: "process", Binding: policy.Change},
	{Mode: policy.Enforce, Evidence: policy.AnyEvidence, Via: "any", Binding: policy.Exact},
	{Mode: policy.Warn, Evidence: policy.Attested, Via: "any", Binding: policy.Exact},
	{Mode: policy.Off, Evidence: policy.Attested, Via: "any", Binding: policy.Exact},
}

// update is a push of one ref by somebody who may lie about its old value. It returns
// what the receipt says, and the commits that were judged.
func (m *model) update() (Ref, []change.ID) {
	name := fmt.Sprint("refs/heads/", m.rand.IntN(4))
	rule := rules[m.rand.IntN(len(rules))]
	r := Ref{Name: name, Old: m.refs[name], Mode: string(rule.Mode), Evidence: string(rule.Evidence), Via: string(rule.Via),
		Binding: string(rule.Binding), Models: rule.Models, Verdict: Accepted}
	if m.rand.IntN(8) == 0 && len(m.all) > 0 {
		r.Old = m.any()
	}
	if m.rand.IntN(8) == 0 {
		r.Old = ""
	}
	if m.rand.IntN(10) == 0 {
		return r, nil // a deletion, or nothing at all
	}
	r.New = m.commit(r.Old)
	r.Baseline = slices.Contains(m.baseline, r.Old)
	if rule.Mode == policy.Off {
		return r, nil
	}
	exclude := append([]change.ID{r.Old}, m.baseline...)
	exclude = append(exclude, m.excluded(name, rule)...)
	known := m.reach(exclude...)
	var judged []change.ID
	for c := range m.reach(r.New) {
		if !known[c] {
			judged = append(judged, c)
		}
	}
	return r, judged
}

// excluded are the values of other refs that need not be judged again, for what the
// receipts say of them.
func (m *model) excluded(name string, rule policy.Rule) (ids []change.ID) {
	a, err := m.log.Accepted(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for other, value := range m.refs {
		if s, ok := a.Of(other, value); ok && other != name && !s.Rule().WeakerThan(rule) {
			ids = append(ids, value)
		}
	}
	return ids
}

// push is a push of one ref or two, of which not all happen and not all is written down.
func (m *model) push() {
	p := push{verdict: Accepted}
	judged := map[int][]change.ID{}
	for i := range 1 + m.rand.IntN(2) {
		r, commits := m.update()
		if r.Verdict == Accepted && r.Mode == string(policy.Warn) && m.rand.IntN(3) == 0 {
			r.Verdict, p.verdict = Warned, Warned
		}
		p.refs, judged[i] = append(p.refs, r), commits
	}
	if m.rand.IntN(10) == 0 {
		p.verdict = Refused
		p.refs[0].Verdict = Refused
	}
	decide(m.t, m.log, p)
	if p.verdict == Refused {
		return
	}
	var happened []Ref
	for i, r := range p.refs {
		if r.Mode == string(policy.Enforce) {
			for _, c := range judged[i] {
				m.judged[c] = append(m.judged[c], ruleOf(r))
			}
		}
		if r.Old == m.refs[r.Name] && m.rand.IntN(6) != 0 {
			happened = append(happened, r)
			if m.refs[r.Name] = r.New; r.New == "" {
				delete(m.refs, r.Name)
			}
		}
	}
	if len(happened) > 0 && m.rand.IntN(6) != 0 {
		finish(m.t, m.log, happened...)
	}
}

func ruleOf(r Ref) policy.Rule {
	return policy.Rule{Mode: policy.Mode(r.Mode), Evidence: policy.Evidence(r.Evidence), Via: provenance.Via(r.Via), Binding: policy.Binding(r.Binding), Models: r.Models}
}

// sound fails when something is called covered that is not.
func (m *model) sound() (covered int) {
	m.t.Helper()
	a, err := m.log.Accepted(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	known := m.reach(m.baseline...)
	for n := range 4 {
		name := fmt.Sprint("refs/heads/", n)
		for _, value := range m.all {
			s, ok := a.Of(name, value)
			if !ok {
				continue
			}
			if m.refs[name] == value {
				covered++
			}
			for c := range m.reach(value) {
				if !known[c] && !slices.ContainsFunc(m.judged[c], func(r policy.Rule) bool { return !r.WeakerThan(s.Rule()) }) {
					m.t.Fatalf("%s at %.8s is covered by %+v, but below it %.8s was judged by %v only", name, value, s, c, m.judged[c])
				}
			}
		}
	}
	return covered
}

// In whatever way pushes come, lie, fail and are lost, what is called covered was
// judged, all of it, by no weaker a rule; and the cache never makes a difference.
func TestWhatIsCoveredWasJudged(t *testing.T) {
	t.Parallel()
	covered, checked := 0, 0
	for seed := range 25 {
		l, dir := newLog(t)
		l.MaxFile, l.replay = 4000, int64(seed%4)*600
		m := &model{t: t, rand: rand.New(rand.NewPCG(uint64(seed), 1)), log: l, parents: map[change.ID][]change.ID{},
			refs: map[string]change.ID{}, judged: map[change.ID][]policy.Rule{}}
		m.refs["refs/heads/0"] = m.commit("")
		m.baseline = []change.ID{m.refs["refs/heads/0"]}
		for step := range 60 {
			m.push()
			if step%5 == 0 {
				covered += m.sound()
				checked += len(m.refs)
				cached(t, l)
			}
		}
		intact(t, l, dir)
	}
	if covered < checked/10 {
		t.Errorf("of %d values only %d were covered: the test shows little", checked, covered)
	}
}

// cached compares what the cache leads to with what all receipts do.
func cached(t *testing.T, l *Log) {
	t.Helper()
	with, err := l.Accepted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.settled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	without := newCoverage()
	if err := without.replayTo(t.Context(), l, e); err != nil {
		t.Fatal(err)
	}
	if a, b := with.format(), without.format(); !bytes.Equal(a, b) {
		t.Fatalf("with the cache\n%s\nwithout\n%s", a, b)
	}
}

// In the life of a branch nothing is lost that need not be.
func TestTheLifeOfABranchIsCovered(t *testing.T) {
	t.Parallel()
	strong := func(r Ref) Ref { r.Evidence, r.Via, r.Binding = "attested", "hook", "exact"; return r }
	weak := func(r Ref) Ref { r.Evidence, r.Via, r.Binding = "attested", "any", "change"; return r }
	mode := func(mode string) func(Ref) Ref { return func(r Ref) Ref { r = strong(r); r.Mode = mode; return r } }
	base := func(r Ref) Ref { r = strong(r); r.Baseline = true; return r }
	alias := func(r Ref) Ref { r = strong(r); r.Target = "refs/heads/target"; return r }
	type step struct {
		old, new int
		as       func(Ref) Ref
		fate     string // happens | is lost (no outcome) | fails
		want     string // of the ref's value after it, "" for not covered
	}
	for _, c := range []struct {
		name  string
		ref   string
		steps []step
	}{
		{"a new branch, and on", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {1, 2, strong, "happens", "hook exact"}}},
		{"by a weaker rule, and ever after", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {1, 2, weak, "happens", "any change"}, {2, 3, strong, "happens", "any change"}}},
		{"one that was there before", "refs/heads/a", []step{{7, 8, strong, "happens", ""}, {8, 9, strong, "happens", ""}}},
		{"one that is in the baseline", "refs/heads/a", []step{{7, 8, base, "happens", "hook exact"}, {8, 9, strong, "happens", "hook exact"}}},
		{"one that only warned, raised to enforce", "refs/heads/a", []step{{0, 1, mode("warn"), "happens", ""}, {1, 2, strong, "happens", ""}}},
		{"one that warned for a while", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {1, 2, mode("warn"), "happens", ""}, {2, 3, strong, "happens", ""}}},
		{"one that was off", "refs/heads/a", []step{{0, 1, mode("off"), "happens", ""}, {1, 2, strong, "happens", ""}}},
		{"deleted and made anew", "refs/heads/a", []step{{7, 8, strong, "happens", ""}, {8, 0, strong, "happens", ""}, {0, 9, strong, "happens", "hook exact"}}},
		{"moved back", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {1, 2, strong, "happens", "hook exact"}, {2, 1, strong, "happens", "hook exact"}}},
		{"the outcome is lost", "refs/heads/a", []step{{0, 1, strong, "is lost", "hook exact"}, {1, 2, strong, "is lost", "hook exact"}, {2, 3, strong, "happens", "hook exact"}}},
		{"pushes that lose the race", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {1, 2, strong, "fails", "hook exact"}, {1, 3, strong, "fails", "hook exact"},
			{1, 4, strong, "happens", "hook exact"}}},
		{"a push that claims another old value", "refs/heads/a", []step{{0, 1, strong, "happens", "hook exact"}, {9, 5, strong, "fails", "hook exact"}, {5, 6, strong, "fails", "hook exact"}}},
		{"records", "refs/gatekeeper/records/0123456789abcdef", []step{{0, 1, strong, "happens", ""}}},
		{"a rule of a newer version", "refs/heads/a", []step{{0, 1, func(r Ref) Ref { r = strong(r); r.Via = "telepathy"; return r }, "happens", ""}}},
		{"a ref that points at another", "refs/heads/alias", []step{{0, 1, alias, "happens", "hook exact"}, {1, 2, alias, "happens", "hook exact"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLog(t)
			value := 0
			for i, s := range c.steps {
				p := onto(c.ref, s.old, s.new, 1)
				p.refs[0] = s.as(p.refs[0])
				if s.new == 0 {
					p.refs[0].New = ""
				}
				decide(t, l, p)
				if s.fate != "fails" {
					value = s.new
				}
				if s.fate == "happens" {
					finish(t, l, p.refs...)
				}
				a, err := l.Accepted(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				names := []string{c.ref}
				if p.refs[0].Target != "" {
					names = append(names, p.refs[0].Target)
				}
				for _, name := range names {
					got := ""
					if st, ok := a.Of(name, idOrNone(value)); ok {
						got = fmt.Sprintf("%s %s", st.Via, st.Binding)
					}
					if got != s.want {
						t.Errorf("step %d: %s at %d is %q, want %q", i+1, name, value, got, s.want)
					}
				}
				cached(t, l)
			}
			intact(t, l, dir)
		})
	}
}

func idOrNone(n int) change.ID {
	if n == 0 {
		return ""
	}
	return id(n)
}

func TestAPushThatWasOverriddenProvesNothing(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	d, err := l.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := onto("refs/heads/main", 0, 1, 1)
	if _, err := d.Decide(t.Context(), Decision{Time: received, Verdict: Accepted, Override: "the site is down", Refs: p.refs}, nil); err != nil {
		t.Fatal(err)
	}
	finish(t, l, p.refs...)
	a, err := l.Accepted(t.Context())
	if _, ok := a.Of("refs/heads/main", id(1)); err != nil || ok {
		t.Errorf("covered: %v, %v", ok, err)
	}
}

// The cache may be lost, torn, damaged, or that of other receipts: what is covered
// stays the same. What somebody wrote into it by hand, Verify finds.
func TestTheCacheIsNeverNeeded(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	l.replay = 300
	for n := range 10 {
		p := onto(fmt.Sprint("refs/heads/\xff", n%3), 0, n+1, 1)
		decide(t, l, p)
		if n%2 == 0 {
			finish(t, l, p.refs...)
		}
		if _, err := l.Accepted(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cached(t, l)
	cache := read(t, dir, acceptedFile)
	if a, ok := parseCoverage(cache); !ok || !bytes.Equal(a.format(), cache) {
		t.Fatalf("the cache is not read as it was written:\n%s", cache)
	}
	for at := range cache {
		changed := bytes.Clone(cache)
		changed[at] ^= 1
		for _, data := range [][]byte{changed, cache[:at]} {
			write(t, data, dir, acceptedFile)
			cached(t, l)
		}
	}

	sealed := func(text string) []byte {
		text = text[:strings.LastIndex(text, acceptedEnd)]
		return fmt.Appendf([]byte(text), acceptedEnd+"%08x\n", crc32.ChecksumIEEE([]byte(text)))
	}
	head := string(read(t, dir, acceptedFile))
	place := strings.SplitN(head, "\n", 3)[1]
	words := strings.Fields(place) // at FILE OFFSET SEQ HASH
	for _, other := range []string{
		strings.Replace(place, words[4], strings.Repeat("0", 64), 1),
		fmt.Sprintf("at %s %s 3 %s", words[1], words[2], words[4]),
		fmt.Sprintf("at 2 %s %s %s", words[2], words[3], words[4]),
		fmt.Sprintf("at %s 10 %s %s", words[1], words[3], words[4]),
		fmt.Sprintf("at %s 99999999 %s %s", words[1], words[3], words[4]),
		fmt.Sprintf("at %s -1 %s %s", words[1], words[3], words[4]),
	} {
		write(t, sealed(strings.Replace(head, place, other, 1)), dir, acceptedFile)
		cached(t, l)
	}

	write(t, []byte(head), dir, acceptedFile)
	if v := verify(t, l); !v.Intact {
		t.Errorf("%+v", v)
	}
	write(t, sealed(strings.Replace(head, id(10).String(), id(99).String(), 1)), dir, acceptedFile)
	if v := verify(t, l); v.Intact || !strings.HasPrefix(v.Broken, "accepted: ") {
		t.Errorf("a value put into the cache by hand: %+v", v)
	}
}

// Receipts that were changed are not replayed.
func TestNothingIsCoveredByBrokenReceipts(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	decide(t, l, onto("refs/heads/main", 0, 1, 1))
	decide(t, l, onto("refs/heads/main", 1, 2, 1))
	write(t, bytes.Replace(read(t, first(dir)), []byte(`"mode":"enforce"`), []byte(`"mode":"enforced"`), 1), first(dir))
	if a, err := l.Accepted(t.Context()); err == nil {
		t.Errorf("no error, but %v", slices.Collect(maps.Keys(a.refs)))
	}
}

// BenchmarkAccepted is what a push to a repository of many refs pays to know which of
// their values are covered.
func BenchmarkAccepted(b *testing.B) {
	for _, refs := range []int{1, 5000} {
		b.Run(fmt.Sprint(refs, " refs"), func(b *testing.B) {
			l, _ := newLog(b)
			var p push
			for n := range refs {
				one := onto(fmt.Sprint("refs/heads/topic/of-somebody-", n), 0, n+1, 0)
				p.refs, p.verdict = append(p.refs, one.refs...), Accepted
			}
			decide(b, l, p)
			finish(b, l, p.refs...)
			for n := range 20 { // since the cache was written
				next := onto("refs/heads/main", n, n+1, 3)
				decide(b, l, next)
				finish(b, l, next.refs...)
			}
			if _, err := l.Accepted(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if a, err := l.Accepted(b.Context()); err != nil || len(a.refs) != refs+1 {
					b.Fatal(len(a.refs), err)
				}
			}
		})
	}
}

// BenchmarkDecide is the receipt of a push with its outcome, less the wait for the disk.
func BenchmarkDecide(b *testing.B) {
	for _, commits := range []int{1, 10_000} {
		b.Run(fmt.Sprint(commits, " commits"), func(b *testing.B) {
			l, _ := newLog(b)
			n := 0
			for b.Loop() {
				p := onto("refs/heads/main", n, n+1, commits)
				decide(b, l, p)
				finish(b, l, p.refs...)
				n++
			}
		})
	}
}

// What is read from a cache is what is written into one.
func FuzzCoverage(f *testing.F) {
	place := "at 1 2 3 " + strings.Repeat("ab", 32) + "\n"
	for _, lines := range []string{"", "s " + id(1).String() + " attested any change * 3 1 refs/heads/main\n",
		"s " + id(1).String() + " declared hook exact ab+c- 3 1 refs/heads/\\xff\np " + id(2).String() + " any any exact - 4 1 refs/heads/\\xff\nd 5 refs/heads/\\xff\n",
		"r AQAAAAAAAAAAAAAAAAAAAA 7 \"a b/c\"\n"} {
		f.Add(acceptedHead + place + lines)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := parseCoverage(fmt.Appendf([]byte(text), acceptedEnd+"%08x\n", crc32.ChecksumIEEE([]byte(text))))
		if !ok {
			return
		}
		written := a.format()
		b, ok := parseCoverage(written)
		if !ok || !bytes.Equal(b.format(), written) {
			t.Fatalf("%q is written as\n%q\nand read as %+v", text, written, b)
		}
		for ref, v := range a.refs {
			for _, s := range append(slices.Clone(v.pending), v.settled) {
				if s == nil || s.Value == "" {
					continue
				}
				if got, ok := b.Of(ref, s.Value); !ok || got.Rule().WeakerThan(s.Rule()) && s.Rule().WeakerThan(got.Rule()) {
					t.Fatalf("%q at %s is %+v and was %+v", ref, s.Value, got, s)
				}
			}
		}
	})
}
