package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/story"
)

var update = flag.Bool("update", false, "make the cases in testdata/gate/cases anew")

const corpusDir = "../../../testdata/gate"

// table is all cases.
func table() []entry {
	return slices.Concat(accepted, refusedForProvenance, refusedForPolicy, refusedForContent, refusedForForm, refusedForRefs)
}

// stateful are the rules that no case can show, since they need receipts of earlier pushes.
var stateful = []string{gate.RecordChanged}

func TestCorpus(t *testing.T) {
	made := map[string]map[string]string{}
	for _, e := range table() {
		if made[e.name] != nil {
			t.Fatalf("two cases are called %s", e.name)
		}
		made[e.name] = e.make(t)
	}
	if *update {
		if err := os.RemoveAll(filepath.Join(corpusDir, "cases")); err != nil {
			t.Fatal(err)
		}
		for name, f := range made {
			write(t, filepath.Join(corpusDir, "cases", name), f)
		}
	}
	kept := kept(t)
	t.Run("the cases are those of the table", func(t *testing.T) {
		if diff := cmp.Diff(made, kept); diff != "" {
			t.Errorf("go test ./pkg/internal/corpus -update; from the table to the files:\n%s", diff)
		}
	})
	t.Run("each rule has a case", func(t *testing.T) {
		for _, r := range gate.Rules {
			shown := false
			for _, f := range kept {
				shown = shown || strings.Contains(f["expected"], " "+r.Name+"\n")
			}
			if shown == slices.Contains(stateful, r.Name) {
				t.Errorf("%s: shown by a case: %v", r.Name, shown)
			}
		}
	})
	s := newServers(t)
	for _, e := range table() {
		f := kept[e.name]
		want := parseExpected(t, f["expected"])
		t.Run("hook/"+e.name, func(t *testing.T) {
			t.Parallel()
			s.hook(t, f, want)
		})
		if notPushed[e.name] == "" {
			t.Run("push/"+e.name, func(t *testing.T) {
				t.Parallel()
				s.push(t, f, want)
			})
		}
	}
	t.Run("the script gives the same", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("sh", filepath.Join(corpusDir, "run.sh"), filepath.Join(s.bin, "gatekeeper-pre-receive"), "pre-receive")
		cmd.Env = s.env
		out, err := cmd.CombinedOutput()
		if n := bytes.Count(out, []byte("\nok ")) + 1; err != nil || n != len(table()) {
			t.Errorf("%v, %d cases of %d as expected:\n%s", err, n, len(table()), out)
		}
	})
	t.Run("the script finds what is different", func(t *testing.T) {
		cmd := exec.Command("sh", filepath.Join(corpusDir, "run.sh"), "-c", "un[s]*", "true")
		cmd.Env = s.env
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.HasPrefix(out, []byte("not ok unsigned: ")) {
			t.Errorf("a hook that takes everything: %v\n%s", err, out)
		}
	})
}

// kept are the files of all cases as they are on the disk.
func kept(t *testing.T) map[string]map[string]string {
	all := map[string]map[string]string{}
	root := filepath.Join(corpusDir, "cases")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name, file, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if all[name] == nil {
			all[name] = map[string]string{}
		}
		data, err := os.ReadFile(path)
		all[name][file] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// expected is what a case says must come of it.
type expected struct {
	exit    int
	refs    []string            // REF VERDICT
	commits []string            // REF ID VERDICT EVIDENCE BINDING
	rules   map[string][]string // by REF ID, sorted
}

func parseExpected(t *testing.T, text string) expected {
	t.Helper()
	e := expected{exit: -1, rules: map[string][]string{}}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch rest := strings.Join(f[1:], " "); f[0] {
		case "exit":
			if _, err := fmt.Sscan(f[1], &e.exit); err != nil {
				t.Fatal(err)
			}
		case "ref":
			e.refs = append(e.refs, rest)
		case "commit":
			e.commits = append(e.commits, rest)
		case "rule":
			e.rules[f[1]+" "+f[2]] = append(e.rules[f[1]+" "+f[2]], f[3])
		default:
			t.Fatalf("expected: %q", line)
		}
	}
	slices.Sort(e.refs)
	slices.Sort(e.commits)
	for _, rules := range e.rules {
		slices.Sort(rules)
	}
	return e
}

// shown is rules with ids as short as people are shown them.
func (e expected) shown() map[string][]string {
	short := map[string][]string{}
	for at, rules := range e.rules {
		ref, id, _ := strings.Cut(at, " ")
		short[ref+" "+id[:min(7, len(id))]] = rules
	}
	return short
}

// servers makes repositories in which gatekeeper was installed.
type servers struct {
	bin, sha1, sha256 string
	env               []string
}

