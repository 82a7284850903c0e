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
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// ServerOptions say where and how to install into a server's repository.
type ServerOptions struct {
	Dir        string    // the repository: its git directory, or the root of its work tree
	Binaries   string    // directory of the gatekeeper binaries; "" is the running program's
	Environ    []string  // as os.Environ; nil is the process's own
	Policy     string    // a policy to put in force; "" keeps the one there, or writes a starter that only warns
	Platform   string    // one of Platforms; "" is the one from before, or Plain
	Pusher     string    // one of Pushers; "" is the one from before, or the platform's
	Harden     bool      // set the safe settings instead of proposing them
	Rebaseline bool      // write the baseline anew
	Now        time.Time // dates the published policy; zero is the current time

	stop func(step string) error
}

func (o ServerOptions) filled() ServerOptions {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	return o
}

// Server installs gatekeeper in a server's repository. It can be run again at any
// time: what is in place stays, what was displaced is put back, and the policy in
// force is published. An error means that nothing was changed.
func Server(ctx context.Context, o ServerOptions) (Result, error) {
	o = o.filled()
	p, err := findServer(ctx, o.Dir, o.Environ)
	if err != nil {
		return Result{}, err
	}
	bins, err := companions(o.Binaries, server)
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
	if err := s.finish(s.installServer(ctx, o, bins)); err != nil {
		return Result{}, err
	}
	return res, nil
}

// findServer is find for a repository that people push to. DIR must be that very
// repository: one that lies somewhere in a work tree is more likely a slip.
func findServer(ctx context.Context, dir string, environ []string) (place, error) {
	p, err := find(ctx, dir, environ)
	if err != nil {
		return p, err
	}
	if !samePath(dir, p.common) && (p.worktree == "" || !samePath(dir, p.worktree)) {
		return p, &UsageError{
			Msg:  fmt.Sprintf("%s is not a repository but lies inside of %s", dir, p.common),
			Hint: "name the repository itself",
		}
	}
	p.git = p.git.at(p.common).with("GIT_NO_REPLACE_OBJECTS=1")
	return p, nil
}

func (s *site) installServer(ctx context.Context, o ServerOptions, bins binaries) error {
	platform, err := s.platform(ctx, o.Platform)
	if err != nil {
		return err
	}
	source, err := s.pusher(ctx, o.Pusher, platform)
	if err != nil {
		return err
	}
	w, err := s.serverWay(ctx)
	if err != nil && platform != GitLab { // which has core.hooksPath lead to its own
		return err
	}
	w = w.on(platform)
	// The policy stands before a hook reads it, and the baseline before a push
	// is judged by it.
	if err := s.placePolicy(ctx, o); err != nil {
		return err
	}
	inForce, err := s.inForce(ctx)
	if err != nil {
		return err
	}
	if err := s.placeBaseline(ctx, inForce.Policy, o); err != nil {
		return err
	}
	if s.record.hooks != "" && s.record.hooks != w.name() {
		if err := s.takeHooksOut(ctx); err != nil {
			return err
		}
	}
	s.record.hooks = w.name()
	if err := s.mkdir(receipt.Dir); err != nil { // made here, it has the permissions that all in it will have
		return err
	}
	if err := s.setPlatform(ctx, platform); err != nil {
		return err
	}
	if err := s.setPusher(ctx, source, platform); err != nil {
		return err
	}
	for _, name := range serverHooks {
		if err := s.placeHook(w, name, shim(name, w.prev, bins)); err != nil {
			return err
		}
	}
	if err := s.harden(ctx, o.Harden); err != nil {
		return err
	}
	if err := s.publish(ctx, inForce, o.Now); err != nil {
		return err
	}
	s.serverNotes(inForce, w)
	return s.writeRecord()
}

func (s *site) serverNotes(inForce inforce.Policy, w way) {
	if !s.bare {
		s.result.note("this repository has a work tree: git refuses pushes to the branch that is checked out")
	}
	if !w.nested && s.exists(w.dir+"/pre-receive.d") {
		s.result.note("%s is there: software that keeps hooks in such a directory may rewrite %s; "+
			"run this again after its upgrades", s.path(w.dir+"/pre-receive.d"), s.path(w.dir+"/pre-receive"))
	}
	if !s.enforcing {
		s.result.note("the policy in %s refuses nothing yet; after setting mode = \"enforce\", "+
			"run gatekeeper install --server DIR --rebaseline once", inForce.Where)
	}
}

