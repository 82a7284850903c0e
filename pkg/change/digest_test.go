package change

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func text(lines ...string) file { return file{0o100644, strings.Join(lines, "\n") + "\n"} }

func digestOf(t testing.TB, sha256 bool, old, new files) provenance.Digest {
	t.Helper()
	s := newStore(sha256)
	digest, _, err := Compute(s, s.tree(old), s.tree(new))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// SHA-1 can be made to collide: then one id stands for two contents, in two
// repositories. What was signed of the one is not what is read of the other, in small
// text, in a file that is all new, and in a binary one.
func TestTwoContentsUnderOneIDAreTwoChanges(t *testing.T) {
	for name, good := range map[string]string{"text": "a\nb\nC\nd\ne\n", "binary": "a\x00C"} {
		for where, base := range map[string]files{"changed": {"f": text("a", "b", "c", "d", "e")}, "new": {"g": text("x")}} {
			s := newStore(false)
			old := s.tree(base)
			now := maps.Clone(base)
			now["f"] = file{0o100644, good}
			tree := s.tree(now)
			signed, _, err := Compute(s, old, tree)
			if err != nil {
				t.Fatal(err)
			}
			s.objects[s.put("blob", []byte(good))] = stored{"blob", []byte(strings.Replace(good, "C", "D", 1))}
			read, _, err := Compute(s, old, tree)
			if err != nil {
				t.Fatal(err)
			}
			if read == signed {
				t.Errorf("%s, %s: content that collides has the digest of what was signed", name, where)
			}
		}
	}
}

func TestChangesThatDiffer(t *testing.T) {
	base := files{"f": text("a", "b", "c", "d", "e"), "g": text("x")}
	with := func(path string, f file) files {
		m := maps.Clone(base)
		if f.mode == 0 {
			delete(m, path)
		} else {
			m[path] = f
		}
		return m
	}
	link := ID(strings.Repeat("\x11", 20))
	changes := map[string]files{
		"nothing":                            base,
		"a line changed":                     with("f", text("a", "b", "C", "d", "e")),
		"another line changed to the same":   with("f", text("a", "b", "c", "C", "e")),
		"a line added":                       with("f", text("a", "b", "C", "c", "d", "e")),
		"a line added elsewhere":             with("f", text("a", "b", "c", "C", "d", "e")),
		"a line deleted":                     with("f", text("a", "b", "d", "e")),
		"two lines swapped":                  with("f", text("a", "c", "b", "d", "e")),
		"two lines swapped elsewhere":        with("f", text("a", "b", "d", "c", "e")),
		"two hunks":                          with("f", text("A", "b", "c", "d", "E")),
		"the same hunks in the other order":  with("f", text("E", "b", "c", "d", "A")),
		"no newline at the end":              with("f", file{0o100644, "a\nb\nc\nd\ne"}),
		"carriage return at the end":         with("f", file{0o100644, "a\nb\nc\nd\ne\r\n"}),
		"one more line end":                  with("f", file{0o100644, "a\nb\nc\nd\ne\n\n"}),
		"executable":                         with("f", file{0o100755, base["f"].text}),
		"executable and changed":             with("f", file{0o100755, "a\nb\nC\nd\ne\n"}),
		"file becomes a link":                with("f", file{0o120000, base["f"].text}),
		"file becomes a gitlink":             with("f", file{0o160000, string(link)}),
		"file deleted":                       with("f", file{}),
		"another file deleted":               with("g", file{}),
		"file emptied":                       with("f", file{0o100644, ""}),
		"file added":                         with("h", text("x")),
		"file added at another path":         with("i", text("x")),
		"empty file added":                   with("h", file{0o100644, ""}),
		"empty executable added":             with("h", file{0o100755, ""}),
		"link added":                         with("h", file{0o120000, "x\n"}),
		"link to elsewhere added":            with("h", file{0o120000, "y\n"}),
		"binary file added":                  with("h", file{0o100644, "x\n\x00"}),
		"other binary file added":            with("h", file{0o100644, "y\n\x00"}),
		"file in a directory added":          with("h/h", text("x")),
		"path with a directory in its name":  with("h h", text("x")),
		"file replaced by a directory":       with("f/f", file{0o100644, base["f"].text}),
		"gitlink added":                      with("h", file{0o160000, string(link)}),
		"gitlink to another commit added":    with("h", file{0o160000, strings.Repeat("\x12", 20)}),
		"file renamed":                       with("f2", base["f"]),
		"everything deleted":                 nil,
		"large file added":                   with("h", file{0o100644, strings.Repeat("x", maxText+1)}),
		"other large file added":             with("h", file{0o100644, strings.Repeat("x", maxText+2)}),
		"a file that is a record of another": with("h", file{0o100644, "h\x00\x00\x00\x00\x00\x00\x00\x00"}),
	}
	delete(changes["file replaced by a directory"], "f")
	delete(changes["file renamed"], "f")
	seen := map[provenance.Digest]string{}
	for name, new := range changes {
		digest := digestOf(t, false, base, new)
		if other, ok := seen[digest]; ok {
			t.Errorf("%q and %q have one digest", name, other)
		}
		seen[digest] = name
		if back := digestOf(t, false, new, base); back == digest && name != "nothing" {
			t.Errorf("%q and its reversal have one digest", name)
		}
		checkModel(t, base, new)
		checkModel(t, new, base)
		checkModel(t, nil, new)
	}
}

func TestChangesThatAreTheSame(t *testing.T) {
	old := files{"f": text("a", "b", "c", "d", "e")}
	new := files{"f": text("a", "b", "X", "d", "e")}
	want := digestOf(t, false, old, new)
	for _, tt := range []struct {
		name     string
		old, new files
	}{
		{"on lines changed elsewhere", files{"f": text("A", "b", "c", "d", "E")}, files{"f": text("A", "b", "X", "d", "E")}},
		{"on lines added above and below", files{"f": text("0", "a", "1", "b", "c", "d", "2", "e")}, files{"f": text("0", "a", "1", "b", "X", "d", "2", "e")}},
		{"on lines deleted", files{"f": text("b", "c", "d")}, files{"f": text("b", "X", "d")}},
		{"beside other files", files{"f": old["f"], "a/b": text("x")}, files{"f": new["f"], "a/b": text("x")}},
		{"on an executable", files{"f": {0o100755, old["f"].text}}, files{"f": {0o100755, new["f"].text}}},
		{"on a mode that git no longer writes", files{"f": {0o100664, old["f"].text}}, new},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := digestOf(t, false, tt.old, tt.new); got != want {
				t.Error("the digest differs")
			}
			if got := digestOf(t, true, tt.old, tt.new); got != want {
				t.Error("the digest differs in a SHA-256 repository")
			}
		})
	}
}

