package receipt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

func TestADecisionIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	d, err := l.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := map[string]Ruling{}
	for n := range 2000 {
		r := Ruling{Verdict: Accepted, Evidence: "attested", Binding: []string{"exact", "change"}[n%2]}
		if n%7 == 0 {
			r = Ruling{Verdict: "exempt", Evidence: "unknown"}
		}
		if n%501 == 0 {
			r = Ruling{Verdict: Warned, Evidence: "declared", Rules: []string{"time-skew"}, Beside: true}
		}
		ref := fmt.Sprintf("refs/heads/%d", n/900)
		want[ref+" "+id(n).String()] = r
		if err := d.Commit(ref, id(n), r); err != nil {
			t.Fatal(err)
		}
	}
	made := Decision{Time: received, Pusher: &Pusher{Source: "gitlab", Name: "alice"}, Policy: "sha256:12", Verdict: Warned,
		Refs: []Ref{{Name: "refs/heads/0", New: id(1), Mode: "enforce", Evidence: "attested", Via: "any", Binding: "change", Verdict: Accepted, Judged: 900}}}
	if _, err := d.Decide(t.Context(), made, nil); err != nil {
		t.Fatal(err)
	}
	intact(t, l, dir)
	got := map[string]Ruling{}
	count := 0
	for line, err := range l.Lines(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch body := line.Body.(type) {
		case *Commits:
			count++
			for _, id := range body.IDs {
				got[body.Ref+" "+id.String()] = body.Ruling
			}
		case *Decision:
			made.Commits, made.unit = 2000, body.unit
			if diff := cmp.Diff(&made, body, equalBodies); diff != "" {
				t.Errorf("-made +read\n%s", diff)
			}
		}
	}
	if diff := cmp.Diff(want, got, equalBodies); diff != "" {
		t.Errorf("commits: -told +read\n%s", diff)
	}
	// 256 ids fit into a line; each ref begins its own.
	if count > 2000/idsInLine+3*4 {
		t.Errorf("%d lines for 2000 commits", count)
	}
	if size := len(read(t, first(dir))); size > 2000*47 {
		t.Errorf("%d bytes for 2000 commits", size)
	}
}

// Commits that alternate do not each take a line.
func TestCommitsThatCameToTheSameShareALine(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	d, err := l.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for n := range 10_000 { // more kinds than are kept open at once
		r := Ruling{Verdict: Refused, Evidence: "unknown", Rules: []string{fmt.Sprint(n % 20)}}
		if err := d.Commit("refs/heads/main", id(n), r); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.open) > openRulings || d.spool.size() > 10_000*300 {
		t.Errorf("%d lines are open, and %d bytes spooled", len(d.open), d.spool.size())
	}
	if _, err := d.Decide(t.Context(), Decision{Time: received, Verdict: Refused}, nil); err != nil {
		t.Fatal(err)
	}
	if v := intact(t, l, dir); v.Commits != 10_000 {
		t.Errorf("%+v", v)
	}
}

func TestMemoryDoesNotGrowWithAPush(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	d, err := l.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	held := 0
	for n := range 100_000 {
		if err := d.Commit("refs/heads/main", id(n%100), attested); err != nil {
			t.Fatal(err)
		}
		held = max(held, cap(d.spool.memory))
	}
	if held > 2*spoolMemory {
		t.Errorf("%d bytes were held", held)
	}
	if names, _ := l.volume.List(); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, ".spool") }) {
		t.Errorf("the spool has a name: %q", names)
	}
	if _, err := d.Decide(t.Context(), Decision{Time: received, Verdict: Accepted}, nil); err != nil {
		t.Fatal(err)
	}
	if v := intact(t, l, dir); v.Commits != 100_000 || v.Seq != 100_000/idsInLine+2 {
		t.Errorf("%+v", v)
	}
}

