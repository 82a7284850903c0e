package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ownHooks is the directory that core.hooksPath leads to where git looked
// elsewhere for hooks than in the repository.
const ownHooks = "gatekeeper/hooks"

// A way says where shims go, and where each finds the hook from before.
type way struct {
	dir    string // below the common directory: "hooks", or ownHooks with core.hooksPath leading to it
	nested bool   // in dir is a directory NAME.d for each hook, and ours is one file of several there
	prev   prev
}

// path is where the shim of a hook stands.
func (w way) path(hook string) string {
	if w.nested {
		return w.dir + "/" + hook + nestedEnd + "/gatekeeper"
	}
	return w.dir + "/" + hook
}

const nestedEnd = ".d"

// name is how a record tells the way.
func (w way) name() string {
	if w.nested {
		return w.dir + "/*" + nestedEnd
	}
	return w.dir
}

// A setting of core.hooksPath, in git's order: a later one counts.
type hooksPath struct{ scope, value string }

func (s *site) hooksPaths(ctx context.Context) ([]hooksPath, error) {
	vs, err := s.git.values(ctx, "--show-scope", "--type=path", "--get-all", "core.hooksPath")
	if err != nil {
		return nil, err
	}
	var all []hooksPath
	for i := 0; i+1 < len(vs); i += 2 {
		all = append(all, hooksPath{vs[i], vs[i+1]})
	}
	return all, nil
}

// clientWay finds out how hooks get into this clone. It reads and changes nothing.
func (s *site) clientWay(ctx context.Context) (way, error) {
	all, err := s.hooksPaths(ctx)
	if err != nil {
		return way{}, err
	}
	for _, h := range all {
		switch h.scope {
		case "command":
			return way{}, &UsageError{
				Msg:  fmt.Sprintf("core.hooksPath=%s is set for this one command (git -c, or GIT_CONFIG_*)", h.value),
				Hint: "run gatekeeper install without it",
			}
		case "worktree":
			return way{}, &UsageError{
				Msg:  fmt.Sprintf("core.hooksPath=%s is set for this worktree alone, and hooks are shared by all of them", h.value),
				Hint: "git config --worktree --unset core.hooksPath, set it with --local, and install again",
			}
		}
	}
	if all, err = s.withoutOurs(ctx, all); err != nil {
		return way{}, err
	}
	own := s.path("hooks")
	if len(all) == 0 {
		if inside(s.common, own) {
			return way{dir: "hooks", prev: prev{beside: true}}, nil
		}
		return way{dir: ownHooks, prev: prev{dir: own}}, nil
	}
	dir := all[len(all)-1].value
	if abs := s.fromRoot(dir); dir != "" && samePath(abs, own) && inside(s.common, own) {
		return way{dir: "hooks", prev: prev{beside: true}}, nil
	}
	return way{dir: ownHooks, prev: prev{dir: dir}}, nil
}

// withoutOurs puts what was there before in the place of our own core.hooksPath.
func (s *site) withoutOurs(ctx context.Context, all []hooksPath) ([]hooksPath, error) {
	isOurs := func(h hooksPath) bool { return h.scope == "local" && samePath(h.value, s.path(ownHooks)) }
	if !slices.ContainsFunc(all, isOurs) {
		return all, nil
	}
	all = slices.DeleteFunc(all, isOurs)
	c := s.record.setting("core.hooksPath")
	if c == nil {
		return all, nil
	}
	for _, raw := range c.before {
		value, err := s.git.line(ctx, "-c", "gatekeeper.path="+raw, "config", "--type=path", "gatekeeper.path")
		if err != nil {
			return nil, err
		}
		all = append(all, hooksPath{"local", value})
	}
	return all, nil
}

// fromRoot resolves a core.hooksPath as git does for a client's hooks.
func (s *site) fromRoot(dir string) string {
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(s.git.dir, dir)
}

// placeClientHooks puts the shims of a clone in place.
func (s *site) placeClientHooks(ctx context.Context, w way, bins binaries) error {
	if s.record.hooks != "" && s.record.hooks != w.name() {
		if err := s.takeHooksOut(ctx); err != nil {
			return err
		}
	}
	s.record.hooks = w.name()
	for _, name := range clientHooks {
		if err := s.placeHook(w, name, shim(name, w.prev, bins)); err != nil {
			return err
		}
	}
	if w.dir != ownHooks {
		return nil
	}
	if err := s.placeOthers(w); err != nil {
		return err
	}
	return s.leadHere(ctx)
}

