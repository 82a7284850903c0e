package receipt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// Coverage says which values of refs are covered: of all that they reach, but for the
// baseline, every commit was judged in enforce mode, under rules that asked for no less
// than the Standing says.
//
// That a push was accepted is not enough for that: a push judges what is new since
// the ref's old value, and that may have come in while the ref only warned. So the new
// value of an accepted push is covered when the ref was new, or its old value is one of
// the baseline's, or is itself covered; and then by the weaker of the two rules. The old
// value is what the pusher claims, who may claim what they like: whether the push
// happened does not matter, since what it proves is true of the value.
//
// A push that did not judge what a covered value of another ref reaches proves no less,
// as long as that was covered by no weaker a rule (policy.Rule.WeakerThan).
type Coverage struct {
	at    ending // where the receipts ended
	chain chain
	refs  map[string]*values

	unsettled map[int64][]string // the refs that have something pending, by the decision on it
	tidy      int                // how many of them there may be before the stale ones are dropped
	before    []Ref              // of refs lines
	refused   []RefusedChange    // the latest last
}

func newCoverage() *Coverage {
	return &Coverage{refs: map[string]*values{}, unsettled: map[int64][]string{}, tidy: window}
}

// values are the covered values of one ref that it may have now.
type values struct {
	settled *Standing   // of the last push that is known to have happened
	pending []*Standing // of later pushes, of which nobody said yet whether they did
}

// maxPending bounds them: those of many pushes that lost a race for one ref.
const maxPending = 8

// A Standing is what is known of a covered value.
type Standing struct {
	Value    change.ID       // "" waits for the ref to be deleted
	Evidence policy.Evidence // the least that any of the rules asked for
	Via      provenance.Via
	Binding  policy.Binding
	Models   string // as in policy.Rule
	Decision int64  // the seq of the decision on the value
	Since    int64  // and of the first one of the unbroken run to it
}

// Rule is the weakest rule under which a commit below the value was judged, as far as
// policy.Rule.WeakerThan asks.
func (s Standing) Rule() policy.Rule {
	return policy.Rule{Mode: policy.Enforce, Evidence: s.Evidence, Via: s.Via, Binding: s.Binding, Models: s.Models}
}

// Of returns the standing of a ref's value, ok = false when it is not covered.
func (a *Coverage) Of(ref string, value change.ID) (s Standing, ok bool) {
	v := a.refs[ref]
	if v == nil || value == "" {
		return Standing{}, false
	}
	if s := v.find(value); s != nil {
		return *s, true
	}
	return Standing{}, false
}

// Names are the refs of which something may be covered, in no order.
func (a *Coverage) Names() iter.Seq[string] { return maps.Keys(a.refs) }

func (v *values) find(value change.ID) *Standing {
	for _, s := range slices.Backward(v.pending) {
		if s.Value == value {
			return s
		}
	}
	if v.settled != nil && v.settled.Value == value {
		return v.settled
	}
	return nil
}

// acceptedFile is the cache: what was accepted until some place in the chain. It may
// be deleted at any time.
const acceptedFile = "accepted"

// Accepted works out what is covered now. It reads the cache and the receipts that
// came since; all receipts when there is no cache, or it does not fit the chain.
func (l *Log) Accepted(ctx context.Context) (*Coverage, error) {
	e, err := l.settled(ctx)
	if err != nil {
		return nil, err
	}
	a, err := l.cached(e)
	if err != nil {
		return nil, err
	}
	fresh := a != nil && l.distance(a.at, e) <= l.replay
	if a == nil {
		a = newCoverage()
	}
	if err := a.replayTo(ctx, l, e); err != nil {
		return nil, err
	}
	if !fresh && e.Seq > 0 {
		_ = l.volume.Replace(acceptedFile, a.format()) // without it the next one takes longer, no more
	}
	return a, nil
}

