package repo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

type object struct{ Type, Content string }

func read(t testing.TB, objs change.Objects, id change.ID) object {
	t.Helper()
	o, err := objs.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(o)
	if err == nil {
		err = o.Close()
	}
	if err != nil || int64(len(data)) != o.Size {
		t.Fatalf("object %s: %d bytes of %d, error %v", id, len(data), o.Size, err)
	}
	return object{o.Type, string(data)}
}

// allObjects is everything that git has, read by git.
func (f *fixture) allObjects() map[change.ID]object {
	f.t.Helper()
	b, err := f.hook().Batch(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	defer b.Close()
	all := map[change.ID]object{}
	for _, hex := range strings.Fields(f.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")) {
		id, err := change.ParseID(hex)
		if err != nil {
			f.t.Fatal(err)
		}
		all[id] = read(f.t, b, id)
		if got := objectID(all[id].Type, []byte(all[id].Content), len(id)); got != id {
			f.t.Fatalf("git's object %s hashes to %s", id, got)
		}
	}
	return all
}

// checkObjects reads everything without git and compares.
func (f *fixture) checkObjects(want map[change.ID]object, env ...string) {
	f.t.Helper()
	objs := f.withoutGit(env...).Objects(f.t.Context())
	defer objs.Close()
	for id, w := range want {
		if got := read(f.t, objs, id); got != w {
			f.t.Fatalf("object %s is a %s of %d bytes, git says a %s of %d", id, got.Type, len(got.Content), w.Type, len(w.Content))
		}
	}
}

func (f *fixture) history(commits int) {
	f.t.Helper()
	text := f.lines(400)
	for i := range commits {
		at := f.rand.IntN(len(text))
		text = text[:at] + f.lines(1) + text[at:]
		f.write("big", text)
		f.write(fmt.Sprintf("d%d/small%d", i%5, i), f.lines(1))
		f.write("empty", "")
		f.git("add", "-A")
		f.git("commit", "-q", "-m", fmt.Sprint("commit ", i))
	}
	f.git("tag", "-a", "-m", "tag", fmt.Sprintf("v%d-%d", commits, f.rand.IntN(1e6)))
}

func TestObjectsAreReadAsGitReadsThem(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, "--object-format="+format)
			f.history(25)
			loose := f.allObjects()
			f.checkObjects(loose)
			f.git("repack", "-q", "-ad", "--depth=250", "--window=50")
			f.checkObjects(loose)
			f.history(10)
			f.git("repack", "-q", "-d") // a second pack
			f.history(5)
			mixed := f.allObjects()
			f.checkObjects(mixed)
			f.git("multi-pack-index", "write")
			f.checkObjects(mixed)
			f.git("-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-adf", "--depth=100") // deltas by id
			f.checkObjects(mixed)
			f.git("gc", "-q", "--aggressive", "--prune=now")
			f.checkObjects(f.allObjects())
		})
	}
}

// An opinion from outside git.
func TestGoGitReadsTheSameObjects(t *testing.T) {
	f := newFixture(t)
	f.history(15)
	f.git("repack", "-q", "-ad", "--depth=250")
	f.history(3)
	other := filesystem.NewStorage(osfs.New(filepath.Join(f.dir, ".git")), cache.NewObjectLRUDefault())
	objs := f.withoutGit().Objects(t.Context())
	defer objs.Close()
	for id := range f.allObjects() {
		o, err := other.EncodedObject(plumbing.AnyObject, plumbing.NewHash(id.String()))
		if err != nil {
			t.Fatal(err)
		}
		r, err := o.Reader()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, objs, id); got != (object{o.Type().String(), string(data)}) {
			t.Errorf("object %s: go-git reads something else", id)
		}
	}
}

func TestObjectsOfAlternatesAreRead(t *testing.T) {
	f := newFixture(t)
	f.history(5)
	want := f.allObjects()
	root := filepath.Dir(f.dir)
	objects := filepath.Join(f.dir, ".git", "objects")
	fork := func(name, alternates string) *fixture {
		t.Helper()
		dir := filepath.Join(root, name)
		f.git("init", "-q", dir)
		g := f.at(dir)
		g.write(".git/objects/info/alternates", alternates)
		return g
	}
	fork("absolute", "# comment\n"+objects+"\n").checkObjects(want)
	fork("relative", "../../../work/.git/objects\n").checkObjects(want)
	fork("quoted", `"`+strings.ReplaceAll(objects, "work", `\167ork`)+`"`+"\n").checkObjects(want)
	nested := fork("n1", objects+"\n")
	for i := 2; i <= 5; i++ {
		nested = fork(fmt.Sprint("n", i), filepath.Join(root, fmt.Sprint("n", i-1), ".git/objects")+"\n")
	}
	nested.checkObjects(want)
	fork("loop", filepath.Join(root, "loop/.git/objects")+"\n"+objects+"\n").checkObjects(want)

	odd := filepath.Join(root, "od:d")
	if err := os.Rename(objects, odd); err != nil {
		t.Fatal(err)
	}
	empty := fork("env", "")
	empty.checkObjects(want, "GIT_ALTERNATE_OBJECT_DIRECTORIES=/nonexistent:"+quoteObjectDir(odd))
	empty.checkObjects(want, "GIT_OBJECT_DIRECTORY="+odd)
}

