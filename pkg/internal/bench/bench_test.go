//go:build linux

// Package bench_test measures what a person waits for, each figure beside what
// it is to be compared with, in one run:
//
//	go test -run='^$' -bench=. -benchtime=30x ./pkg/internal/bench
//
// Ratios are of medians of runs taken in turns, so that a busy machine slows both
// sides alike. The figures to reach are in README. Nothing here fails for being
// slow.
package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/signed"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/story"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

const root = "../../.."

func TestMain(m *testing.M) {
	os.Exit(gittest.Orphan(m))
}

// emptyProgram is what any Go program costs to start, and any hook in Go.
const emptyProgram = "package main\n\nfunc main() {}\n"

// programs builds what ships, and an empty program beside it.
func programs(b *testing.B) (bin string) {
	b.Helper()
	bin, source := b.TempDir(), b.TempDir()
	story.Build(b, root, bin)
	write(b, filepath.Join(source, "main.go"), emptyProgram, 0o644)
	write(b, filepath.Join(source, "go.mod"), "module empty\n", 0o644)
	story.GoBuild(b, source, filepath.Join(bin, "empty"))
	if b.Failed() {
		b.FailNow()
	}
	return bin
}

func write(b *testing.B, path, text string, mode os.FileMode) {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.Fatal(err)
	}
}

// A contest measures several ways to do something, in turns.
type contest struct {
	b     *testing.B
	times map[string][]time.Duration
}

func newContest(b *testing.B) *contest {
	return &contest{b: b, times: map[string][]time.Duration{}}
}

// run times a command, which must succeed, as one turn of name.
func (c *contest) run(name string, cmd *exec.Cmd) {
	c.b.Helper()
	var output bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &output
	}
	cmd.Stderr = &output
	var err error
	c.turn(name, func() { err = cmd.Run() })
	if err != nil {
		c.b.Fatalf("%s: %v\n%s", name, err, &output)
	}
}

// turn times do as one turn of name.
func (c *contest) turn(name string, do func()) {
	start := time.Now()
	do()
	c.times[name] = append(c.times[name], time.Since(start))
}

// median is the median time of name, in seconds.
func (c *contest) median(name string) float64 {
	times := slices.Sorted(slices.Values(c.times[name]))
	return times[len(times)/2].Seconds()
}

// report prints the median of each name in milliseconds and, for all but
// yardstick, how often yardstick fits into it. What the Go runtime reports by
// itself would be the sum of all and says nothing.
func (c *contest) report(yardstick string, names ...string) {
	for _, name := range append(names, yardstick) {
		c.b.ReportMetric(1e3*c.median(name), name+"-ms")
		if name != yardstick {
			c.b.ReportMetric(c.median(name)/c.median(yardstick), name+"/"+yardstick)
		}
	}
	c.b.ReportMetric(0, "ns/op")
}

// BenchmarkStart is the start and the end of a light binary.
func BenchmarkStart(b *testing.B) {
	bin := programs(b)
	for _, name := range []string{"gatekeeper-commit-msg", "gatekeeper-agent"} {
		b.Run(name, func(b *testing.B) {
			c := newContest(b)
			for b.Loop() {
				c.run("empty", exec.Command(filepath.Join(bin, "empty")))
				c.run("light", exec.Command(filepath.Join(bin, name), "version"))
			}
			c.report("empty", "light")
			for side, file := range map[string]string{"light": name, "empty": "empty"} {
				info, err := os.Stat(filepath.Join(bin, file))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size())/(1<<20), side+"-MiB")
			}
		})
	}
}

