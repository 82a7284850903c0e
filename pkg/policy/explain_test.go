package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

func TestExplain(t *testing.T) {
	p, err := Load(corpus + "/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	p.name = "full.toml"
	var text, asJSON strings.Builder
	for _, c := range []struct {
		title string
		q     Query
	}{
		{"approved, everything named", ask("anthropic/claude-sonnet-4-5", "claude-code/2.1.330", main)},
		{"approved, only the model named", Query{Model: ask("anthropic/claude-sonnet-4-5", "", "").Model, At: day0}},
		{"approved, the class is left open", Query{Model: ask("unknown/claude-4.6-opus-high", "", "").Model, At: day0}},
		{"a path that is denied", ask("anthropic/claude-sonnet-4-5", "claude-code/2.1.330", main).on("crypto/aes/block.go")},
		{"a path that is not", ask("anthropic/claude-sonnet-4-5", "claude-code/2.1.330", main).on("docs/crypto/a.md")},
		{"the class is too low", ask("anthropic/claude-opus-4-6", "cursor", main).by(trust.Tool)},
		{"the approval is over", ask("anthropic/claude-sonnet-4-5", "cursor", main).at("2027-03-01")},
		{"the approval is over, in grace", ask("anthropic/claude-sonnet-4-5", "cursor", main).at("2027-01-10").signed("2026-12-31")},
		{"denied before its approval begins", ask("openrouter/acme/anything", "cursor", "refs/heads/release/1").at("2026-02-01")},
		{"the tool is denied", ask("acme/coder-3", "aider/0.9", "refs/heads/wip/x")},
		{"nobody knows the model", ask("unknown/unknown", "cursor", main)},
		{"unknown is listed for this ref", ask("unknown/unknown", "cursor", "refs/heads/wip/a/b")},
		{"nothing is judged", ask("x/y", "cursor", "refs/notes/commits")},
		{"a name made for a terminal", ask("x/\x1b[2Ky", "\x1b[2K", "refs/heads/\x1b[2K")},
	} {
		e := p.Explain(c.q)
		fmt.Fprintf(&text, "# %s\n", c.title)
		if err := e.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		text.WriteString("\n")
		data, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&asJSON, "%s\n", data)
	}
	digest := strings.NewReplacer(p.digest, "sha256:…")
	t.Run("people read", func(t *testing.T) { golden(t, "explain.txt", digest.Replace(text.String())) })
	t.Run("programs read the same", func(t *testing.T) { golden(t, "explain.json", digest.Replace(asJSON.String())) })
	t.Run("what is asked without reserve is decided as the gate decides", func(t *testing.T) {
		for _, q := range questions(p) {
			q.Class = trust.Platform
			e := p.Explain(q)
			if e.Model.Verdict != verdictWord(p.Model(q).Allowed) || e.Tool.Verdict != verdictWord(p.Tool(q).Allowed) {
				t.Fatalf("%+v", q)
			}
		}
	})
}