// placeOthers makes the hooks of our own directory that lead on to the one before.
func (s *site) placeOthers(w way) error {
	names := slices.Clone(passedOn)
	for _, name := range passedOnIfThere {
		if st, err := os.Stat(filepath.Join(s.fromRoot(w.prev.dir), name)); err == nil && st.Mode()&0o111 != 0 {
			names = append(names, name)
		}
	}
	for _, f := range slices.Clone(s.record.files) {
		name := path.Base(f.path)
		if parent(f.path) != ownHooks || isClientHook(name) || slices.Contains(names, name) {
			continue
		}
		if err := s.remove(f.path); err != nil {
			return err
		}
		s.record.dropFile(f.path)
		s.result.did(Removed, Hook, f.path, "nothing to lead on to any more")
	}
	changed := false
	for _, name := range names {
		wrote, err := s.writeShim(w, name, passOn(name, w.prev))
		if err != nil {
			return err
		}
		changed = changed || wrote
	}
	done := Kept
	if changed {
		done = Wrote
	}
	s.result.did(done, Hook, s.path(ownHooks), "leads on to the hooks in "+w.prev.dir)
	return nil
}

// leadHere makes git look in our own directory, and checks that it does.
func (s *site) leadHere(ctx context.Context) error {
	want := s.path(ownHooks)
	now, err := s.git.values(ctx, "--local", "--get-all", "core.hooksPath")
	if err != nil {
		return err
	}
	if slices.Equal(now, []string{want}) && s.record.setting("core.hooksPath") != nil {
		s.result.did(Kept, Config, "core.hooksPath", want)
	} else if err := s.setConfig(ctx, "core.hooksPath", want); err != nil {
		return err
	}
	got, err := s.git.line(ctx, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return err
	}
	if !samePath(s.fromRoot(got), want) {
		return &UsageError{
			Msg:  fmt.Sprintf("git looks for hooks in %s, whatever the local core.hooksPath says", got),
			Hint: "git config --show-origin --get-all core.hooksPath shows who sets it; an included file may",
		}
	}
	return nil
}

// placeHook puts one shim in place. What stands there moves beside it, once.
func (s *site) placeHook(w way, name string, want []byte) error {
	rel := w.path(name)
	now, err := s.read(rel)
	if err != nil {
		return err
	}
	foreign := s.exists(rel) && !bytes.Equal(now, want) && !s.ours(rel, now)
	switch {
	case foreign && bytes.Contains(now, []byte(marker)):
		return &UsageError{
			Msg:  fmt.Sprintf("%s was edited since gatekeeper wrote it", s.path(rel)),
			Hint: "move your lines into a file of their own and delete it, or put it back as it was",
		}
	case foreign && w.dir == ownHooks:
		return &UsageError{Msg: fmt.Sprintf("%s is not gatekeeper's", s.path(rel)), Hint: "move it away"}
	case foreign:
		stands, err := s.takeIn(rel)
		if stands || err != nil {
			return err
		}
	}
	wrote, err := s.writeShim(w, name, want)
	if err != nil {
		return err
	}
	done, detail := Kept, ""
	if wrote {
		done = Wrote
	}
	if s.exists(before(rel)) {
		detail = "after the one that was there"
	}
	s.result.did(done, Hook, name, detail)
	return nil
}

// takeIn moves somebody else's hook out of our place, where it will be run from.
// It reports true when our shim need not stand there, because it is run already.
func (s *site) takeIn(rel string) (stands bool, err error) {
	name := path.Base(rel)
	// pre-commit renames the hook it finds to NAME.legacy, and runs it first.
	if data, err := s.read(rel + ".legacy"); err != nil {
		return false, err
	} else if s.ours(rel, data) {
		s.result.did(Kept, Hook, name, "run by the hook manager as "+name+".legacy")
		return true, nil
	}
	if s.exists(before(rel)) {
		return false, s.takeInAgain(rel)
	}
	if err := s.move(rel, before(rel)); err != nil {
		return false, err
	}
	s.result.did(Moved, Hook, name, "runs first, as "+before(name))
	return false, s.dropDisplaced(rel)
}

