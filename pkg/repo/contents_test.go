package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// blobs writes that many objects and returns them by id, with their ids in order.
func (f *fixture) blobs(n int, content func(i int) string) (map[change.ID]object, []change.ID) {
	f.t.Helper()
	var in strings.Builder
	all := map[change.ID]object{}
	var ids []change.ID
	size := f.idSize()
	for i := range n {
		text := content(i)
		fmt.Fprintf(&in, "blob\ndata %d\n%s\n", len(text), text)
		id := objectID("blob", []byte(text), size)
		all[id] = object{"blob", text}
		ids = append(ids, id)
	}
	f.gitIn(in.String(), "fast-import", "--quiet")
	return all, ids
}

func (f *fixture) idSize() int {
	if f.git("rev-parse", "--show-object-format") == "sha256" {
		return 32
	}
	return 20
}

func (f *fixture) contents(ctx context.Context) *Contents {
	f.t.Helper()
	c, err := f.hook().Server().Contents(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

// requests notes what a Contents asks git for.
type requests struct {
	io.WriteCloser
	ids []string
}

func (r *requests) Write(p []byte) (int, error) {
	r.ids = append(r.ids, strings.Fields(string(p))...)
	return r.WriteCloser.Write(p)
}

func watch(c *Contents) *requests {
	r := &requests{WriteCloser: c.batch.in}
	c.batch.in = r
	return r
}

func TestContentsAreReadInAnyOrder(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, "--object-format="+format)
			all, ids := f.blobs(3000, func(i int) string { return strings.Repeat(fmt.Sprint(i), i%500) })
			large, more := f.blobs(3, func(i int) string { return strings.Repeat("x", maxKept+1+i) })
			maps.Copy(all, large)
			missing := objectID("blob", []byte("nowhere"), f.idSize())
			c, size := f.contents(t.Context()), f.idSize()
			pick := func() change.ID {
				switch f.rand.IntN(200) {
				case 0, 1, 2, 3, 4:
					return missing
				case 5:
					return more[f.rand.IntN(len(more))]
				}
				return ids[f.rand.IntN(len(ids))]
			}
			for range 3000 {
				var hints []change.ID
				for range f.rand.IntN(6) {
					hints = append(hints, pick())
				}
				c.Prefetch(hints)
				id := pick()
				if len(hints) > 0 && f.rand.IntN(4) > 0 {
					id = hints[f.rand.IntN(len(hints))]
				}
				readAs(t, c, f.rand, id, all)
				c.Release(hints)
				if got := len(c.asked) * (2*size + 1); got > maxRequests {
					t.Fatalf("%d bytes of requests wait, more than %d", got, maxRequests)
				}
				checkMemory(t, &c.kept)
			}
		})
	}
}