// BenchmarkCommit is `git commit` of what is in the index already: alone, with
// two message hooks that do nothing, and with gatekeeper's, which see an agent,
// work out the change and sign it.
func BenchmarkCommit(b *testing.B) {
	bin := programs(b)
	shapes := []struct {
		name                     string
		repository, files, lines int // files in the repository; files and lines of the commit
	}{
		{"one file of 50 lines among 200", 200, 1, 50},
		{"50 files of 2,000 lines", 200, 50, 2000},
		{"one file among 100,000", 100_000, 1, 50},
	}
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			clones := map[string]*gittest.Repo{}
			for _, name := range []string{"bare", "empty", "gatekeeper"} {
				clones[name] = clone(b, s.repository, bin)
			}
			for _, hook := range []string{"prepare-commit-msg", "commit-msg"} {
				link(b, filepath.Join(bin, "empty"), filepath.Join(clones["empty"].Dir, ".git", "hooks", hook))
			}
			install(b, bin, clones["gatekeeper"])
			c := newContest(b)
			n := 0
			for b.Loop() {
				n++
				for _, name := range []string{"bare", "empty", "gatekeeper"} {
					edit(b, clones[name], s.files, s.lines, n)
					c.run(name, clones[name].Command("commit", "-q", "-m", "Change"))
				}
			}
			c.report("bare", "gatekeeper", "empty")
			stamped(b, clones["gatekeeper"])
		})
	}
}

// clone is a repository of that many files in folders of 100, and a person with
// an agent at work in it.
func clone(b *testing.B, files int, bin string) *gittest.Repo {
	b.Helper()
	r := gittest.New(b)
	r.Env = append(r.Env, "PATH="+bin+":"+os.Getenv("PATH"), "CLAUDECODE=1",
		"CLAUDE_CODE_SESSION_ID=5c1f6f3e-0d6e-4f0e-9d55-1b1f0c8a7a10")
	var in strings.Builder
	fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 2\na\n")
	for i := range files {
		text := fmt.Sprintf("file %d\n", i)
		fmt.Fprintf(&in, "M 100644 inline %04d/%04d\ndata %d\n%s\n", i/100, i%100, len(text), text)
	}
	if _, stderr, err := r.Run(in.String(), "fast-import", "--quiet"); err != nil {
		b.Fatalf("fast-import: %v\n%s", err, stderr)
	}
	r.Git(b, "reset", "-q", "--hard")
	return r
}

// edit changes every tenth line of some files and stages them.
func edit(b *testing.B, r *gittest.Repo, files, lines, n int) {
	b.Helper()
	for f := range files {
		editTo(b, r, f, lines, n)
	}
	r.Git(b, "add", "0000")
}

// editTo changes every tenth line of a file.
func editTo(b *testing.B, r *gittest.Repo, f, lines, n int) {
	b.Helper()
	var text strings.Builder
	for l := range lines {
		if l%10 == n%10 {
			fmt.Fprintf(&text, "line %d of file %d as edit %d left it\n", l, f, n)
		} else {
			fmt.Fprintf(&text, "line %d of file %d, not touched lately\n", l, f)
		}
	}
	r.Write(b, fmt.Sprintf("0000/edited%d", f), text.String())
}

func link(b *testing.B, from, to string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.Symlink(from, to); err != nil {
		b.Fatal(err)
	}
}

// install puts gatekeeper's hooks into a clone, with a key of its own.
func install(b *testing.B, bin string, r *gittest.Repo) {
	b.Helper()
	cmd := exec.Command(filepath.Join(bin, "gatekeeper"), "install")
	cmd.Dir, cmd.Env = r.Dir, r.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("gatekeeper install: %v\n%s", err, out)
	}
}

// stamped fails when what was measured did nothing.
func stamped(b *testing.B, r *gittest.Repo) {
	b.Helper()
	message := r.Git(b, "log", "-1", "--format=%B")
	for _, key := range []string{"AI-Provenance: claude-code/", "AI-Attestation: v1 "} {
		if !strings.Contains(message, key) {
			b.Fatalf("no %q in what was committed:\n%s", key, message)
		}
	}
}

