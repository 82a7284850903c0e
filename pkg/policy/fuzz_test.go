package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// canonical writes what p says as TOML in one fixed form.
func canonical(p *Policy) string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	text := func(key, value string) {
		if value != "" {
			line(key, tomlString(value))
		}
	}
	list := func(key string, values []string) {
		if len(values) > 0 {
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = tomlString(v)
			}
			line(key, "["+strings.Join(quoted, ", ")+"]")
		}
	}
	date := func(key string, t time.Time) {
		if !t.IsZero() {
			line(key, t.Format("2006-01-02T15:04:05.999999999Z"))
		}
	}
	status := func(refused bool) { text("status", map[bool]string{false: approved, true: denied}[refused]) }
	rule := func(r Rule) {
		text("mode", string(r.Mode))
		text("evidence", string(r.Evidence))
		text("via", string(r.Via))
		text("binding", string(r.Binding))
	}
	line("schema", "1")
	b.WriteString("[defaults]\n")
	rule(p.defaults)
	text("author", p.defaults.Author)
	text("skew", p.defaults.Skew.String())
	text("grace", p.defaults.Grace.String())
	for _, r := range p.refs {
		b.WriteString("[[ref]]\n")
		text("match", r.match.text)
		rule(r.rule)
	}
	for _, m := range p.models {
		b.WriteString("[[model]]\n")
		text("id", m.id.text)
		status(m.denied)
		list("tools", texts(m.tools))
		list("refs", texts(m.refs))
		list("paths.deny", texts(m.deny))
		date("from", m.from)
		date("until", m.until)
		if m.minClass != trust.Developer {
			text("min_class", m.minClass.String())
		}
		text("reason", m.reason)
		text("owner", m.owner)
	}
	for _, a := range p.aliases {
		b.WriteString("[[alias]]\n")
		text("match", a.match.text)
		text("id", a.id)
	}
	for _, t := range p.tools {
		b.WriteString("[[tool]]\n")
		text("id", t.id.text)
		text("versions", t.versions.text)
		status(t.denied)
	}
	for _, m := range p.mcp {
		b.WriteString("[[mcp]]\n")
		text("server", m.server.text)
		text("url", m.url)
		list("command", m.command)
		list("tools", texts(m.tools))
		status(m.denied)
	}
	for _, s := range p.keys {
		b.WriteString("[[signer]]\n")
		text("principal", s.Principal)
		text("class", s.Class.String())
		text("key", s.Key.AuthorizedKey())
		list("tools", s.Tools)
		list("models", s.Models)
		date("valid_after", s.ValidAfter)
		date("valid_before", s.ValidBefore)
		date("compromised_since", s.CompromisedSince)
	}
	if len(p.baseline) > 0 {
		b.WriteString("[baseline]\n")
		list("commits", p.baseline)
	}
	fmt.Fprintf(&b, "[limits]\nmessage = \"%dB\"\ncommits = %d\nrefs = %d\nread = \"%dB\"\nrecords = \"%dB\"\n", p.limits.Message, p.limits.Commits, p.limits.Refs, p.limits.Read, p.limits.Records)
	if len(p.override) > 0 {
		b.WriteString("[override]\n")
		list("principals", p.override)
	}
	return b.String()
}

// withoutPlaces is what p says, wherever it says it.
func withoutPlaces(p *Policy) Policy {
	q := *p
	q.digest, q.hints, q.signers = "", nil, nil
	q.defaults.Line = 0
	q.refs = slices.Clone(p.refs)
	for i := range q.refs {
		q.refs[i].entry, q.refs[i].rule.Line = "", 0
	}
	q.models = slices.Clone(p.models)
	for i := range q.models {
		q.models[i].entry = ""
	}
	q.aliases = slices.Clone(p.aliases)
	for i := range q.aliases {
		q.aliases[i].entry = ""
	}
	q.tools = slices.Clone(p.tools)
	for i := range q.tools {
		q.tools[i].entry = ""
	}
	q.mcp = slices.Clone(p.mcp)
	for i := range q.mcp {
		q.mcp[i].entry = ""
	}
	q.keys = slices.Clone(p.keys)
	for i := range q.keys {
		q.keys[i].Source, q.keys[i].Namespaces = "", nil
	}
	return q
}