// What is judged again is told once, in memory or spooled.
func TestBackTakesBackWhatWasTold(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 300, 20_000} {
		l, dir := newLog(t)
		d, err := l.Begin()
		if err != nil {
			t.Fatal(err)
		}
		tell := func(ref string, n int) {
			for i := range n {
				if err := d.Commit(ref, id(i%50), attested); err != nil {
					t.Fatal(err)
				}
			}
		}
		tell("refs/heads/a", n)
		if err := d.Mark(); err != nil {
			t.Fatal(err)
		}
		tell("refs/heads/b", n)
		d.Back()
		tell("refs/heads/c", 2*n)
		if _, err := d.Decide(t.Context(), Decision{Time: received, Verdict: Accepted}, nil); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if v := intact(t, l, dir); v.Commits != int64(3*n) {
			t.Errorf("%d: %+v", n, v)
		}
		told := map[string]int{}
		for line, err := range l.Lines(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := line.Body.(*Commits); ok {
				told[c.Ref] += len(c.IDs)
			}
		}
		if told["refs/heads/a"] != n || told["refs/heads/b"] != 0 || told["refs/heads/c"] != 2*n {
			t.Errorf("%d: %v", n, told)
		}
	}
}

func TestANewFileGoesOnWithTheChain(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	l.MaxFile = 3000
	for n := range 30 {
		p := onto("refs/heads/main", n, n+1, n)
		seq := decide(t, l, p)
		if n%3 == 0 {
			if of := finish(t, l, p.refs...); of != seq {
				t.Fatalf("the outcome of %d is taken for that of %d", seq, of)
			}
		}
	}
	v := intact(t, l, dir)
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if v.Decisions != 30 || v.Outcomes != 10 || v.Files != len(files) || v.Files < 5 {
		t.Errorf("%d files, and %+v", len(files), v)
	}
	for _, name := range files {
		if size := len(read(t, name)); size > 3000+3000 {
			t.Errorf("%s has %d bytes", name, size)
		}
	}
	if head, err := Open(dir).Last(t.Context()); err != nil || head.Seq != v.Seq || head.Hash.String() != v.Hash || head.Time != received {
		t.Errorf("the head is %+v, %v", head, err)
	}
	// A file that was begun when the power failed, and nothing else.
	write(t, nil, dir, fileName(v.Files+1))
	if head, err := l.Last(t.Context()); err != nil || head.Seq != v.Seq {
		t.Errorf("with an empty file, the head is %+v, %v", head, err)
	}
	decide(t, l, onto("refs/heads/main", 30, 31, 1))
	if again := intact(t, l, dir); again.Files != v.Files+1 {
		t.Errorf("%+v", again)
	}
}

func TestNoReceiptsAreNoError(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	if head, err := l.Last(t.Context()); err != nil || head != (Head{}) {
		t.Errorf("%+v, %v", head, err)
	}
	if v := verify(t, l); !v.Intact || v.Seq != 0 {
		t.Errorf("%+v", v)
	}
	for d, err := range l.Decisions(t.Context()) {
		t.Errorf("%v, %v", d, err)
	}
	a, err := l.Accepted(t.Context())
	if _, ok := a.Of("refs/heads/main", id(1)); err != nil || ok {
		t.Errorf("covered: %v, %v", ok, err)
	}
}

func TestFilesHaveThePermissionsOfTheirDirectory(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o755, 0o775 | os.ModeSetgid, 0o700, 0o770} {
		top := t.TempDir()
		if err := os.Chmod(top, mode); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(top, "receipts")
		l := Open(dir)
		l.MaxFile = 1
		decide(t, l, onto("refs/heads/main", 0, 1, 1))
		decide(t, l, onto("refs/heads/main", 1, 2, 1))
		if _, err := l.Accepted(t.Context()); err != nil {
			t.Fatal(err)
		}
		names, err := l.volume.List()
		if err != nil || len(names) != 4 {
			t.Fatalf("%q, %v", names, err)
		}
		for _, name := range append(names, ".") {
			want := mode & 0o666
			if name == "." {
				want = mode
			}
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&(os.ModePerm|os.ModeSetgid) != want {
				t.Errorf("%v: %s has %v, want %v", mode, name, info.Mode(), want)
			}
		}
	}
}

