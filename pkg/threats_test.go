package pkg_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

var update = flag.Bool("update", false, "write the table of threats in README anew")

// A threat is a row of testdata/threats.toml, which says what its parts mean.
type threat struct {
	Number            int
	What, Answer, How string
	Rules, Tests      []string
	Remains           string
}

const (
	beginThreats = "<!-- threats: go test ./pkg -run TestThreats -update -->\n"
	endThreats   = "<!-- end of threats -->\n"
)

// TestThreats holds the list of threats to the tests that it names, and README to the list.
func TestThreats(t *testing.T) {
	var list struct{ Threat []threat }
	meta, err := toml.DecodeFile("../testdata/threats.toml", &list)
	if err != nil {
		t.Fatal(err)
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		t.Errorf("keys that mean nothing: %v", keys)
	}
	if len(list.Threat) != 40 {
		t.Errorf("%d threats, want 40", len(list.Threat))
	}
	for i, row := range list.Threat {
		if row.Number != i+1 {
			t.Fatalf("threat %d stands in the place of %d", row.Number, i+1)
		}
		t.Run(fmt.Sprintf("%d %s", row.Number, row.What), func(t *testing.T) { row.check(t) })
	}
	checkREADME(t, list.Threat)
}

func (r threat) check(t *testing.T) {
	var told strings.Builder // by the stories
	for _, name := range r.Tests {
		kind, rest, _ := strings.Cut(name, ":")
		switch kind {
		case "story":
			text, err := os.ReadFile("../testdata/script/" + rest + ".txtar")
			if err != nil {
				t.Error(err)
			}
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^#.*\bThreat %d\b`, r.Number)).Match(text) {
				t.Errorf("no comment of %s names threat %d", name, r.Number)
			}
			told.Write(text)
		case "go":
			if !hasTest(t, rest) {
				t.Errorf("there is no test %s", rest)
			}
		default:
			t.Errorf("test %q: want story:NAME or go:PACKAGE.TEST", name)
		}
	}
	for _, rule := range r.Rules {
		if !slices.ContainsFunc(gate.Rules, func(g gate.Rule) bool { return g.Name == rule }) {
			t.Errorf("no rule is called %s", rule)
		}
	}
	switch r.Answer {
	case "refused":
		if len(r.Rules) == 0 || !slices.ContainsFunc(r.Rules, func(rule string) bool { return strings.Contains(told.String(), rule) }) {
			t.Errorf("no story shows one of the rules %q", r.Rules)
		}
	case "contained":
		if len(r.Rules) > 0 {
			t.Error("it is contained, and names rules that refuse it")
		}
	case "open":
		if r.Remains == "" {
			t.Error("it is open, and does not say what remains")
		}
		return
	default:
		t.Errorf("answer %q: want refused, contained or open", r.Answer)
	}
	if len(r.Tests) == 0 {
		t.Error("nothing tries it")
	}
}

// hasTest reports whether a package has a test function; name is DIRECTORY.FUNCTION.
func hasTest(t *testing.T, name string) bool {
	t.Helper()
	dot := strings.LastIndexByte(name, '.')
	files, err := filepath.Glob("../" + name[:dot] + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name[dot+1:] {
				return true
			}
		}
	}
	return false
}

// checkREADME compares README's table, or writes it.
func checkREADME(t *testing.T, threats []threat) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begun := bytes.Cut(readme, []byte(beginThreats))
	was, tail, ended := bytes.Cut(rest, []byte(endThreats))
	if !begun || !ended {
		t.Fatalf("README.md has no place between %q and %q", beginThreats, endThreats)
	}
	is := tableOf(threats)
	if string(was) == is {
		return
	}
	if !*update {
		t.Fatal("README's table is not that of testdata/threats.toml: go test ./pkg -run TestThreats -update")
	}
	if err := os.WriteFile("../README.md", slices.Concat(head, []byte(beginThreats+is+endThreats), tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tableOf(threats []threat) string {
	var b strings.Builder
	b.WriteString("| | threat | answer | test |\n|---|---|---|---|\n")
	for _, r := range threats {
		answer := r.Answer
		if len(r.Rules) > 0 {
			answer += ", `" + strings.Join(r.Rules, "` `") + "`"
		}
		if r.How != "" {
			answer += ": " + r.How
		}
		if r.Remains != "" {
			answer += ". **Open:** " + r.Remains
		}
		var tests []string
		for _, name := range r.Tests {
			_, rest, _ := strings.Cut(name, ":")
			tests = append(tests, "`"+rest+"`")
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r.Number, r.What, answer, strings.Join(tests, " "))
	}
	return b.String()
}
