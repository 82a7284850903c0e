package receipt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A failing volume counts what is asked of it, and at one step fails once, fails to
// store anything from there on, or lets the process end there.
type failing struct {
	volume
	at   int // the step; 0 never comes
	how  error
	step int
	dead bool
	said []string // the steps
}

var (
	errOnce = errors.New("input/output error")
	errFull = fmt.Errorf("write: %w", syscall.ENOSPC) // and so are all that store something
	errDead = errors.New("killed")                    // and nothing that follows has an effect
)

// unsynced is a volume that does not wait for the disk, which tests of logic need not.
type unsynced struct{ volume }

type unsyncedFile struct{ file }

func (unsyncedFile) Sync() error { return nil }

func (unsynced) Sync() error { return nil }

// Replace is not whole or not at all, which file systems wait for as well.
func (u unsynced) Replace(name string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(u.volume.(disk).dir, name), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Truncate(int64(len(data))), f.Close())
}

func (u unsynced) Make() error { return os.MkdirAll(u.volume.(disk).dir, 0o755) }

func (u unsynced) Open(name string, flag int) (file, error) {
	f, err := u.volume.Open(name, flag)
	return unsyncedFile{f}, err
}

// next reports what happens at the next step; stores says that it would take room.
func (f *failing) next(what string, stores bool) error {
	f.step++
	f.said = append(f.said, what)
	reached := f.at > 0 && f.step >= f.at
	switch {
	case f.how == errOnce && f.step == f.at, f.how == errFull && reached && stores:
		return f.how
	case f.how == errDead && reached:
		f.dead = true
		return f.how
	}
	return nil
}

func (f *failing) List() ([]string, error) {
	if err := f.next("list", false); err != nil {
		return nil, err
	}
	return f.volume.List()
}

func (f *failing) Make() error {
	if err := f.next("make", true); err != nil {
		return err
	}
	return f.volume.Make()
}

func (f *failing) Open(name string, flag int) (file, error) {
	if err := f.next("open "+name, false); err != nil {
		return nil, err
	}
	inner, err := f.volume.Open(name, flag)
	return failingFile{inner, f, name}, err
}

func (f *failing) Temp() (file, error) {
	if err := f.next("temp", true); err != nil {
		return nil, err
	}
	inner, err := f.volume.Temp()
	return failingFile{inner, f, "temp"}, err
}

func (f *failing) Sync() error {
	if err := f.next("sync", true); err != nil {
		return err
	}
	return f.volume.Sync()
}

func (f *failing) Lock(ctx context.Context, shared bool) (func(), error) {
	if err := f.next("lock", false); err != nil {
		return nil, err
	}
	return f.volume.Lock(ctx, shared)
}

type failingFile struct {
	file
	on   *failing
	name string
}

// WriteAt that fails has written the half of it, as a full disk or a death may leave it.
func (f failingFile) WriteAt(data []byte, at int64) (int, error) {
	dead := f.on.dead
	if err := f.on.next("write "+f.name, true); err != nil {
		if dead {
			return 0, err
		}
		n, _ := f.file.WriteAt(data[:len(data)/2], at)
		return n, err
	}
	return f.file.WriteAt(data, at)
}

func (f failingFile) ReadAt(data []byte, at int64) (int, error) {
	if err := f.on.next("read "+f.name, false); err != nil {
		return 0, err
	}
	return f.file.ReadAt(data, at)
}

func (f failingFile) Size() (int64, error) {
	if err := f.on.next("size "+f.name, false); err != nil {
		return 0, err
	}
	return f.file.Size()
}

func (f failingFile) Truncate(size int64) error {
	if err := f.on.next("truncate "+f.name, false); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f failingFile) Sync() error {
	if err := f.on.next("sync "+f.name, true); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f failingFile) Close() error {
	if err := f.on.next("close "+f.name, false); err != nil {
		f.file.Close()
		return err
	}
	return f.file.Close()
}

