package policy

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// TestSchema names the version of TestReport as JSON.
const TestSchema = "gatekeeper/policy-test/v1"

// expectations names every key of a file of expectations:
//
//	schema = 1
//	policy = "policy.toml"    # beside this file; without it, NAME_test.toml tests NAME.toml
//	at     = 2026-06-01       # the time of receipt where an expectation names none; without it, now
//
//	[[expect]]
//	name  = "sonnet is approved on main"
//	model = "anthropic/claude-sonnet-4-5"
//	tool  = "claude-code/2.1.330"         # NAME or NAME/VERSION
//	ref   = "refs/heads/main"
//	path  = "src/main.go"
//	mcp   = ["github"]                    # servers that the commit names
//	at    = 2026-06-01
//	signed = 2026-05-31
//	class = "developer"
//	via   = "hook"
//	want  = "approved"                    # or "refused"
//	rule  = "model-denied"                # the rule that refuses
//
// Only model and want must be there. What an expectation leaves out may be
// anything: approved then means for some tool, ref or class, refused for all.
var expectations = map[string][]string{
	"":       {"schema", "policy", "at", "expect"},
	"expect": {"name", "model", "tool", "ref", "path", "mcp", "at", "signed", "class", "via", "want", "rule"},
}

// testSuffix ends the name of a file of expectations.
const testSuffix = "_test.toml"

// A TestReport says which expectations a policy meets.
type TestReport struct {
	Schema  string       `json:"schema"`
	Policy  string       `json:"policy"` // file
	Tests   string       `json:"tests"`  // file
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Results []TestResult `json:"results"`
}

// A TestResult is one expectation and what the policy really says.
type TestResult struct {
	Name   string `json:"name"`
	Line   int    `json:"line"` // in the file of expectations
	Passed bool   `json:"passed"`
	Want   string `json:"want"`           // approved | refused
	Rule   string `json:"rule,omitempty"` // the rule expected, if one was named
	Got    Answer `json:"got"`
}

// An expectation is one [[expect]].
type expectation struct {
	name, want, rule string
	line             int
	query            Query
	servers          []string
}

// Test judges a policy by the expectations written beside it. file is either of
// the two: NAME_test.toml holds expectations, by default for NAME.toml; any other
// name is a policy, and its expectations stand in NAME_test.toml. Expectations
// without a time are judged at now.
func Test(file string, now time.Time) (TestReport, error) {
	tests := file
	if !strings.HasSuffix(file, testSuffix) {
		tests = strings.TrimSuffix(file, ".toml") + testSuffix
	}
	data, err := readFile(os.Open, tests)
	if err != nil {
		return TestReport{}, fmt.Errorf("read expectations: %w", err)
	}
	expected, named, err := parseExpectations(tests, data, now)
	if err != nil {
		return TestReport{}, err
	}
	policy := file
	switch {
	case tests != file: // the policy was named
	case named != "":
		policy = filepath.Join(filepath.Dir(tests), filepath.FromSlash(named))
	default:
		policy = strings.TrimSuffix(tests, testSuffix) + ".toml"
	}
	p, err := Load(policy)
	if err != nil {
		return TestReport{}, err
	}
	return p.test(tests, expected), nil
}

