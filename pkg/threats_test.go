package pkg_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

var update = flag.Bool("update", false, "write the table of threats in README anew")

// A threat is a row of testdata/threats.toml, where its fields are explained.
type threat struct {
	Row     int
	Threat  string
	Answer  string
	Rules   []string
	How     string
	Remains string
	Tests   []string
}

// threatRows is how many threats there are. None may be dropped.
const threatRows = 40

func TestThreats(t *testing.T) {
	var file struct{ Threat []threat }
	meta, err := toml.DecodeFile("../testdata/threats.toml", &file)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range meta.Undecoded() {
		t.Errorf("nobody reads %s", key)
	}
	if len(file.Threat) != threatRows {
		t.Errorf("%d threats, want %d", len(file.Threat), threatRows)
	}
	p := proofs{root: "..", functions: map[string]map[string]bool{}}
	for i, th := range file.Threat {
		if th.Row != i+1 {
			t.Errorf("row %d stands where %d should", th.Row, i+1)
		}
		report(t, p.check(th))
	}
	t.Run("README says what is held here", func(t *testing.T) { checkThreatsInReadme(t, file.Threat) })
}

// TestThreatsGuard breaks each demand once.
func TestThreatsGuard(t *testing.T) {
	const told = "story:a-message-of-100-megabytes-in-a-small-pack-is-refused"
	good := threat{Row: 1, Threat: "x", Answer: "refused", How: "x", Rules: []string{"message-too-large"}, Tests: []string{told}}
	for _, tt := range []struct {
		name  string
		spoil func(*threat)
		want  string
	}{
		{"nothing", func(*threat) {}, ""},
		{"an answer that is none", func(th *threat) { th.Answer = "perhaps" }, "perhaps"},
		{"nothing tried", func(th *threat) { th.Threat = "" }, "what is tried"},
		{"nothing that answers", func(th *threat) { th.How = "" }, "what answers"},
		{"a refusal without a rule", func(th *threat) { th.Rules = nil }, "no rule"},
		{"a rule that is none", func(th *threat) { th.Answer, th.Rules = "contained", []string{"no-such"} }, "no-such"},
		{"a rule that the story does not name", func(th *threat) { th.Rules = []string{"time-skew"} }, "time-skew"},
		{"nothing that shows it", func(th *threat) { th.Answer, th.Rules, th.Tests = "contained", nil, nil }, "no test"},
		{"an open end that is not told", func(th *threat) { th.Answer = "open" }, "remains"},
		{"a story that is not there", func(th *threat) { th.Tests = append(th.Tests, "story:none") }, "none"},
		{"a test that is not there", func(th *threat) { th.Tests = append(th.Tests, "go:pkg/gate.TestNothing") }, "TestNothing"},
		{"a package that is not there", func(th *threat) { th.Tests = append(th.Tests, "go:pkg/none.TestMade") }, "pkg/none"},
		{"a helper that is no test", func(th *threat) { th.Tests = append(th.Tests, "go:pkg/gate.trace") }, "trace"},
		{"a test of another kind", func(th *threat) { th.Tests = append(th.Tests, "shell:x") }, "shell:x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			th := good
			th.Tests = slices.Clone(good.Tests)
			tt.spoil(&th)
			p := proofs{root: "..", functions: map[string]map[string]bool{}}
			expect(t, p.check(th), tt.want)
		})
	}
}

