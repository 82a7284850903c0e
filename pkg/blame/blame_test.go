package blame_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/blame"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// The records of every commit of a history. Each line of a file begins with the letter
// of who wrote it, from which its record is known without asking anybody: a and b are
// these two, h is nobody and u is unknown.
var values = []string{
	"claude-code/2.0.1 anthropic/claude-sonnet-4-5 lines=1/9 via=hook session=unknown",
	"codex/0.40.0 openai/gpt-5 lines=2/9 via=hook session=unknown",
}

const writers = "abhu"

// history is a repository whose commits have traces.
type history struct {
	*gittest.Repo
	t      *testing.T
	rand   *rand.Rand
	repo   *repo.Repo
	n      int                     // lines written so far, so that no two are alike
	traces map[string]record.Trace // by the subject of their commit, which a rebase keeps
}

func newHistory(t *testing.T, seed uint64, args ...string) *history {
	h := &history{Repo: gittest.New(t, args...), t: t, rand: rand.New(rand.NewPCG(seed, 1)), traces: map[string]record.Trace{}}
	r, err := repo.Open(t.Context(), h.Dir, h.Env)
	if err != nil {
		t.Fatal(err)
	}
	h.repo = r
	return h
}

// edit makes some lines of a text anew, takes some out and puts some in.
func (h *history) edit(text string) string {
	lines := slices.Collect(strings.Lines(text))
	for range 1 + h.rand.IntN(4) {
		at := h.rand.IntN(len(lines) + 1)
		gone := min(h.rand.IntN(3), len(lines)-at)
		var fresh []string
		for range h.rand.IntN(4) {
			h.n++
			fresh = append(fresh, fmt.Sprintf("%c wrote line %d\n", writers[h.rand.IntN(len(writers))], h.n))
		}
		lines = slices.Replace(lines, at, at+gone, fresh...)
	}
	return strings.Join(lines, "")
}

