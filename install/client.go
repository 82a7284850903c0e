package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/install/agents"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/sshkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	records "github.com/gatekeeper-git/gatekeeper/pkg/record"
)

// PolicyRef is where a server publishes the policy in force, and where a clone
// keeps it as last fetched: a commit whose tree holds policy.toml and the files
// that it reads.
const PolicyRef = inforce.Ref

// Options say where and how to install into a developer's clone.
type Options struct {
	Dir      string   // in the work tree; "" is the current directory
	Binaries string   // directory of the gatekeeper binaries; "" is the running program's
	Environ  []string // as os.Environ; nil is the process's own
	// Agents are those to put entries into: auto (or "") for all that are found, none,
	// or names with commas between them. For UninstallClient none keeps the entries.
	Agents string
	// TrustCodex makes Codex trust our hooks, which else its user does in /hooks.
	TrustCodex bool
	// GeminiGitHooks stores (true) or removes (false) the setting of that name; nil leaves it.
	GeminiGitHooks *bool

	// OpenSigner opens the key that gatekeeper.signingKey names, without signing;
	// nil is sshkey.Open.
	OpenSigner func(ctx context.Context, spec string) (attestation.Signer, error)
	// FetchTimeout bounds the fetch of the policy, which may fail; 0 is 20 s.
	FetchTimeout time.Duration
	// CodexTimeout bounds what Codex is asked, which may fail; 0 is 20 s.
	CodexTimeout time.Duration

	stop func(step string) error
}

// Client installs gatekeeper in the clone that o.Dir is in, for all its worktrees.
// An error means that nothing was changed. Entries in the agents' configurations are
// of the user, and serve all clones.
func Client(ctx context.Context, o Options) (Result, error) {
	o = o.filled()
	user, choice, err := chooseAgents(o)
	if err != nil {
		return Result{}, err
	}
	p, err := findClone(ctx, o.Dir, o.Environ)
	if err != nil {
		return Result{}, err
	}
	bins, err := companions(o.Binaries, client)
	if err != nil {
		return Result{}, err
	}
	res := newResult("install", client, p)
	s, unlock, err := open(ctx, p, client, &res)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	s.stop = o.stop
	placed, free, err := s.installAll(ctx, o, bins, user, choice)
	defer free()
	if err := s.finish(err); err != nil {
		return Result{}, err
	}
	s.agentNotes(ctx, user, placed, o)
	return res, nil
}

// installAll gives the agents that have our entries. The caller frees the lock on them
// when all is done, or undone.
func (s *site) installAll(ctx context.Context, o Options, bins binaries, user agents.World, choice agents.Choice) (placed []string, free func(), err error) {
	free = func() {}
	if err := s.installClient(ctx, o, bins); err != nil || o.Agents == "none" {
		return nil, free, err
	}
	// What takes long is done by now: nobody else waits for the lock.
	if len(choice.Names) > 0 {
		unlock, err := user.Lock()
		if err != nil {
			return nil, free, err
		}
		free = unlock
	}
	if placed, err = s.placeAgents(user, choice); err != nil {
		return nil, free, err
	}
	return placed, free, s.keepClone(user, choice)
}

func (o Options) filled() Options {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.FetchTimeout == 0 {
		o.FetchTimeout = 20 * time.Second
	}
	if o.CodexTimeout == 0 {
		o.CodexTimeout = defaultCodexTimeout
	}
	if o.OpenSigner == nil {
		o.OpenSigner = func(ctx context.Context, spec string) (attestation.Signer, error) {
			return sshkey.Open(ctx, spec, sshkey.Env{Environ: o.Environ, Dir: o.Dir})
		}
	}
	return o
}

func newResult(command, role string, p place) Result {
	return Result{Schema: Schema, Command: command, Role: role, GitDir: p.common, Actions: []Action{}, Notes: []string{}}
}

// findClone is find for a repository that people commit in.
func findClone(ctx context.Context, dir string, environ []string) (place, error) {
	p, err := find(ctx, dir, environ)
	if err != nil || p.worktree != "" {
		return p, err
	}
	if p.bare {
		return p, &UsageError{
			Msg:  fmt.Sprintf("%s is a bare repository, where nobody commits", p.gitDir),
			Hint: "on a server: gatekeeper install --server " + p.gitDir,
		}
	}
	return p, &UsageError{Msg: fmt.Sprintf("%s is not in a work tree", dir), Hint: "run this where you commit"}
}