func TestWhatIsNotUnderstoodIsLeftToGit(t *testing.T) {
	f := newFixture(t)
	f.history(5)
	want := f.allObjects()
	f.git("repack", "-q", "-ad")
	pack := f.git("rev-parse", "--git-path", "objects/pack")
	idx, err := filepath.Glob(filepath.Join(f.dir, pack, "*.idx"))
	if err != nil || len(idx) != 1 {
		t.Fatal(idx, err)
	}
	f.git("index-pack", "--index-version=1", strings.TrimSuffix(idx[0], ".idx")+".pack")
	objs := f.hook().Objects(t.Context())
	defer objs.Close()
	for id, w := range want {
		if got := read(t, objs, id); got != w {
			t.Errorf("object %s differs", id)
		}
	}
}

func TestAMissingObjectIsReportedAsMissing(t *testing.T) {
	f := newFixture(t)
	id := f.commit("a", "1")
	missing := objectID("blob", []byte("nowhere"), 20)
	objs := f.hook().Objects(t.Context())
	defer objs.Close()
	for range 2 {
		if _, err := objs.Open(missing); !errors.Is(err, change.ErrMissing) {
			t.Fatalf("error %v, want change.ErrMissing", err)
		}
		if got := read(t, objs, id); got.Type != "commit" {
			t.Errorf("then the commit is a %q", got.Type)
		}
	}
}

func TestADamagedObjectIsAnError(t *testing.T) {
	f := newFixture(t)
	f.git("config", "core.looseCompression", "0")
	content := strings.Repeat("0123456789", 10_000)
	f.commit("a", content)
	blob := f.id("HEAD:a").String()
	path := filepath.Join(f.dir, ".git/objects", blob[:2], blob[2:])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[60_000] ^= 0xff
	os.Chmod(path, 0o644)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	objs := f.hook().Objects(t.Context())
	defer objs.Close()
	o, err := objs.Open(f.id("HEAD:a"))
	if err == nil {
		_, err = io.ReadAll(o)
	}
	if err == nil {
		t.Error("read without an error")
	}
}

func TestTreesThatAreNotStoredYetCanBeRead(t *testing.T) {
	f := newFixture(t)
	f.write("a/b", "x")
	f.git("add", "-A")
	r := f.withoutGit()
	id, trees, _, err := r.IndexTree(t.Context(), f.index())
	if err != nil {
		t.Fatal(err)
	}
	objs := r.Objects(t.Context())
	defer objs.Close()
	objs.Add(trees)
	if got := read(t, objs, id); got.Type != "tree" || objectID("tree", []byte(got.Content), 20) != id {
		t.Errorf("got %q", got)
	}
}

// The property: a delta made by git, whatever happens to it, gives the object of
// the size it names or an error.
func FuzzApplyDelta(f *testing.F) {
	f.Add([]byte("hello world, hello"), []byte("\x12\x07\x90\x05\x02!!"))
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		out, err := applyDelta(base, delta)
		if err != nil {
			return
		}
		_, n := sizeVarint(delta)
		if size, _ := sizeVarint(delta[n:]); size != uint64(len(out)) {
			t.Errorf("%d bytes, the delta says %d", len(out), size)
		}
	})
}

// What is quoted for git's list of alternates is read back as it was.
func FuzzObjectDirectoryList(f *testing.F) {
	f.Add("/a/b", "/c:\"d\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = "/"+strings.Trim(a, "/"), "/"+strings.Trim(b, "/")
		if strings.ContainsAny(a+b, "\x00\\") || filepath.Clean(a) != a || filepath.Clean(b) != b || a == b {
			return
		}
		s := storeFinder{seen: map[string]bool{}}
		s.addList(quoteObjectDir(a)+":"+quoteObjectDir(b), ':', "/", maxAlternates)
		if len(s.stores) != 2 || s.stores[0].dir != a || s.stores[1].dir != b {
			t.Errorf("%q and %q came back as %d directories", a, b, len(s.stores))
		}
	})
}

func BenchmarkReadObject(b *testing.B) {
	f := newFixture(b)
	f.history(20)
	f.git("repack", "-q", "-ad")
	id := f.id("HEAD")
	b.Run("light, first object", func(b *testing.B) {
		for b.Loop() {
			objs := f.withoutGit().Objects(b.Context())
			read(b, objs, id)
			objs.Close()
		}
	})
	b.Run("git cat-file, first object", func(b *testing.B) {
		for b.Loop() {
			batch, err := f.hook().Batch(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			read(b, batch, id)
			batch.Close()
		}
	})
}