// Verify finds out what was done to lines, and says where.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	l.MaxFile = 2500
	for n := range 12 {
		p := onto("refs/heads/main", n, n+1, 2)
		decide(t, l, p)
		finish(t, l, p.refs...)
	}
	whole := map[string][]byte{}
	names, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(names) < 4 {
		t.Fatalf("%d files are too few", len(names))
	}
	for _, name := range names {
		whole[name] = read(t, name)
	}
	second := names[1]
	lines := slices.Collect(bytes.Lines(whole[second]))
	for _, c := range []struct {
		name  string
		do    func()
		where string
	}{
		{"a line edited", func() {
			write(t, bytes.Replace(whole[second], []byte(`"verdict":"accepted"`), []byte(`"verdict":"refused!"`), 1), second)
		}, "000002.jsonl:3"}, // the one after it
		{"a line removed", func() { write(t, bytes.Join(slices.Delete(slices.Clone(lines), 1, 2), nil), second) }, "000002.jsonl:2"},
		{"the first line of a file removed", func() { write(t, bytes.Join(lines[1:], nil), second) }, "000002.jsonl:1"},
		{"the last line of a file removed", func() { write(t, bytes.Join(lines[:len(lines)-1], nil), second) }, "000003.jsonl:1"},
		{"two lines exchanged", func() {
			other := slices.Clone(lines)
			other[1], other[2] = other[2], other[1]
			write(t, bytes.Join(other, nil), second)
		}, "000002.jsonl:2"},
		{"a line put in", func() { write(t, bytes.Join(slices.Insert(slices.Clone(lines), 2, lines[1]), nil), second) }, "000002.jsonl:3"},
		{"a line put in that counts on", func() {
			at, _, err := parseHeader(lines[1])
			if err != nil {
				t.Fatal(err)
			}
			forged := append(header(at.Seq+1, at.Hash, TypeOutcome), encodeBody(&Outcome{Time: received, All: true, Decision: 1})...)
			write(t, bytes.Join(slices.Insert(slices.Clone(lines), 2, forged), nil), second)
		}, "000002.jsonl:3"},
		{"a file removed", func() { os.Remove(second) }, "000002.jsonl"},
		{"the first file removed", func() { os.Remove(names[0]) }, "000001.jsonl"},
		{"two files exchanged", func() { write(t, whole[names[2]], second); write(t, whole[second], names[2]) }, "000002.jsonl:1"},
		{"a file emptied", func() { write(t, nil, second) }, "000003.jsonl:1"},
		{"rubbish", func() { write(t, append(slices.Clone(whole[second]), "rubbish\n"...), second) }, fmt.Sprintf("000002.jsonl:%d", len(lines)+1)},
		{"a line without end", func() { write(t, append(slices.Clone(whole[second]), "rubbish"...), second) }, fmt.Sprintf("000002.jsonl:%d", len(lines)+1)},
		{"a very long line", func() {
			write(t, append(slices.Clone(whole[second]), bytes.Repeat([]byte("x"), 3*MaxLine)...), second)
		}, fmt.Sprintf("000002.jsonl:%d", len(lines)+1)},
	} {
		c.do()
		if v := verify(t, l); v.Intact || !strings.HasPrefix(v.Broken, c.where+": ") {
			t.Errorf("%s: %+v, want %s", c.name, v, c.where)
		}
		for name, data := range whole {
			write(t, data, name)
		}
		if v := verify(t, l); !v.Intact {
			t.Fatalf("after %s was undone: %+v", c.name, v)
		}
	}
}