func (s *site) installClient(ctx context.Context, o Options, bins binaries) error {
	var err error
	if s.result.Principal, err = s.principal(ctx); err != nil {
		return err
	}
	w, err := s.clientWay(ctx)
	if err != nil {
		return err
	}
	if err := s.placeClientHooks(ctx, w, bins); err != nil {
		return err
	}
	key, err := s.key(ctx, keyring{o.OpenSigner, o.Environ, s.git.dir})
	if err != nil {
		return err
	}
	s.result.AllowedSigners = allowedSigners(s.result.Principal, key)
	if err := s.geminiGitHooks(ctx, o.GeminiGitHooks); err != nil {
		return err
	}
	if err := s.fetchPolicy(ctx, o.FetchTimeout); err != nil {
		return err
	}
	if err := s.fetchRecords(ctx, o.FetchTimeout); err != nil {
		return err
	}
	return s.writeRecord()
}

// fetchRecords fetches what others keep beside their commits, for commits that carry
// no attestation of their own. Records only grow, so nothing here is overwritten;
// that there is none, or that they cannot be had now, is not worth a word.
func (s *site) fetchRecords(ctx context.Context, patience time.Duration) error {
	remote, err := s.remote(ctx)
	if err != nil || remote == "" {
		return err
	}
	net, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := s.recordRefs(ctx)
	if err != nil {
		return err
	}
	_, _ = s.git.with("GIT_TERMINAL_PROMPT=0").run(net, nil, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head",
		"--no-recurse-submodules", "--no-auto-maintenance", remote, records.Prefix+"*:"+records.Prefix+"*")
	after, err := s.recordRefs(ctx)
	if err == nil && after != before {
		s.result.did(Fetched, Records, records.Prefix, "from "+remote)
	}
	return errors.Join(err, ctx.Err())
}

func (s *site) recordRefs(ctx context.Context) (string, error) {
	return s.git.line(ctx, "for-each-ref", "--format=%(refname) %(objectname)", records.Prefix)
}

// fetchPolicy fetches the policy that the server publishes. A server that cannot
// be reached, or has none, is no failure: pre-push fetches it anew.
func (s *site) fetchPolicy(ctx context.Context, patience time.Duration) error {
	mine, err := s.ref(ctx, PolicyRef)
	if err != nil {
		return err
	}
	if mine == "" {
		s.madeRef(PolicyRef, "") // by now, or by pre-push later
	}
	remote, err := s.remote(ctx)
	if err != nil {
		return err
	}
	if remote == "" {
		s.result.did(Skipped, Policy, PolicyRef, "no remote to fetch it from")
		return nil
	}
	net, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := s.git.with("GIT_TERMINAL_PROMPT=0")
	theirs, err := g.line(net, "ls-remote", "--refs", remote, PolicyRef)
	if err != nil {
		s.result.did(Skipped, Policy, PolicyRef, fmt.Sprintf("%s cannot be reached now; pre-push will fetch it", remote))
		return ctx.Err()
	}
	id, _, _ := strings.Cut(theirs, "\t")
	if id == "" {
		s.result.did(Skipped, Policy, PolicyRef, remote+" publishes none; form and signature are checked before a push")
		return nil
	}
	if mine == id {
		s.result.did(Kept, Policy, PolicyRef, "as "+remote+" publishes it")
		return nil
	}
	// Nothing else of the clone may change: no tags, no FETCH_HEAD, no gc.
	s.undoRef(PolicyRef, mine)
	_, err = g.run(net, nil, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head",
		"--no-recurse-submodules", "--no-auto-maintenance", remote, "+"+PolicyRef+":"+PolicyRef)
	if err != nil {
		s.result.did(Skipped, Policy, PolicyRef, fmt.Sprintf("the fetch from %s failed: %v", remote, err))
		return ctx.Err()
	}
	s.madeRef(PolicyRef, mine)
	s.result.did(Fetched, Policy, PolicyRef, "from "+remote)
	return nil
}

// remote is the one that the current branch pulls from, else origin, else the only one.
func (s *site) remote(ctx context.Context) (string, error) {
	if branch, err := s.git.line(ctx, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		up, err := s.git.value(ctx, "branch."+branch+".remote")
		if err != nil {
			return "", err
		}
		if up != "" && up != "." {
			return up, nil
		}
	}
	out, err := s.git.line(ctx, "remote")
	if err != nil {
		return "", err
	}
	all := strings.Fields(out)
	switch {
	case slices.Contains(all, "origin"):
		return "origin", nil
	case len(all) == 1:
		return all[0], nil
	}
	return "", nil
}

// ref is what a ref holds; "" when it is not there.
func (s *site) ref(ctx context.Context, name string) (string, error) {
	return s.git.line(ctx, "for-each-ref", "--format=%(objectname)", name)
}

// setRef makes a ref hold id, or be gone for "".
func (s *site) setRef(ctx context.Context, name, id string) error {
	if id != "" {
		_, err := s.git.run(ctx, nil, "update-ref", name, id)
		return err
	}
	if _, err := s.git.run(ctx, nil, "update-ref", "-d", name); err != nil {
		return err
	}
	os.Remove(s.path(parent(name))) // git keeps refs/gatekeeper though it is empty now
	return nil
}