// distance is how many bytes lie between two places, far more than any bound when
// they are not in one file.
func (l *Log) distance(from, to ending) int64 {
	if from.file != to.file {
		return 1 << 62
	}
	return to.offset - from.offset
}

// replayTo applies the receipts from where a stands to e.
func (a *Coverage) replayTo(ctx context.Context, l *Log, e ending) error {
	s := scan{log: l, ctx: ctx, until: e, from: a.at.position, chain: a.chain}
	for line, err := range s.lines() {
		if err != nil {
			return err
		}
		a.take(line)
	}
	a.at, a.chain = e, s.chain
	return nil
}

// take takes in the next line.
func (a *Coverage) take(line Line) {
	switch body := line.Body.(type) {
	case *Refs:
		a.before = append(a.before, body.Refs...)
	case *Decision:
		if !body.refused() && body.Override == "" {
			a.decide(line.Seq, append(a.before, body.Refs...))
		}
		a.refuse(line.Seq, body.Changes)
		a.before = nil
	case *Outcome:
		a.settle(body, append(a.before, body.Refs...))
		a.before = nil
	}
}

// decide takes in what a decision proves.
func (a *Coverage) decide(seq int64, refs []Ref) {
	for _, r := range refs {
		s := a.standing(seq, r)
		if s == nil {
			continue
		}
		for _, name := range r.names() {
			a.expect(name, s)
		}
	}
}

// expect notes that a ref may come to have a value.
func (a *Coverage) expect(ref string, s *Standing) {
	v := a.refs[ref]
	if v == nil {
		if s.Value == "" {
			return
		}
		v = &values{}
		a.refs[ref] = v
	}
	v.pending = append(v.pending, s)
	v.pending = v.pending[max(0, len(v.pending)-maxPending):]
	a.unsettled[s.Decision] = append(a.unsettled[s.Decision], ref)
	if len(a.unsettled) > a.tidy {
		a.index()
	}
}

// index finds out anew what is unsettled.
func (a *Coverage) index() {
	a.unsettled = map[int64][]string{}
	for ref, v := range a.refs {
		for _, s := range v.pending {
			a.unsettled[s.Decision] = append(a.unsettled[s.Decision], ref)
		}
	}
	a.tidy = window + 2*len(a.unsettled)
}

// names are those under which the ref's value can be found: its own, and that of the
// ref that it points at.
func (r Ref) names() []string {
	if r.Target != "" {
		return []string{r.Name, r.Target}
	}
	return []string{r.Name}
}

// standing is what an update that may happen proves of the new value, nil for nothing.
func (a *Coverage) standing(seq int64, r Ref) *Standing {
	if r.New == "" {
		return &Standing{Decision: seq, Since: seq}
	}
	if r.Verdict != Accepted || r.Mode != string(policy.Enforce) || strings.HasPrefix(r.Name, "refs/gatekeeper/") {
		return nil
	}
	s := &Standing{Value: r.New, Evidence: policy.Evidence(r.Evidence), Via: provenance.Via(r.Via), Binding: policy.Binding(r.Binding),
		Models: r.Models, Decision: seq, Since: seq}
	if !s.known() {
		return nil
	}
	if r.Old == "" || r.Baseline {
		return s
	}
	for _, name := range r.names() {
		if v := a.refs[name]; v != nil {
			if before := v.find(r.Old); before != nil {
				return s.join(*before)
			}
		}
	}
	return nil
}

// known reports whether the rule is in words that are known here: one of a newer
// version may ask for less than it seems to.
func (s *Standing) known() bool {
	return slices.Contains([]policy.Evidence{policy.Attested, policy.Declared, policy.AnyEvidence}, s.Evidence) &&
		slices.Contains([]provenance.Via{provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared, policy.ViaAny}, s.Via) &&
		slices.Contains([]policy.Binding{policy.Exact, policy.Change}, s.Binding) && policy.KnownModels(s.Models)
}