// A deed is something that writes receipts, onto two that are there.
type deed struct {
	name    string
	maxFile int64
	before  func(t *testing.T, l *Log, dir string) // after the two
	do      func(ctx context.Context, l *Log) error
}

func deeds(t testing.TB) []deed {
	decides := func(p push) func(context.Context, *Log) error {
		return func(ctx context.Context, l *Log) error { _, err := p.write(ctx, l); return err }
	}
	signed := onto("refs/heads/main", 2, 3, 5)
	signed.key = signer(t, 1)
	return []deed{
		{name: "a push", do: decides(onto("refs/heads/main", 2, 3, 5))},
		{name: "a push of many commits", do: decides(onto("refs/heads/main", 2, 3, 7_000))},
		{name: "a signed push", do: decides(signed)},
		{name: "a push that begins a file", maxFile: 10, do: decides(onto("refs/heads/main", 2, 3, 5))},
		{name: "a push after one that was killed", do: decides(onto("refs/heads/main", 2, 3, 5)), before: func(t *testing.T, l *Log, dir string) {
			kept := len(read(t, first(dir)))
			decide(t, l, onto("refs/heads/main", 2, 9, 5))
			write(t, read(t, first(dir))[:kept+600], first(dir))
		}},
		{name: "an outcome", do: func(ctx context.Context, l *Log) error {
			_, err := l.Finish(ctx, received, []Ref{{Name: "refs/heads/main", Old: id(1), New: id(2)}})
			return err
		}},
	}
}

// stage lays out what a deed starts from.
func (d deed) stage(t *testing.T) (l *Log, dir string) {
	t.Helper()
	l, dir = newLog(t)
	decide(t, l, onto("refs/heads/main", 0, 1, 3))
	decide(t, l, onto("refs/heads/main", 1, 2, 3))
	if d.before != nil {
		d.before(t, l, dir)
	}
	l.MaxFile = d.maxFile
	return l, dir
}

// steps is how many steps the deed has when nothing fails.
func (d deed) steps(t *testing.T) int {
	t.Helper()
	l, _ := d.stage(t)
	count := &failing{volume: l.volume}
	l.volume = count
	if err := d.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	return count.step
}

// Wherever a writer dies, what was there stays, what it began is never taken for a
// receipt unless it is whole, and the next one goes on and says how much it took away.
func TestAWriterMayDieAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, d := range deeds(t) {
		t.Run(d.name, func(t *testing.T) {
			steps := d.steps(t)
			for at := 1; at <= steps; at++ {
				l, dir := d.stage(t)
				good := l.volume
				before := intact(t, l, dir)
				dying := &failing{volume: good, at: at, how: errDead}
				l.volume = dying
				err := d.do(t.Context(), l)
				// What fails once the receipt is on the disk and the lock is let go, is no failure.
				if err == nil && dying.step == steps && at <= steps-4 {
					t.Fatalf("step %d of %d, %s: no error", at, steps, dying.said[at-1])
				}
				l.volume = good
				died := verify(t, l)
				if !died.Intact || died.Seq < before.Seq || err == nil && died.Seq == before.Seq {
					t.Fatalf("step %d, %s: %+v", at, dying.said[at-1], died)
				}
				next := decide(t, l, onto("refs/heads/main", 3, 4, 2))
				after := intact(t, l, dir)
				if after.Decisions != died.Decisions+1 || after.Unfinished != 0 {
					t.Fatalf("step %d, %s: then %+v", at, dying.said[at-1], after)
				}
				if cut := decided(t, l, next).Cut; cut != died.Unfinished {
					t.Fatalf("step %d, %s: %d bytes were no receipt, and %d were cut", at, dying.said[at-1], died.Unfinished, cut)
				}
			}
		})
	}
}