// TestUntouchedLinesCannotBeSwapped is what a digest of unordered lines would
// allow: the lines of a change are the same, and they stand elsewhere.
func TestUntouchedLinesCannotBeSwapped(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		lines := modelLines(randomText(r, 40, 1000))
		if len(lines) < 6 {
			continue
		}
		old := strings.Join(lines, "")
		at := r.IntN(len(lines) - 1)
		lines[at] = "new\n"
		new := strings.Join(lines, "")
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		if i == j || lines[i] == lines[j] {
			continue
		}
		lines[i], lines[j] = lines[j], lines[i]
		moved := strings.Join(lines, "")
		a := digestOf(t, false, files{"f": {0o100644, old}}, files{"f": {0o100644, new}})
		b := digestOf(t, false, files{"f": {0o100644, old}}, files{"f": {0o100644, moved}})
		if a == b {
			t.Fatalf("%q changed to %q and to %q has one digest", old, new, moved)
		}
	}
}

func TestRandomTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		old, new := randomFiles(r), randomFiles(r)
		for path, f := range old {
			if r.IntN(2) == 0 {
				continue
			}
			// So that many paths are on both sides; what then is both a file and
			// a directory goes.
			new[path] = file{f.mode, edited(r, f.text, r.IntN(3), 9)}
			if f.mode == 0o160000 {
				new[path] = f
			}
		}
		dropConflicts(new)
		checkModel(t, old, new)
		checkModel(t, old, nil)
	}
}