// serverWay finds out where git looks for the hooks of a push. It runs them in the
// git directory, so that is where a relative core.hooksPath starts (githooks(5)).
func (s *site) serverWay(ctx context.Context) (way, error) {
	all, err := s.hooksPaths(ctx)
	if err != nil {
		return way{}, err
	}
	set := hooksPath{"default", s.path("hooks")}
	if len(all) > 0 {
		set = all[len(all)-1]
	}
	dir := set.value
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.common, dir)
	}
	rel, err := filepath.Rel(follow(s.common), follow(dir))
	if err != nil || !inside(s.common, dir) || rel == "." || set.scope == "command" || set.value == "" {
		return way{}, &UsageError{
			Msg:  fmt.Sprintf("git runs hooks from %q (core.hooksPath, %s), which is not this repository's own", set.value, set.scope),
			Hint: "a hook there would judge other repositories, too; git config core.hooksPath hooks makes this one use its own",
		}
	}
	return way{dir: filepath.ToSlash(rel), prev: prev{beside: true}}, nil
}

// safe are the settings that make a server harder to fool: git then checks the
// form of every object it is sent, and takes the reason for an override.
var safe = []string{"receive.fsckObjects", "receive.advertisePushOptions"}

func (s *site) harden(ctx context.Context, set bool) error {
	for _, key := range safe {
		now, err := s.git.values(ctx, "--type=bool", "--get", key)
		if err != nil {
			return err
		}
		switch {
		case slices.Equal(now, []string{"true"}):
			s.result.did(Kept, Config, key, "true")
		case set:
			if err := s.setConfig(ctx, key, "true"); err != nil {
				return err
			}
		default:
			s.result.note("safer: git -C %s config %s true (or install with --harden)", s.common, key)
		}
	}
	return nil
}

// placePolicy writes the policy that was given, or a starter where there is none.
// One that is there and not given again stays as it is, whoever wrote it.
func (s *site) placePolicy(ctx context.Context, o ServerOptions) error {
	named, err := s.git.value(ctx, inforce.Setting)
	if err != nil {
		return err
	}
	rel := "gatekeeper/" + inforce.File
	switch elsewhere := named != "" && named != "repo"; {
	case elsewhere && o.Policy != "":
		return &UsageError{
			Msg:  fmt.Sprintf("git config %s = %s, so %s would not be read", inforce.Setting, named, o.Policy),
			Hint: "change that file, or unset the setting",
		}
	case elsewhere:
		s.result.did(Kept, Policy, named, "named by git config "+inforce.Setting)
		return nil
	case o.Policy != "":
		return s.copyPolicy(o.Policy, o.Now)
	case s.exists(rel):
		s.result.did(Kept, Policy, s.path(rel), "")
		return nil
	}
	return s.placeFile(rel, policy.Starter(policy.Warn), "a starter in mode warn: edit it", o.Now)
}

// copyPolicy copies a valid policy and the files that it reads into the repository,
// the policy last: it is what puts the others in force.
func (s *site) copyPolicy(name string, now time.Time) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return &UsageError{Msg: fmt.Sprintf("read the policy: %v", err), Err: err}
	}
	beside := map[string][]byte{}
	_, err = policy.Parse(name, data, func(base string) ([]byte, error) {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(name), filepath.FromSlash(base)))
		if err == nil {
			beside[base] = data
		}
		return data, err
	})
	if err != nil {
		return &UsageError{Msg: err.Error(), Hint: "nothing was changed; gatekeeper policy check " + name, Err: err}
	}
	for _, base := range sorted(beside) {
		if reserved(base) {
			return &UsageError{
				Msg:  fmt.Sprintf("%s reads a file called %s, a name that gatekeeper uses itself", name, base),
				Hint: "give it another name",
			}
		}
		if err := s.placeFile("gatekeeper/"+base, beside[base], "beside the policy", now); err != nil {
			return err
		}
	}
	return s.placeFile("gatekeeper/"+inforce.File, data, "from "+name, now)
}

// reserved are names in the state directory that a policy's files must not take.
func reserved(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{inforce.File, "baseline", "install", "install-server", "hooks", "policy-in-repository",
		"config.before", "config.before-server", "receipts", "certificates", "made", "settings", "prepared", "stamped", "declared", "pushed", "unsigned", "shipped"}, first)
}

