package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Roles of an installation. Both may stand in one repository.
const (
	client = "client"
	server = "server"
)

// A site is the repository that is being changed. Every change goes through its
// methods, which remember how to take it back, note it in the record, and say so
// in the result.
type site struct {
	place
	role   string
	modes  modes
	record *record // as it will be written
	had    *record // as it was read; nil at a first installation
	result *Result
	undo   []func() error

	enforcing bool // server: the policy refuses something

	stop func(step string) error // for tests: fails a step on purpose
}

// modes are the permissions of new files, as core.sharedRepository asks.
type modes struct {
	plain, exec, dir fs.FileMode
}

// open locks the repository and reads what an earlier run recorded.
func open(ctx context.Context, p place, role string, res *Result) (s *site, unlock func(), err error) {
	lock := filepath.Join(p.common, "gatekeeper.lock")
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("another installation is at work here; if not, remove %s", lock)
	}
	if err != nil {
		return nil, nil, err
	}
	f.Close()
	unlock = func() { os.Remove(lock) }
	s = &site{place: p, role: role, result: res}
	if s.modes, err = sharing(ctx, p.git); err == nil {
		err = s.readRecord()
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return s, unlock, nil
}

// sharing works out permissions as git does for core.sharedRepository
// (git-init(1), --shared): a hook that the group may not read would stop it.
func sharing(ctx context.Context, g git) (modes, error) {
	m := modes{plain: 0o644, exec: 0o755, dir: 0o755}
	shared, err := g.value(ctx, "core.sharedRepository")
	if err != nil {
		return m, err
	}
	var more fs.FileMode
	switch strings.ToLower(shared) {
	case "", "umask", "false", "no", "off", "0":
		return m, nil
	case "group", "true", "yes", "on", "1":
		more = 0o660
	case "all", "world", "everybody", "2":
		more = 0o664
	default:
		n, err := strconv.ParseUint(shared, 8, 32)
		if err != nil || n&0o600 != 0o600 {
			return m, nil // git itself will say what is wrong with it
		}
		exact := fs.FileMode(n) & 0o666
		x := exact | exact&0o444>>2
		return modes{plain: exact, exec: x, dir: x | fs.ModeSetgid}, nil
	}
	x := more | more&0o444>>2
	return modes{plain: m.plain | more, exec: m.exec | x, dir: m.dir | x | fs.ModeSetgid}, nil
}

func (s *site) path(rel string) string { return filepath.Join(s.common, filepath.FromSlash(rel)) }

func (s *site) recordPath() string {
	if s.role == server {
		return "gatekeeper/install-server"
	}
	return "gatekeeper/install"
}

func (s *site) readRecord() error {
	s.record = &record{role: s.role}
	data, err := os.ReadFile(s.path(s.recordPath()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := parseRecord(data)
	if err == nil && r.role != s.role {
		err = fmt.Errorf("it is of a %s", r.role)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path(s.recordPath()), err)
	}
	s.record, s.had = r, r.clone()
	return nil
}

// writeRecord writes the record where it differs from the one there.
func (s *site) writeRecord() error {
	if err := s.mkdir("gatekeeper"); err != nil {
		return err
	}
	data := s.record.format()
	if old, err := os.ReadFile(s.path(s.recordPath())); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return s.put(s.recordPath(), data, s.modes.plain)
}

// rollback takes back what was done, latest first.
func (s *site) rollback() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	s.undo = nil
	return errors.Join(errs...)
}

// finish keeps what was done, or takes it all back when err says that it failed.
func (s *site) finish(err error) error {
	if err == nil {
		return nil
	}
	if back := s.rollback(); back != nil {
		return fmt.Errorf("%w; and taking it back failed: %w", err, back)
	}
	return err
}

func (s *site) step(name string) error {
	if s.stop == nil {
		return nil
	}
	return s.stop(name)
}

// mkdir makes a directory and its parents below the common directory.
func (s *site) mkdir(rel string) error {
	if rel == "." || rel == "" {
		return nil
	}
	path := s.path(rel)
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil
	}
	if err := s.mkdir(parent(rel)); err != nil {
		return err
	}
	if err := os.Mkdir(path, s.modes.dir); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return os.Remove(path) })
	s.record.dirs = append(s.record.dirs, rel)
	return os.Chmod(path, s.modes.dir) // the umask had a say
}

func parent(rel string) string {
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		return rel[:i]
	}
	return ""
}

// put writes a file whole or not at all.
func (s *site) put(rel string, data []byte, mode fs.FileMode) error {
	if err := s.step("write " + rel); err != nil {
		return err
	}
	if err := s.mkdir(parent(rel)); err != nil {
		return err
	}
	path := s.path(rel)
	restore, err := remember(path)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, restore)
	return writeFile(path, data, mode)
}

// write is put for a file that the record knows as ours.
func (s *site) write(rel string, data []byte, mode fs.FileMode) error {
	if err := s.put(rel, data, mode); err != nil {
		return err
	}
	s.record.setFile(rel, digest(data))
	return nil
}

// move renames a file, or a symbolic link as such.
func (s *site) move(from, to string) error {
	if err := s.step("move " + from); err != nil {
		return err
	}
	a, b := s.path(from), s.path(to)
	if _, err := os.Lstat(b); err == nil {
		return fmt.Errorf("move %s: %s is in the way", a, b)
	}
	if err := os.Rename(a, b); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return os.Rename(b, a) })
	return nil
}

// remove deletes a file; one that is not there is no error.
func (s *site) remove(rel string) error {
	if err := s.step("remove " + rel); err != nil {
		return err
	}
	restore, err := remember(s.path(rel))
	if err != nil {
		return err
	}
	s.undo = append(s.undo, restore)
	if err := os.Remove(s.path(rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeDirs removes the directories that we made and that are empty now.
func (s *site) removeDirs() error {
	var stay []string
	for i := len(s.record.dirs) - 1; i >= 0; i-- {
		rel := s.record.dirs[i]
		path := s.path(rel)
		st, err := os.Stat(path)
		if err != nil {
			continue // gone already
		}
		if os.Remove(path) != nil {
			stay = append([]string{rel}, stay...)
			continue
		}
		s.undo = append(s.undo, func() error {
			return errors.Join(os.Mkdir(path, 0o755), os.Chmod(path, st.Mode()))
		})
	}
	s.record.dirs = stay
	return nil
}

// ours reports whether the bytes at rel are what the record says we wrote there.
func (s *site) ours(rel string, data []byte) bool {
	return data != nil && s.record.sum(rel) == digest(data)
}

// read returns a file's bytes, nil when it is not there. A link is followed.
func (s *site) read(rel string) ([]byte, error) {
	data, err := os.ReadFile(s.path(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

func (s *site) exists(rel string) bool {
	_, err := os.Lstat(s.path(rel))
	return err == nil
}

// remember returns what brings path back as it is now.
func remember(path string) (restore func() error, err error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}, nil
	}
	if err != nil {
		return nil, err
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		return func() error { os.Remove(path); return os.Symlink(target, path) }, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return func() error { return writeFile(path, data, st.Mode().Perm()) }, nil
}

// writeFile writes a new file beside path and renames it into place, so that no
// reader, and no git that runs a hook, sees half of it.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatekeeper-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