var randomModes = []uint32{0o100644, 0o100644, 0o100644, 0o100755, 0o100664, 0o120000, 0o160000}

func randomFiles(r *rand.Rand) files {
	names := []string{"a", "b", "a.b", "a-", "ab", "a0"}
	all := files{}
	for range r.IntN(12) {
		path := names[r.IntN(len(names))]
		for range r.IntN(3) {
			path += "/" + names[r.IntN(len(names))]
		}
		f := file{randomModes[r.IntN(len(randomModes))], randomText(r, 8, 9)}
		switch {
		case f.mode == 0o160000:
			sum := sha1.Sum([]byte(f.text))
			f.text = string(sum[:])
		case r.IntN(8) == 0:
			f.text += "\x00"
		}
		all[path] = f
	}
	dropConflicts(all)
	return all
}

func dropConflicts(all files) {
	for path := range all {
		for dir := path; ; {
			i := strings.LastIndexByte(dir, '/')
			if i < 0 {
				break
			}
			dir = dir[:i]
			delete(all, dir)
		}
	}
}

func TestStats(t *testing.T) {
	old := files{"f": text("a", "b", "c"), "bin": {0o100644, "\x00"}, "same": text("s"), "mode": text("m"), "link": {0o120000, "t"}}
	new := files{"f": text("a", "X", "Y", "c"), "bin": {0o100644, "\x00\n\n"}, "same": text("s"), "mode": {0o100755, "m\n"}, "link": {0o100644, "t"}}
	s := newStore(false)
	_, got, err := Compute(s, s.tree(old), s.tree(new))
	if err != nil {
		t.Fatal(err)
	}
	want := Stats{Added: 3, Removed: 1, Files: 4, Read: int64(6 + 8 + 1 + 3 + 1 + 1), Steps: got.Steps}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for id, n := range s.opened {
		// The target of the link is the text of the file that replaced it.
		if n > 1 && string(s.objects[id].data) != "t" {
			t.Errorf("object %q was opened %d times", s.objects[id].data, n)
		}
		if string(s.objects[id].data) == "s\n" || string(s.objects[id].data) == "m\n" {
			t.Errorf("unchanged blob %q was opened", s.objects[id].data)
		}
	}
	if s.open {
		t.Error("an object was left open")
	}
}

func TestErrors(t *testing.T) {
	s := newStore(false)
	blob := s.put("blob", []byte("x\n"))
	missing := ID(strings.Repeat("\x01", 20))
	tree := func(e ...Entry) ID { return s.put("tree", rawTree(e)) }
	for _, tt := range []struct {
		name     string
		old, new ID
		want     string
		is       error
	}{
		{"no such tree", "", missing, "open tree 01010101", ErrMissing},
		{"no such blob", "", tree(Entry{0o100644, "f", missing}), `path "f": open blob 0101`, ErrMissing},
		{"no such tree below", "", tree(Entry{0o40000, "d", missing}), `path "d/": open tree 0101`, ErrMissing},
		{"a blob for a tree", "", blob, `want a tree, found a "blob"`, nil},
		{"a tree for a blob", "", tree(Entry{0o100644, "f", tree()}), `want a blob, found a "tree"`, nil},
		{"a bad tree below", "", tree(Entry{0o40000, "d", s.put("tree", []byte("x"))}), `path "d/": read tree: malformed tree, entry 1`, nil},
		{"ids of two sizes", tree(), ID(strings.Repeat("\x01", 32)), "different sizes", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Compute(s, tt.old, tt.new)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if s.open {
				t.Error("an object was left open")
			}
		})
	}
	t.Run("a malformed tree can be told from other errors", func(t *testing.T) {
		_, _, err := Compute(s, "", s.put("tree", []byte("x")))
		if bad := (*MalformedError)(nil); !errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
	})
}

// oneObject gives every id the same object, whose reader may lie about its
// size.
type oneObject struct {
	root ID
	tree []byte
	size int64
	body string
}

