package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestManyObjectsAreWrittenAsOneByOne(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		f := newFixture(t, "--object-format="+format)
		// What git does to files of a work tree is not done to objects.
		f.git("config", "core.autocrlf", "true")
		f.write(".gitattributes", "* text ident\n")
		r := f.hook()
		var list [][]byte
		for i := range 300 {
			list = append(list, fmt.Appendf(nil, "line %d\r\n$Id$\n", i))
		}
		list = append(list, nil, []byte("\x00\x01"), bytes.Repeat([]byte("x"), 1<<20), list[7])
		ids, err := r.WriteObjects(t.Context(), "blob", list)
		if err != nil || len(ids) != len(list) {
			t.Fatalf("%s: %d ids of %d, %v", format, len(ids), len(list), err)
		}
		for i, data := range list {
			if ids[i] != r.ObjectID("blob", data) {
				t.Errorf("%s: object %d is %s, want %s", format, i, ids[i], r.ObjectID("blob", data))
			}
		}
		for _, i := range []int{0, 7, 300, 301, 302, 303} {
			if got, err := f.try("", "cat-file", "blob", ids[i].String()); err != nil || got != strings.TrimSuffix(string(list[i]), "\n") {
				t.Errorf("%s: object %d holds %.40q, %v", format, i, got, err)
			}
		}
	}
}

func TestObjectsThatCannotBeWritten(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	good := fmt.Appendf(nil, "tree %s\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nx\n", r.ObjectID("tree", nil))
	for name, list := range map[string][][]byte{"first": {[]byte("nonsense"), good}, "last": {good, []byte("nonsense")}} {
		if ids, err := r.WriteObjects(t.Context(), "commit", list); err == nil || ids != nil || !strings.HasPrefix(err.Error(), "write commits: ") {
			t.Errorf("%s: %v, %v", name, ids, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.WriteObjects(ctx, "commit", [][]byte{good}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: error is %v", err)
	}
	if ids, err := r.WriteObjects(t.Context(), "commit", nil); err != nil || ids != nil {
		t.Errorf("of nothing: %v, %v", ids, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTemporaryFilesMayBeNamedFromHere(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("here", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", "here")
	if _, err := r.WriteObjects(t.Context(), "blob", [][]byte{[]byte("x")}); err != nil {
		t.Error(err)
	}
}

func TestIDsAreGits(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		f := newFixture(t, "--object-format="+format)
		f.write("a", "text\n")
		f.commit("b/c", "more\n")
		f.git("tag", "-a", "-m", "tag", "v1")
		r := f.hook()
		for _, rev := range []string{"HEAD", "HEAD^{tree}", "HEAD:a", "v1"} {
			objects := f.hook().Objects(t.Context())
			o, err := objects.Open(f.id(rev))
			if err != nil {
				t.Fatal(err)
			}
			var data bytes.Buffer
			if _, err := data.ReadFrom(o); err != nil {
				t.Fatal(err)
			}
			if got := r.ObjectID(o.Type, data.Bytes()); got != f.id(rev) {
				t.Errorf("%s: %s is %s, git says %s", format, rev, got, f.id(rev))
			}
			o.Close()
			objects.Close()
		}
	}
}

func TestRemotesAreListed(t *testing.T) {
	f := newFixture(t)
	r := f.hook()
	if got, err := r.Remotes(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("without any: %q, %v", got, err)
	}
	f.git("remote", "add", "origin", "nowhere")
	f.git("remote", "add", "up/stream", "elsewhere")
	if got, err := r.Remotes(t.Context()); err != nil || !slices.Equal(got, []string{"origin", "up/stream"}) {
		t.Errorf("%q, %v", got, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.Remotes(ctx); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "list remotes: ") {
		t.Errorf("stopped: error is %v", err)
	}
}

func TestABranchIsMovedWithItsReflog(t *testing.T) {
	f := newFixture(t)
	old, next := f.commit("a", "1"), f.commit("a", "2")
	bare := f.at(filepath.Join(f.dir, "bare.git"))
	f.git("clone", "-q", "--bare", ".", bare.dir)
	r := bare.hook()
	if err := r.MoveBranch(t.Context(), "refs/heads/main", old, next, "moved"); err != nil {
		t.Fatal(err)
	}
	if got := bare.git("reflog", "show", "--format=%H %gs", "main"); got != old.String()+" moved" {
		t.Errorf("the reflog says %q", got)
	}
	if got := bare.id("main@{1}"); got != next {
		t.Errorf("before it was %s, want %s", got, next)
	}
	if err := r.MoveBranch(t.Context(), "refs/heads/main", next, next, "again"); err == nil || bare.id("main") != old {
		t.Errorf("it was moved from where it does not stand: %v", err)
	}
}
