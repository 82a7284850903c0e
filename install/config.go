package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Settings are edited by git itself. It may leave a file that means the same and
// reads otherwise (a missing last newline, an odd indent), so the bytes before
// us are kept, too, and put back while nothing else has changed.
func (s *site) configBefore() string {
	if s.role == server {
		return "gatekeeper/config.before-server"
	}
	return "gatekeeper/config.before"
}

// setConfig sets a local key to one value.
func (s *site) setConfig(ctx context.Context, key, value string) error {
	return s.set(ctx, key, value, value)
}

// setSecret is setConfig for a value that nobody is shown.
func (s *site) setSecret(ctx context.Context, key, value string) error {
	return s.set(ctx, key, value, "a secret")
}

func (s *site) set(ctx context.Context, key, value, shown string) error {
	if err := s.step("config " + key); err != nil {
		return err
	}
	old, err := s.git.values(ctx, "--local", "--get-all", key)
	if err != nil {
		return err
	}
	return s.editConfig(func() error {
		if _, err := s.git.run(ctx, nil, "config", "--local", "--replace-all", key, value); err != nil {
			return err
		}
		if c := s.record.setting(key); c == nil {
			s.record.config = append(s.record.config, recordedConfig{key, value, old})
		} else {
			// Somebody set it anew since: that is what has to come back now.
			if !slices.Equal(old, []string{c.value}) {
				c.before = old
			}
			c.value = value
		}
		s.result.did(Set, Config, key, shown)
		return nil
	})
}

// editConfig runs an edit and keeps the exact bytes before the first of ours.
func (s *site) editConfig(edit func() error) error {
	path, err := s.configPath()
	if err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return replaceConfig(path, old) })
	first := len(s.record.config) == 0
	if err := edit(); err != nil {
		return err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch {
	case first:
		// 0600: remotes may carry a password.
		if err := s.put(s.configBefore(), old, 0o600); err != nil {
			return err
		}
	case s.record.image != digest(old):
		s.record.image = ""
		return s.remove(s.configBefore())
	}
	s.record.image = digest(now)
	return nil
}

// restoreConfig takes our settings out: the exact bytes where nobody has touched
// the file since, else key by key, each only while it has the value we gave it.
func (s *site) restoreConfig(ctx context.Context, keys ...string) error {
	path, err := s.configPath()
	if err != nil || len(s.record.config) == 0 {
		return err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return replaceConfig(path, now) })
	all := len(keys) == 0
	if image, err := s.read(s.configBefore()); err == nil && all && image != nil && digest(now) == s.record.image {
		if err := replaceConfig(path, image); err != nil {
			return err
		}
		for _, c := range s.record.config {
			s.result.did(Restored, Config, c.key, wasBefore(c.before))
		}
		s.record.config, s.record.image = nil, ""
		return nil
	}
	var stay []recordedConfig
	for _, c := range s.record.config {
		if !all && !slices.Contains(keys, c.key) {
			stay = append(stay, c)
			continue
		}
		if err := s.restoreKey(ctx, c); err != nil {
			return err
		}
	}
	s.record.config, s.record.image = stay, ""
	return nil
}

func (s *site) restoreKey(ctx context.Context, c recordedConfig) error {
	if err := s.step("config " + c.key); err != nil {
		return err
	}
	now, err := s.git.values(ctx, "--local", "--get-all", c.key)
	if err != nil {
		return err
	}
	if !slices.Equal(now, []string{c.value}) {
		// Not Left: whoever set it since wants it so, and nothing of ours is in it.
		s.result.did(Skipped, Config, c.key, "somebody set it anew since")
		return nil
	}
	if len(c.before) == 1 {
		_, err = s.git.run(ctx, nil, "config", "--local", c.key, c.before[0])
	} else if _, err = s.git.run(ctx, nil, "config", "--local", "--unset-all", c.key); err == nil {
		for _, v := range c.before {
			if _, err = s.git.run(ctx, nil, "config", "--local", "--add", c.key, v); err != nil {
				break
			}
		}
	}
	if err == nil {
		s.result.did(Restored, Config, c.key, wasBefore(c.before))
	}
	return err
}

func wasBefore(values []string) string {
	if len(values) == 0 {
		return "it was not set before"
	}
	return values[len(values)-1]
}

// configPath is the file behind --local, where a link to it leads.
func (s *site) configPath() (string, error) {
	return filepath.EvalSymlinks(s.path("config"))
}

// replaceConfig puts whole bytes in the place of a config file, holding git's own
// lock. It does nothing where they stand there already.
func replaceConfig(path string, data []byte) error {
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, data) {
		return nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("another git is writing %s; if not, remove %s", path, lock)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(st.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		os.Remove(lock)
		return err
	}
	return os.Rename(lock, path)
}