// piped is read with the output of list as its input; both end with it.
func piped(b *testing.B, list, read *exec.Cmd) *exec.Cmd {
	b.Helper()
	out, err := list.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := list.Start(); err != nil {
		b.Fatal(err)
	}
	read.Stdin, read.Stdout = out, io.Discard
	b.Cleanup(func() { list.Wait() })
	return read
}

// policyText approves what the generated commits cite, by one signer.
const policyText = `schema = 1

[[model]]
id = "anthropic/claude-sonnet-4-5"
status = "approved"

[[signer]]
principal = "alice@example.com"
class = "developer"
key = %q
tools = ["*"]
models = ["*"]
`

// signedServer is a bare repository with a history on main that is not judged, a
// policy in force, and signed commits upon it that no ref holds yet, as in a push
// that is under way.
func signedServer(b *testing.B, bin string, history, commits int) (server *gittest.Repo, tip string) {
	b.Helper()
	server = gittest.New(b, "--bare")
	onto := ""
	if history > 0 {
		onto = generate(b, server, gittest.History{Commits: history})
	}
	w := enforce(b, bin, server)
	tip = generate(b, server, gittest.History{Commits: commits, Onto: onto, Branch: "incoming", Message: w.Message})
	server.Git(b, "update-ref", "-d", "refs/heads/incoming")
	server.Git(b, "repack", "-adq", "--keep-unreachable")
	return server, tip
}