// Whatever byte is changed, receipts are broken, or their head is another than the
// one that was published.
func TestNoByteCanBeChanged(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	signed := onto("refs/heads/main", 0, 1, 3)
	signed.key = signer(t, 1)
	decide(t, l, signed)
	finish(t, l, signed.refs...)
	head := verify(t, l)
	whole := read(t, first(dir))
	for at := range whole {
		changed := slices.Clone(whole)
		changed[at] ^= []byte{1, 0x20, 0x80}[at%3]
		write(t, changed, first(dir))
		if v := verify(t, l); v.Intact && v.Seq == head.Seq && v.Hash == head.Hash {
			t.Fatalf("byte %d, changed from %q to %q, is not noticed", at, whole[at], changed[at])
		}
	}
}

func TestSignaturesStandForAllThatIsBefore(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	server, other := signer(t, 1), signer(t, 2)
	decide(t, l, onto("refs/heads/main", 0, 1, 1))
	signed := onto("refs/heads/main", 1, 2, 1)
	signed.key = server
	seq := decide(t, l, signed)
	finish(t, l, signed.refs...)
	key := server.PublicKey().Fingerprint()
	v := verify(t, l, key)
	if diff := cmp.Diff([]Signed{{key, 1, seq}}, v.Signatures); !v.Intact || v.Unsigned != 0 || diff != "" {
		t.Errorf("%+v\n%s", v, diff)
	}
	if v := verify(t, l, other.PublicKey().Fingerprint()); v.Intact || !strings.Contains(v.Broken, "the last 2 decisions are not signed by") {
		t.Errorf("by another key: %+v", v)
	}
	if d := decided(t, l, seq); d.Signature == nil || !d.Signature.Key.Equal(server.PublicKey()) {
		t.Errorf("%+v", d)
	}
	decide(t, l, onto("refs/heads/main", 2, 3, 1))
	if v := verify(t, l, key); v.Intact || !strings.Contains(v.Broken, "the last 1 decisions") {
		t.Errorf("an unsigned decision behind a signed one: %+v", v)
	}
	if v := verify(t, l); !v.Intact || v.Unsigned != 1 {
		t.Errorf("%+v", v)
	}

	// Somebody without the key writes the chain anew, and must leave the signature as it is.
	forged, forgedDir := newLog(t)
	decide(t, forged, onto("refs/heads/main", 0, 7, 1))
	decide(t, forged, signed)
	data := read(t, first(forgedDir))
	cut := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	last, _, err := parseHeader(data[cut:])
	if err != nil {
		t.Fatal(err)
	}
	old := decided(t, l, seq).Signature
	write(t, append(data[:cut:cut], append(header(last.Seq, last.Prev, TypeSignature), encodeBody(old)...)...), first(forgedDir))
	if v := verify(t, forged); v.Intact || !strings.Contains(v.Broken, "the signature over the decision before it is not valid") {
		t.Errorf("with the signature of another chain: %+v", v)
	}
	// A decision that is to be signed is none without its signature.
	write(t, data[:cut], first(forgedDir))
	if v := verify(t, forged); !v.Intact || v.Decisions != 1 || v.Unfinished == 0 {
		t.Errorf("without its signature: %+v", v)
	}
}

// brokenKey is a key that fails, or signs something else.
type brokenKey struct {
	attestation.Signer
	err error
	sig []byte
}

func (k brokenKey) Sign(context.Context, []byte) (attestation.Scheme, []byte, error) {
	return attestation.DSSE, k.sig, k.err
}

func TestAKeyThatDoesNotSignRefusesThePush(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	decide(t, l, onto("refs/heads/main", 0, 1, 1))
	before := read(t, first(dir))
	p := onto("refs/heads/main", 1, 2, 600)
	for _, key := range []brokenKey{{err: errors.New("the key service is away")}, {sig: []byte("rubbish")}} {
		key.Signer = signer(t, 1)
		p.key = key
		if _, err := p.write(t.Context(), l); err == nil || !strings.Contains(err.Error(), "sign with key SHA256:") {
			t.Errorf("%v", err)
		}
		if !bytes.Equal(read(t, first(dir)), before) {
			t.Error("something was left behind")
		}
	}
}