func newServers(t *testing.T) servers {
	t.Helper()
	s := servers{bin: t.TempDir(), env: gittest.Env(t)}
	story.Build(t, "../../..", s.bin)
	install := func(format string) string {
		dir := filepath.Join(t.TempDir(), "server.git")
		s.run(t, "", "", "git", "init", "-q", "--bare", "--object-format="+format, dir)
		s.run(t, "", "", filepath.Join(s.bin, "gatekeeper"), "install", "--server", dir)
		for _, name := range []string{"policy.toml", "baseline"} {
			if err := os.Remove(filepath.Join(dir, "gatekeeper", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		return dir
	}
	s.sha1, s.sha256 = install("sha1"), install("sha256")
	return s
}

// run runs a program that must not fail.
func (s servers) run(t *testing.T, dir, stdin string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, s.env, strings.NewReader(stdin)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, stderr.Bytes())
	}
	return out.String()
}

// installed is a copy of the server, with the policy of a case and no objects.
func (s servers) installed(t *testing.T, f map[string]string) (dir string) {
	t.Helper()
	from := s.sha1
	if f["object-format"] != "" {
		from = s.sha256
	}
	dir = filepath.Join(t.TempDir(), "server.git")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for name, text := range f {
		if !strings.HasPrefix(name, "gatekeeper/") {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(f["config"]) {
		s.run(t, dir, "", append([]string{"git", "config"}, strings.Fields(line)...)...)
	}
	return dir
}

// fill gives a repository all objects of a case.
func (s servers) fill(t *testing.T, dir string, f map[string]string) {
	t.Helper()
	for name, text := range f {
		if kind, is := strings.CutPrefix(filepath.Ext(name), "."); is && strings.HasPrefix(name, "raw/") {
			s.run(t, dir, text, "git", "hash-object", "-w", "--literally", "-t", kind, "--stdin")
		}
	}
	s.run(t, dir, f["objects"], "git", "fast-import", "--quiet")
	drop := s.run(t, dir, "", "git", "for-each-ref", "--format=delete %(refname)", "refs/pushed")
	s.run(t, dir, drop, "git", "update-ref", "--stdin")
}

// point sets the refs of a case.
func (s servers) point(t *testing.T, dir string, f map[string]string) {
	t.Helper()
	for line := range strings.Lines(f["refs"]) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.run(t, dir, "", "git", "update-ref", name, id)
	}
	for line := range strings.Lines(f["symrefs"]) {
		s.run(t, dir, "", append([]string{"git", "symbolic-ref"}, strings.Fields(line)...)...)
	}
}

// hook calls the installed hook as git would, and looks at its words and its receipt.
func (s servers) hook(t *testing.T, f map[string]string, want expected) {
	dir := s.installed(t, f)
	s.fill(t, dir, f)
	s.point(t, dir, f)
	cmd := exec.Command(filepath.Join(dir, "hooks", "pre-receive"))
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(f["updates"])
	cmd.Env = append(slices.Concat(s.env, strings.Split(strings.TrimSpace(f["env"]), "\n")), "GIT_DIR=.")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want.exit {
		t.Errorf("%sexit %d, want %d\n%s", f["about"], got, want.exit, stderr.String())
	}
	if diff := cmp.Diff(want.shown(), told(stderr.String())); diff != "" {
		t.Errorf("%swhat is told (-want +got):\n%s\n%s", f["about"], diff, stderr.String())
	}
	harmless(t, stderr.String())
	got := receipt(t, dir)
	if len(want.refs) == 0 { // a push that was refused as a whole
		got.refs, got.rules = nil, nil
		want.rules = nil
	}
	got.exit = want.exit
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(expected{})); diff != "" {
		t.Errorf("%sthe receipt (-want +got):\n%s", f["about"], diff)
	}
}

// harmless looks for what a terminal would obey.
func harmless(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q is told", r)
		}
	}
}

var (
	aboutRef    = regexp.MustCompile(`^gatekeeper: (?:refused|warning for) (the push|\S+)`)
	aboutCommit = regexp.MustCompile(`^  ([0-9a-f]{7})(?:$|  )`)
	aboutRule   = regexp.MustCompile(`\[([a-z-]+)\]$`)
)

// told is the rules that the hook's words name, by ref and commit as expected.shown has them.
func told(text string) map[string][]string {
	rules := map[string][]string{}
	ref, commit := "-", "-"
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.TrimPrefix(line, "remote: "), " \n")
		if m := aboutRef.FindStringSubmatch(line); m != nil {
			ref, commit = strings.Replace(m[1], "the push", "-", 1), "-"
		} else if m := aboutCommit.FindStringSubmatch(line); m != nil {
			commit = m[1]
		} else if m := aboutRule.FindStringSubmatch(line); m != nil {
			rules[ref+" "+commit] = append(rules[ref+" "+commit], m[1])
		}
	}
	for _, list := range rules {
		slices.Sort(list)
	}
	return rules
}

// receipt is what the server wrote down of its only push.
func receipt(t *testing.T, dir string) expected {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "gatekeeper", "receipts", "000001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := expected{rules: map[string][]string{}}
	for s := bufio.NewScanner(file); s.Scan(); {
		var line struct {
			Type, Ref, Verdict, Evidence string
			Binding                      *string
			IDs, Rules                   []string
			Refs                         []struct {
				Ref, Verdict string
				Findings     []struct{ Rule string }
			}
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		binding := "-"
		if line.Binding != nil {
			binding = *line.Binding
		}
		for _, id := range line.IDs {
			got.commits = append(got.commits, fmt.Sprintf("%s %s %s %s %s", line.Ref, id, line.Verdict, line.Evidence, binding))
			if len(line.Rules) > 0 {
				got.rules[line.Ref+" "+id] = line.Rules
			}
		}
		if line.Type != "decision" {
			continue
		}
		for _, r := range line.Refs {
			got.refs = append(got.refs, r.Ref+" "+r.Verdict)
			for _, f := range r.Findings {
				got.rules[r.Ref+" -"] = append(got.rules[r.Ref+" -"], f.Rule)
			}
		}
	}
	slices.Sort(got.refs)
	slices.Sort(got.commits)
	return got
}