// placeFile writes a file of the admin's. What stood in its place before the first
// install comes back with uninstall; what was edited since then is kept beside.
func (s *site) placeFile(rel string, data []byte, detail string, now time.Time) error {
	old, err := s.read(rel)
	if err != nil {
		return err
	}
	if old != nil && bytes.Equal(old, data) {
		s.result.did(Kept, Policy, s.path(rel), "")
		return nil
	}
	if old != nil && !s.ours(rel, old) {
		aside := rel + ".before-gatekeeper"
		if known := s.record.sum(rel) != ""; known || s.exists(aside) {
			aside = s.unused(rel, now)
		} else {
			s.record.backs = append(s.record.backs, recordedBack{rel, aside})
		}
		if err := s.copyFile(rel, aside, old); err != nil {
			return err
		}
		detail += "; the one from before is " + filepath.Base(aside)
	}
	if err := s.write(rel, data, s.modes.plain); err != nil {
		return err
	}
	s.result.did(Wrote, Policy, s.path(rel), detail)
	return nil
}

func (s *site) copyFile(from, to string, data []byte) error {
	st, err := os.Stat(s.path(from))
	if err != nil {
		return err
	}
	return s.put(to, data, st.Mode().Perm())
}

// unused is a name for what stood at rel until now.
func (s *site) unused(rel string, now time.Time) string {
	stamp := rel + ".before-" + now.UTC().Format("20060102T150405Z")
	name := stamp
	for n := 2; s.exists(name); n++ {
		name = fmt.Sprintf("%s-%d", stamp, n)
	}
	return name
}

// inForce is the policy that pushes will be judged by from now on.
func (s *site) inForce(ctx context.Context) (inforce.Policy, error) {
	for _, rel := range []string{hadPolicy, settingsCache} {
		if !s.exists(rel) {
			s.undo = append(s.undo, func() error { return removeFile(s.path(rel)) })
		}
	}
	p, err := policyInForce(ctx, s.git)
	if err != nil {
		return p, &UsageError{Msg: err.Error(), Hint: "nothing was changed; mend the policy first", Err: err}
	}
	return p, nil
}

// What looking for the policy leaves behind: that the default branch has had one,
// by package inforce, and the settings of a repository with a work tree, by repo.
const (
	hadPolicy     = "gatekeeper/policy-in-repository"
	settingsCache = "gatekeeper/settings"
)

func policyInForce(ctx context.Context, g git) (inforce.Policy, error) {
	r, err := repo.Open(ctx, g.dir, g.env)
	if err != nil {
		return inforce.Policy{}, err
	}
	return inforce.Server(ctx, r)
}

// UninstallServer takes gatekeeper out of a server's repository. A policy that was
// edited since install stays, as do receipts and records refs; objects of the
// published policy stay until git's gc takes them.
func UninstallServer(ctx context.Context, o ServerOptions) (Result, error) {
	o = o.filled()
	p, err := findServer(ctx, o.Dir, o.Environ)
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
	if err := s.restoreConfig(ctx); err != nil {
		return err
	}
	if err := s.takeHooksOut(ctx); err != nil {
		return err
	}
	for _, f := range slices.Clone(s.record.files) {
		if s.record.isHook(f.path) {
			continue // a hook that was left
		}
		if err := s.takeFileOut(f.path); err != nil {
			return err
		}
	}
	if err := s.remove(hadPolicy); err != nil {
		return err
	}
	if !s.exists("gatekeeper/install") { // else it is the client's, too
		if err := s.remove(settingsCache); err != nil {
			return err
		}
	}
	if err := s.restoreRefs(ctx); err != nil {
		return err
	}
	if err := s.leaveRecord(); err != nil {
		return err
	}
	if s.exists(TicketsDir) {
		s.result.note("the names of push certificates that were used stay in %s", s.path(TicketsDir))
	}
	if s.exists(receipt.Dir) {
		s.result.note("the receipts of pushes stay in %s", s.path(receipt.Dir))
	}
	return nil
}

// takeFileOut removes a file of ours unless it was edited since, and brings back
// what stood there before.
func (s *site) takeFileOut(rel string) error {
	now, err := s.read(rel)
	if err != nil {
		return err
	}
	ours := s.ours(rel, now)
	s.record.dropFile(rel)
	if now != nil && !ours {
		s.result.did(Kept, State, s.path(rel), "edited since install, so it stays")
		return nil
	}
	if err := s.remove(rel); err != nil {
		return err
	}
	i := slices.IndexFunc(s.record.backs, func(b recordedBack) bool { return b.path == rel })
	if i < 0 || !s.exists(s.record.backs[i].waits) {
		s.result.did(Removed, State, s.path(rel), "")
		return nil
	}
	if err := s.move(s.record.backs[i].waits, rel); err != nil {
		return err
	}
	s.record.backs = slices.Delete(s.record.backs, i, i+1)
	s.result.did(Restored, State, s.path(rel), "")
	return nil
}

// sorted are the keys of a map, in order.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
