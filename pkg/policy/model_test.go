package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

// day0 is a day on which everything in the examples is approved.
var day0 = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// ask is a question of the gate: nothing is left open.
func ask(model, tool, ref string) Query {
	m, err := ParseModel(model)
	if err != nil {
		panic(err)
	}
	return Query{Model: m, Tool: ParseTool(tool), Ref: ref, At: day0, Signed: day0}
}

func (q Query) at(s string) Query        { q.At = mustDate(s); return q }
func (q Query) signed(s string) Query    { q.Signed = mustDate(s); return q }
func (q Query) on(paths ...string) Query { q.Paths = paths; return q }
func (q Query) by(c trust.Class) Query {
	q.Class = c
	return q
}

func mustDate(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

const main = "refs/heads/main"

func TestModel(t *testing.T) {
	const entries = `schema = 1
[defaults]
grace = "48h"
[[model]] # line 4
id = "acme/coder-1"
status = "denied"
reason = "leaks"
from = 2026-06-01
[[model]] # line 9
id = "acme/coder-*"
status = "approved"
tools = ["cursor", "claude-*"]
refs = ["refs/heads/*"]
until = 2026-07-01
owner = "appsec@example.com"
[[model]] # line 16
id = "acme/coder-*"
status = "approved"
from = 2026-08-01
min_class = "gateway"
[[model]] # line 21
id = "open/**"
status = "approved"
[[model]] # line 24
id = "open/unknown"
status = "denied"
[[model]] # line 27
id = "unknown/unknown"
status = "approved"
refs = ["refs/heads/wip/**"]
[[alias]]
match = "Coder 2*"
id = "acme/coder-2"
[[alias]]
match = "hub/acme/*"
id = "acme/coder-1"
`
	p := parse(t, entries)
	for _, c := range []struct {
		name string
		q    Query
		rule string // "" = allowed
		line string // of the deciding entry
		says string // in reason or hint
	}{
		{"the first entry that covers tool, ref and time decides", ask("acme/coder-2", "cursor", main), "", "9", ""},
		{"a tool may be a pattern", ask("acme/coder-2", "claude-code/1", main), "", "9", ""},
		{"another tool is refused by name", ask("acme/coder-2", "aider", main), RuleModelNotApproved, "",
			`model "acme/coder-2" is not approved with "aider", only with cursor or claude-* (policy.toml:9)`},
		{"an unknown tool is not one of a list", ask("acme/coder-2", "unknown", main), RuleModelNotApproved, "", `with "unknown"`},
		{"another ref is refused by name", ask("acme/coder-2", "cursor", "refs/tags/v1"), RuleModelNotApproved, "", `on "refs/tags/v1", only on refs/heads/*`},
		{"a star stops at a slash", ask("acme/coder-2", "cursor", "refs/heads/a/b"), RuleModelNotApproved, "", ""},
		{"case counts", ask("acme/Coder-2", "cursor", main), RuleModelNotApproved, "", `approved here: acme/coder-*, open/** (policy.toml:9, :21)`},
		{"from is inclusive", ask("acme/coder-1", "cursor", main).at("2026-06-01"), RuleModelDenied, "4", `"acme/coder-1" is denied: leaks`},
		{"before from the entry is passed over", ask("acme/coder-1", "cursor", main).at("2026-05-31"), "", "9", ""},
		{"until is exclusive", ask("acme/coder-2", "cursor", main).at("2026-07-01").signed("2026-07-01"), RuleModelNotApproved, "", "since 2026-07-01"},
		{"grace lets in what was signed before the end", ask("acme/coder-2", "cursor", main).at("2026-07-02").signed("2026-06-30"), "", "9", ""},
		{"grace ends", ask("acme/coder-2", "cursor", main).at("2026-07-03").signed("2026-06-30"), RuleModelNotApproved, "", "since 2026-07-01"},
		{"grace is for what is signed", func() Query {
			q := ask("acme/coder-2", "cursor", main).at("2026-07-02")
			q.Signed = time.Time{}
			return q
		}(), RuleModelNotApproved, "", ""},
		{"a time that nobody gave lies in no period", func() Query { q := ask("acme/coder-2", "cursor", main); q.At = time.Time{}; return q }(), RuleModelNotApproved, "", ""},
		{"a later entry renews an approval", ask("acme/coder-2", "aider", main).at("2026-08-01").by(trust.Gateway), "", "16", ""},
		{"too low a class of signer is refused", ask("acme/coder-2", "aider", main).at("2026-08-01").by(trust.Tool), RuleSignerNotAllowed, "16", "asks for a signer of class gateway, this one is tool"},
		{"a higher class will do", ask("acme/coder-2", "aider", main).at("2026-08-01").by(trust.Platform), "", "16", ""},
		{"two stars cross slashes", ask("open/a/b/c", "x", main), "", "21", ""},
		{"a star never approves what is unknown", ask("open/unknown", "x", main), RuleModelDenied, "24", ""},
		{"unknown may be listed", ask("unknown/unknown", "x", "refs/heads/wip/x"), "", "27", ""},
		{"unknown that is not listed is unknown", ask("unknown/unknown", "cursor", main), RuleModelUnknown, "", "gatekeeper repair --tool cursor --model PROVIDER/MODEL"},
		{"half known is unknown", ask("acme/unknown", "cursor", main), RuleModelUnknown, "", ""},
		{"an alias makes a bare spelling an id", ask("unknown/Coder 2 (beta)", "cursor", main), "", "9", ""},
		{"an alias works for its own provider", ask("acme/Coder 2", "cursor", main), "", "9", ""},
		{"an alias without a provider does not rename another's model", ask("evil/Coder 2", "cursor", main), RuleModelNotApproved, "", `"evil/Coder 2"`},
		{"an alias may name the provider", ask("hub/acme/x", "cursor", main).at("2026-06-02"), RuleModelDenied, "4", ""},
		{"a name for a terminal is shown as text", ask("x/\x1b[2K\u202e", "cursor", main), RuleModelNotApproved, "", `"x/\x1b[2K\u202e"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Model(c.q)
			entry := ""
			if c.line != "" {
				entry = "policy.toml:" + c.line
			}
			if d.Allowed != (c.rule == "") || d.Rule != c.rule || d.Entry != entry {
				t.Errorf("got %+v, want rule %q by %q", d, c.rule, entry)
			}
			if !strings.Contains(d.Reason+"\n"+d.Hint, c.says) {
				t.Errorf("%q and %q do not say %q", d.Reason, d.Hint, c.says)
			}
		})
	}
	t.Run("a provider with a slash does not pass for another", func(t *testing.T) {
		q := ask("open/x", "x", main)
		q.Model = provenance.Model{Provider: "open/deep", Name: "x"}
		if d := p.Model(q); d.Allowed || d.Canonical != "open%2Fdeep/x" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("with no models nothing is approved", func(t *testing.T) {
		if d := parse(t, "schema = 1").Model(ask("a/b", "c", main)); d.Rule != RuleModelNotApproved || !strings.Contains(d.Hint, "no model is approved here") {
			t.Errorf("%+v", d)
		}
	})
	t.Run("what is denied before is not offered", func(t *testing.T) {
		p := parse(t, `schema = 1
model = [{id="a/*", status="denied"}, {id="a/b", status="approved"}, {id="a/c", status="approved", refs=["refs/tags/*"]}]`)
		if d := p.Model(ask("x/y", "c", main)); d.Hint != "no model is approved here; ask who keeps the policy" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a long list is cut", func(t *testing.T) {
		p := parse(t, `schema = 1
model = [{id="a/1", status="approved"}, {id="a/2", status="approved"}, {id="a/3", status="approved"}, {id="a/4", status="approved"}, {id="a/1", status="approved"}]`)
		if d := p.Model(ask("x/y", "c", main)); d.Hint != "approved here: a/1, a/2, a/3 and 1 more (policy.toml:2)" {
			t.Errorf("%+v", d)
		}
	})
}

func TestTool(t *testing.T) {
	p := parse(t, `schema = 1
[[tool]] # line 2
id = "aider"
versions = "<0.5"
status = "denied"
[[tool]] # line 6
id = "aider"
status = "approved"
[[tool]] # line 9
id = "claude-*"
versions = ">=2.0, <3"
status = "approved"
`)
	for _, c := range []struct {
		name, tool, line string
		allowed          bool
	}{
		{"inside the versions", "claude-code/2.1.330", "9", true},
		{"the lower bound counts", "claude-code/2", "9", true},
		{"below them", "claude-code/1.99", "", false},
		{"above them", "claude-code/3.0.0", "", false},
		{"a pre-release comes before its release", "claude-code/2.0.0-beta.1", "", false},
		{"an unknown version is not approved", "claude-code/unknown", "", false},
		{"a word is not a version", "claude-code/latest", "", false},
		{"a denied version", "aider/0.4.9", "2", false},
		{"a version that is not denied", "aider/0.10", "6", true},
		{"an unknown version may be the denied one", "aider", "2", false},
		{"another tool", "cursor/1", "", false},
		{"an unknown tool", "unknown/1", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Tool(ask("a/b", c.tool, main))
			entry := ""
			if c.line != "" {
				entry = "policy.toml:" + c.line
			}
			if d.Allowed != c.allowed || d.Entry != entry || d.Allowed == (d.Rule == RuleToolNotApproved) {
				t.Errorf("got %+v", d)
			}
		})
	}
	t.Run("the refusal names the versions", func(t *testing.T) {
		d := p.Tool(ask("a/b", "claude-code/1.0", main))
		if d.Reason != `tool "claude-code/1.0" is not approved, only >=2.0, <3 (policy.toml:9)` ||
			d.Hint != "approved: aider, claude-* >=2.0, <3 (policy.toml:6, :9)" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("without entries tools are not judged", func(t *testing.T) {
		if d := parse(t, "schema = 1").Tool(ask("a/b", "unknown", main)); !d.Allowed {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a star does not approve an unknown tool", func(t *testing.T) {
		p := parse(t, "schema = 1\ntool = [{ id = \"*\", status = \"approved\" }]")
		if d := p.Tool(ask("a/b", "unknown", main)); d.Allowed {
			t.Errorf("%+v", d)
		}
		if d := p.Tool(ask("a/b", "x", main)); !d.Allowed {
			t.Errorf("%+v", d)
		}
	})
}

func TestVersions(t *testing.T) {
	ascending := []string{"0", "0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1", "1", "1.0.1", "1.2", "1.10", "2025.01.31", "99999999999999999999999999"}
	for i, a := range ascending {
		for j, b := range ascending {
			va, _ := parseVersion(a)
			vb, ok := parseVersion(b)
			if c := va.compare(vb); !ok || (c < 0) != (i < j) || (c == 0) != (i == j) {
				t.Errorf("%s against %s: %d", a, b, c)
			}
		}
	}
	t.Run("build metadata, a leading v and zeros do not count", func(t *testing.T) {
		a, _ := parseVersion("v1.02.0+linux-arm64")
		b, _ := parseVersion("1.2")
		if a.compare(b) != 0 {
			t.Error("differs")
		}
	})
	for _, s := range []string{"", "v", ".", "1.", "1..2", "latest", "1.x", "1-", "1-a..b"} {
		if _, ok := parseVersion(s); ok {
			t.Errorf("%q is a version", s)
		}
	}
	for text, inside := range map[string]string{">=2.0 <3": "2.9", ">= 2.0,< 3": "2", "=1.0": "1", ">1,": "1.0.1", "<=1.0": "0.9"} {
		v, err := parseVersions(text)
		if err != nil {
			t.Fatal(err)
		}
		if ok, known := v.has(inside); !ok || !known {
			t.Errorf("%s lacks %s", text, inside)
		}
	}
}

func TestADenialDoesNotMindCase(t *testing.T) {
	p, err := Parse("policy.toml", []byte(`schema = 1
[[model]]
id = "deepseek/*"
status = "denied"
[[model]]
id = "**"
status = "approved"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []provenance.Model{{Provider: "deepseek", Name: "r1"}, {Provider: "DeepSeek", Name: "R1"}} {
		if d := p.Model(Query{Model: m, At: time.Unix(1772000000, 0)}); d.Allowed {
			t.Errorf("%s is approved", m.ID())
		}
	}
}