// Whatever fails, an error means that there is no receipt, and success that there is.
func TestAnErrorLeavesNoReceipt(t *testing.T) {
	t.Parallel()
	for _, how := range []error{errOnce, errFull} {
		for _, d := range deeds(t) {
			t.Run(fmt.Sprintf("%v, %s", how, d.name), func(t *testing.T) {
				steps := d.steps(t)
				failed := 0
				for at := 1; at <= steps; at++ {
					l, dir := d.stage(t)
					good := l.volume
					before := intact(t, l, dir)
					bad := &failing{volume: good, at: at, how: how}
					l.volume = bad
					err := d.do(t.Context(), l)
					l.volume = good
					after := intact(t, l, dir)
					switch {
					case err != nil && (after.Seq != before.Seq || after.Hash != before.Hash):
						t.Fatalf("step %d, %s: %v, but it is there: %+v", at, bad.said[at-1], err, after)
					case err == nil && after.Seq <= before.Seq:
						t.Fatalf("step %d, %s: no error, but nothing is there", at, bad.said[at-1])
					case err != nil && !errors.Is(err, how):
						t.Fatalf("step %d, %s: the error says nothing of the cause: %v", at, bad.said[at-1], err)
					case err != nil:
						failed++
					}
				}
				if failed == 0 {
					t.Error("nothing ever failed")
				}
			})
		}
	}
}

// decided reads a decision again.
func decided(t testing.TB, l *Log, seq int64) *Decided {
	t.Helper()
	for d, err := range l.Decisions(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Seq == seq {
			return d
		}
	}
	t.Fatalf("there is no decision %d", seq)
	return nil
}

// A file that ends anywhere in a unit goes on where the unit began.
func TestAUnitCutShortAnywhereIsTakenAway(t *testing.T) {
	t.Parallel()
	small := onto("refs/heads/main", 1, 2, 1)
	small.key = signer(t, 1)
	large := onto("refs/heads/main", 1, 2, 600)
	for n := range 40 { // so that there are refs lines
		large.refs = append(large.refs, Ref{Name: fmt.Sprintf("refs/heads/%d/%s", n, bytes.Repeat([]byte("x"), 4000)), New: id(n), Mode: "warn", Verdict: Accepted})
	}
	for _, c := range []struct {
		name string
		push push
		step int
	}{{"at every byte of a small one", small, 1}, {"here and there in a large one", large, 4999}} {
		t.Run(c.name, func(t *testing.T) {
			l, dir := newLog(t)
			decide(t, l, onto("refs/heads/main", 0, 1, 3))
			kept := len(read(t, first(dir)))
			decide(t, l, c.push)
			whole := read(t, first(dir))
			for size := kept + 1; size < len(whole); size += c.step {
				cutShort(t, l, dir, whole, kept, size)
			}
		})
	}
}

func cutShort(t *testing.T, l *Log, dir string, whole []byte, kept, size int) {
	t.Helper()
	write(t, whole[:size], first(dir))
	if v := verify(t, l); !v.Intact || v.Decisions != 1 || v.Unfinished != int64(size-kept) {
		t.Fatalf("%d bytes: %+v", size, v)
	}
	seq := decide(t, l, onto("refs/heads/other", 0, 9, 1))
	if v := intact(t, l, dir); v.Decisions != 2 {
		t.Fatalf("%d bytes: then %+v", size, v)
	}
	if cut := decided(t, l, seq).Cut; cut != int64(size-kept) {
		t.Fatalf("%d bytes: %d were cut, want %d", size, cut, size-kept)
	}
	if now := read(t, first(dir)); !bytes.Equal(now[:kept], whole[:kept]) {
		t.Fatalf("%d bytes: what was there before was changed", size)
	}
}

// When the power fails, parts of what was being written may be there and others not:
// then they are zero.
func TestAUnitOfWhichTheDiskLostPartsIsTakenAway(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	decide(t, l, onto("refs/heads/main", 0, 1, 3))
	kept := len(read(t, first(dir)))
	p := onto("refs/heads/main", 1, 2, 600)
	p.key = signer(t, 1)
	decide(t, l, p)
	whole := read(t, first(dir))
	for from := kept; from < len(whole); from += 509 {
		for _, size := range []int{1, 509, 4096, len(whole)} {
			torn := bytes.Clone(whole)
			clear(torn[from:min(from+size, len(whole))])
			write(t, torn, first(dir))
			seq := decide(t, l, onto("refs/heads/other", 0, 9, 1))
			if v := intact(t, l, dir); v.Decisions != 2 {
				t.Fatalf("%d zeros at %d: then %+v", size, from, v)
			}
			if cut := decided(t, l, seq).Cut; cut != int64(len(whole)-kept) {
				t.Fatalf("%d zeros at %d: %d bytes were cut, want %d", size, from, cut, len(whole)-kept)
			}
		}
	}
}

