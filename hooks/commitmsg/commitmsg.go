// Package commitmsg is the hooks of git that see a commit being made:
// prepare-commit-msg, commit-msg, applypatch-msg, post-applypatch, post-commit and
// post-rewrite.
//
// prepare-commit-msg does the work. It runs for nearly every commit that git
// makes, and sees exactly the tree that will be committed:
//
//  1. find the parents that the commit will have, and the tree in the index;
//  2. leave alone what already binds: a message whose attestation fits;
//  3. else join what old records say, what was declared and which agent is seen;
//  4. add what agents write of themselves into the message, of which 3 does not tell;
//  5. sign, and put the lines into the message; but where an editor opens and
//     commit-msg follows, leave 1 to 3 for commit-msg, which then does 4 and 5.
//
// commit-msg puts in what step 5 left, or what was edited away. It reads the
// index only when prepare-commit-msg did not run. post-commit looks at what
// really became of it, when that was not certain, and marks declarations as used.
//
// What a commit's message does not or cannot carry is signed beside it, in a record
// (package record): by post-commit where something else became HEAD than was
// foreseen, by post-applypatch and post-rewrite for commits that git made without
// asking the others. The attestations of commits that a squash made one of are kept
// there, too. What cannot be signed now is left to pre-push.
//
// A hook here never stops a commit: a broken laptop must not lose work. What
// could not be recorded is said in one line on standard error, and the server
// refuses what is not covered.
package commitmsg

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// Env is what a hook is run with.
type Env struct {
	Args    []string // the hook's name, then the arguments that git gave it
	Environ []string
	Dir     string // working directory as git set it
	Stdin   io.Reader
	Stderr  io.Writer
	Now     func() time.Time

	// OpenSigner opens any kind of signing key; see package sshkey for the forms
	// of spec. When nil, only a plain Ed25519 key file is read here, and for any other
	// key the process becomes `gatekeeper hook ARGS…`, where OpenSigner is set.
	OpenSigner func(ctx context.Context, spec string) (attestation.Signer, error)
	// Sign is that of package attestation, and Verify verifies with the key that an
	// attestation itself carries; nil where OpenSigner is.
	Sign   func(ctx context.Context, s attestation.Signer, values []string, a attestation.Attestation) (attestation.Attestation, error)
	Verify func(values []string, a attestation.Attestation) error

	// Ancestors lists the processes above; nil asks the system.
	Ancestors func() []agent.Process
}

// Names lists the hooks that Run knows.
func Names() []string {
	return []string{"prepare-commit-msg", "commit-msg", "applypatch-msg", "post-applypatch", "post-commit", "post-rewrite"}
}

// Run runs one hook and returns its exit code: 0, or 2 when called with a name
// or arguments that git does not use.
func Run(ctx context.Context, env Env) (code int) {
	defer func() {
		if p := recover(); p != nil {
			say(env.Stderr, "nothing recorded: internal error: %v; please report it", p)
			code = 0
		}
	}()
	if len(env.Args) == 0 {
		say(env.Stderr, "which hook? one of %v", Names())
		return 2
	}
	name, args := env.Args[0], env.Args[1:]
	var step func(context.Context, *hook, []string) error
	least := 1
	switch name {
	case "prepare-commit-msg":
		step = prepareCommitMsg
	case "commit-msg":
		step = commitMsg
	case "applypatch-msg":
		step = applypatchMsg
	case "post-applypatch":
		step, least = postApplypatch, 0
	case "post-commit":
		step, least = postCommit, 0
	case "post-rewrite":
		step = postRewrite
	default:
		say(env.Stderr, "no hook %q; one of %v", name, Names())
		return 2
	}
	if len(args) < least {
		say(env.Stderr, "%s: want the argument that git gives it", name)
		return 2
	}
	if err := runStep(ctx, env, step, args); err != nil {
		say(env.Stderr, "%v", err)
	}
	return 0
}

func runStep(ctx context.Context, env Env, step func(context.Context, *hook, []string) error, args []string) error {
	r, err := repo.FromHook(env.Environ, env.Dir)
	if err != nil {
		return fmt.Errorf("nothing recorded: %w", err)
	}
	h := &hook{Env: env, repo: r, state: session.Open(r.GitDir), told: map[change.ID]said{}}
	defer h.close()
	return step(ctx, h, args)
}

func (h *hook) close() {
	for _, end := range h.done {
		_ = end()
	}
}

func say(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "gatekeeper: "+format+"\n", args...)
}

// A hook is one run of one hook. What costs a look at the system is looked at
// once, and only when asked for.
type hook struct {
	Env
	repo  *repo.Repo
	state *session.State

	above     []agent.Process
	hasAbove  bool
	config    *repo.Settings
	git       *invocation
	key       attestation.Signer
	otherKeys bool // an attestation was met that only the big program can verify
	beside    *record.Union
	told      map[change.ID]said // by commits that were asked for
	done      []func() error     // to be called at the end
}

func (h *hook) say(format string, args ...any) { say(h.Stderr, format, args...) }

// ancestors are the processes above, nearest first.
func (h *hook) ancestors() []agent.Process {
	if !h.hasAbove {
		find := h.Ancestors
		if find == nil {
			find = agent.Ancestors
		}
		h.above, h.hasAbove = find(), true
	}
	return h.above
}

// settings are the values of git's configuration. The error is met once; after
// it, everything is unset.
func (h *hook) settings(ctx context.Context) *repo.Settings {
	if h.config == nil {
		config, err := h.repo.Settings(ctx)
		if err != nil {
			h.say("git's configuration counts as empty: %v", err)
			config = &repo.Settings{}
		}
		h.config = config
	}
	return h.config
}

func (h *hook) setting(ctx context.Context, key string) string {
	v, _ := h.settings(ctx).Get(key)
	return v
}

// path makes an argument of git's absolute.
func (h *hook) path(arg string) string {
	if filepath.IsAbs(arg) {
		return arg
	}
	return filepath.Join(h.Dir, arg)
}

// editorOpens reports whether a person will see the message after
// prepare-commit-msg: git sets GIT_EDITOR=: for hooks when none will (githooks(5)).
func (h *hook) editorOpens() bool { return h.repo.Getenv("GIT_EDITOR") != ":" }
