package record

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func someTrace() Trace {
	t := Trace{Records: []string{"claude-code/2.1 anthropic/claude-x lines=3/9 via=hook session=0123456789ab"}}
	a := TracedFile{Path: "a \"odd\"\nname"}
	for _, source := range []int{0, 0, Nobody, Unknown, 0, Nobody, Nobody} {
		a.Add(source)
	}
	b := TracedFile{Path: "b"}
	b.Add(Unknown)
	t.Files = []TracedFile{a, b, {Path: "c"}}
	return t
}

func TestTrace(t *testing.T) {
	trace := someTrace()
	const want = `gatekeeper trace v1
record claude-code/2.1 anthropic/claude-x lines=3/9 via=hook session=0123456789ab
file "a \"odd\"\nname"
2 0
1 -
1 ?
1 0
2 -
file "b"
1 ?
file "c"
end
`
	if got := trace.String(); got != want {
		t.Error(cmp.Diff(want, got))
	}
	back, err := ParseTrace(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(trace, back); diff != "" {
		t.Error(diff)
	}
	if f, ok := trace.File("b"); !ok || f.Lines() != 1 {
		t.Errorf("%v %v", f, ok)
	}
	if f, ok := trace.File("bb"); ok {
		t.Errorf("found %v", f)
	}
	if f, _ := trace.File(trace.Files[0].Path); f.Lines() != 7 {
		t.Errorf("%d lines", f.Lines())
	}
	if path := TracePath(trace.Digest()); !strings.HasPrefix(path, "trace/") || len(path) != len("trace/")+64 {
		t.Error(path)
	}
}

func TestParseTraceRefuses(t *testing.T) {
	good := someTrace().String()
	for _, change := range [][2]string{
		{"end\n", ""}, {"v1", "v2"}, {"2 0", "2 1"}, {"2 0", "0 0"}, {"2 0", "02 0"}, {"2 0", "1 0\n1 0"},
		{"file \"b\"", "file \"a\""}, {"file \"b\"", "file b"}, {"file \"c\"", "record x"}, {"record claude", "record  claude"},
		{"1 ?\n1 0", "1 ? \n1 0"}, {"2 0", "9999999999 0"}, {"end\n", "end\nend\n"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%q is not there", change[0])
		}
		if got, err := ParseTrace(bad); err == nil {
			t.Errorf("%q as %q: accepted as %+v", change[0], change[1], got)
		}
	}
	if _, err := ParseTrace(strings.Repeat("x", MaxTrace+1)); err == nil {
		t.Error("accepted a text that is too long")
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add(someTrace().String())
	f.Add(traceHead + "end\n")
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := ParseTrace(text)
		if err == nil && trace.String() != text {
			t.Errorf("%q came back as %q", text, trace.String())
		}
	})
}

func TestTracesThatNobodySendsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := PruneTraces(dir, now); err != nil {
		t.Fatal("where there are none:", err)
	}
	old, young := Trace{Records: []string{"none via=hook"}}, Trace{}
	for _, tr := range []Trace{old, young} {
		if err := KeepTrace(dir, tr); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(keptTrace(dir, old.Digest()), now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := PruneTraces(dir, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of   Trace
		kept bool
	}{{old, false}, {young, true}} {
		if text, err := KeptTrace(dir, c.of.Digest()); err != nil || (text != nil) != c.kept {
			t.Errorf("kept %v, %v; want %v", text != nil, err, c.kept)
		}
	}
}
