package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// ServerOptions say where and how to install on a server.
type ServerOptions struct {
	Dir        string    // the repository that pushes go to; "" is the current directory
	Binaries   string    // directory of the gatekeeper binaries; "" is the running program's
	Environ    []string  // as os.Environ; nil is the process's own
	Platform   string    // "" or "plain": hooks as git itself runs them
	Policy     string    // file to put in force; "" keeps what is there, or starts in warn mode
	Harden     bool      // set the safe settings, instead of proposing them
	Rebaseline bool      // what is there now is never judged, whatever the baseline said
	Now        time.Time // dates the published policy

	stop func(step string) error
}

func (o ServerOptions) filled() ServerOptions {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	return o
}

// Server installs gatekeeper in the repository that o.Dir is in. It may be run again
// at any time: the policy, the baseline and the hooks of others stay. An error
// means that nothing was changed.
func Server(ctx context.Context, o ServerOptions) (Result, error) {
	o = o.filled()
	if o.Platform != "" && o.Platform != "plain" {
		return Result{}, &UsageError{Msg: fmt.Sprintf("--platform %s is not in this version", o.Platform),
			Hint: "use plain, where git itself runs the hooks of the repository"}
	}
	p, err := find(ctx, o.Dir, o.Environ)
	if err != nil {
		return Result{}, err
	}
	bins, err := companions(o.Binaries, server)
	if err != nil {
		return Result{}, err
	}
	given, err := givenPolicy(o.Policy)
	if err != nil {
		return Result{}, err
	}
	res := newResult("install", server, p)
	s, unlock, err := open(ctx, p, server, &res)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	s.stop = o.stop
	if err := s.finish(s.installServer(ctx, o, bins, given)); err != nil {
		return Result{}, err
	}
	return res, nil
}

// givenPolicy reads the policy that --policy names before anything is touched.
func givenPolicy(name string) (*inforce.Policy, error) {
	if name == "" {
		return nil, nil
	}
	p, err := inforce.FromFile(name)
	if err != nil {
		return nil, &UsageError{Msg: err.Error(), Err: err, Hint: "nothing was changed"}
	}
	return &p, nil
}

func (s *site) installServer(ctx context.Context, o ServerOptions, bins binaries, given *inforce.Policy) error {
	if !s.bare {
		s.result.note("this repository has a work tree; a push to its checked-out branch is refused by git itself")
	}
	dir, err := s.serverHooks(ctx)
	if err != nil {
		return err
	}
	inForce, err := s.placePolicy(ctx, o, given)
	if err != nil {
		return err
	}
	if err := s.placeBaseline(ctx, o, inForce); err != nil {
		return err
	}
	if err := s.harden(ctx, o.Harden); err != nil {
		return err
	}
	if err := s.publishPolicy(ctx, o); err != nil {
		return err
	}
	// The hooks come last: with the first of them in place, pushes are judged.
	s.record.hooks = dir
	for _, name := range serverHooks {
		if err := s.placeHook(way{dir: dir, prev: prev{beside: true}}, name, shim(name, prev{beside: true}, bins)); err != nil {
			return err
		}
	}
	return s.writeRecord()
}

// serverHooks is the directory below the repository in which git looks for hooks. One
// elsewhere may serve other repositories, too, and is not touched.
func (s *site) serverHooks(ctx context.Context) (string, error) {
	all, err := s.hooksPaths(ctx)
	if err != nil {
		return "", err
	}
	dir := s.path("hooks")
	if len(all) > 0 {
		dir = all[len(all)-1].value
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.gitDir, dir) // server hooks start there, githooks(5)
		}
	}
	rel, err := filepath.Rel(s.common, dir)
	if err != nil || !inside(s.common, dir) || strings.HasPrefix(rel, "..") {
		return "", &UsageError{Msg: fmt.Sprintf("git looks for this repository's hooks in %s, which lies outside of it", dir),
			Hint: "put gatekeeper-pre-receive into that directory's own hooks, or unset core.hooksPath here"}
	}
	return filepath.ToSlash(rel), nil
}

