package provenance_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// vector is one case of testdata/vectors/provenance, for any implementation.
type vector struct {
	Name      string
	Values    []string
	Malformed string         `json:",omitempty"` // words of the reason, empty when accepted
	Records   []vectorRecord `json:",omitempty"`
	None      string         `json:",omitempty"`
}

type vectorRecord struct {
	Tool, Version, Provider, Model string
	AI                             *int // null when unknown
	Total                          int
	Via, Session                   string
	MCP, Extra                     []string
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "provenance", "values.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			got, err := provenance.Parse(v.Values)
			if v.Malformed != "" {
				var malformed *provenance.MalformedError
				if !errors.As(err, &malformed) || !strings.Contains(malformed.Reason, v.Malformed) {
					t.Fatalf("got %v, want malformed: %s", err, v.Malformed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.provenance(), got); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(v.Values, got.Values()); diff != "" {
				t.Errorf("written again (-want +got):\n%s", diff)
			}
		})
	}
}

func (v vector) provenance() provenance.Provenance {
	p := provenance.Provenance{None: provenance.Via(v.None)}
	for _, r := range v.Records {
		lines := provenance.Lines{Total: r.Total, Known: r.AI != nil}
		if r.AI != nil {
			lines.AI = *r.AI
		}
		p.Records = append(p.Records, provenance.Record{
			Tool: provenance.Tool{Name: r.Tool, Version: r.Version}, Model: provenance.Model{Provider: r.Provider, Name: r.Model},
			Lines: lines, Via: provenance.Via(r.Via), Session: r.Session, MCP: r.MCP, Extra: r.Extra,
		})
	}
	return p
}

func TestUnion(t *testing.T) {
	const (
		seenBare  = "claude-code/unknown unknown/unknown lines=unknown/3 via=process session=unknown"
		seenModel = "claude-code/2.1 anthropic/sonnet lines=3/3 via=hook session=9f2c1b7e0a44 mcp=github"
		declared  = "claude-code/unknown anthropic/sonnet lines=unknown/3 via=declared session=unknown"
		other     = "claude-code/unknown anthropic/opus lines=unknown/3 via=declared session=unknown"
	)
	for _, c := range []struct {
		name string
		sets [][]string
		want []string
	}{
		{"nothing gives nothing", nil, nil},
		{"the best none wins among nones",
			[][]string{{"none via=process"}, {"none via=hook"}}, []string{"none via=hook"}},
		{"any record beats none",
			[][]string{{"none via=hook"}, {seenBare}},
			[]string{"claude-code/unknown unknown/unknown lines=unknown/9 via=process session=unknown"}},
		{"one use keeps the strongest via and all servers",
			[][]string{
				{seenModel},
				{"claude-code/2.1 anthropic/sonnet lines=1/3 via=declared session=9f2c1b7e0a44 mcp=linear"},
			},
			[]string{"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=hook session=9f2c1b7e0a44 mcp=github,linear"}},
		{"a declaration fills what was not seen, and counts as declared",
			[][]string{{seenBare}, {declared}},
			[]string{"claude-code/unknown anthropic/sonnet lines=unknown/9 via=declared session=unknown"}},
		{"a declaration keeps the session that was seen",
			[][]string{{"claude-code/2.1 unknown/unknown lines=unknown/3 via=hook session=9f2c1b7e0a44"}, {declared}},
			[]string{"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=declared session=9f2c1b7e0a44"}},
		{"a declaration that adds nothing does not weaken what was seen",
			[][]string{{seenModel}, {declared}},
			[]string{"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=hook session=9f2c1b7e0a44 mcp=github"}},
		{"two declared models both stand for a tool seen without one",
			[][]string{{seenBare}, {declared}, {other}},
			[]string{
				"claude-code/unknown anthropic/opus lines=unknown/9 via=declared session=unknown",
				"claude-code/unknown anthropic/sonnet lines=unknown/9 via=declared session=unknown",
			}},
		{"a declaration that contradicts stands beside",
			[][]string{{seenModel}, {other}},
			[]string{
				"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=hook session=9f2c1b7e0a44 mcp=github",
				"claude-code/unknown anthropic/opus lines=unknown/9 via=declared session=unknown",
			}},
		{"what another session saw does not fill an unknown model",
			[][]string{{seenBare}, {seenModel}},
			[]string{
				"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=hook session=9f2c1b7e0a44 mcp=github",
				"claude-code/unknown unknown/unknown lines=unknown/9 via=process session=unknown",
			}},
		{"a declaration of another tool fills nothing",
			[][]string{{seenBare}, {"cursor/1 openai/gpt-5 lines=unknown/3 via=declared session=unknown"}},
			[]string{
				"claude-code/unknown unknown/unknown lines=unknown/9 via=process session=unknown",
				"cursor/1 openai/gpt-5 lines=unknown/9 via=declared session=unknown",
			}},
		{"whoever it was gives way to a declaration",
			[][]string{{"unknown/unknown unknown/unknown lines=unknown/3 via=unknown session=unknown"}, {declared}},
			[]string{"claude-code/unknown anthropic/sonnet lines=unknown/9 via=declared session=unknown"}},
		{"whoever it was stays beside what was seen",
			[][]string{{"unknown/unknown unknown/unknown lines=unknown/3 via=unknown session=unknown"}, {seenModel}},
			[]string{
				"claude-code/2.1 anthropic/sonnet lines=unknown/9 via=hook session=9f2c1b7e0a44 mcp=github",
				"unknown/unknown unknown/unknown lines=unknown/9 via=unknown session=unknown",
			}},
		{"fields of later versions stay unless they contradict",
			[][]string{
				{"a/1 b/c lines=0/0 via=hook session=unknown x=1 y=1"},
				{"a/1 b/c lines=0/0 via=hook session=unknown y=2 z=1"},
			},
			[]string{"a/1 b/c lines=unknown/9 via=hook session=unknown x=1 z=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sets []provenance.Provenance
			for _, values := range c.sets {
				sets = append(sets, parse(t, values))
			}
			got := provenance.Union(9, sets...).Values()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("union (-want +got):\n%s", diff)
			}
			slices.Reverse(sets)
			if diff := cmp.Diff(c.want, provenance.Union(9, sets...).Values()); diff != "" {
				t.Errorf("union in the other order (-want +got):\n%s", diff)
			}
		})
	}
}