func (o oneObject) Open(id ID) (Object, error) {
	if id == o.root {
		return Object{"tree", int64(len(o.tree)), io.NopCloser(bytes.NewReader(o.tree))}, nil
	}
	return Object{"blob", o.size, io.NopCloser(strings.NewReader(o.body))}, nil
}

func TestSizesAreChecked(t *testing.T) {
	root := ID(strings.Repeat("\x01", 20))
	for _, mode := range []uint32{0o100644, 0o120000} {
		tree := rawTree([]Entry{{mode, "f", ID(strings.Repeat("\x02", 20))}})
		for size, ok := range map[int64]bool{-1: false, 0: false, 3: false, 4: true, 5: false, maxText + 1: false} {
			_, _, err := Compute(oneObject{root, tree, size, "abc\n"}, "", root)
			if (err == nil) != ok {
				t.Errorf("mode %o, size %d: got %v", mode, size, err)
			}
		}
	}
}

func TestHostileTrees(t *testing.T) {
	nested := func(s *store, depth int) ID {
		id := s.tree(files{"f": text("x")})
		for range depth - 1 {
			id = s.put("tree", rawTree([]Entry{{0o40000, "d", id}}))
		}
		return id
	}
	t.Run("as deep as allowed", func(t *testing.T) {
		s := newStore(false)
		if _, _, err := Compute(s, "", nested(s, maxDepth)); err != nil {
			t.Error(err)
		}
	})
	t.Run("ten thousand deep", func(t *testing.T) {
		s := newStore(false)
		_, _, err := Compute(s, "", nested(s, 10000))
		if !errors.Is(err, ErrTooLarge) || len(err.Error()) > 1000 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a tree of more bytes than are held", func(t *testing.T) {
		s := newStore(false)
		id := s.put("tree", make([]byte, maxHeld+1))
		if _, _, err := Compute(s, "", id); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a few trees that unfold into very many paths", func(t *testing.T) {
		s := newStore(false)
		var entries []Entry
		for i := range 200 {
			entries = append(entries, Entry{0o160000, fmt.Sprintf("%04d", i), ID(strings.Repeat("\x02", 20))})
		}
		id := s.put("tree", rawTree(entries))
		for range 4 {
			for i := range entries {
				entries[i].Mode, entries[i].ID = 0o40000, id
			}
			id = s.put("tree", rawTree(entries))
		}
		_, stats, err := Compute(s, "", id)
		if !errors.Is(err, ErrTooLarge) || stats.Files > maxVisit {
			t.Errorf("got %v after %d files", err, stats.Files)
		}
	})
	t.Run("long paths very often", func(t *testing.T) {
		s := newStore(false)
		var entries []Entry
		for i := range 300 {
			entries = append(entries, Entry{0o160000, fmt.Sprintf("%04d", i), ID(strings.Repeat("\x02", 20))})
		}
		id := s.put("tree", rawTree(entries))
		id = s.put("tree", rawTree([]Entry{{0o40000, strings.Repeat("n", 1<<20), id}}))
		_, stats, err := Compute(s, "", id)
		if !errors.Is(err, ErrTooLarge) || stats.Files > maxPaths>>20 {
			t.Errorf("got %v after %d files", err, stats.Files)
		}
	})
}

// TestAgainstGit compares what differs with what git says differs, in histories
// that git made.
func TestAgainstGit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := newGitRepo(t, "--object-format="+format)
			r.git(randomHistory(60), "fast-import", "--quiet")
			checkAgainstGit(t, r)
		})
	}
}

// randomHistory is a linear history for git fast-import.
func randomHistory(commits int) string {
	r := rand.New(rand.NewPCG(9, 10))
	var b strings.Builder
	all := files{}
	for i := range commits {
		for path := range all {
			switch f := all[path]; {
			case r.IntN(12) == 0:
				delete(all, path)
			case r.IntN(3) == 0 && f.mode != 0o160000:
				all[path] = file{f.mode, edited(r, f.text, r.IntN(3), 300)}
			}
		}
		added := randomFiles(r)
		for path, f := range added {
			if f.mode == 0o160000 {
				delete(added, path) // its length is that of the repository's ids
			} else if f.mode == 0o100664 {
				added[path] = file{0o100644, f.text}
			}
		}
		maps.Copy(all, added)
		dropConflicts(all)
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter C <c@example.com> %d +0000\ndata 1\nx\ndeleteall\n", 1700000000+i)
		for _, path := range slices.Sorted(maps.Keys(all)) {
			f := all[path]
			fmt.Fprintf(&b, "M %o inline %s\ndata %d\n%s\n", f.mode, path, len(f.text), f.text)
		}
	}
	return b.String()
}