// readAs reads an object, or half of it, and expects that of all.
func readAs(t *testing.T, c *Contents, r *rand.Rand, id change.ID, all map[change.ID]object) {
	t.Helper()
	want, there := all[id]
	o, err := c.Open(id)
	if !there {
		if !errors.Is(err, change.ErrMissing) {
			t.Fatalf("an object that is not there: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	part := want.Content
	if r.IntN(3) == 0 {
		part = part[:len(part)/2]
	}
	got := make([]byte, len(part))
	if _, err := io.ReadFull(o, got); err != nil || string(got) != part || o.Size != int64(len(want.Content)) || o.Type != want.Type {
		t.Fatalf("object %s of %d bytes: %v", id, len(want.Content), err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkMemory(t *testing.T, m *memory) {
	t.Helper()
	size := 0
	for _, e := range m.objects {
		size += e.Value.(*held).cost()
	}
	if size != m.size || size > maxMemory || m.order.Len() != len(m.objects) {
		t.Fatalf("memory of %d bytes counts %d, in %d objects and %d places", size, m.size, len(m.objects), m.order.Len())
	}
}

// No pipe holds this many requests, nor their answers.
func TestAnyNumberOfHintsBlocksNothing(t *testing.T) {
	f := newFixture(t)
	all, ids := f.blobs(5000, func(i int) string { return fmt.Sprintf("%01000d", i) })
	c := f.contents(t.Context())
	c.Prefetch(ids)
	c.Prefetch(ids)
	last := ids[len(ids)-1]
	if got := read(t, c, last); got != all[last] {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsSmallIsReadOnce(t *testing.T) {
	f := newFixture(t)
	_, ids := f.blobs(400, func(i int) string { return fmt.Sprintf("%010000d", i) })
	c := f.contents(t.Context())
	asked := watch(c)
	for at := 0; at < len(ids); at += 50 {
		some := ids[at : at+50]
		c.Prefetch(some)
		for _, id := range some {
			read(t, c, id)
		}
		for _, id := range some {
			read(t, c, id)
		}
	}
	if got := len(asked.ids); got != len(ids) {
		t.Errorf("%d requests for %d objects", got, len(ids))
	}
}

func TestWhatIsReleasedGoesFirst(t *testing.T) {
	f := newFixture(t)
	const size = 100 << 10
	_, ids := f.blobs(2*maxMemory/size, func(i int) string { return strings.Repeat(string(rune('a'+i%26)), size) + fmt.Sprint(i) })
	c := f.contents(t.Context())
	first := ids[0]
	read(t, c, first)
	asked := watch(c)
	for _, id := range ids[1:] { // more than there is room for
		read(t, c, id)
		c.Release([]change.ID{id, id})
		checkMemory(t, &c.kept)
	}
	read(t, c, first)
	if slices.Contains(asked.ids, first.String()) {
		t.Error("an object that was not released had to be read again")
	}
}

// git may need gigabytes of output to get past an object that nobody wants any more.
func TestALargeObjectInTheWayIsNotRead(t *testing.T) {
	f := newFixture(t)
	_, large := f.blobs(2, func(i int) string { return strings.Repeat(fmt.Sprint(i), 64<<20) })
	_, small := f.blobs(1, func(int) string { return "small" })
	for _, tt := range []struct {
		name string
		do   func(c *Contents)
	}{
		{"announced and never opened", func(c *Contents) { c.Prefetch(large) }},
		{"opened and left", func(c *Contents) {
			o, err := c.Open(large[0])
			if err != nil || o.Size != 64<<20 {
				t.Fatal(o.Size, err)
			}
			o.Close()
		}},
		{"opened, read in part and left", func(c *Contents) {
			c.Prefetch(large)
			o, err := c.Open(large[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(o, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			o.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := f.contents(t.Context())
			begun := 0
			begin := c.begin
			c.begin = func() (*Batch, error) { begun++; return begin() }
			tt.do(c)
			if got := read(t, c, small[0]); got.Content != "small" {
				t.Errorf("got %q", got)
			}
			if begun != 1 {
				t.Errorf("began anew %d times, want once", begun)
			}
		})
	}
	if _, err := f.contents(t.Context()).Open(large[1]); err != nil {
		t.Error(err)
	}
}

func TestALargeObjectIsReadWhole(t *testing.T) {
	f := newFixture(t)
	all, ids := f.blobs(4, func(i int) string { return strings.Repeat(fmt.Sprint(i), 3*maxKept) })
	c := f.contents(t.Context())
	asked := watch(c)
	c.Prefetch(ids)
	for _, id := range ids { // as announced, so nothing is in the way
		if got := read(t, c, id); got != all[id] {
			t.Errorf("object %s differs", id)
		}
	}
	if len(asked.ids) != len(ids) || len(c.kept.objects) > 0 {
		t.Errorf("%d requests, %d objects kept", len(asked.ids), len(c.kept.objects))
	}
}

func TestContentsWithoutGit(t *testing.T) {
	f := newFixture(t)
	_, ids := f.blobs(200, func(i int) string { return fmt.Sprintf("%01000d", i) })
	t.Run("a child that dies is an error, and nothing follows it", func(t *testing.T) {
		c := f.contents(t.Context())
		read(t, c, ids[0])
		c.Prefetch(ids)
		if err := c.batch.p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, id := range ids[1:] { // some answers may have come before
			if _, err = c.Open(id); err != nil {
				break
			}
		}
		if err == nil || errors.Is(err, change.ErrMissing) || !strings.Contains(err.Error(), "git cat-file") {
			t.Fatalf("got %v", err)
		}
		c.Prefetch(ids)
		for range 3 {
			if _, again := c.Open(ids[len(ids)-1]); again == nil || errors.Is(again, change.ErrMissing) {
				t.Errorf("a later object: %v", again)
			}
		}
	})
	t.Run("a cancelled context is the reason", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := f.contents(ctx)
		c.Prefetch(ids[:10])
		cancel()
		var err error
		for i := range 100 { // until the child is gone
			if _, err = c.Open(ids[10+i]); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	})
	t.Run("closed means closed", func(t *testing.T) {
		c := f.contents(t.Context())
		c.Prefetch(ids)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c.Prefetch(ids)
		if _, err := c.Open(ids[0]); err == nil {
			t.Error("a closed reader answers")
		}
	})
	t.Run("there is no git to begin with", func(t *testing.T) {
		t.Setenv("PATH", "/nonexistent")
		if _, err := f.withoutGit().Contents(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

// A history whose digests are computed one after the other asks git for each tree
// and blob once, and for nothing that git diff-tree does not name.
func TestAHistoryIsFetchedOnce(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f := newFixture(t, "--object-format="+format)
			f.git("checkout", "-q", "-b", "topic")
			f.commits(120)
			f.git("repack", "-adq")
			revs := strings.Fields(f.git("rev-list", "--reverse", "topic"))
			c := f.contents(t.Context())
			asked := watch(c)
			var scouts []*change.Scout
			var trees []change.ID
			for _, rev := range revs {
				trees = append(trees, f.id(rev+"^{tree}"))
			}
			for i := range trees[1:] {
				scouts = append(scouts, change.NewScout(trees[i], trees[i+1]))
			}
			var d change.Digester
			for i := range trees[1:] {
				var ids []change.ID
				for _, s := range scouts[i:min(len(scouts), i+6)] {
					ids = s.Step(c, ids)
				}
				c.Prefetch(ids)
				got, _, err := d.Compute(c, trees[i], trees[i+1])
				if err != nil {
					t.Fatal(err)
				}
				plain, err := f.hook().Server().Batch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want, _, err := change.Compute(plain, trees[i], trees[i+1])
				plain.Close()
				if err != nil || got != want {
					t.Fatalf("commit %d: %s, read plainly %s, %v", i, got, want, err)
				}
			}
			slices.Sort(asked.ids)
			want := f.named(revs)
			if !slices.Equal(asked.ids, want) {
				t.Errorf("asked for %d objects, %d of them different; git names %d",
					len(asked.ids), len(slices.Compact(slices.Clone(asked.ids))), len(want))
			}
		})
	}
}

// commits makes a line of commits of several files in folders.
func (f *fixture) commits(n int) {
	f.t.Helper()
	texts := map[string]string{}
	var in bytes.Buffer
	for i := range n {
		fmt.Fprintf(&in, "commit refs/heads/topic\ncommitter C <c@example.com> %d +0000\ndata 1\nx\n", 1700000000+i)
		for range 1 + f.rand.IntN(8) {
			path := fmt.Sprintf("d%d/e%d/f%d", f.rand.IntN(3), f.rand.IntN(3), f.rand.IntN(4))
			texts[path] += fmt.Sprintf("line %d of %s\n", i, path)
			fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(texts[path]), texts[path])
		}
	}
	f.gitIn(in.String(), "fast-import", "--quiet")
}

// named are the ids of all trees and blobs that differ between commits in a row.
func (f *fixture) named(revs []string) []string {
	f.t.Helper()
	seen := map[string]bool{}
	for i, rev := range revs[1:] {
		for _, end := range []string{revs[i], rev} {
			seen[f.git("rev-parse", end+"^{tree}")] = true
		}
		for line := range strings.Lines(f.git("diff-tree", "-r", "-t", "--no-abbrev", "--no-renames", revs[i], rev)) {
			for _, id := range strings.Fields(line)[2:4] {
				seen[id] = seen[id] || strings.Trim(id, "0") != ""
			}
		}
	}
	maps.DeleteFunc(seen, func(_ string, there bool) bool { return !there })
	return slices.Sorted(maps.Keys(seen))
}