// What a crash cannot have done is not taken away: the next push is refused.
func TestOtherDamageAtTheEndIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	p := onto("refs/heads/main", 1, 2, 3)
	l, dir := newLog(t)
	decide(t, l, onto("refs/heads/main", 0, 1, 3))
	kept := len(read(t, first(dir)))
	decide(t, l, p)
	whole := read(t, first(dir))
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') // nothing holds the hash of the last line
	for at := kept; at < last; at++ {
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		write(t, changed, first(dir))
		_, err := onto("refs/heads/other", 0, 9, 1).write(t.Context(), l)
		var broken *BrokenError
		if !errors.As(err, &broken) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if !bytes.Equal(read(t, first(dir)), changed) {
			t.Fatalf("byte %d: the file was changed", at)
		}
		if v := verify(t, l); v.Intact {
			t.Fatalf("byte %d: %+v", at, v)
		}
	}
	// A whole receipt that lost a part, with another begun behind it, was not lost by
	// a crash either: it was whole when that one began.
	zeroed := bytes.Clone(whole)
	clear(zeroed[kept+100 : kept+110])
	write(t, append(zeroed, `{"schema":`...), first(dir))
	if _, err := p.write(t.Context(), l); !errors.As(err, new(*BrokenError)) {
		t.Errorf("a loss in a receipt that was whole: %v", err)
	}
}

func TestADirectoryThatCannotBeWrittenIsFoundBeforeAnythingIsJudged(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "receipts")
	write(t, []byte("a file"), dir)
	if _, err := Open(dir).Begin(); err == nil {
		t.Error("no error, though the directory is a file")
	}
	full, fullDir := newLog(t)
	decide(t, full, onto("refs/heads/main", 0, 1, 3))
	if err := os.Remove(first(fullDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", first(fullDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := onto("refs/heads/main", 0, 1, 3).write(t.Context(), full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk gives %v", err)
	}
}

// Whatever stands behind the last receipt, the next one either goes on after it, or
// is refused and leaves everything as it was.
func FuzzTail(f *testing.F) {
	l, dir := newLog(f)
	decide(f, l, onto("refs/heads/main", 0, 1, 2))
	whole := read(f, first(dir))
	for _, tail := range []string{"", "\n", "{}\n", "\x00\x00\x00\n", string(whole), string(whole[:100]), string(whole[100:]), "\n\n\x00", `{"schema":"gatekeeper/receipt/v1","seq":3`} {
		f.Add([]byte(tail), false)
	}
	f.Add([]byte(lines(f)[8]), true)
	f.Fuzz(func(t *testing.T, tail []byte, fromStart bool) {
		before := tail
		if !fromStart {
			before = append(bytes.Clone(whole), tail...)
		}
		write(t, before, first(dir))
		_, err := onto("refs/heads/main", 1, 2, 2).write(t.Context(), l)
		now := read(t, first(dir))
		if err != nil {
			if !errors.As(err, new(*BrokenError)) {
				t.Fatal(err)
			}
			if !bytes.Equal(now, before) {
				t.Fatalf("%v, and the file was changed from\n%q\nto\n%q", err, before, now)
			}
			return
		}
		if !fromStart && !bytes.HasPrefix(now, whole) {
			t.Fatalf("%q: what was there before is gone: %q", tail, now)
		}
		if v := verify(t, l); v.Unfinished != 0 || !fromStart && !v.Intact {
			t.Fatalf("%q: %+v", tail, v)
		}
	})
}