// takeInAgain serves a manager that writes its hooks again and again (lefthook):
// the one there now is the one that we already run.
func (s *site) takeInAgain(rel string) error {
	now, err := s.read(rel)
	if err != nil {
		return err
	}
	old, err := s.read(before(rel))
	if err != nil {
		return err
	}
	if !bytes.Equal(now, old) {
		return &UsageError{
			Msg:  fmt.Sprintf("%s is another hook than the one that gatekeeper found there and runs as %s", s.path(rel), before(path.Base(rel))),
			Hint: "make one of the two files and delete the other; then install again",
		}
	}
	if err := s.remove(rel); err != nil {
		return err
	}
	return s.dropDisplaced(rel)
}

// dropDisplaced removes the copy of our shim that lefthook keeps as NAME.old; it
// would stop lefthook's own next run.
func (s *site) dropDisplaced(rel string) error {
	data, err := s.read(rel + ".old")
	if err != nil || !s.ours(rel, data) {
		return err
	}
	return s.remove(rel + ".old")
}

func (s *site) writeShim(w way, name string, want []byte) (wrote bool, err error) {
	rel := w.path(name)
	now, err := s.read(rel)
	if err != nil {
		return false, err
	}
	if bytes.Equal(now, want) && now != nil {
		st, err := os.Stat(s.path(rel))
		if err != nil {
			return false, err
		}
		if st.Mode().Perm() == s.modes.exec && s.ours(rel, now) {
			return false, nil
		}
	}
	if now != nil && !bytes.Equal(now, want) && !s.ours(rel, now) {
		return false, &UsageError{Msg: fmt.Sprintf("%s is not as gatekeeper wrote it", s.path(rel)), Hint: "move it away"}
	}
	return true, s.write(rel, want, s.modes.exec)
}

// takeHooksOut removes our shims and moves the hooks from before back.
func (s *site) takeHooksOut(ctx context.Context) error {
	for _, f := range slices.Clone(s.record.files) {
		if !s.record.isHook(f.path) {
			continue
		}
		if err := s.takeHookOut(f); err != nil {
			return err
		}
	}
	if s.record.hooks != ownHooks {
		return nil
	}
	return s.restoreConfig(ctx, "core.hooksPath")
}

func (s *site) takeHookOut(f recordedFile) error {
	now, err := s.read(f.path)
	if err != nil {
		return err
	}
	name := path.Base(f.path)
	if !s.exists(f.path) || s.ours(f.path, now) {
		s.record.dropFile(f.path)
		return s.vacate(f.path, f.path)
	}
	// A manager may have put our shim aside; there it is replaced or removed.
	for _, aside := range []string{f.path + ".legacy", f.path + ".old"} {
		if data, err := s.read(aside); err != nil {
			return err
		} else if s.ours(f.path, data) {
			s.record.dropFile(f.path)
			return s.vacate(aside, f.path)
		}
	}
	if !bytes.Contains(now, []byte(marker)) && !s.exists(before(f.path)) {
		s.record.dropFile(f.path) // all another tool's; nothing of ours is left of it
		s.result.did(Skipped, Hook, name, "replaced since by another tool")
		return nil
	}
	detail := "edited or replaced since install"
	if s.exists(before(f.path)) {
		detail += "; the hook from before waits in " + before(name)
	}
	s.result.did(Left, Hook, s.path(f.path), detail)
	return nil
}

// vacate removes our shim at rel, if it is there, and moves the hook that stood
// in the place of home before us there.
func (s *site) vacate(rel, home string) error {
	if err := s.remove(rel); err != nil {
		return err
	}
	name := path.Base(rel)
	if !s.exists(before(home)) {
		if parent(rel) != ownHooks || isClientHook(name) {
			s.result.did(Removed, Hook, name, "")
		}
		return nil
	}
	if err := s.move(before(home), rel); err != nil {
		return err
	}
	s.result.did(Restored, Hook, name, "the one from before")
	return nil
}

// inside reports whether path, followed through links as far as it exists, lies in dir.
func inside(dir, path string) bool {
	d, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	p := follow(path)
	rel, err := filepath.Rel(d, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// follow is path with its links followed. The end of it need not exist; a link
// that leads nowhere is taken for where it would lead.
func follow(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	if target, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		return target
	}
	if up := filepath.Dir(path); up != path {
		return filepath.Join(follow(up), filepath.Base(path))
	}
	return path
}

func samePath(a, b string) bool { return follow(filepath.Clean(a)) == follow(filepath.Clean(b)) }