// join is s on top of another: what both ask for.
func (s *Standing) join(below Standing) *Standing {
	s.Since = below.Since
	both := policy.Common(s.Rule(), below.Rule())
	s.Evidence, s.Via, s.Binding, s.Models = both.Evidence, both.Via, both.Binding, both.Models
	return s
}

// settle takes in what became of a decision. What it does not say happened may stay
// pending: it is as true as before.
func (a *Coverage) settle(o *Outcome, refs []Ref) {
	moved := make(map[string]change.ID, len(refs))
	for _, r := range refs {
		moved[r.Name] = r.New
	}
	for _, name := range a.unsettled[o.Decision] {
		v := a.refs[name]
		if v == nil {
			continue
		}
		s := v.of(o.Decision)
		if now, ok := moved[name]; s == nil || !o.All && (!ok || now != s.Value) {
			continue
		}
		if v.happened(s); v.settled == nil && len(v.pending) == 0 {
			delete(a.refs, name)
		}
	}
	delete(a.unsettled, o.Decision)
}

// of is what a decision proved of a value that is pending.
func (v *values) of(decision int64) *Standing {
	for _, s := range v.pending {
		if s.Decision == decision {
			return s
		}
	}
	return nil
}

// happened says that the ref came to have the value, so that what was pending before
// is past.
func (v *values) happened(s *Standing) {
	v.settled = s
	if s.Value == "" {
		v.settled = nil
	}
	v.pending = slices.DeleteFunc(v.pending, func(p *Standing) bool { return p.Decision <= s.Decision })
}

const (
	acceptedHead = "gatekeeper accepted 2\n"
	acceptedEnd  = "end "
	anyModels    = "*" // no models, which would be an empty word
)

// format writes the cache: the place in the chain, then a line for each value.
func (a *Coverage) format() []byte {
	b := fmt.Appendf(nil, acceptedHead+"at %d %d %d %s\n", a.at.file, a.at.offset, a.at.Seq, a.at.Hash)
	line := func(kind byte, s *Standing, ref string) {
		if s.Value == "" {
			b = fmt.Appendf(b, "d %d %s\n", s.Decision, escapeName(ref))
			return
		}
		b = fmt.Appendf(b, "%c %s %s %s %s %s %d %d %s\n", kind, s.Value, s.Evidence, s.Via, s.Binding, cmp.Or(s.Models, anyModels), s.Decision, s.Since, escapeName(ref))
	}
	for _, ref := range slices.Sorted(maps.Keys(a.refs)) {
		if s := a.refs[ref].settled; s != nil {
			line('s', s, ref)
		}
		for _, s := range a.refs[ref].pending {
			line('p', s, ref)
		}
	}
	for _, c := range a.refused {
		b = fmt.Appendf(b, "r %s %d %q\n", base64.RawURLEncoding.EncodeToString(c.Change[:]), c.Decision, c.Said)
	}
	return fmt.Appendf(b, acceptedEnd+"%08x\n", crc32.ChecksumIEEE(b))
}

// cached reads the cache; nil says that there is none that fits the chain.
func (l *Log) cached(e ending) (*Coverage, error) {
	data, err := l.cache()
	if err != nil {
		return nil, err
	}
	a, ok := parseCoverage(data)
	if !ok {
		return nil, nil
	}
	fits, err := l.fits(a.at, e)
	if err != nil || !fits {
		return nil, err
	}
	return a, nil
}

