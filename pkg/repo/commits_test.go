package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

const noLimit = 1 << 40

// collect takes copies of what Commits yields.
func collect(t testing.TB, r *Repo, include, exclude []change.ID, limit int64) ([]change.RawCommit, error) {
	t.Helper()
	var all []change.RawCommit
	for c, err := range r.Commits(t.Context(), include, exclude, limit) {
		if err != nil {
			return all, err
		}
		c.Data = bytes.Clone(c.Data)
		all = append(all, c)
	}
	return all, nil
}

// woven is a history with merges, by fast-import.
func (f *fixture) woven(commits int) {
	f.t.Helper()
	var b strings.Builder
	for i := 1; i <= commits; i++ {
		fmt.Fprintf(&b, "commit refs/heads/b%d\nmark :%d\ncommitter C <c@example.com> %d +0000\ndata 9\ncommit %02d\n",
			i%4, i, 1700000000+i%7, i%100)
		if i%5 == 0 {
			fmt.Fprintf(&b, "merge :%d\n", i-2)
		}
		fmt.Fprintf(&b, "M 644 inline f%d\ndata 1\n%d\n\n", i%10, i%10)
	}
	f.gitIn(b.String(), "fast-import", "--quiet")
}

func TestCommitsComeParentsFirst(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, "--object-format="+format)
			f.woven(400)
			r := f.hook().Server()
			include, exclude := []change.ID{f.id("b0"), f.id("b1"), f.id("b3")}, []change.ID{f.id("b0~20"), f.id("b2~30")}
			got, err := collect(t, r, include, exclude, noLimit)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(f.git("rev-list", "b0", "b1", "b3", "^b0~20", "^b2~30"))
			seen := map[change.ID]bool{}
			inRange := map[string]bool{}
			for _, id := range want {
				inRange[id] = true
			}
			for _, c := range got {
				if objectID("commit", c.Data, r.IDSize) != c.ID || !inRange[c.ID.String()] || seen[c.ID] {
					t.Fatalf("commit %s: wrong bytes, out of range or twice", c.ID)
				}
				seen[c.ID] = true
				parsed, err := change.ParseCommit(c.Data)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range parsed.Parents {
					if inRange[p.String()] && !seen[p] {
						t.Errorf("commit %s came before its parent %s", c.ID, p)
					}
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d commits, git lists %d", len(got), len(want))
			}
			if n, err := r.Count(t.Context(), include, exclude, 1000); err != nil || n != len(want) {
				t.Errorf("counted %d, %v", n, err)
			}
			if n, err := r.Count(t.Context(), include, exclude, 10); err != nil || n != 10 {
				t.Errorf("counted %d of at most 10, %v", n, err)
			}
		})
	}
}

func TestNoCommitsAreNoError(t *testing.T) {
	f := newFixture(t)
	id := f.commit("a", "1")
	for _, ids := range [][2][]change.ID{{nil, nil}, {nil, {id}}, {{id}, {id}}} {
		if got, err := collect(t, f.hook(), ids[0], ids[1], noLimit); err != nil || len(got) != 0 {
			t.Errorf("%v: %d commits, %v", ids, len(got), err)
		}
	}
}

func TestALargeCommitIsPassedOver(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	f.gitIn("large\n\n"+strings.Repeat("x", 3<<20), "commit", "-q", "--allow-empty", "-F", "-")
	large := f.id("HEAD")
	f.commit("a", "2")
	got, err := collect(t, f.hook(), []change.ID{f.id("HEAD")}, nil, 1<<20)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d commits, %v", len(got), err)
	}
	for _, c := range got {
		if c.TooLarge != (c.ID == large) || (c.Data == nil) != c.TooLarge {
			t.Errorf("commit %s of %d bytes: too large is %v, data %d", c.ID, c.Size, c.TooLarge, len(c.Data))
		}
	}
	if exact, err := collect(t, f.hook(), []change.ID{large}, nil, got[1].Size); err != nil || exact[1].TooLarge {
		t.Errorf("a commit of exactly the limit is too large, or %v", err)
	}
}