// questions bring the policy's own patterns, and others, against each other.
func questions(p *Policy) []Query {
	models := []string{"anthropic/claude-sonnet-4-5", "unknown/unknown", "acme/coder-3", "openrouter/acme/x"}
	refs := []string{main, "refs/tags/v1", "refs/heads/wip/a"}
	times := []time.Time{{}, day0}
	for _, m := range p.models[:min(3, len(p.models))] {
		if id := strings.ReplaceAll(m.id.text, "*", "x"); strings.Contains(strings.Trim(id, "/"), "/") {
			models = append(models, id)
		}
		times = append(times, m.from, m.until, m.until.Add(time.Hour))
	}
	var list []Query
	for _, m := range models {
		model, err := ParseModel(m)
		if err != nil {
			continue
		}
		for i, ref := range refs {
			for j, at := range times {
				tool := []string{"claude-code/2.5", "cursor", "unknown"}[(i+j)%3]
				list = append(list, Query{Model: model, Tool: ParseTool(tool), Ref: ref, At: at, Signed: day0, Class: trust.Class(j % 4)})
			}
		}
	}
	return list
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"good/*.toml", "bad/*.toml"} {
		for _, name := range files(f, pattern) {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(Starter(Warn))
	signers, err := os.ReadFile(filepath.Join(corpus, "good/allowed_signers"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("policy.toml", data, func(name string) ([]byte, error) {
			if !filepath.IsLocal(name) {
				t.Fatalf("asked for %q", name)
			}
			return signers, nil
		})
		if err != nil {
			placed(t, err, data)
			return
		}
		onlyKnownKeys(t, data)
		for _, n := range p.Check().Hints {
			if n.Line > 1+strings.Count(string(data), "\n") && n.File == p.name {
				t.Fatalf("note beyond the file: %v", n)
			}
		}
		again, err := Parse("policy.toml", []byte(canonical(p)), nil)
		if err != nil {
			t.Fatalf("the canonical form does not load: %v\n%s", err, canonical(p))
		}
		if a, b := withoutPlaces(p), withoutPlaces(again); !reflect.DeepEqual(a, b) {
			t.Fatalf("got %+v\nwant %+v\nfrom %s", b, a, canonical(p))
		}
		for _, q := range questions(p) {
			sameDecision(t, p.Model(q), again.Model(q))
			sameDecision(t, p.Tool(q), again.Tool(q))
		}
	})
}

func sameDecision(t *testing.T, a, b Decision) {
	t.Helper()
	if a.Allowed != b.Allowed || a.Rule != b.Rule || a.Canonical != b.Canonical || (a.Entry == "") != (b.Entry == "") {
		t.Fatalf("got %+v, want %+v", b, a)
	}
	if a.Allowed == (a.Rule != "") || a.Reason == "" {
		t.Fatalf("unclear: %+v", a)
	}
	if s := a.Reason + a.Hint; printable(s) != s {
		t.Fatalf("not fit to be shown: %q", s)
	}
}

// placed checks that each fault lies inside its file and can be shown.
func placed(t *testing.T, err error, data []byte) {
	t.Helper()
	var faults Errors
	switch e := err.(type) {
	case *Error:
		faults = Errors{e}
	case Errors:
		faults = e
	default:
		t.Fatalf("not an *Error: %v", err)
	}
	lines := strings.Split(string(data), "\n")
	for _, e := range faults {
		if e.File != "policy.toml" {
			continue
		}
		if e.Line == 0 && len(data) <= MaxSize || e.Line > len(lines) || e.Line > 0 && (e.Col < 1 || e.Col > len(lines[e.Line-1])+1) {
			t.Fatalf("%v lies outside of the file", e)
		}
		if s := e.Msg + e.Hint; printable(s) != s {
			t.Fatalf("not fit to be shown: %q", s)
		}
	}
}

// onlyKnownKeys reads the file apart from this package and looks up each key.
func onlyKnownKeys(t *testing.T, data []byte) {
	t.Helper()
	var root map[string]any
	md, err := toml.Decode(string(data), &root)
	if err != nil {
		t.Fatalf("loaded, and is no TOML: %v", err)
	}
	for _, key := range md.Keys() {
		last := len(key) - 1
		if !slices.Contains(schema[strings.Join(key[:last], ".")], key[last]) {
			t.Fatalf("loaded with the unknown key %q", key)
		}
	}
}