func TestAnOutcomeFindsItsDecision(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	l.MaxFile = 6000
	ref := func(name string, old, new int) Ref {
		r := Ref{Name: "refs/heads/" + name, Mode: "enforce", Evidence: "any", Via: "any", Binding: "change", Verdict: Accepted}
		if old != 0 {
			r.Old = id(old)
		}
		if new != 0 {
			r.New = id(new)
		}
		return r
	}
	both := push{verdict: Accepted, refs: []Ref{ref("a", 0, 1), ref("b", 0, 2)}}
	first := decide(t, l, both)
	second := decide(t, l, push{verdict: Warned, refs: []Ref{ref("a", 1, 3)}})
	refused := decide(t, l, push{verdict: Refused, refs: []Ref{ref("c", 0, 4)}})
	many := push{verdict: Accepted}
	for n := range 2000 {
		many.refs = append(many.refs, ref(fmt.Sprint("many-", n), 0, 10+n))
	}
	third := decide(t, l, many)

	if got := finish(t, l, both.refs[1]); got != first {
		t.Errorf("a part of the first is taken for %d", got)
	}
	if got := finish(t, l, ref("a", 1, 3)); got != second {
		t.Errorf("the second is taken for %d", got)
	}
	if got := finish(t, l, both.refs[0]); got != 0 {
		t.Errorf("what the first left, which has its outcome, is taken for %d", got)
	}
	if got := finish(t, l, ref("c", 0, 4)); got != 0 {
		t.Errorf("the refused one %d has an outcome: %d", refused, got)
	}
	if got := finish(t, l, many.refs...); got != third {
		t.Errorf("the one of many refs is taken for %d", got)
	}
	some := push{verdict: Accepted, refs: slices.Clone(many.refs)}
	for i := range some.refs {
		some.refs[i].Old = id(5)
	}
	fourth := decide(t, l, some)
	if got := finish(t, l, some.refs[:1900]...); got != fourth {
		t.Errorf("a part of many is taken for %d", got)
	}
	deleted := decide(t, l, push{verdict: Accepted, refs: []Ref{ref("a", 3, 0)}})
	if got := finish(t, l, ref("a", 3, 0)); got != deleted {
		t.Errorf("the deletion is taken for %d", got)
	}
	intact(t, l, dir)

	happened := map[int64]int{}
	for d, err := range l.Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		happened[d.Seq] = len(d.Happened())
	}
	want := map[int64]int{first: 1, second: 1, refused: 0, third: 2000, fourth: 1900, deleted: 1}
	if diff := cmp.Diff(want, happened); diff != "" {
		t.Errorf("refs that moved: -want +got\n%s", diff)
	}
}

// Of two pushes of the same, one loses the race, and nobody can tell which.
func TestTwoPushesOfTheSameShareOneOutcome(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	p := onto("refs/heads/main", 0, 1, 1)
	decide(t, l, p)
	decide(t, l, p)
	finish(t, l, p.refs...)
	outcomes := 0
	for d, err := range l.Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		outcomes += len(d.Happened())
	}
	if outcomes != 1 {
		t.Errorf("%d of them happened", outcomes)
	}
}

// Decisions come in order, each with its outcome, however late that is.
func TestDecisionsWaitForTheirOutcome(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	var pushes []push
	var seqs []int64
	for n := range 40 {
		p := onto(fmt.Sprint("refs/heads/", n), 0, n+1, 0)
		if n%5 == 0 {
			p.verdict = Refused
			p.key = signer(t, 1)
		}
		pushes, seqs = append(pushes, p), append(seqs, decide(t, l, p))
	}
	for n, p := range slices.Backward(pushes) {
		if n%5 != 0 && n%3 != 0 {
			finish(t, l, p.refs...)
		}
	}
	n := 0
	for d, err := range l.Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Seq != seqs[n] || (d.Outcome != nil) != (n%5 != 0 && n%3 != 0) || (d.Signature != nil) != (n%5 == 0) {
			t.Errorf("%d: %+v", n, d)
		}
		n++
	}
	if n != 40 {
		t.Errorf("%d decisions", n)
	}
}
