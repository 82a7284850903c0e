//go:build linux

package bench_test

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/signed"
)

// Sizes of the audit's benchmark. The figures of README are those of
//
//	go test -run='^$' -bench=Audit -benchtime=5x -timeout=2h ./pkg/internal/bench -audit.commits=1000000 -audit.repositories=50
var (
	auditCommits = flag.Int("audit.commits", 20_000, "commits of all repositories together")
	auditRepos   = flag.Int("audit.repositories", 5, "repositories")
	auditLog     = flag.Bool("audit.numstat", false, "time git log --numstat over all repositories, too")
)

// BenchmarkAudit indexes repositories, a tenth of whose commits are signed, a tenth
// declared and a tenth marked, beside git log over the same; then asks; then lets a thousand
// commits come, and indexes those.
func BenchmarkAudit(b *testing.B) {
	bin := programs(b)
	w := auditSigner(b)
	var repos []*gittest.Repo
	var dirs []string
	each := *auditCommits / *auditRepos
	for range *auditRepos {
		r := gittest.New(b, "--bare")
		generate(b, r, gittest.History{Commits: each, Files: 200, Folders: 8, Message: w.message, Author: author})
		repos, dirs = append(repos, r), append(dirs, r.Dir)
	}
	c := newContest(b)
	log := func(args ...string) {
		for _, r := range repos {
			cmd := r.Command(append([]string{"log", "--all", "--format=%H"}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
	}
	db := filepath.Join(b.TempDir(), "audit.db")
	index := func(db string) *exec.Cmd {
		return audit(bin, repos[0], append([]string{"index", "--db", db}, dirs...)...)
	}
	c.turn("git-log", func() { log() })
	if *auditLog {
		c.turn("git-log-numstat", func() { log("--numstat") })
	}
	first := index(db)
	c.run("index", first)
	n := 0
	for b.Loop() {
		n++
		c.run("version", audit(bin, repos[0]))
		for _, by := range []string{"tool,model", "repository", "month,tool", "team", "path", "none"} {
			c.run("usage-by-"+strings.ReplaceAll(by, ",", "-"), audit(bin, repos[0], "usage", "--db", db, "--by", by))
		}
		c.run("shadow", audit(bin, repos[0], "shadow", "--db", db))
		c.run("mcp", audit(bin, repos[0], "mcp", "--db", db))
		for _, r := range repos {
			generate(b, r, gittest.History{Commits: 1000 / len(repos), Files: 200, Folders: 8, Onto: "main", Later: each + 1000*n, Message: w.message, Author: author})
		}
		c.run("grow-1000", index(db))
		c.run("nothing-new", index(db))
	}
	for name := range c.times {
		if name != "index" && !strings.HasPrefix(name, "git-log") {
			b.ReportMetric(1e3*c.median(name), name+"-ms")
		}
	}
	b.ReportMetric(float64(*auditCommits)/c.median("index"), "commits/s")
	b.ReportMetric(float64(first.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MiB")
	b.ReportMetric(1e3*c.median("index"), "index-ms")
	b.ReportMetric(1e3*c.median("git-log"), "git-log-ms")
	if *auditLog {
		b.ReportMetric(1e3*c.median("git-log-numstat"), "git-log-numstat-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// audit is a question, or gatekeeper version without one.
func audit(bin string, r *gittest.Repo, args ...string) *exec.Cmd {
	args = append([]string{"audit"}, args...)
	if len(args) == 1 {
		args = []string{"version"}
	}
	cmd := exec.Command(filepath.Join(bin, "gatekeeper"), args...)
	cmd.Dir, cmd.Env = r.Dir, r.Env
	return cmd
}

// author is one of a hundred people.
func author(n int) string { return fmt.Sprintf("Person %d <person%d@example.com>", n%100, n%100) }

// A mixed writer signs some messages and marks others.
type mixed struct{ *signed.Writer }

func auditSigner(b *testing.B) mixed {
	key := filepath.Join(b.TempDir(), "key")
	if err := gittest.NewKey(key, "ed25519"); err != nil {
		b.Fatal(err)
	}
	w, err := signed.Open(key, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	w.Tool, w.Model, w.Digests = "claude-code/2.1.330", "anthropic/claude-sonnet-4-5", false
	return mixed{w}
}

func (m mixed) message(d gittest.Draft) (string, error) {
	switch d.N % 10 {
	case 0:
		return m.Writer.Message(d)
	case 1:
		return d.Subject + "\n\nAI-Provenance: cursor/1.7 openai/gpt-5 lines=1/1 via=process session=unknown mcp=github\n", nil
	case 2:
		return d.Subject + "\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n", nil
	}
	return d.Subject + "\n\nA body of some lines, as commits have them, which says why\nthis was done and what else was tried.\n", nil
}