func checkAgainstGit(t *testing.T, r gitRepo) {
	objs := r.objects()
	revs := strings.Fields(r.git("", "rev-list", "--reverse", "main"))
	for i, rev := range revs {
		old, parent := ID(""), strings.TrimSpace(r.git("", "hash-object", "-t", "tree", "-w", "--stdin"))
		if i > 0 {
			old, parent = r.id(revs[i-1]+"^{tree}"), revs[i-1]
		}
		var buf bytes.Buffer
		var d Digester
		stats, err := d.write(&buf, objs, old, r.id(rev+"^{tree}"))
		if err != nil {
			t.Fatal(err)
		}
		records, err := decodeStream(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rec := range records {
			if len(got) == 0 || got[len(got)-1] != rec.path {
				got = append(got, rec.path)
			}
		}
		want := strings.FieldsFunc(r.git("", "diff-tree", "-r", "--no-renames", "--name-only", "-z", parent, rev), func(c rune) bool { return c == 0 })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("commit %d: paths: %s", i, diff)
		}
		if stats.Files != len(want) {
			t.Errorf("commit %d: counts %d files, want %d", i, stats.Files, len(want))
		}
		checkNumstat(t, records, r.git("", "diff-tree", "-r", "--no-renames", "--numstat", "-z", parent, rev))
	}
}

// checkNumstat compares how many lines each file grew. git's heuristics may find
// other hunks, not fewer edits.
func checkNumstat(t *testing.T, records []decoded, numstat string) {
	t.Helper()
	type counts struct{ added, removed int }
	got := map[string]counts{}
	for _, rec := range records {
		if !rec.hasHunks || rec.kinds == "-l" || rec.kinds == "l-" {
			continue
		}
		c := got[rec.path]
		for _, h := range rec.hunks {
			c.removed += countLines([]byte(h[1]))
			c.added += countLines([]byte(h[2]))
		}
		got[rec.path] = c
	}
	for _, line := range strings.FieldsFunc(numstat, func(c rune) bool { return c == 0 }) {
		f := strings.SplitN(line, "\t", 3)
		c, ok := got[f[2]]
		if f[0] == "-" || !ok {
			continue // binary or link
		}
		added, _ := strconv.Atoi(f[0])
		removed, _ := strconv.Atoi(f[1])
		symlink := false
		for _, rec := range records {
			symlink = symlink || rec.path == f[2] && strings.Contains(rec.kinds, "l")
		}
		if symlink {
			continue
		}
		if added-removed != c.added-c.removed || c.added > added {
			t.Errorf("%s: +%d -%d, git says +%d -%d", f[2], c.added, c.removed, added, removed)
		}
	}
}