func parse(t *testing.T, values []string) provenance.Provenance {
	t.Helper()
	p, err := provenance.Parse(values)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAssistedBy(t *testing.T) {
	full := provenance.Record{
		Tool:  provenance.Tool{Name: "claude-code", Version: "2"},
		Model: provenance.Model{Provider: "anthropic", Name: "claude-opus-4-6[1m]"},
	}
	for _, c := range []struct {
		name, style, want string
		record            provenance.Record
	}{
		{"names tool and model", "assisted-by", "claude-code:claude-opus-4-6%5B1m%5D", full},
		{"names the tool alone", "assisted-by", "a%3Ab", provenance.Record{Tool: provenance.Tool{Name: "a:b"}}},
		{"says LLM to the kernel", "kernel", "LLM", full},
		{"says nothing when asked to", "none", "", full},
		{"says nothing of nobody", "kernel", "", provenance.Record{}},
		{"names the model alone", "assisted-by", "unknown:x", provenance.Record{Model: provenance.Model{Name: "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.record.AssistedBy(c.style); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What is accepted is written again byte for byte, and can be joined with itself
// for ever.
func FuzzParse(f *testing.F) {
	f.Add("none via=hook")
	f.Add("a/1 b/c lines=1/2 via=hook session=9f2c1b7e0a44 mcp=x,y z=1\na/2 b/c lines=1/2 via=declared session=unknown")
	f.Add("a%2Fb/1/2 b/c/d lines=unknown/0 via=unknown session=unknown mcp=%2C,x%20y")
	f.Fuzz(func(t *testing.T, text string) {
		values := strings.Split(text, "\n")
		p, err := provenance.Parse(values)
		if err != nil {
			return
		}
		if diff := cmp.Diff(values, p.Values()); diff != "" {
			t.Fatalf("written again (-want +got):\n%s", diff)
		}
		once := provenance.Union(7, p)
		if _, err := provenance.Parse(once.Values()); err != nil {
			t.Fatalf("union of %q: %v", values, err)
		}
		if diff := cmp.Diff(once.Values(), provenance.Union(7, once, p).Values()); diff != "" {
			t.Fatalf("union with a part of itself (-want +got):\n%s", diff)
		}
	})
}

// Any names can be written, and come back as they were.
func FuzzWrite(f *testing.F) {
	f.Add("claude-code", "2.1", "anthropic", "claude[1m]", "git,hub", 3, 5)
	f.Add("a/b", "c/d", "e/f", "g/h", "\x00\xff%", 0, 0)
	f.Fuzz(func(t *testing.T, tool, version, provider, model, mcp string, ai, total int) {
		for _, s := range []*string{&tool, &version, &provider, &model} {
			if *s == provenance.Unknown {
				*s = ""
			}
		}
		want := provenance.Provenance{Records: []provenance.Record{{
			Tool: provenance.Tool{Name: tool, Version: version}, Model: provenance.Model{Provider: provider, Name: model},
			Lines: provenance.Lines{AI: ai, Total: total, Known: true}, Via: provenance.ViaHook,
		}}}
		if mcp != "" {
			want.Records[0].MCP = []string{mcp}
		}
		possible := ai >= 0 && ai <= total && total < 1<<31
		values := want.Values()
		got, err := provenance.Parse(values)
		if ok := possible && len(values[0]) <= provenance.MaxValue; ok != (err == nil) {
			t.Fatalf("parse %q: %v", values, err)
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
	})
}