// enforce puts a policy in force on a server, and returns a writer of messages
// that are welcome under it.
func enforce(b *testing.B, bin string, server *gittest.Repo) *signed.Writer {
	b.Helper()
	key := filepath.Join(b.TempDir(), "key")
	if err := gittest.NewKey(key, "ed25519"); err != nil {
		b.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		b.Fatal(err)
	}
	policy := filepath.Join(b.TempDir(), "policy.toml")
	write(b, policy, fmt.Sprintf(policyText, strings.TrimSpace(string(public))), 0o644)
	setUp := exec.Command(filepath.Join(bin, "gatekeeper"), "install", "--server", server.Dir, "--policy", policy)
	setUp.Env = server.Env
	if out, err := setUp.CombinedOutput(); err != nil {
		b.Fatalf("gatekeeper install --server: %v\n%s", err, out)
	}
	w, err := signed.Open(key, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	w.Tool, w.Model = "claude-code/2.1.330", "anthropic/claude-sonnet-4-5"
	return w
}

// BenchmarkRepair stamps 1,000 commits of ten files each that no hook saw, beside
// git's own ways to write a history anew: fast-export into fast-import, which reads
// no file, and filter-branch with an empty trailer on the last hundred of them, once.
func BenchmarkRepair(b *testing.B) {
	bin := programs(b)
	const commits = 1000
	original := clone(b, 200, bin)
	install(b, bin, original)
	base := original.Git(b, "rev-parse", "main")
	rewritten(b, original, commits)
	c := newContest(b)
	for n := 0; b.Loop(); n++ {
		export := copied(b, original)
		cmd := export.Command("fast-import", "--quiet", "--force")
		list := export.Command("fast-export", "--no-data", "--reencode=no", "--refspec=refs/heads/main:refs/heads/copy", base+"..main")
		c.run("fast-export", fed(b, list, cmd))

		repaired := copied(b, original)
		repair := exec.Command(filepath.Join(bin, "gatekeeper"), "repair", base+"..main")
		repair.Dir, repair.Env = repaired.Dir, repaired.Env
		c.run("repair", repair)
		if got := strings.Count(repaired.Git(b, "log", "--format=%B", base+".."), "AI-Attestation: v1 "); got != commits {
			b.Fatalf("%d commits were stamped, want %d", got, commits)
		}
		if n == 0 {
			filter := copied(b, original)
			filter.Env = append(filter.Env, "FILTER_BRANCH_SQUELCH_WARNING=1")
			c.run("filter-branch-of-100", filter.Command("filter-branch", "--msg-filter", "cat; echo; echo X: y", "main~100..main"))
		}
	}
	c.report("fast-export", "repair", "filter-branch-of-100")
	b.ReportMetric(commits/c.median("repair"), "commits/s")
}

// rewritten puts commits of ten files of 50 lines each upon main, past all hooks.
func rewritten(b *testing.B, r *gittest.Repo, commits int) {
	b.Helper()
	var in strings.Builder
	for n := range commits {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 7\nChange\n\n", n)
		if n == 0 {
			in.WriteString("from refs/heads/main^0\n")
		}
		for f := range 10 {
			var text strings.Builder
			for l := range 50 {
				edit := 0
				if l%10 == n%10 {
					edit = n
				}
				fmt.Fprintf(&text, "line %d of file %d as edit %d left it\n", l, f, edit)
			}
			fmt.Fprintf(&in, "M 100644 inline edited/%d\ndata %d\n%s\n", f, text.Len(), &text)
		}
	}
	if _, stderr, err := r.Run(in.String(), "fast-import", "--quiet"); err != nil {
		b.Fatalf("fast-import: %v\n%s", err, stderr)
	}
	r.Git(b, "reset", "-q", "--hard")
}

// copied is a repository of its own with all that another has.
func copied(b *testing.B, r *gittest.Repo) *gittest.Repo {
	b.Helper()
	c := &gittest.Repo{Dir: b.TempDir(), Env: r.Env}
	if err := os.CopyFS(c.Dir, os.DirFS(r.Dir)); err != nil {
		b.Fatal(err)
	}
	return c
}

// fed is read with the output of list as its input.
func fed(b *testing.B, list, read *exec.Cmd) *exec.Cmd {
	b.Helper()
	piped(b, list, read)
	read.Stdout = nil
	return read
}

// BenchmarkDigest is the change digest of a commit, beside git's own diff of it.
// MB/s are of blobs read, both sides.
func BenchmarkDigest(b *testing.B) {
	for _, s := range []struct {
		name         string
		files, lines int
	}{
		{"10 files of 300 lines", 10, 300},
		{"50 files of 2,000 lines", 50, 2000},
		{"one file of 200,000 lines", 1, 200_000},
	} {
		b.Run(s.name, func(b *testing.B) {
			r := gittest.New(b)
			edit(b, r, s.files, s.lines, 1)
			before := r.Commit(b, "Before")
			edit(b, r, s.files, s.lines, 2)
			after := r.Commit(b, "After")
			c := newContest(b)
			var read int64
			for b.Loop() {
				diff := r.Command("diff-tree", "-p", before, after)
				diff.Stdout = io.Discard
				c.run("git", diff)
				c.turn("digest", func() { read = digest(b, r, before, after) })
			}
			c.report("git", "digest")
			b.ReportMetric(float64(read)/1e6/c.median("digest"), "MB/s")
		})
	}
}

// digest works out the change digest of a commit as a hook does, which opens the
// repository first, and returns how many bytes it read.
func digest(b *testing.B, r *gittest.Repo, before, after string) (read int64) {
	b.Helper()
	ctx := b.Context()
	opened, err := repo.Open(ctx, r.Dir, r.Env)
	if err != nil {
		b.Fatal(err)
	}
	objects := opened.Objects(ctx)
	defer objects.Close()
	var trees []change.ID
	for _, commit := range []string{before, after} {
		id, err := change.ParseID(commit)
		if err != nil {
			b.Fatal(err)
		}
		tree, err := repo.TreeOf(objects, id)
		if err != nil {
			b.Fatal(err)
		}
		trees = append(trees, tree)
	}
	_, stats, err := change.Compute(objects, trees[0], trees[1])
	if err != nil {
		b.Fatal(err)
	}
	return stats.Read
}

func generate(b *testing.B, r *gittest.Repo, h gittest.History) string {
	b.Helper()
	tip, err := r.Generate(h)
	if err != nil {
		b.Fatal(err)
	}
	return tip
}