// commit commits the work tree with a trace that is read from its lines.
func (h *history) commit(subject string) {
	h.t.Helper()
	h.Commit(h.t, subject)
	objects, err := h.repo.Batch(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	defer objects.Close()
	c, err := repo.ReadCommit(objects, h.id("HEAD"))
	if err != nil {
		h.t.Fatal(err)
	}
	var parents []change.ID
	for _, p := range c.Parents {
		pc, err := repo.ReadCommit(objects, p)
		if err != nil {
			h.t.Fatal(err)
		}
		parents = append(parents, pc.Tree)
	}
	trace := record.Trace{Records: values}
	d := change.Digester{Visit: func(f change.FileChange) error {
		lines := slices.Collect(strings.Lines(string(f.Text)))
		file := record.TracedFile{Path: f.Path}
		for _, span := range f.Added {
			for _, line := range lines[span.From:span.To] {
				file.Add(sourceOf(line))
			}
		}
		if len(file.Runs) > 0 {
			trace.Files = append(trace.Files, file)
		}
		return nil
	}}
	if _, _, err := d.OfCommit(objects, parents, c.Tree); err != nil {
		h.t.Fatal(err)
	}
	if trace, err = record.ParseTrace(trace.String()); err != nil {
		h.t.Fatal(err)
	}
	h.traces[subject] = trace
}

func sourceOf(line string) int {
	return map[byte]int{'a': 0, 'b': 1, 'h': record.Nobody, 'u': record.Unknown}[line[0]]
}

func (h *history) id(rev string) change.ID {
	id, err := change.ParseID(h.Git(h.t, "rev-parse", rev))
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// blame asks about a file. Verdicts say what the test knows of commits.
func (h *history) blame(path, rev string) []blame.Line {
	h.t.Helper()
	objects, err := h.repo.Batch(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	defer objects.Close()
	var records []provenance.Record
	for _, v := range values {
		r, err := provenance.ParseRecord(v)
		if err != nil {
			h.t.Fatal(err)
		}
		records = append(records, r)
	}
	byDigest := map[provenance.Digest]record.Trace{}
	s := blame.Source{Repo: h.repo, Objects: objects,
		Judge: func(_ context.Context, id change.ID) (gate.CommitVerdict, error) {
			v := gate.CommitVerdict{Records: gate.ViewRecords(records), Evidence: gate.Attested}
			if trace, ok := h.traces[h.Git(h.t, "log", "-1", "--format=%s", id.String())]; ok {
				byDigest[trace.Digest()] = trace
				v.Trace = trace.Digest().String()
			}
			return v, nil
		},
		Traces: func(_ context.Context, d provenance.Digest) (record.Trace, bool, error) {
			trace, ok := byDigest[d]
			return trace, ok, nil
		},
	}
	lines, err := s.File(h.t.Context(), path, rev)
	if err != nil {
		h.t.Fatal(err)
	}
	return lines
}

// check holds what is said of a file against its lines.
func (h *history) check(path string) {
	h.t.Helper()
	lines := h.blame(path, "HEAD")
	text := slices.Collect(strings.Lines(h.Git(h.t, "show", "HEAD:"+path) + "\n"))
	if len(lines) != len(text) && !(len(lines) == 0 && text[0] == "\n") {
		h.t.Fatalf("%s: %d lines, the file has %d", path, len(lines), len(text))
	}
	for i, l := range lines {
		if l.Number != i+1 || l.Text+"\n" != text[i] || l.From != blame.Trace {
			h.t.Errorf("%s:%d: number %d, %q by %s, want %q by its trace", path, i+1, l.Number, l.Text, l.From, text[i])
			continue
		}
		want := sourceOf(text[i])
		said := ""
		if len(l.Records) > 0 {
			said = l.Records[0].Tool
		}
		if wantTool := map[int]string{0: "claude-code", 1: "codex"}[want]; said != wantTool || l.Doubt != (want == record.Unknown) || len(l.Records) > 1 {
			h.t.Errorf("%s:%d: %q is said to be of %q, doubt %v", path, i+1, l.Text, said, l.Doubt)
		}
	}
}

func TestEachLineIsOfWhoWroteIt(t *testing.T) {
	for seed := range uint64(3) {
		for _, format := range []string{"sha1", "sha256"} {
			t.Run(fmt.Sprintf("%s/%d", format, seed), func(t *testing.T) {
				h := newHistory(t, seed, "--object-format="+format)
				paths := []string{"a", "d/b", "d/\"odd\"\tname"}
				texts := map[string]string{}
				for n := range 8 {
					for _, path := range paths {
						if n == 0 || h.rand.IntN(3) > 0 {
							texts[path] = h.edit(texts[path])
							h.Write(t, path, texts[path])
						}
					}
					h.commit(fmt.Sprint("commit ", n))
				}
				for _, path := range paths {
					h.check(path)
				}

				h.Git(t, "mv", "a", "moved")
				h.Write(t, "moved", h.edit(texts["a"]))
				h.commit("a moved file")
				h.check("moved")

				// Upstream put lines of nobody in front of everything.
				h.Git(t, "checkout", "-q", "-b", "upstream", "HEAD~8")
				h.Write(t, "upstream", "h\n")
				h.commit("upstream")
				h.Git(t, "checkout", "-q", "-")
				h.Git(t, "rebase", "-q", "upstream")
				for _, path := range append(paths[1:], "moved", "upstream") {
					h.check(path)
				}
			})
		}
	}
}

// Lines that have no trace are said to be of their commit as a whole, and no trace is
// taken for another file's or for more than it tells.
func TestWithoutATraceThereIsTheCommit(t *testing.T) {
	h := newHistory(t, 1)
	h.Write(t, "a", "a 1\nb 2\n")
	h.Write(t, "b", "a 1\n")
	h.commit("traced")
	h.Write(t, "c", "a 1\n")
	h.Commit(t, "untraced")
	whole := h.traces["traced"]
	for _, c := range []struct {
		name string
		path string
		want []blame.From
		mend func(*record.Trace)
	}{
		{"a commit without a trace", "c", []blame.From{blame.Commit}, nil},
		{"a trace that does not know the file", "a", []blame.From{blame.Commit, blame.Commit}, func(tr *record.Trace) { tr.Files = tr.Files[1:] }},
		{"a trace of fewer lines", "a", []blame.From{blame.Trace, blame.Commit}, func(tr *record.Trace) { tr.Files[0].Runs = []record.Run{{N: 1, Source: 0}} }},
		{"a trace of more lines", "a", []blame.From{blame.Trace, blame.Trace}, func(tr *record.Trace) { tr.Files[0].Runs = []record.Run{{N: 1 << 30, Source: 0}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			trace := record.Trace{Records: whole.Records, Files: slices.Clone(whole.Files)}
			if c.mend != nil {
				c.mend(&trace)
			}
			h.traces["traced"] = trace
			for i, l := range h.blame(c.path, "HEAD") {
				if l.From != c.want[i] || l.From == blame.Commit && len(l.Records) != len(values) {
					t.Errorf("line %d is told by %s with %d records, want %s", i+1, l.From, len(l.Records), c.want[i])
				}
			}
		})
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	h := newHistory(t, 1)
	h.Write(t, "a", "a 1\n")
	h.commit("one")
	s := blame.Source{Repo: h.repo}
	for path, rev := range map[string]string{"none": "HEAD", "a": "nowhere", "--version": "HEAD"} {
		if lines, err := s.File(t.Context(), path, rev); err == nil {
			t.Errorf("%s at %s has %d lines", path, rev, len(lines))
		}
	}
}