func TestStoriesExpectRulesByTheirWholeName(t *testing.T) {
	for line, want := range map[string]bool{
		`stderr '\[time-skew\]'`:              true,
		`stderr time-skew`:                    true,
		`stdout 'main: refused .time-skew.$'`: true,
		`! stderr '\[time-skew\]'`:            false,
		`# time-skew`:                         false,
		`stderr 'time-skewed'`:                false,
		`stderr 'any-time-skew'`:              false,
	} {
		if got := asserts("exec git push\n"+line+"\n", "time-skew"); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// proofs finds tests by their names.
type proofs struct {
	root      string
	functions map[string]map[string]bool // by package, those that go test runs
}

// check says what a row lacks.
func (p proofs) check(th threat) (complaints []string) {
	complain := func(format string, args ...any) {
		complaints = append(complaints, fmt.Sprintf("threat %d: ", th.Row)+fmt.Sprintf(format, args...))
	}
	if th.Threat == "" {
		complain("it does not say what is tried")
	}
	if th.How == "" {
		complain("it does not say what answers")
	}
	switch {
	case !slices.Contains([]string{"refused", "contained", "open"}, th.Answer):
		complain("%q is no answer", th.Answer)
	case th.Answer == "refused" && len(th.Rules) == 0:
		complain("it is refused by no rule")
	case th.Answer == "open" && th.Remains == "":
		complain("it is open: remains has to say what that means")
	}
	if th.Answer != "open" && len(th.Tests) == 0 {
		complain("no test shows it")
	}
	var stories strings.Builder
	for _, name := range th.Tests {
		text, err := p.find(name)
		if err != nil {
			complain("%v", err)
		}
		stories.WriteString(text)
	}
	for _, rule := range th.Rules {
		switch {
		case !slices.ContainsFunc(gate.Rules, func(r gate.Rule) bool { return r.Name == rule }):
			complain("%q is no rule of the gate", rule)
		case !asserts(stories.String(), rule):
			complain("none of its stories expects %s", rule)
		}
	}
	return complaints
}

// asserts reports whether a story expects a rule by its whole name.
func asserts(story, rule string) bool {
	line := regexp.MustCompile(`(?m)^std(?:err|out)\b.*[^a-z-]` + regexp.QuoteMeta(rule) + `(?:[^a-z-]|$)`)
	return line.MatchString(story)
}

// find looks for a test, and returns what a story tells.
func (p proofs) find(name string) (text string, err error) {
	if story, ok := strings.CutPrefix(name, "story:"); ok {
		data, err := os.ReadFile(filepath.Join(p.root, "testdata", "script", story+".txtar"))
		return string(data), err
	}
	where, ok := strings.CutPrefix(name, "go:")
	dot := strings.LastIndex(where, ".")
	if !ok || dot < 0 {
		return "", fmt.Errorf("%q is neither story:NAME nor go:PACKAGE.NAME", name)
	}
	dir, function := where[:dot], where[dot+1:]
	if p.functions[dir] == nil {
		if p.functions[dir], err = testsOf(filepath.Join(p.root, filepath.FromSlash(dir))); err != nil {
			return "", err
		}
	}
	if !p.functions[dir][function] {
		return "", fmt.Errorf("%s has no test %s", dir, function)
	}
	return "", nil
}

// testsOf lists the tests and fuzz targets of a package.
func testsOf(dir string) (names map[string]bool, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &fs.PathError{Op: "look for tests in", Path: dir, Err: errors.New("there are none")}
	}
	names = map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				names[f.Name.Name] = true
			}
		}
	}
	return names, nil
}

const (
	threatsBegin = "<!-- threats: go test ./pkg -run TestThreats -update -->\n"
	threatsEnd   = "<!-- end of threats -->\n"
)

// checkThreatsInReadme compares the generated part of README with the rows.
func checkThreatsInReadme(t *testing.T, threats []threat) {
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), threatsBegin)
	_, after, ok2 := strings.Cut(rest, threatsEnd)
	if !ok1 || !ok2 {
		t.Fatal("README has no place for the table of threats")
	}
	want := before + threatsBegin + writeThreats(threats) + threatsEnd + after
	if *update {
		if err := os.WriteFile("../README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("README is not up to date (-want +got):\n%s", diff)
	}
}

// writeThreats has a line for each threat.
func writeThreats(threats []threat) string {
	var b strings.Builder
	b.WriteString("| | what is tried | answer | shown by |\n|---|---|---|---|\n")
	for _, th := range threats {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", th.Row, th.Threat, th.answered(), th.shown())
	}
	return b.String()
}

func (th threat) answered() string {
	text := "**" + th.Answer + "**"
	for i, rule := range th.Rules {
		text += []string{" ", ", "}[min(i, 1)] + "`" + rule + "`"
	}
	text += ": " + th.How
	if th.Remains != "" {
		text += ". *Open:* " + th.Remains
	}
	return text
}

// shown links to stories, and names tests.
func (th threat) shown() string {
	var all []string
	for _, name := range th.Tests {
		if story, ok := strings.CutPrefix(name, "story:"); ok {
			all = append(all, "[story](testdata/script/"+story+".txtar)")
			continue
		}
		all = append(all, "`"+strings.TrimPrefix(name, "go:")+"`")
	}
	return strings.Join(all, ", ")
}