// placePolicy puts the given policy beside the repository, or sees to it that there
// is one, and returns what is in force then.
func (s *site) placePolicy(ctx context.Context, o ServerOptions, given *inforce.Policy) (inforce.Policy, error) {
	named, err := s.git.value(ctx, inforce.Setting)
	if err != nil {
		return inforce.Policy{}, err
	}
	files := map[string][]byte{}
	own := "gatekeeper/" + inforce.File
	switch {
	case given != nil && named != "" && named != "repo":
		return inforce.Policy{}, &UsageError{Msg: fmt.Sprintf("git config %s leads to %s", inforce.Setting, named),
			Hint: "change the policy there, or unset it: one repository has one policy"}
	case given != nil:
		files = given.Files
	case named == "" && !s.exists(own):
		files[inforce.File] = policy.Starter(policy.Warn)
		s.result.note("the policy is a starter in warn mode: pushes are judged and nothing is refused; edit %s", s.path(own))
	}
	for _, name := range sorted(files) {
		if err := s.placeFile("gatekeeper/"+name, files[name]); err != nil {
			return inforce.Policy{}, err
		}
	}
	r, err := repo.Open(ctx, s.gitDir, s.git.env)
	if err != nil {
		return inforce.Policy{}, err
	}
	inForce, err := inforce.Server(ctx, r)
	if err != nil {
		return inForce, &UsageError{Msg: err.Error(), Err: err, Hint: "every push would be refused; mend the policy first"}
	}
	if len(files) == 0 {
		s.result.did(Kept, Policy, inForce.Where, "")
	}
	for _, note := range inForce.Unenforced() {
		s.result.note("not enforced in this version: %s", note)
	}
	return inForce, nil
}

func sorted(files map[string][]byte) []string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// placeFile writes a file of the policy. Bytes that we did not write wait beside it.
func (s *site) placeFile(rel string, data []byte) error {
	now, err := s.read(rel)
	if err != nil {
		return err
	}
	if now != nil && bytes.Equal(now, data) {
		s.result.did(Kept, Policy, s.path(rel), "")
		return nil
	}
	if now != nil && !s.ours(rel, now) {
		waits := s.freeName(before(rel))
		if err := s.move(rel, waits); err != nil {
			return err
		}
		if s.record.sum(rel) == "" {
			s.record.backs = append(s.record.backs, recordedBack{rel, waits})
		}
		s.result.did(Moved, Policy, s.path(rel), "to "+filepath.Base(s.path(waits)))
	}
	if err := s.write(rel, data, s.modes.plain); err != nil {
		return err
	}
	s.result.did(Wrote, Policy, s.path(rel), "")
	return nil
}

// freeName is rel, or rel.2 and so on where that is taken.
func (s *site) freeName(rel string) string {
	name := rel
	for n := 2; s.exists(name); n++ {
		name = fmt.Sprintf("%s.%d", rel, n)
	}
	return name
}

// placeBaseline writes down, once, what is never judged: the tips of the refs that
// the policy enforces. While it enforces none, on trial in warn mode, those that it
// warns about: to enforce later must not block the history that was there first.
func (s *site) placeBaseline(ctx context.Context, o ServerOptions, inForce inforce.Policy) error {
	rel := "gatekeeper/" + inforce.BaselineFile
	if s.exists(rel) && !o.Rebaseline {
		s.result.did(Kept, Baseline, s.path(rel), "")
		return nil
	}
	tips, err := s.tips(ctx)
	if err != nil {
		return err
	}
	ids := baselineOf(tips, inForce)
	text := "# What these commits reach is never judged: it was here before gatekeeper.\n"
	for _, id := range ids {
		text += id + "\n"
	}
	if now, err := s.read(rel); err != nil {
		return err
	} else if now != nil && string(now) != text {
		waits := s.freeName(before(rel))
		if err := s.move(rel, waits); err != nil {
			return err
		}
		s.result.did(Moved, Baseline, s.path(rel), "to "+filepath.Base(s.path(waits)))
	}
	if err := s.write(rel, []byte(text), s.modes.plain); err != nil {
		return err
	}
	s.result.did(Wrote, Baseline, s.path(rel), fmt.Sprintf("%d commits; what they reach is never judged", len(ids)))
	return nil
}

