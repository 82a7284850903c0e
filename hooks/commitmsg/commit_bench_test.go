package commitmsg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkCommit measures a commit of one 50-line file in a repository of 200
// in three clones, in turns, so that what else the machine does meets all of
// them: without hooks, with two empty Go programs for hooks, with ours. It
// reports the medians' ratios to the first.
func BenchmarkCommit(b *testing.B) {
	plain, empty, ours := benchWorld(b), benchWorld(b), benchWorld(b)
	plain.git("config", "core.hooksPath", "/dev/null")
	empty.git("config", "core.hooksPath", emptyHooks(empty))
	worlds := []*world{plain, empty, ours}
	var took [3][]time.Duration
	n := 0
	for b.Loop() {
		for i, w := range worlds {
			w.write("new.txt", fmt.Sprintf("commit %d\n%s", n, lines(2, 50)))
			w.git("add", "new.txt")
			start := time.Now()
			w.git("commit", "-q", "-m", "A commit")
			took[i] = append(took[i], time.Since(start))
		}
		n++
	}
	for i := range took {
		slices.Sort(took[i])
	}
	median := func(i int) float64 { return float64(took[i][len(took[i])/2].Microseconds()) / 1000 }
	b.ReportMetric(median(0), "ms/plain")
	b.ReportMetric(median(1)/median(0), "x/empty")
	b.ReportMetric(median(2)/median(0), "x/ours")
}

func benchWorld(b *testing.B) *world {
	w := newWorld(b)
	for n := range 200 {
		w.write(fmt.Sprintf("dir%d/file%d.txt", n%10, n), lines(n, n+50))
	}
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "Two hundred files")
	time.Sleep(200 * time.Millisecond) // until git's configuration is old enough to be remembered
	return w
}

func emptyHooks(w *world) string {
	w.put("empty/main.go", "package main\n\nfunc main() {}\n", 0o644)
	hooks := filepath.Join(w.home, "emptyhooks")
	for _, name := range []string{"prepare-commit-msg", "commit-msg"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(hooks, name), filepath.Join(w.home, "empty/main.go"))
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("%v\n%s", err, out)
		}
	}
	return hooks
}
