//go:build linux

package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// BenchmarkRebased is pre-receive over a branch that was signed on one base and
// rebased onto another, so that each commit is judged by its change digest, beside
// git itself naming what the same commits changed. CPU counts git's children.
func BenchmarkRebased(b *testing.B) {
	const commits = 1000
	bin := programs(b)
	server, tip := rebasedServer(b, bin, commits)
	boundByChange(b, server, tip, commits)
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // no pipe, so that git has nothing to wait for
	if err != nil {
		b.Fatal(err)
	}
	defer nowhere.Close()
	c := newContest(b)
	var memory, cpu float64
	for b.Loop() {
		diff := piped(b, server.Command("rev-list", tip, "^refs/heads/main", "--"),
			server.Command("diff-tree", "-r", "--root", "--stdin"))
		diff.Stdout = nowhere
		c.run("git", diff)

		judge := preReceive(bin, server, tip)
		c.turn("gate", func() { memory = max(memory, watched(b, judge)) })
		cpu += (judge.ProcessState.UserTime() + judge.ProcessState.SystemTime()).Seconds()
	}
	c.report("git", "gate")
	b.ReportMetric(commits/c.median("gate"), "commits/s")
	b.ReportMetric(1e3*cpu/float64(b.N*commits), "cpu-ms/commit")
	b.ReportMetric(memory, "gate-MiB")
}

// rebasedServer is a server whose main has moved on by a commit of other files
// since the commits that are under way were signed. The project has 1,020 files in
// 40 folders three levels deep; 400 of them, of 250 lines, change in turns.
func rebasedServer(b *testing.B, bin string, commits int) (server *gittest.Repo, tip string) {
	b.Helper()
	project := gittest.History{Files: 400, Lines: 250, Folders: 40, Changes: 10, Edits: 3}
	server = gittest.New(b, "--bare")
	fastImport(b, server, "commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 2\na\n"+resting())
	project.Commits, project.Onto = project.Files/project.Changes, "main"
	before := generate(b, server, project)
	fastImport(b, server, "commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 2\nb\nfrom "+before+"\n"+
		file("README", "moved on")+file("src/part03/sub1/new", "new"))
	w := enforce(b, bin, server)
	w.Digests = true
	project.Commits, project.Onto, project.Branch, project.Message = commits, before, "incoming", w.Message
	generate(b, server, project)
	tip = rebase(b, server, "incoming", before, server.Git(b, "rev-parse", "main"))
	server.Git(b, "update-ref", "-d", "refs/heads/incoming")
	server.Git(b, "repack", "-adfq")
	server.Git(b, "update-ref", "-d", "refs/heads/rebased")
	return server, tip
}

// resting are the files that no commit changes, for git fast-import.
func resting() string {
	var b strings.Builder
	for i := range 20 {
		b.WriteString(file(fmt.Sprintf("top%02d", i), "rests"))
	}
	for i := range 600 {
		b.WriteString(file(fmt.Sprintf("src/part%02d/sub%d/resting%02d.txt", i/4%10, i%4, i/40), "rests"))
	}
	return b.String()
}

func file(path, line string) string {
	return fmt.Sprintf("M 644 inline %s\ndata %d\n%s\n", path, len(line), line)
}

// rebase makes the commits of a branch anew upon another base, which has not
// touched the same files, and returns the last one.
func rebase(b *testing.B, r *gittest.Repo, branch, from, onto string) string {
	b.Helper()
	out := r.Git(b, "fast-export", "--no-data", "--reference-excluded-parents",
		"--refspec=refs/heads/"+branch+":refs/heads/rebased",
		"refs/heads/"+branch, "^"+from)
	old, new := "\nfrom "+from+"\n", "\nfrom "+onto+"\n"
	if n := strings.Count(out, old); n != 1 {
		b.Fatalf("%d commits upon %s", n, from)
	}
	fastImport(b, r, strings.Replace(out, old, new, 1)+"\n")
	return r.Git(b, "rev-parse", "refs/heads/rebased")
}

func fastImport(b *testing.B, r *gittest.Repo, stream string) {
	b.Helper()
	if _, stderr, err := r.Run(stream, "fast-import", "--quiet", "--force"); err != nil {
		b.Fatalf("fast-import: %v\n%s", err, stderr)
	}
}

// boundByChange fails unless each commit is accepted, by its change digest.
func boundByChange(b *testing.B, server *gittest.Repo, tip string, commits int) {
	b.Helper()
	r, err := repo.FromHook(append(server.Env, "GIT_DIR=."), server.Dir)
	if err != nil {
		b.Fatal(err)
	}
	inForce, err := inforce.Server(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	reader := r.Server().Reader()
	defer reader.Close()
	unjudged, err := inForce.Unjudged(b.Context(), reader)
	if err != nil {
		b.Fatal(err)
	}
	id, err := change.ParseID(tip)
	if err != nil {
		b.Fatal(err)
	}
	g := gate.Gate{Policy: inForce.Policy, Source: reader, Now: time.Now(), Baseline: unjudged}
	v, err := g.Push(b.Context(), []gate.Update{{Ref: "refs/heads/new", New: id}}, gate.KeepAll)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, c := range v.Commits {
		if c.Verdict == gate.Accepted && c.Binding != nil && *c.Binding == gate.Change {
			n++
		}
	}
	if n != commits || len(v.Commits) != commits {
		b.Fatalf("%d of %d commits are accepted by their change digest; the first of %d: %+v", n, commits, len(v.Commits), v.Commits[:1])
	}
}

// watched runs a command, which must succeed, and returns the memory in MiB that the
// process itself held at most: what the kernel reports after its end is the most
// of it and its children.
func watched(b *testing.B, cmd *exec.Cmd) float64 {
	b.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- cmd.Wait() }()
	peak := 0.0
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatalf("%s: %v\n%s", cmd.Path, err, &stderr)
			}
			return peak / 1024
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is VmHWM of proc(5) in KiB, 0 when the process is gone.
func highWater(pid int) float64 {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseFloat(kib, 64)
	return n
}