// test judges p by expectations that were read from the file tests.
func (p *Policy) test(tests string, expected []expectation) TestReport {
	r := TestReport{Schema: TestSchema, Policy: p.name, Tests: tests, Results: []TestResult{}}
	for _, e := range expected {
		got := p.whole(e.query, e.servers)
		passed := verdictWord(got.Allowed) == e.want && (e.rule == "" || e.rule == got.Rule)
		r.Results = append(r.Results, TestResult{Name: e.name, Line: e.line, Passed: passed, Want: e.want, Rule: e.rule, Got: answer(got)})
		if passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	return r
}

// whole decides about model, tool, MCP servers and observation together, in that order.
func (p *Policy) whole(q Query, servers []string) Decision {
	d := p.Model(q)
	if d.Allowed && !q.anyTool {
		if t := p.Tool(q); !t.Allowed {
			d = t
		}
	}
	for _, server := range servers {
		if m := p.MCP(MCPQuery{Server: server, NameOnly: true}); d.Allowed && !m.Allowed {
			d = m
		}
	}
	if d.Allowed && q.Via != "" && !q.anyRef {
		if r := p.Rule(q.Ref); !r.Observed(q.Via) {
			d.refuse(RuleObservationTooWeak, fmt.Sprintf("observed via %s, %s asks for %s", q.Via, r.Match, r.Via), "")
			d.Entry = entryAt(p.name, r.Line)
		}
	}
	return d
}

// parseExpectations reads a file of expectations and the policy it names.
func parseExpectations(name string, data []byte, now time.Time) (list []expectation, policy string, err error) {
	d, err := readDocument(name, data, expectations)
	if err != nil {
		return nil, "", err
	}
	if err := d.wantSchema(1); err != nil {
		return nil, "", err
	}
	top := d.top()
	top.onlyKnown()
	if policy = top.str("policy"); policy != "" && !local(policy) {
		top.wrong("policy", "put the expectations beside the policy", "%s leads out of the directory", quote(policy))
	}
	if at := top.date("at"); !at.IsZero() {
		now = at
	}
	for _, t := range top.list("expect") {
		list = append(list, t.expectation(now))
	}
	if len(list) == 0 {
		d.fault(place{1, 1}, "add [[expect]] with model and want", "expects nothing")
	}
	return list, policy, d.err()
}

// The words of an expectation.
var (
	verdictWords = []string{approved, "refused"}
	viaWords     = []provenance.Via{provenance.ViaHook, provenance.ViaProcess, provenance.ViaDeclared, provenance.ViaImport, provenance.ViaUnknown}
	ruleWords    = []string{RuleModelNotApproved, RuleModelDenied, RuleModelUnknown, RuleToolNotApproved, RuleSignerNotAllowed, RulePathRestricted, RuleMCPNotApproved, RuleObservationTooWeak}
)

func (t *table) expectation(now time.Time) expectation {
	t.need("model", "want")
	e := expectation{name: t.str("name"), line: t.line(), want: word(t, "want", verdictWords, ""), rule: word(t, "rule", ruleWords, "")}
	if e.name == "" {
		e.name = t.str("model")
	}
	if e.rule != "" && e.want == approved {
		t.wrong("rule", "leave it out", "is named, but nothing is to be refused")
	}
	e.query = Query{
		Model: t.model(), Tool: ParseTool(t.str("tool")), Via: word(t, "via", viaWords, ""),
		Ref: t.str("ref"), At: now, Signed: t.date("signed"), Class: t.class("class"),
		anyTool: !t.has("tool"), anyRef: !t.has("ref"), anyClass: !t.has("class"),
	}
	if path := t.str("path"); path != "" {
		e.query.Paths = []string{path}
	}
	for _, server := range t.strs("mcp") {
		e.servers = append(e.servers, server.string)
	}
	if e.query.Ref != "" && !strings.HasPrefix(e.query.Ref, "refs/") {
		t.wrong("ref", "write the whole name: refs/heads/"+printable(e.query.Ref), "%s does not begin with refs/", quote(e.query.Ref))
	}
	if at := t.date("at"); !at.IsZero() {
		e.query.At = at
	}
	return e
}

func (t *table) model() provenance.Model {
	s := t.str("model")
	m, err := ParseModel(s)
	if err != nil && s != "" {
		t.wrong("model", `as in "anthropic/claude-sonnet-4-5" or "unknown/unknown"`, "%s %v", quote(s), err)
	}
	return m
}

// ParseModel reads provider/name as a person types it. The word unknown in either
// part means that it is not known.
func ParseModel(s string) (provenance.Model, error) {
	provider, name, ok := strings.Cut(s, "/")
	if !ok || provider == "" || name == "" {
		return provenance.Model{}, fmt.Errorf("is not provider/model")
	}
	return provenance.Model{Provider: known(provider), Name: known(name)}, nil
}

// ParseTool reads NAME or NAME/VERSION as a person types it.
func ParseTool(s string) provenance.Tool {
	name, version, _ := strings.Cut(s, "/")
	return provenance.Tool{Name: name, Version: known(version)}
}

func known(s string) string {
	if s == provenance.Unknown {
		return ""
	}
	return s
}

// WriteText writes the failures, and a line that counts them.
func (r TestReport) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, t := range r.Results {
		if t.Passed {
			continue
		}
		want := t.Want
		if t.Rule != "" {
			want += " [" + t.Rule + "]"
		}
		fmt.Fprintf(&b, "%s:%d: %s\n  want %s\n", r.Tests, t.Line, printable(t.Name), want)
		t.Got.write(func(_, format string, args ...any) { fmt.Fprintf(&b, "  got  "+format+"\n", args...) })
	}
	fmt.Fprintf(&b, "%s: %d passed, %d failed\n", r.Tests, r.Passed, r.Failed)
	_, err := io.WriteString(w, b.String())
	return err
}