// TestCleanPickKeepsTheDigest lets git pick a change onto other changes of the
// same file. Lines are unlike each other, so that no place is ambiguous.
func TestCleanPickKeepsTheDigest(t *testing.T) {
	r := newGitRepo(t)
	rnd := rand.New(rand.NewPCG(11, 12))
	lines := make([]string, 60)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d\n", i)
	}
	edit := func(mark string) string {
		out := slices.Clone(lines)
		for range 3 {
			i := rnd.IntN(len(out))
			switch rnd.IntN(3) {
			case 0:
				out[i] = ""
			case 1:
				out[i] += fmt.Sprintf("%s %d\n%s %d\n", mark, i, mark, rnd.Int())
			default:
				out[i] = fmt.Sprintf("%s %d\n", mark, rnd.Int())
			}
		}
		return strings.Join(out, "")
	}
	r.write("f", strings.Join(lines, ""))
	r.git("", "add", ".")
	r.git("", "commit", "-q", "-m", "base")
	clean := 0
	for i := range 30 {
		r.git("", "checkout", "-q", "-B", "theirs", "main")
		r.write("f", edit("theirs"))
		r.git("", "commit", "-q", "-a", "-m", "theirs")
		r.git("", "checkout", "-q", "-B", "ours", "main")
		r.write("f", edit("ours"))
		r.git("", "commit", "-q", "-a", "-m", "ours")
		if r.command("cherry-pick", "theirs").Run() != nil {
			r.git("", "cherry-pick", "--abort")
			continue
		}
		clean++
		objs := r.objects()
		before, _, err := Compute(objs, r.id("theirs~^{tree}"), r.id("theirs^{tree}"))
		if err != nil {
			t.Fatal(err)
		}
		after, _, err := Compute(objs, r.id("ours~^{tree}"), r.id("ours^{tree}"))
		if err != nil {
			t.Fatal(err)
		}
		if before != after {
			t.Errorf("pick %d: the digest differs\n%s\n%s", i, r.git("", "show", "theirs"), r.git("", "show", "ours"))
		}
	}
	if clean < 10 {
		t.Errorf("only %d picks were clean", clean)
	}
}

func TestNothingDiffers(t *testing.T) {
	want := provenance.Digest(sha256.Sum256([]byte(version)))
	s := newStore(false)
	id := s.tree(files{"f": text("x")})
	empty := s.put("tree", nil)
	nested := s.put("tree", rawTree([]Entry{{0o40000, "d", empty}}))
	for _, pair := range [][2]ID{{"", ""}, {id, id}, {"", empty}, {empty, ""}, {empty, nested}} {
		got, stats, err := Compute(s, pair[0], pair[1])
		if err != nil || got != want || stats != (Stats{}) {
			t.Errorf("%s → %s: got %s, %+v, %v", pair[0], pair[1], got, stats, err)
		}
	}
	if s.opened[id] != 0 {
		t.Error("a tree that does not differ was opened")
	}
}

// Told of each file, a visitor counts as many added lines as the digest does, and
// finds at their numbers what was added.
func TestVisit(t *testing.T) {
	s := newStore(false)
	old := s.tree(files{"kept": {0o100644, "a\nb\n"}, "changed": {0o100644, "1\n2\n3\n4\n5"}, "gone": {0o100644, "x\n"}, "binary": {0o100644, "\x00"}})
	new := s.tree(files{"kept": {0o100644, "a\nb\n"}, "changed": {0o100644, "new\n1\n2\nnew\nnew\n4\n5\nnew"}, "came": {0o100644, "new\nnew"}, "binary": {0o100644, "\x00\x00"}})
	got := map[string]string{}
	lines := 0
	d := Digester{Visit: func(f FileChange) error {
		all := strings.SplitAfter(string(f.Text), "\n")
		text := fmt.Sprintf("%v %v %v:", f.Old != "", f.New != "", f.Text != nil)
		for _, span := range f.Added {
			text += fmt.Sprintf(" %d-%d", span.From, span.To)
			for _, line := range all[span.From:span.To] {
				if strings.TrimSuffix(line, "\n") != "new" && f.Path != "changed" {
					t.Errorf("%s: %q was not added", f.Path, line)
				}
				lines++
			}
		}
		got[f.Path] = text
		return nil
	}}
	sum, stats, err := d.Compute(s, old, new)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, _ := Compute(s, old, new)
	if sum != plain || lines != stats.Added {
		t.Errorf("%d lines told, %d counted; digest the same: %v", lines, stats.Added, sum == plain)
	}
	want := map[string]string{
		"changed": "true true true: 0-1 3-5 6-8", "came": "false true true: 0-2",
		"gone": "true false false:", "binary": "true true false:",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	stop := errors.New("stop")
	d.Visit = func(FileChange) error { return stop }
	if _, _, err := d.Compute(s, old, new); !errors.Is(err, stop) {
		t.Errorf("a visitor's error: %v", err)
	}
}
