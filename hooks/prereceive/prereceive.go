// Package prereceive is the server's side of a push: it reads the ref updates that
// git hands over, lets the gate judge them under the policy in force, and tells the
// pusher in words. post-receive publishes the policy for clones.
//
// Who pushes, the source fixed at install says (package pusher). Those whom the policy
// names may push past refusals with a reason, which they see and the receipt keeps.
//
// It fails closed: whatever cannot be read, found, checked or written down refuses the
// push. An earlier hook of the same name runs after ours has accepted, with the same
// input. Every push that reaches a verdict, and if it can be those that do not, leave a
// receipt; post-receive notes there what happened.
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
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
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

	// OpenSigner opens any key that may sign receipts. Without one, as in the small
	// binary, a key that is not for SSH makes the program gatekeeper run the hook.
	OpenSigner func(ctx context.Context, spec string) (attestation.Signer, error)
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
		h.finish(ctx, input)
		h.publish(ctx)
		return h.chained(ctx, chain, input)
	}
	if code := h.receive(ctx, input); code != exitAccepted {
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

// A ruling is what came of looking at a push, and what its receipt needs besides.
type ruling struct {
	verdict gate.Verdict
	words   gate.Words
	code    int
	err     error // why the push could not be judged
	at      time.Time

	updates  []gate.Update
	who      *gate.Pusher // nil when that could not be found out
	override string       // the reason of an override that is allowed, "" for none
	baseline []change.ID
	key      attestation.Signer // signs the receipt; nil when none is set
	retellings
}

// receive judges a push and leaves a receipt. What cannot be written down is not let in.
func (h Hook) receive(ctx context.Context, input []byte) int {
	s, err := h.open(ctx)
	if err != nil {
		return h.unchecked(err)
	}
	if code, is := h.asBig(ctx, s, input); is {
		return code
	}
	draft, err := s.log.Begin()
	if err != nil {
		return h.unchecked(withAdvice(err))
	}
	defer draft.Close()
	last, err := s.lastReceipt(ctx)
	if err != nil {
		return h.unchecked(withAdvice(err))
	}
	r := h.judge(ctx, s, draft, last, input)
	if r.err != nil {
		r.code = exitUnchecked
	}
	if err := r.write(ctx, draft); err != nil {
		if r.code == exitAccepted {
			return h.unchecked(withAdvice(err))
		}
		defer h.say("nor was it written down: %s", gate.Plain(withAdvice(err).Error()))
	}
	return h.tell(r)
}

func (h Hook) tell(r ruling) int {
	if r.err != nil {
		return h.unchecked(r.err)
	}
	r.verdict.WriteText(h.Stderr, r.words)
	if r.code == exitAccepted {
		r.retellings.tell(h.Stderr)
	}
	h.tellOverride(r)
	return r.code
}

// judge looks at a push and tells the draft of its receipt about every commit. The
// last receipt was written at last.
func (h Hook) judge(ctx context.Context, s server, draft *receipt.Draft, last time.Time, input []byte) ruling {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var r ruling
	if r.at, r.err = timeOfReceipt(h.Now(), last); r.err != nil {
		return r
	}
	if r.err = s.repo.CheckVersion(ctx); r.err != nil {
		return r
	}
	if r.err = s.err; r.err != nil {
		return r
	}
	if r.updates, r.err = parseUpdates(input); r.err != nil {
		return r
	}
	if r.key, r.err = h.receiptKey(ctx, s); r.err != nil {
		return r
	}
	who, err := h.identify(ctx, s, input)
	if f := refuted(err); f != nil {
		return r.refuseWhole(nil, *f)
	}
	if r.err = err; err != nil {
		return r
	}
	r.who = &gate.Pusher{Identity: who}
	inForce, err := inforce.Named(ctx, s.repo, s.settings.Value(inforce.Setting))
	if err != nil {
		r.verdict, r.words, r.code = badPolicy(err), gate.Words{Refused: "refused", Last: "nothing was stored; tell the server's admin"}, exitBadPolicy
		return r
	}
	r.who = gate.NewPusher(inForce.Policy, who, r.at)
	var refused *gate.Finding
	if r.override, refused, r.err = askOverride(s.repo.Getenv, r.who, inForce.Policy); refused != nil {
		return r.refuseWhole(inForce.Policy, *refused)
	}
	if r.err != nil {
		return r
	}
	if r.err = r.askGate(ctx, s, inForce, draft); errors.Is(r.err, context.DeadlineExceeded) {
		r.err = fmt.Errorf("judging it took longer than %s; push in smaller steps", deadline)
	}
	if r.verdict.Verdict != gate.Refused && r.err == nil {
		var used *gate.Finding
		if used, r.err = spend(s.repo.CommonDir, who.Ticket, r.at); used != nil {
			r.who = nil
			return r.refuseWhole(inForce.Policy, *used)
		}
	}
	r.words = gate.Words{Refused: "refused", Warned: "warning for", Last: "nothing was stored; mend the commits and push again"}
	if r.verdict.Verdict == gate.Refused {
		r.code = exitRefused
	}
	return r
}

// refuseWhole refuses a push before any of its refs was looked at.
func (r ruling) refuseWhole(p *policy.Policy, f gate.Finding) ruling {
	r.verdict, r.words, r.code = whole(p, f), gate.Words{Refused: "refused", Last: "nothing was stored"}, exitRefused
	return r
}

// badPolicy refuses everything while there is no policy that can be read.
func badPolicy(err error) gate.Verdict {
	detail, hint := err.Error(), "an admin mends it: gatekeeper policy check FILE"
	var bad *policy.Error
	if errors.Is(err, inforce.ErrNone) {
		hint = "an admin runs: gatekeeper install --server DIR --policy FILE"
	} else if !errors.As(err, &bad) {
		hint = "an admin looks at git config gatekeeper.policy on the server"
	}
	return whole(nil, gate.Finding{Rule: gate.PolicyInvalid, Detail: gate.Plain(detail), Hint: hint})
}

// askGate fills in the gate's verdict.
func (r *ruling) askGate(ctx context.Context, s server, inForce inforce.Policy, draft *receipt.Draft) error {
	reader := s.repo.Server().Reader()
	defer reader.Close()
	var err error
	if r.baseline, err = inForce.Unjudged(ctx, reader); err != nil {
		return err
	}
	records, err := recordsAfter(ctx, reader, r.updates)
	if err != nil {
		return err
	}
	before := &receipts{log: s.log, repo: reader.Repo}
	witness := &witness{Draft: draft, retellings: retellings{before: before.refusedChanges}}
	defer func() { r.retellings = witness.retellings }()
	g := gate.Gate{Policy: inForce.Policy, Source: reader, Records: records, Receipts: before, Witness: witness, Now: r.at, Baseline: r.baseline,
		Pusher: r.who, Override: r.override != ""}
	if forge, err := platformOf(reader.Repo, s.settings); err != nil {
		return err
	} else if forge != nil {
		g.Platform = forge
	}
	if r.verdict, err = g.Push(ctx, r.updates, gate.KeepFaulty); err != nil {
		return err
	}
	return guardPolicy(ctx, reader, inForce, r)
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
	return h.run(ctx, input, "the hook that was here before", path)
}

// run runs another program as git runs a hook.
func (h Hook) run(ctx context.Context, input []byte, what, path string, args ...string) int {
	cmd := exec.CommandContext(ctx, path, args...)
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
	h.say("%s did not run: %s: %s", what, gate.Plain(path), gate.Plain(strings.TrimSpace(err.Error())))
	return exitUnchecked
}