func TestAHoleInHistoryIsAnError(t *testing.T) {
	f := newFixture(t)
	f.commit("a", "1")
	gone := f.id("HEAD").String()
	f.commit("a", "2")
	tip := f.id("HEAD")
	if err := os.Remove(filepath.Join(f.dir, ".git/objects", gone[:2], gone[2:])); err != nil {
		t.Fatal(err)
	}
	if got, err := collect(t, f.hook(), []change.ID{tip}, nil, noLimit); err == nil {
		t.Errorf("%d commits and no error", len(got))
	}
	if got, err := collect(t, f.hook(), []change.ID{objectID("commit", nil, 20)}, nil, noLimit); err == nil {
		t.Errorf("%d commits of one that is not there, and no error", len(got))
	}
}

// goroutines and children must be gone, whichever way the loop ends.
func TestLeavingTheLoopLeavesNothingBehind(t *testing.T) {
	f := newFixture(t)
	f.woven(2000)
	tips := []change.ID{f.id("b0"), f.id("b1"), f.id("b2"), f.id("b3")}
	before := runtime.NumGoroutine()
	for n := range 10 {
		seen := 0
		for _, err := range f.hook().Commits(t.Context(), tips, nil, noLimit) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen > n {
				break
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var last error
		seen = 0
		for _, err := range f.hook().Commits(ctx, tips, nil, noLimit) {
			if seen++; seen == n {
				cancel()
			}
			last = err
		}
		cancel()
		if n > 0 && last != nil && !errors.Is(last, context.Canceled) {
			t.Errorf("a cancelled walk ended with %v", last)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, %d before", now, before)
	}
	if children := zombies(t); len(children) > 0 {
		t.Errorf("children left: %v", children)
	}
}

// zombies lists the children of this process that are still known to the system.
func zombies(t *testing.T) []string {
	t.Helper()
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	var all []string
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		if err == nil {
			all = append(all, strings.Fields(string(data))...)
		}
	}
	return all
}

func TestABatchSurvivesWhatIsMissingAndUnread(t *testing.T) {
	f := newFixture(t)
	f.commit("a", strings.Repeat("long ", 100_000))
	b, err := f.hook().Server().Batch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	blob, tip := f.id("HEAD:a"), f.id("HEAD")
	for range 3 {
		if _, err := b.Open(objectID("blob", []byte("nowhere"), 20)); !errors.Is(err, change.ErrMissing) {
			t.Fatalf("error %v, want change.ErrMissing", err)
		}
		o, err := b.Open(blob)
		if err != nil || o.Size != 500_000 || o.Type != "blob" {
			t.Fatalf("got %v, %v", o, err)
		}
		if _, err := io.ReadFull(o, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, b, tip); got.Type != "commit" {
			t.Fatalf("after half a blob comes %q", got)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(tip); err == nil {
		t.Error("a closed batch answers")
	}
}

func TestACancelledBatchSaysSo(t *testing.T) {
	f := newFixture(t)
	tip := f.commit("a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	b, err := f.hook().Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cancel()
	for range 100 { // until the child is gone
		if _, err = b.Open(tip); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestAReaderOutlivesAQuestionThatWasGivenUp(t *testing.T) {
	f := newFixture(t)
	tip := f.commit("a", "1")
	reader := f.hook().Server().Reader()
	defer reader.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := reader.TreeOf(ctx, tip); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := reader.TreeOf(ctx, tip); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	for range 4 {
		go reader.TreeOf(t.Context(), tip)
	}
	tree, err := reader.TreeOf(t.Context(), tip)
	if err != nil || tree != f.id("HEAD^{tree}") {
		t.Errorf("tree %s, %v", tree, err)
	}
	nowhere := objectID("blob", []byte("nowhere"), 20)
	if missing, err := reader.Missing(t.Context(), []change.ID{tip, nowhere}); err != nil || !slices.Equal(missing, []change.ID{nowhere}) {
		t.Errorf("missing %v, %v", missing, err)
	}
}

func TestTagsArePeeled(t *testing.T) {
	f := newFixture(t)
	tip := f.commit("a", "1")
	f.git("tag", "-a", "-m", "m", "one")
	f.git("tag", "-a", "-m", "m", "two", "one")
	f.git("tag", "-a", "-m", "m", "tree", "HEAD^{tree}")
	f.git("tag", "-a", "-m", "m", "blob", "HEAD:a")
	reader := f.hook().Reader()
	defer reader.Close()
	for rev, want := range map[string]string{"HEAD": "commit", "one": "commit", "two": "commit", "tree": "tree", "blob": "blob", "HEAD:a": "blob"} {
		commit, kind, err := reader.Peel(t.Context(), f.id(rev))
		if err != nil || kind != want || (commit == tip) != (want == "commit") {
			t.Errorf("%s: %s %s, %v", rev, commit, kind, err)
		}
	}
}

// The real thing: a hook of a push sees objects that are in no object directory
// but the quarantine, loose or packed, in a fork whose history is elsewhere.
func TestCommitsInQuarantine(t *testing.T) {
	for _, unpack := range []string{"1", "1000"} { // packed, loose
		for _, alternate := range []string{"absolute", "relative"} {
			t.Run("unpackLimit "+unpack+", "+alternate+" alternate", func(t *testing.T) {
				f := newFixture(t)
				f.commit("a", "1")
				pool, server := f.bareClone("pool.git"), f.bareClone("server.git")
				objects := filepath.Join(pool.dir, "objects")
				if alternate == "relative" {
					objects = "../../pool.git/objects"
				}
				server.write("objects/info/alternates", objects+"\n")
				server.git("repack", "-adlq") // what the pool has, goes
				server.git("config", "receive.unpackLimit", unpack)
				saved := filepath.Join(f.home, "env")
				// The hook waits while the test looks: quarantine lasts as long as it runs.
				server.write("hooks/pre-receive", "#!/bin/sh\nenv >'"+saved+".part'; mv '"+saved+".part' '"+saved+"'\nwhile test ! -e '"+saved+".done'; do sleep 0.01; done\n")
				if err := os.Chmod(filepath.Join(server.dir, "hooks/pre-receive"), 0o755); err != nil {
					t.Fatal(err)
				}
				old := f.id("HEAD")
				tip := f.commit("b", "2")
				pushed := make(chan error)
				go func() {
					_, err := f.try("", "push", "-q", server.dir, "main")
					pushed <- err
				}()
				var env []byte
				for len(env) == 0 {
					env, _ = os.ReadFile(saved)
					time.Sleep(time.Millisecond)
				}
				r, err := FromHook(strings.Split(strings.TrimSpace(string(env)), "\n"), server.dir)
				if err != nil {
					t.Fatal(err)
				}
				if r.Getenv("GIT_QUARANTINE_PATH") == "" {
					t.Error("no quarantine to test")
				}
				got, err := collect(t, r.Server(), []change.ID{tip}, []change.ID{old}, noLimit)
				if err != nil || len(got) != 1 || got[0].ID != tip {
					t.Errorf("got %d commits, %v", len(got), err)
				}
				objs := r.Objects(t.Context())
				if o := read(t, objs, tip); o.Content != string(got[0].Data) {
					t.Errorf("the light reader says %q", o)
				}
				objs.Close()
				before := server.git("count-objects", "-v")
				merged, clean, err := r.Server().MergeTree(t.Context(), tip, old)
				if err != nil || !clean || merged != f.id("HEAD^{tree}") {
					t.Errorf("merge: %s %v %v", merged, clean, err)
				}
				if after := server.git("count-objects", "-v"); after != before {
					t.Errorf("merging left objects: %s", after)
				}
				if err := os.WriteFile(saved+".done", nil, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := <-pushed; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func (f *fixture) bareClone(name string) *fixture {
	f.t.Helper()
	dir := filepath.Join(filepath.Dir(f.dir), name)
	f.git("clone", "-q", "--bare", "--no-local", f.dir, dir)
	g := f.at(dir)
	g.git("config", "gc.auto", "0")
	g.git("config", "receive.autogc", "false")
	return g
}

// One ratio: what reading through Commits costs over the bare pipe.
func BenchmarkCommits(b *testing.B) {
	f := newFixture(b)
	f.woven(20_000)
	f.git("repack", "-adq")
	tips := []change.ID{f.id("b0"), f.id("b1"), f.id("b2"), f.id("b3")}
	b.Run("through Commits", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range f.hook().Commits(b.Context(), tips, nil, 1<<20) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n), "commits")
		}
	})
	b.Run("the bare pipe", func(b *testing.B) {
		sh := f.hook()
		for b.Loop() {
			cmd := sh.Command(b.Context(), "--version")
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c",
				"git rev-list --topo-order --reverse b0 b1 b2 b3 | git cat-file --batch --buffer | cat >/dev/null"}
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