// baselineOf picks the tips whose history is not judged, sorted and each once.
func baselineOf(tips []tip, inForce inforce.Policy) []string {
	mode := policy.Warn
	enforced := func(t tip) bool { return inForce.Rule(t.ref).Mode == policy.Enforce }
	if inForce.Rule("").Mode == policy.Enforce || slices.ContainsFunc(tips, enforced) {
		mode = policy.Enforce
	}
	var ids []string
	for _, t := range tips {
		if inForce.Rule(t.ref).Mode == mode {
			ids = append(ids, t.commit)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A tip is a ref and the commit that it ends in.
type tip struct{ ref, commit string }

// tips lists all refs that end in a commit, but for gatekeeper's own.
func (s *site) tips(ctx context.Context) ([]tip, error) {
	out, err := s.git.run(ctx, nil, "for-each-ref", "--format=%(objectname)^{commit} %(refname)")
	if err != nil {
		return nil, err
	}
	out, err = s.git.run(ctx, out, "cat-file", "--batch-check=%(objectname) %(objecttype) %(rest)")
	if err != nil {
		return nil, err
	}
	var tips []tip
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[1] == "commit" && !strings.HasPrefix(fields[2], "refs/gatekeeper/") {
			tips = append(tips, tip{fields[2], fields[0]})
		}
	}
	return tips, nil
}

// safe are the settings that a server should have, and why.
var safe = []struct{ key, why string }{
	{"receive.fsckObjects", "git itself refuses malformed objects"},
	{"receive.advertisePushOptions", "pushers can give a reason with git push -o"},
}

func (s *site) harden(ctx context.Context, set bool) error {
	for _, c := range safe {
		now, err := s.git.value(ctx, c.key)
		if err != nil {
			return err
		}
		switch {
		case now == "true":
			s.result.did(Kept, Config, c.key, now)
		case set:
			if err := s.setConfig(ctx, c.key, "true"); err != nil {
				return err
			}
		default:
			s.result.note("proposed: git config %s true (%s); --harden sets it", c.key, c.why)
		}
	}
	return nil
}

// publishPolicy puts what is in force where clones fetch it from.
func (s *site) publishPolicy(ctx context.Context, o ServerOptions) error {
	old, err := s.ref(ctx, PolicyRef)
	if err != nil {
		return err
	}
	s.undoRef(PolicyRef, old)
	done, err := publish(ctx, s.place, o.Now)
	if err != nil {
		return err
	}
	if !done.Changed {
		s.result.did(Kept, Policy, PolicyRef, "")
		return nil
	}
	s.madeRef(PolicyRef, old)
	s.result.did(Published, Policy, PolicyRef, "clones fetch it from there")
	return nil
}

// UninstallServer takes gatekeeper out of the repository that o.Dir is in. A policy or
// baseline that was changed since stays, as the admin's own.
func UninstallServer(ctx context.Context, o ServerOptions) (Result, error) {
	o = o.filled()
	p, err := find(ctx, o.Dir, o.Environ)
	if err != nil {
		return Result{}, err
	}
	res := newResult("uninstall", server, p)
	s, unlock, err := open(ctx, p, server, &res)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	s.stop = o.stop
	if s.had == nil {
		return res, nil
	}
	if err := s.finish(s.uninstallServer(ctx)); err != nil {
		return Result{}, err
	}
	return res, nil
}

func (s *site) uninstallServer(ctx context.Context) error {
	if err := s.takeHooksOut(ctx); err != nil {
		return err
	}
	if err := s.restoreConfig(ctx); err != nil {
		return err
	}
	if err := s.restoreRefs(ctx); err != nil {
		return err
	}
	for _, f := range slices.Clone(s.record.files) {
		if parent(f.path) == s.record.hooks {
			continue // left above, and said
		}
		if err := s.takeFileOut(f); err != nil {
			return err
		}
	}
	for _, rel := range []string{"gatekeeper/settings", "gatekeeper/policy-in-repository"} { // remembered, not decided
		if err := s.remove(rel); err != nil {
			return err
		}
	}
	return s.leaveRecord()
}

// takeFileOut removes a file that is as we wrote it, and puts back what stood there.
func (s *site) takeFileOut(f recordedFile) error {
	now, err := s.read(f.path)
	if err != nil {
		return err
	}
	s.record.dropFile(f.path)
	if now != nil && !s.oursAs(f, now) {
		s.result.did(Skipped, Policy, s.path(f.path), "changed since install; it stays, as yours")
		return nil
	}
	if err := s.remove(f.path); err != nil {
		return err
	}
	for _, b := range s.record.backs {
		if b.path == f.path && s.exists(b.waits) {
			s.result.did(Restored, Policy, s.path(f.path), "the one from before")
			return s.move(b.waits, f.path)
		}
	}
	if now != nil {
		s.result.did(Removed, Policy, s.path(f.path), "")
	}
	return nil
}

func (s *site) oursAs(f recordedFile, data []byte) bool { return digest(data) == f.sum }
