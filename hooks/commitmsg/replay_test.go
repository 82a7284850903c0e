package commitmsg_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a rebase leaves of a commit is judged here by git's own patch of it: where
// that is word for word the same on the new base, with the line above and below each
// hunk, paths and hunks have all arrived, and the author's attestation must have, too.
// Any other commit has been signed anew, and why it had to be is told by what differs.

// patch is git's patch of a commit without places, ids and its message.
func (w *world) patch(rev string) string {
	w.t.Helper()
	out := w.git("diff-tree", "-p", "-U1", "--root", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--no-indent-heuristic",
		"--diff-algorithm=myers", "--binary", "--full-index", "--no-commit-id", rev)
	var b strings.Builder
	for line := range strings.Lines(out) {
		switch {
		case strings.HasPrefix(line, "index "):
		case strings.HasPrefix(line, "@@ "):
			b.WriteString("@@\n")
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// reason says in what the patch of a commit on its new base differs from before.
func reason(before, after string) string {
	paths := func(patch string) (list []string) {
		for line := range strings.Lines(patch) {
			if strings.HasPrefix(line, "diff --git ") {
				list = append(list, line)
			}
		}
		return list
	}
	count := func(patch string) (n int) {
		for line := range strings.Lines(patch) {
			if (line[0] == '+' || line[0] == '-') && !strings.HasPrefix(line, "+++ ") && !strings.HasPrefix(line, "--- ") {
				n++
			}
		}
		return n
	}
	switch {
	case !slices.Equal(paths(before), paths(after)):
		return "a path was renamed or is there already"
	case count(before) != count(after):
		return "a hunk is there already"
	}
	return "other lines stand beside a hunk"
}

// slides reports whether a hunk of a patch could as well stand one line higher: git shows
// it in its lowest place, and the digest holds what stands beside it in its highest.
func slides(patch string) bool {
	for _, hunk := range strings.Split(patch, "@@\n")[1:] {
		lines := strings.Split(hunk, "\n")
		above, changed := "", ""
		pure := true
		for _, line := range lines {
			if line == "" || line[0] == ' ' || line[0] == 'd' { // what stands below, or the next file
				if changed != "" {
					break
				}
				above = line
				continue
			}
			pure = pure && (changed == "" || changed[0] == line[0])
			changed = line
		}
		if pure && changed != "" && above != "" && above[1:] == changed[1:] {
			return true
		}
	}
	return false
}

// A history is made by random edits of a few files, which repeat their lines, so that
// hunks meet others like them.
type history struct {
	w    *world
	rand *rand.Rand
	n    int
}

func (h *history) name() string { return fmt.Sprintf("dir%d/file%d", h.rand.IntN(2), h.rand.IntN(3)) }

func (h *history) read(name string) []string {
	data, err := os.ReadFile(filepath.Join(h.w.dir, name))
	if err != nil {
		return nil
	}
	return strings.SplitAfter(strings.TrimSuffix(string(data), "\n")+"\n", "\n")
}

// edit changes the work tree in one of the ways in which people do.
func (h *history) edit() {
	h.n++
	name := h.name()
	text := h.read(name)
	line := func() string {
		return []string{"}\n", "\n", "return nil\n", fmt.Sprintf("line %d\n", h.rand.IntN(400))}[h.rand.IntN(4)]
	}
	switch h.rand.IntN(10) {
	case 0: // a new file, or the same on both sides
		name = fmt.Sprintf("new/file%d", h.rand.IntN(6))
		text = []string{"new\n", "file\n"}
	case 1:
		if len(text) > 0 {
			to := fmt.Sprintf("renamed/file%d", h.n)
			if err := os.MkdirAll(filepath.Join(h.w.dir, "renamed"), 0o755); err != nil {
				h.w.t.Fatal(err)
			}
			h.w.git("mv", name, to)
			return
		}
	case 2:
		if len(text) > 0 {
			if err := os.Chmod(filepath.Join(h.w.dir, name), []os.FileMode{0o644, 0o755}[h.rand.IntN(2)]); err != nil {
				h.w.t.Fatal(err)
			}
		}
	case 3: // a hunk that the other side may have as well
		text = append([]string{"import everything\n"}, text...)
	default:
		for range 1 + h.rand.IntN(3) {
			if len(text) < 20 {
				for n := range 60 {
					text = append(text, fmt.Sprintf("line %d\n", n), line())
				}
			}
			at := h.rand.IntN(len(text) - 4)
			switch h.rand.IntN(3) {
			case 0:
				text = slices.Insert(text, at, line(), line())
			case 1:
				text = slices.Delete(text, at, at+1+h.rand.IntN(2))
			case 2:
				text[at] = line()
			}
		}
	}
	h.w.write(name, strings.Join(text, ""))
}

func (h *history) commit(subject string) {
	for range 1 + h.rand.IntN(2) {
		h.edit()
	}
	h.w.git("add", "-A")
	h.w.git("commit", "-q", "--allow-empty", "-m", fmt.Sprintf("%s %d", subject, h.n))
}

// A replayed commit is one before and after its rebase.
type replayed struct{ before, after string }

// rebase rebases topic onto another branch, leaving out what conflicts, and pairs the
// commits by their subjects, which are all different.
func (w *world) rebase(args ...string) (pairs []replayed) {
	w.t.Helper()
	old := map[string]string{}
	for _, rev := range strings.Fields(w.git("rev-list", "topic", "--not", "main")) {
		old[w.git("log", "-1", "--format=%s", rev)] = rev
	}
	editing := w.editing("true")
	_, _, err := editing.run("", append([]string{"rebase", "-q", "--empty=drop"}, args...)...)
	for err != nil {
		_, _, err = editing.run("", "rebase", "--skip")
		if _, broken := os.Stat(filepath.Join(w.dir, ".git/rebase-merge")); broken != nil && err != nil {
			w.t.Fatal("the rebase ended in the middle")
		}
	}
	for _, rev := range strings.Fields(w.git("rev-list", "--reverse", "topic", "--not", "main")) {
		if before := old[w.git("log", "-1", "--format=%s", rev)]; before != "" {
			pairs = append(pairs, replayed{before, rev})
		}
	}
	return pairs
}

// checkReplayed holds each commit to what the head of this file says, and counts.
func (w *world) checkReplayed(pairs []replayed, kept map[string]int) {
	w.t.Helper()
	for _, p := range pairs {
		before, after := w.patch(p.before), w.patch(p.after)
		same := slices.Equal(w.values(p.before, "AI-Attestation"), w.values(p.after, "AI-Attestation"))
		got := w.binding(p.after)
		switch {
		case got != "exact" && got != "change":
			w.t.Errorf("%s: %s\n%s", w.git("log", "-1", "--format=%s", p.after), got, after)
		case same:
			kept["kept"]++
		case before == after && slides(before):
			kept["a hunk can stand higher, beside another line"]++
		case before == after:
			w.t.Errorf("%s arrived whole and was signed anew\n%s", w.git("log", "-1", "--format=%s", p.after), before)
		default:
			kept[reason(before, after)]++
		}
	}
}

func TestReplay(t *testing.T) {
	t.Run("generated histories", func(t *testing.T) {
		kept := map[string]int{}
		for seed := range uint64(8) {
			w := newWorld(t)
			h := &history{w: w, rand: rand.New(rand.NewPCG(seed, 1))}
			for range 4 {
				h.commit("Base")
			}
			w.git("checkout", "-q", "-b", "topic")
			for range 10 {
				h.commit("Topic")
			}
			w.git("checkout", "-q", "main")
			for range 6 {
				h.commit("Main")
			}
			w.checkReplayed(w.rebase("main", "topic"), kept)
		}
		t.Log(kept)
		if kept["kept"] < 20 || len(kept) < 3 {
			t.Errorf("too little happened to say anything: %v", kept)
		}
	})

	t.Run("this project's own history", func(t *testing.T) {
		w := newWorld(t)
		source := ownHistory(t, w)
		kept := map[string]int{}
		for _, distance := range []int{3, 8} {
			w.git("checkout", "-q", "-B", "topic", source)
			w.stampAll(source + "~12.." + source)
			w.git("branch", "-f", "main", fmt.Sprintf("%s~%d", source, 12+distance))
			w.git("checkout", "-q", "--detach")
			w.checkReplayed(w.rebase("--onto", "main", "topic~12", "topic"), kept)
		}
		t.Log(kept)
	})
}

// ownHistory fetches the history that this source is in, up to a commit of its own, or
// where it comes without one, makes one of it: a file a commit.
func ownHistory(t *testing.T, w *world) string {
	t.Helper()
	ask := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = w.env
		out, _ := cmd.Output()
		return strings.TrimSpace(string(out))
	}
	const newest = "bc699e818df6bd430318e88559300da2dc68b837"
	if n, _ := strconv.Atoi(ask("rev-list", "--count", "--first-parent", newest)); n > 30 {
		w.git("fetch", "-q", ask("rev-parse", "--show-toplevel"), "HEAD")
		w.git("reset", "-q", "--hard", newest)
		return newest
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for n, name := range slices.Concat(files, files) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		w.commit(name, strings.Replace(string(data), "return", fmt.Sprintf("return // %d\n", n), n), fmt.Sprintf("%s %d", name, n))
	}
	return w.git("rev-parse", "HEAD")
}

// stampAll signs the commits of a range, one after the other, as their author.
func (w *world) stampAll(spec string) {
	w.t.Helper()
	base, _, _ := strings.Cut(spec, "..")
	w.git("rebase", "-q", "--force-rebase", "--exec", "git commit -q --amend --no-edit --allow-empty", base, "topic")
}