// cache is what stands in the cache, nothing when there is none.
func (l *Log) cache() ([]byte, error) {
	f, err := l.volume.Open(acceptedFile, readOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	return data, nil
}

// fits reports whether a place is one in the chain that ends at e.
func (l *Log) fits(at, e ending) (bool, error) {
	if !slices.Contains(e.files, at.file) || at.file > e.file || at.file == e.file && at.offset > e.offset {
		return false, nil
	}
	f, err := l.volume.Open(fileName(at.file), readOnly)
	if err != nil {
		return false, fmt.Errorf("read receipts: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || at.offset < 1 || at.offset > size {
		return false, wrap("read receipts", err)
	}
	_, line, err := readLineBefore(f, at.offset)
	if errors.As(err, new(*BrokenError)) {
		return false, nil
	}
	return err == nil && line.Seq == at.Seq && line.Hash == at.Hash, wrap("read receipts", err)
}

// parseCoverage reads what format wrote.
func parseCoverage(data []byte) (*Coverage, bool) {
	i := bytes.LastIndex(data, []byte("\n"+acceptedEnd)) + 1
	if i == 0 || string(data[i:]) != fmt.Sprintf(acceptedEnd+"%08x\n", crc32.ChecksumIEEE(data[:i])) {
		return nil, false
	}
	text, ok := strings.CutPrefix(string(data[:i]), acceptedHead)
	first, text, ok2 := strings.Cut(text, "\n")
	a, n := newCoverage(), strings.Count(text, "\n")
	if !ok || !ok2 || !a.parsePlace(first) {
		return nil, false
	}
	a.refs = make(map[string]*values, n)
	standings, refs := make([]Standing, n), make([]values, n) // there may be many
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		n--
		if rest, is := strings.CutPrefix(line, "r "); is {
			if !a.parseRefused(rest) {
				return nil, false
			}
			continue
		}
		if n < 0 || !a.parseStanding(line, &standings[n], &refs[n]) {
			return nil, false
		}
	}
	a.index()
	return a, true
}

func (a *Coverage) parsePlace(line string) bool {
	var hash string
	n, err := fmt.Sscanf(line, "at %d %d %d %s", &a.at.file, &a.at.offset, &a.at.Seq, &hash)
	if err != nil || n != 4 || len(hash) != 2*len(a.at.Hash) {
		return false
	}
	if _, err := hex.Decode(a.at.Hash[:], []byte(hash)); err != nil {
		return false
	}
	a.chain = chain{a.at.Seq, a.at.Hash}
	return true
}

func (a *Coverage) parseRefused(line string) bool {
	id, rest, _ := strings.Cut(line, " ")
	seq, quoted, _ := strings.Cut(rest, " ")
	change, ok := parseChangeID(id)
	decision, err1 := strconv.ParseInt(seq, 10, 64)
	said, err2 := strconv.Unquote(quoted)
	if !ok || err1 != nil || err2 != nil || decision < 1 {
		return false
	}
	a.refuse(decision, []RefusedChange{{Change: change, Said: said}})
	return true
}

// parseStanding reads a line into s, and fresh when the ref is a new one.
func (a *Coverage) parseStanding(line string, s *Standing, fresh *values) bool {
	kind, line, _ := strings.Cut(line, " ")
	if kind != "d" {
		var words [5]string
		for i := range words {
			words[i], line, _ = strings.Cut(line, " ")
		}
		s.Value, _ = change.ParseID(words[0])
		s.Evidence, s.Via, s.Binding = policy.Evidence(words[1]), provenance.Via(words[2]), policy.Binding(words[3])
		if s.Models = words[4]; s.Models == anyModels {
			s.Models = ""
		}
		if s.Value == "" || !s.known() {
			return false
		}
	}
	number := func() (n int64) {
		var word string
		word, line, _ = strings.Cut(line, " ")
		n, _ = strconv.ParseInt(word, 10, 64)
		return n
	}
	s.Decision = number()
	if s.Since = s.Decision; kind != "d" {
		s.Since = number()
	}
	ref, err := unescapeName(line)
	if err != nil || s.Decision < 1 || s.Since < 1 || ref == "" {
		return false
	}
	v := a.refs[ref]
	if v == nil {
		v = fresh
		a.refs[ref] = v
	}
	switch kind {
	case "s":
		v.settled = s
	case "p", "d":
		v.pending = append(v.pending, s)
	default:
		return false
	}
	return true
}
