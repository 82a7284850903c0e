//go:build linux

package bench_test

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

// Sizes of the benchmarks of the gate, for other ones than those below:
//
//	go test -run='^$' -bench='Gate|Push' -benchtime=7x ./pkg/internal/bench -history=500000 -commits=100000
var (
	historyFlag = flag.Int("history", -1, "how many `commits` the server has before the push")
	commitsFlag = flag.Int("commits", 10_000, "how many signed `commits` a large push brings")
	refsFlag    = flag.Int("refs", -1, "how many `refs` the server has, or a push of many brings")
)

// chosen are the sizes that a flag sets, else the usual ones.
func chosen(flag int, usual ...int) []int {
	if flag >= 0 {
		return []int{flag}
	}
	return usual
}

// BenchmarkGate is pre-receive over a branch of signed commits, beside git itself
// reading the same objects. CPU counts the children of the hook, memory does not.
func BenchmarkGate(b *testing.B) {
	bin := programs(b)
	for _, history := range chosen(*historyFlag, 0, 100_000) {
		b.Run(fmt.Sprintf("%d commits onto %d", *commitsFlag, history), func(b *testing.B) {
			server, tip := signedServer(b, bin, history, *commitsFlag)
			against(b, server, incoming(server, tip), *commitsFlag, func() *exec.Cmd { return preReceive(bin, server, tip) })
		})
	}
}

// BenchmarkSmallPush is pre-receive over ten signed commits onto the main branch of a
// large server with many refs, beside a program that does nothing.
func BenchmarkSmallPush(b *testing.B) {
	bin := programs(b)
	history := chosen(*historyFlag, 100_000)[0]
	server, tip := signedServer(b, bin, history, 10)
	main := server.Git(b, "rev-parse", "main")
	for _, refs := range chosen(*refsFlag, 500, 5000) {
		b.Run(fmt.Sprintf("onto %d with %d refs", history, refs), func(b *testing.B) {
			branches(b, server, "main", refs)
			c := newContest(b)
			for b.Loop() {
				c.run("empty", exec.Command(filepath.Join(bin, "empty")))
				c.run("gate", updating(bin, server, main+" "+tip+" refs/heads/main\n"))
			}
			c.report("empty", "gate")
		})
	}
}

// BenchmarkManyRefs is pre-receive over one push of many new branches, each of which
// ends in another signed commit, beside git itself reading the same objects.
func BenchmarkManyRefs(b *testing.B) {
	bin := programs(b)
	for _, refs := range chosen(*refsFlag, 5000) {
		b.Run(fmt.Sprintf("%d refs onto %d", refs, max(*historyFlag, 0)), func(b *testing.B) {
			server, tip := signedServer(b, bin, max(*historyFlag, 0), refs)
			list := incoming(server, tip)
			var updates strings.Builder
			for n, commit := range strings.Fields(server.Git(b, list...)) {
				fmt.Fprintf(&updates, "%040d %s refs/heads/new/%d\n", 0, commit, n)
			}
			against(b, server, list, refs, func() *exec.Cmd { return updating(bin, server, updates.String()) })
		})
	}
}

// incoming lists the commits of a push that are not yet on the server.
func incoming(server *gittest.Repo, tip string) []string {
	list := []string{"rev-list", tip}
	if _, _, err := server.Run("", "rev-parse", "--verify", "refs/heads/main"); err == nil {
		list = append(list, "^refs/heads/main")
	}
	return append(list, "--")
}

// against measures a push of so many commits beside `git rev-list | git cat-file` over them.
func against(b *testing.B, server *gittest.Repo, list []string, commits int, push func() *exec.Cmd) {
	b.Helper()
	if got := len(strings.Fields(server.Git(b, list...))); got != commits {
		b.Fatalf("git lists %d commits, want %d", got, commits)
	}
	c := newContest(b)
	var memory, gateCPU, gitCPU float64
	for b.Loop() {
		lister := server.Command(list...)
		read := piped(b, lister, server.Command("cat-file", "--batch", "--buffer"))
		c.run("git", read)
		if err := lister.Wait(); err != nil {
			b.Fatal(err)
		}
		gate := push()
		c.turn("gate", func() { memory = max(memory, watched(b, gate)) })
		gitCPU += cpu(lister) + cpu(read)
		gateCPU += cpu(gate)
	}
	c.report("git", "gate")
	b.ReportMetric(float64(commits)/c.median("gate"), "commits/s")
	b.ReportMetric(gateCPU/gitCPU, "gate/git-cpu")
	b.ReportMetric(memory, "gate-MiB")
}

// cpu is the processor time in seconds that a command and its children took.
func cpu(cmd *exec.Cmd) float64 {
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// branches puts that many packed branches on a server, one on each of the last commits of a
// revision.
func branches(b *testing.B, server *gittest.Repo, revision string, n int) {
	b.Helper()
	var in strings.Builder
	for i, commit := range strings.Fields(server.Git(b, "rev-list", fmt.Sprintf("--max-count=%d", n), revision)) {
		fmt.Fprintf(&in, "update refs/heads/team/%d %s\n", i, commit)
	}
	if _, stderr, err := server.Run(in.String(), "update-ref", "--stdin"); err != nil {
		b.Fatalf("update-ref: %v\n%s", err, stderr)
	}
	server.Git(b, "pack-refs", "--all")
}

// preReceive is the hook as git would call it for a new branch with that tip.
func preReceive(bin string, server *gittest.Repo, tip string) *exec.Cmd {
	return updating(bin, server, fmt.Sprintf("%040d %s refs/heads/new\n", 0, tip))
}

// updating is the hook as git would call it for those updates.
func updating(bin string, server *gittest.Repo, updates string) *exec.Cmd {
	hook := exec.Command(filepath.Join(bin, "gatekeeper-pre-receive"), "pre-receive")
	hook.Dir, hook.Env = server.Dir, append(slices.Clone(server.Env), "GIT_DIR=.")
	hook.Stdin = strings.NewReader(updates)
	return hook
}
