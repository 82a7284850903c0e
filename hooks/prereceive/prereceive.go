// Package prereceive is the server's side of a push: it reads the ref updates that
// git hands over, lets the gate judge them under the policy in force, and tells the
// pusher in words. post-receive publishes the policy for clones.
//
// It fails closed: whatever cannot be read, found or checked refuses the push. An
// earlier hook of the same name runs after ours has accepted, with the same input.
//
// What is right or wrong with a commit is package gate's to say; who may set the
// policy is package inforce's.
package prereceive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/install"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Exit codes of the hook.
const (
	exitAccepted  = 0
	exitRefused   = 1
	exitBadPolicy = 2
	exitUnchecked = 3
)

// Hook is one call of a server hook by git.
type Hook struct {
	Args    []string // [--chain PATH] pre-receive | post-receive
	Environ []string
	Dir     string // where git runs hooks: the repository
	Stdin   io.Reader
	Stdout  io.Writer // only for a chained hook
	Stderr  io.Writer
	Now     func() time.Time
}

// deadline bounds the judgement: a push made to be slow must not hold the server for
// ever. A chained hook takes the time it takes.
const deadline = 10 * time.Minute

// Run serves the call and returns the exit code for git.
func Run(ctx context.Context, h Hook) int {
	chain, name, err := h.parse()
	if err != nil {
		h.say("%v", err)
		return exitBadPolicy
	}
	input, err := io.ReadAll(io.LimitReader(h.Stdin, maxInput+1))
	if err == nil && len(input) > maxInput {
		err = fmt.Errorf("more than %d bytes of ref updates", maxInput)
	}
	if err != nil {
		return h.unchecked(fmt.Errorf("read the ref updates: %w", err))
	}
	if name == "post-receive" {
		h.publish(ctx)
		return h.chained(ctx, chain, input)
	}
	if code := h.judge(ctx, input); code != exitAccepted {
		return code
	}
	return h.chained(ctx, chain, input)
}

func (h Hook) parse() (chain, name string, err error) {
	args := h.Args
	if len(args) >= 2 && args[0] == "--chain" {
		chain, args = args[1], args[2:]
	}
	if len(args) != 1 || args[0] != "pre-receive" && args[0] != "post-receive" {
		return "", "", errors.New("usage: gatekeeper-pre-receive [--chain HOOK] pre-receive|post-receive")
	}
	return chain, args[0], nil
}

func (h Hook) say(format string, args ...any) {
	fmt.Fprintf(h.Stderr, "gatekeeper: "+format+"\n", args...)
}

// unchecked refuses a push that could not be judged.
func (h Hook) unchecked(err error) int {
	h.say("refused, because the push could not be checked:")
	io.WriteString(h.Stderr, gate.Fold(err.Error(), "  "))
	h.say("nothing was stored; tell the server's admin")
	return exitUnchecked
}

func (h Hook) judge(ctx context.Context, input []byte) int {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	updates, err := parseUpdates(input)
	if err != nil {
		return h.unchecked(err)
	}
	r, err := repo.FromHook(h.Environ, h.Dir)
	if err != nil {
		return h.unchecked(err)
	}
	inForce, err := inforce.Server(ctx, r)
	if err != nil {
		return h.badPolicy(err)
	}
	reader := r.Server().Reader()
	defer reader.Close()
	verdict, err := judge(ctx, reader, inForce, updates, h.Now())
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("judging it took longer than %s; push in smaller steps", deadline)
		}
		return h.unchecked(err)
	}
	verdict.WriteText(h.Stderr, gate.Words{Refused: "refused", Warned: "warning for",
		Last: "nothing was stored; mend the commits and push again"})
	if verdict.Verdict == gate.Refused {
		return exitRefused
	}
	return exitAccepted
}

// badPolicy refuses everything while there is no policy that can be read.
func (h Hook) badPolicy(err error) int {
	detail, hint := err.Error(), "an admin mends it: gatekeeper policy check FILE"
	var bad *policy.Error
	if errors.Is(err, inforce.ErrNone) {
		hint = "an admin runs: gatekeeper install --server DIR --policy FILE"
	} else if !errors.As(err, &bad) {
		hint = "an admin looks at git config gatekeeper.policy on the server"
	}
	v := gate.Verdict{Verdict: gate.Refused, Refs: []gate.RefVerdict{{Verdict: gate.Refused,
		Findings: []gate.Finding{{Rule: gate.PolicyInvalid, Detail: gate.Plain(detail), Hint: hint}}}}}
	v.WriteText(h.Stderr, gate.Words{Refused: "refused", Last: "nothing was stored; tell the server's admin"})
	return exitBadPolicy
}

func judge(ctx context.Context, reader *repo.Reader, inForce inforce.Policy, updates []gate.Update, now time.Time) (gate.Verdict, error) {
	unjudged, err := inForce.Unjudged(ctx, reader)
	if err != nil {
		return gate.Verdict{}, err
	}
	records, err := recordsAfter(ctx, reader, updates)
	if err != nil {
		return gate.Verdict{}, err
	}
	g := gate.Gate{Policy: inForce.Policy, Source: reader, Records: records, Now: now, Baseline: unjudged}
	if forge, err := platformOf(ctx, reader.Repo); err != nil {
		return gate.Verdict{}, err
	} else if forge != nil {
		g.Platform = forge
	}
	verdict, err := g.Push(ctx, updates, gate.KeepFaulty)
	if err != nil {
		return verdict, err
	}
	return verdict, guardPolicy(ctx, reader, inForce, updates, &verdict)
}

// publish puts the policy in force where clones can fetch it. A failure is said
// and changes nothing: the push has happened.
func (h Hook) publish(ctx context.Context) {
	if _, err := install.Publish(ctx, install.PublishOptions{Dir: h.Dir, Environ: h.Environ, Now: h.Now()}); err != nil {
		h.say("the policy was not published at %s: %s", inforce.Ref, gate.Plain(err.Error()))
	}
}

// chained runs the hook that stood here before ours.
func (h Hook) chained(ctx context.Context, path string, input []byte) int {
	if path == "" {
		return exitAccepted
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir, cmd.Env = h.Dir, h.Environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), h.Stdout, h.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitAccepted
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	h.say("the hook %s, which was here before, did not run: %s", gate.Plain(path), gate.Plain(strings.TrimSpace(err.Error())))
	return exitUnchecked
}
