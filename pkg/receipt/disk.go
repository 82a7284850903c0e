package receipt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A volume is what receipts ask of a file system. Tests let it fail, or end, at every
// step.
type volume interface {
	// List names what is in the directory; nothing when it is not there.
	List() ([]string, error)
	// Make makes the directory.
	Make() error
	// Open opens a file of the directory; flag is as for os.OpenFile.
	Open(name string, flag int) (file, error)
	// Temp makes a file without a name.
	Temp() (file, error)
	// Replace puts a file into the place of another, whole or not at all.
	Replace(name string, data []byte) error
	// Sync makes the names of files last.
	Sync() error
	// Lock waits for the one lock there is. shared is for those that only read.
	Lock(ctx context.Context, shared bool) (unlock func(), err error)
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

const lockFile = "lock"

// disk is the volume in a directory. Everything in it has the mode of the directory,
// which installing gave it as core.sharedRepository asks, less the right to search.
type disk struct{ dir string }

func (d disk) List() ([]string, error) {
	f, err := os.Open(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Make makes the directory like the one that it is in.
func (d disk) Make() error {
	if info, err := os.Stat(d.dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", d.dir)
		}
		return nil
	}
	up := filepath.Dir(d.dir)
	if err := os.MkdirAll(up, 0o755); err != nil {
		return err
	}
	info, err := os.Stat(up)
	if err != nil {
		return err
	}
	if err := os.Mkdir(d.dir, info.Mode().Perm()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(d.dir, info.Mode()&(fs.ModePerm|fs.ModeSetgid)); err != nil {
		return err
	}
	return disk{up}.Sync()
}

func (d disk) Open(name string, flag int) (file, error) {
	path := filepath.Join(d.dir, name)
	f, err := os.OpenFile(path, flag&^os.O_CREATE, 0)
	if flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist) {
		return diskFile{f}, err
	}
	mode, err := d.mode()
	if err != nil {
		return nil, err
	}
	if f, err = os.OpenFile(path, flag|os.O_EXCL, mode); errors.Is(err, fs.ErrExist) {
		return d.Open(name, flag&^os.O_CREATE)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil { // the umask had a say
		return nil, errors.Join(err, f.Close())
	}
	return diskFile{f}, nil
}

func (d disk) mode() (fs.FileMode, error) {
	info, err := os.Stat(d.dir)
	if err != nil {
		return 0, err
	}
	return info.Mode() & 0o666, nil
}

func (d disk) Temp() (file, error) {
	f, err := os.CreateTemp(d.dir, ".spool-")
	if err != nil {
		return nil, err
	}
	if os.Remove(f.Name()) == nil {
		return diskFile{f}, nil
	}
	return closing{diskFile{f}}, nil // where open files keep their names
}

// closing is a file whose name goes with it.
type closing struct{ diskFile }

func (c closing) Close() error { return errors.Join(c.diskFile.Close(), os.Remove(c.Name())) }

func (d disk) Replace(name string, data []byte) error {
	mode, err := d.mode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, ".spool-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func (d disk) Sync() error {
	if runtime.GOOS == "windows" { // which has no such thing for directories
		return nil
	}
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d disk) Lock(ctx context.Context, shared bool) (unlock func(), err error) {
	flag := os.O_RDWR | os.O_CREATE
	if shared {
		flag = os.O_RDONLY
	}
	opened, err := d.Open(lockFile, flag)
	if shared && errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // nothing was written yet, or this is a copy
	}
	if err != nil {
		return nil, err
	}
	f := opened.(diskFile).File
	locked := make(chan error, 1)
	go func() { locked <- lock(f, shared) }()
	select {
	case err = <-locked:
	case <-ctx.Done():
		go func() { <-locked; f.Close() }()
		return nil, fmt.Errorf("wait for %s: %w", f.Name(), ctx.Err())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return func() { f.Close() }, nil // closing it lets go of the lock, as dying does
}

type diskFile struct{ *os.File }

func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

const extension = ".jsonl"

// fileName is the name of the n-th file of receipts.
func fileName(n int) string { return fmt.Sprintf("%06d", n) + extension }

// fileNumbers are the numbers of the files of receipts that are there, in order.
func fileNumbers(v volume) ([]int, error) {
	names, err := v.List()
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		n, err := strconv.Atoi(strings.TrimSuffix(name, extension))
		if err == nil && n > 0 && name == fileName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