func (s *site) undoRef(name, id string) {
	s.undo = append(s.undo, func() error { return s.setRef(context.Background(), name, id) })
}

// madeRef notes that a ref is ours, and what it held before us.
func (s *site) madeRef(name, old string) {
	if !slices.ContainsFunc(s.record.refs, func(r recordedRef) bool { return r.name == name }) {
		s.record.refs = append(s.record.refs, recordedRef{name, old})
	}
}

// UninstallClient takes gatekeeper out of the clone that o.Dir is in. What somebody
// changed since is left, and the Result is not Complete; run again after mending.
// Signing keys stay.
func UninstallClient(ctx context.Context, o Options) (Result, error) {
	o = o.filled()
	p, err := findClone(ctx, o.Dir, o.Environ)
	if err != nil {
		return Result{}, err
	}
	res := newResult("uninstall", client, p)
	s, unlock, err := open(ctx, p, client, &res)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	s.stop = o.stop
	if s.had == nil && !s.exists("gatekeeper") {
		return res, nil
	}
	free, err := agents.World{Environ: o.Environ}.LockIfUsed()
	if err != nil {
		return Result{}, err
	}
	defer free()
	if err := s.finish(s.uninstallClient(ctx, o)); err != nil {
		return Result{}, err
	}
	return res, nil
}

func (s *site) uninstallClient(ctx context.Context, o Options) error {
	if err := s.leaveAgents(ctx, o); err != nil {
		return err
	}
	if c := s.record.setting("gatekeeper.signingKey"); c != nil {
		s.result.note("the signing key stays in %s", c.value)
	}
	if refs, err := s.recordRefs(ctx); err != nil {
		return err
	} else if refs != "" {
		s.result.note("the records of commits stay in %s", records.Prefix)
	}
	if err := s.restoreConfig(ctx); err != nil {
		return err
	}
	if err := s.takeHooksOut(ctx); err != nil {
		return err
	}
	if err := s.restoreRefs(ctx); err != nil {
		return err
	}
	if err := s.leaveRecord(); err != nil {
		return err
	}
	return s.removeState()
}

// restoreRefs takes back the refs that we made, whatever they hold by now.
func (s *site) restoreRefs(ctx context.Context) error {
	for _, r := range s.record.refs {
		now, err := s.ref(ctx, r.name)
		if err != nil {
			return err
		}
		if now == "" || s.role == client && s.exists("gatekeeper/install-server") {
			continue // gone, or published by the server's side
		}
		s.undoRef(r.name, now)
		if err := s.setRef(ctx, r.name, r.before); err != nil {
			return err
		}
		s.result.did(Removed, Policy, r.name, "")
	}
	s.record.refs = nil
	return nil
}

// leaveRecord removes the record, or where something was left keeps it for that.
func (s *site) leaveRecord() error {
	if err := s.remove(s.configBefore()); err != nil {
		return err
	}
	if len(s.record.files) > 0 {
		return s.writeRecord()
	}
	if err := s.remove(s.recordPath()); err != nil {
		return err
	}
	if err := s.removeDirs(); err != nil {
		return err
	}
	os.Remove(s.path("gatekeeper")) // if the other role made it, and is gone, too
	return nil
}

// clientState are the files that hooks and commands keep for a worktree.
var clientState = []string{"settings", "prepared", "stamped", "declared", "pushed", "unsigned", "shipped"}

// removeState removes what gatekeeper keeps in each worktree and for all of them.
// It comes last, because it cannot be taken back. Where a server's side stands in
// the same repository, or stood and left receipts, or a hook was left, what belongs to
// those stays.
func (s *site) removeState() error {
	dirs, err := s.worktreeStates()
	if err != nil {
		return err
	}
	own := s.path("gatekeeper")
	if s.exists("gatekeeper/install-server") || s.exists(receipt.Dir) || len(s.record.files) > 0 {
		for _, name := range clientState {
			if err := removeFile(filepath.Join(own, name)); err != nil {
				return err
			}
		}
	} else {
		dirs = append(dirs, own)
	}
	for _, dir := range dirs {
		if !fileExists(dir) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		s.result.did(Removed, State, dir, "")
	}
	return nil
}

// worktreeStates are the state directories of the linked worktrees.
func (s *site) worktreeStates() ([]string, error) {
	entries, err := os.ReadDir(s.path("worktrees"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var dirs []string
	for _, e := range entries {
		dirs = append(dirs, filepath.Join(s.path("worktrees"), e.Name(), "gatekeeper"))
	}
	return dirs, err
}