func TestCheck(t *testing.T) {
	var text, asJSON strings.Builder
	for _, name := range []string{"minimal", "full", "shadowed", "spelled"} {
		p, err := Load(corpus + "/good/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		p.name = name + ".toml"
		r := p.Check()
		digest := strings.NewReplacer(p.digest, "sha256:…", corpus+"/good/", "")
		var b strings.Builder
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(digest.Replace(b.String()) + "\n")
		asJSON.WriteString(digest.Replace(string(data)) + "\n")
	}
	t.Run("people read", func(t *testing.T) { golden(t, "check.txt", text.String()) })
	t.Run("programs read the same", func(t *testing.T) { golden(t, "check.json", asJSON.String()) })
	t.Run("an entry said never to apply never does", func(t *testing.T) {
		for _, name := range files(t, "good/*.toml") {
			p, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			silent := map[string]bool{}
			for _, n := range p.shadowed() {
				silent[fmt.Sprintf("%s:%d", n.File, n.Line)] = true
			}
			for _, q := range questions(p) {
				if e := p.Model(q).Entry; silent[e] {
					t.Errorf("%s decided %+v", e, q)
				}
			}
		}
	})
}

func TestExpectations(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("policy.toml"), `schema = 1
[[ref]]
match = "refs/heads/release/*"
via = "hook"
[[model]]
id = "a/*"
status = "approved"
tools = ["cursor"]
until = 2026-06-01
min_class = "gateway"
[[model]]
id = "c/d"
status = "approved"
paths.deny = ["crypto/**"]
[[tool]]
id = "cursor"
status = "approved"
versions = ">=1"
`)
	const head = "schema = 1\nat = 2026-05-01\n"
	for _, c := range []struct{ name, expect, fails string }{
		{"what is left open may be anything", `model = "a/b"` + "\n" + `want = "approved"`, ""},
		{"a tool is judged when it is named", `model = "a/b"` + "\n" + `tool = "aider"` + "\n" + `want = "refused"` + "\n" + `rule = "model-not-approved"`, ""},
		{"its version, too", `model = "a/b"` + "\n" + `tool = "cursor/0.9"` + "\n" + `want = "refused"` + "\n" + `rule = "tool-not-approved"`, ""},
		{"a class is judged when it is named", `model = "a/b"` + "\n" + `class = "developer"` + "\n" + `want = "refused"` + "\n" + `rule = "signer-not-allowed"`, ""},
		{"observation is judged where the ref is named", `model = "a/b"` + "\n" + `via = "process"` + "\n" + `ref = "refs/heads/release/1"` + "\n" + `want = "refused"` + "\n" + `rule = "observation-too-weak"`, ""},
		{"a time of its own", `model = "a/b"` + "\n" + `at = 2026-06-01` + "\n" + `want = "refused"`, ""},
		{"grace", `model = "a/b"` + "\n" + `at = 2026-06-02` + "\n" + `signed = 2026-05-31` + "\n" + `want = "approved"`, ""},
		{"a path is judged when it is named", `model = "c/d"` + "\n" + `path = "crypto/a.go"` + "\n" + `want = "refused"` + "\n" + `rule = "path-restricted"`, ""},
		{"another path may be changed", `model = "c/d"` + "\n" + `path = "docs/a.go"` + "\n" + `want = "approved"`, ""},
		{"a wrong verdict fails", `model = "x/y"` + "\n" + `want = "approved"`,
			"policy_test.toml:3: x/y\n  want approved\n  got  refused: model \"x/y\" is not approved [model-not-approved]\n"},
		{"a wrong rule fails", `name = "z"` + "\n" + `model = "x/y"` + "\n" + `want = "refused"` + "\n" + `rule = "model-denied"`,
			"policy_test.toml:3: z\n  want refused [model-denied]\n  got  refused: model \"x/y\" is not approved [model-not-approved]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, at("policy_test.toml"), head+"[[expect]]\n"+c.expect+"\n")
			r, err := Test(at("policy.toml"), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := r.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(b.String(), dir+"/", "")
			if r.Failed != strings.Count(c.fails, "want") || !strings.HasPrefix(got, c.fails) {
				t.Errorf("got %s", got)
			}
		})
	}
	t.Run("either file may be named", func(t *testing.T) {
		write(t, at("policy_test.toml"), head+"[[expect]]\nmodel = \"a/b\"\nwant = \"approved\"\n")
		write(t, at("other_test.toml"), head+"policy = \"policy.toml\"\n[[expect]]\nmodel = \"a/b\"\nwant = \"approved\"\n")
		for _, name := range []string{"policy.toml", "policy_test.toml", "other_test.toml"} {
			r, err := Test(at(name), time.Time{})
			if err != nil || r.Passed != 1 || r.Policy != at("policy.toml") || r.Schema != TestSchema {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
	})
	t.Run("without a time now counts", func(t *testing.T) {
		write(t, at("policy_test.toml"), "schema = 1\n[[expect]]\nmodel = \"a/b\"\nwant = \"approved\"\n")
		if r, err := Test(at("policy.toml"), day0); err != nil || r.Passed != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := Test(at("policy.toml"), day0.AddDate(1, 0, 0)); err != nil || r.Failed != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("what is wrong with the expectations is said with its place", func(t *testing.T) {
		write(t, at("policy_test.toml"), `schema = 1
policy = "../policy.toml"
[[expect]]
modle = "a/b"
want = "approve"
[[expect]]
model = "a"
ref = "main"
via = "hooks"
want = "approved"
rule = "model-denied"
[[expects]]
`)
		_, err := Test(at("policy.toml"), day0)
		if err == nil {
			t.Fatal("loaded")
		}
		golden(t, "expectations.want", strings.ReplaceAll(every(err), dir+"/", ""))
	})
	t.Run("expectations that are not there are said to be missing", func(t *testing.T) {
		if _, err := Test(at("nothing.toml"), day0); err == nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nothing_test.toml") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that expects nothing is a fault", func(t *testing.T) {
		write(t, at("policy_test.toml"), "schema = 1\n")
		if _, err := Test(at("policy.toml"), day0); err == nil {
			t.Error("passed")
		}
	})
}

func TestParseModel(t *testing.T) {
	for s, want := range map[string]provenance.Model{
		"a/b": {Provider: "a", Name: "b"}, "a/b/c": {Provider: "a", Name: "b/c"}, "unknown/unknown": {}, "unknown/x": {Name: "x"}} {
		if got, err := ParseModel(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "a", "/b", "a/"} {
		if _, err := ParseModel(s); err == nil {
			t.Errorf("%q is a model", s)
		}
	}
}

// Decisions that other implementations have to take, too.
func TestDecisionsOfTheCorpus(t *testing.T) {
	names := files(t, "decide/*_test.toml")
	if len(names) == 0 {
		t.Fatal("there are none")
	}
	for _, name := range names {
		r, err := Test(name, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.WriteText(&b); err != nil || r.Failed > 0 || r.Passed == 0 {
			t.Errorf("%v\n%s", err, b.String())
		}
	}
}
