// Package prepush tells a developer before the upload what the server will say.
//
// It runs the gate over what is about to be pushed, under the policy that the
// clone can see, fetched anew before anybody is blocked. It blocks what the server
// would refuse; what it cannot check it says and lets go, because the server
// decides and a broken laptop must not lose work.
//
// Commits that the remote already has are left to the server: judging them again
// on every laptop would cost minutes on a large history.
//
// What stands beside commits (package record) is sent ahead of them, so that the
// server has it when it judges.
package prepush

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Exit codes of the hook. What could not be checked is no reason to block.
const (
	exitGo        = 0
	exitRefused   = 1
	exitBadPolicy = 2
)

// Hook is one call of pre-push by git.
type Hook struct {
	Args    []string // [--chain PATH] REMOTE URL
	Environ []string
	Dir     string // where git runs hooks: the top of the work tree
	Stdin   io.Reader
	Stdout  io.Writer // only for a chained hook
	Stderr  io.Writer
	Now     func() time.Time

	// OpenSigner opens the key that a setting names, for records that could not be
	// signed before; nil leaves them for another time.
	OpenSigner func(ctx context.Context, spec string) (attestation.Signer, error)
}

// Run serves the call and returns the exit code for git: 0 lets the push go.
func Run(ctx context.Context, h Hook) int {
	chain, remote, err := h.parse()
	if err != nil {
		h.say("%v", err)
		return exitBadPolicy
	}
	input, err := io.ReadAll(h.Stdin)
	if err != nil {
		return h.unchecked(err)
	}
	if code := h.chained(ctx, chain, remote, input); code != 0 {
		return code
	}
	updates, err := parseUpdates(input)
	if err != nil {
		return h.unchecked(err)
	}
	r, err := repo.FromHook(h.Environ, h.Dir)
	if err != nil {
		return h.unchecked(err)
	}
	p := push{hook: h, repo: r, remote: remote, updates: updates, input: input}
	if err := SignOwed(ctx, p.repo, p.signer, p.hook.Now()); err != nil {
		h.say("%s", gate.Plain(err.Error()))
	}
	if len(updates) == 0 {
		return p.sendRecords(ctx, nil) // the branch is there, but what was said of it since may not be
	}
	return p.judge(ctx)
}

// remote is where the push goes, as git names it; name is the URL when the push
// was given no name.
type remote struct{ name, url string }

func (h Hook) parse() (chain string, to remote, err error) {
	args := h.Args
	if len(args) >= 2 && args[0] == "--chain" {
		chain, args = args[1], args[2:]
	}
	if len(args) != 2 {
		return "", remote{}, errors.New("usage: gatekeeper-pre-push [--chain HOOK] REMOTE URL")
	}
	return chain, remote{args[0], args[1]}, nil
}

func (h Hook) say(format string, args ...any) {
	fmt.Fprintf(h.Stderr, "gatekeeper: "+format+"\n", args...)
}

func (h Hook) unchecked(err error) int {
	h.say("the push goes out unchecked: %s", gate.Plain(err.Error()))
	return exitGo
}

// A push on its way out.
type push struct {
	hook    Hook
	repo    *repo.Repo
	remote  remote
	updates []gate.Update
	input   []byte
}

// judge foresees the server's answer. Before it blocks, and when the very same
// push is tried a second time, it fetches the policy anew: the first try may have
// been refused by a policy that this clone had not seen.
func (p push) judge(ctx context.Context) int {
	fetched := p.triedBefore() && p.fetchPolicy(ctx)
	for {
		inForce, err := inforce.Client(ctx, p.repo, p.getenv)
		if errors.Is(err, inforce.ErrNone) {
			return p.form(ctx)
		}
		if err != nil {
			return p.badPolicy(ctx, err, fetched)
		}
		verdict, err := p.gate(ctx, inForce, nil)
		if err != nil {
			return p.hook.unchecked(err)
		}
		if verdict.Verdict == gate.Refused && !fetched && strings.HasPrefix(inForce.Where, inforce.Ref) {
			if fetched = p.fetchPolicy(ctx); fetched {
				continue
			}
		}
		words := gate.Words{Refused: "the server will refuse", Warned: "the server will warn about",
			Last: "nothing was sent; mend the commits and push again"}
		overriding := asksOverride(pushArguments())
		if overriding {
			words.Last = "it is sent all the same, since it asks for an override"
		}
		verdict.WriteText(p.hook.Stderr, words)
		if verdict.Verdict == gate.Refused && !overriding {
			return exitRefused
		}
		p.tellUnjudged(inForce.Policy)
		return p.sendRecords(ctx, &inForce)
	}
}

// sendRecords sends what stands beside the commits, before these go. Where that
// fails, the push goes on unless the policy in force, if any, refuses the commits
// without.
func (p push) sendRecords(ctx context.Context, inForce *inforce.Policy) int {
	if dryRun() {
		return exitGo
	}
	if err := p.addTraces(ctx); err != nil {
		p.hook.say("lines are not traced on the server: %s", gate.Plain(err.Error()))
	}
	unsent, why := p.ship(ctx)
	if why == nil {
		return exitGo
	}
	if inForce != nil {
		verdict, err := p.gate(ctx, *inForce, unsent)
		if err == nil && verdict.Verdict == gate.Refused {
			verdict.WriteText(p.hook.Stderr, gate.Words{Refused: "without its records the server will refuse",
				Last: "nothing was sent, because the records could not be:"})
			io.WriteString(p.hook.Stderr, gate.Fold(why.Error(), "  "))
			return exitRefused
		}
	}
	p.hook.say("the push goes on, but records beside commits were not sent:")
	io.WriteString(p.hook.Stderr, gate.Fold(why.Error(), "  "))
	return exitGo
}

// badPolicy blocks on a policy of this machine that is wrong. One that was fetched
// may be written for a newer gatekeeper, so it is left to the server.
func (p push) badPolicy(ctx context.Context, err error, fetched bool) int {
	var bad *policy.Error
	if !errors.As(err, &bad) || strings.HasPrefix(bad.File, inforce.Ref) {
		return p.hook.unchecked(err)
	}
	p.hook.say("policy: %s", gate.Plain(err.Error()))
	p.hook.say("nothing was sent; mend it: gatekeeper policy check FILE")
	return exitBadPolicy
}

// form checks what needs no policy: form, signatures and bindings. It warns and
// never blocks, since no server is known that would refuse.
func (p push) form(ctx context.Context) int {
	if !slices.ContainsFunc(p.updates, func(u gate.Update) bool { return u.New != "" }) {
		return exitGo // deletions bring nothing to look at
	}
	lenient, err := policy.Parse("built in", []byte("schema = 1\n[defaults]\nmode = \"warn\"\n"), nil)
	if err != nil {
		return p.hook.unchecked(err)
	}
	verdict, err := p.gate(ctx, inforce.Policy{Policy: lenient}, nil)
	if err != nil {
		return p.hook.unchecked(err)
	}
	verdict.WriteText(p.hook.Stderr, gate.Words{Warned: "look at"})
	p.hook.say("no policy seen; only form and signatures were checked")
	return p.sendRecords(ctx, nil)
}

// gate judges the updates, leaving out what the remote is known to have, and taking
// the refs of records named unsent as the remote has them. A policy that comes from
// nowhere is for form only.
func (p push) gate(ctx context.Context, inForce inforce.Policy, unsent []string) (gate.Verdict, error) {
	reader := p.repo.Reader()
	defer reader.Close()
	records, err := p.records(ctx, reader, unsent)
	if err != nil {
		return gate.Verdict{}, err
	}
	unjudged, err := inForce.Unjudged(ctx, reader)
	if err != nil {
		return gate.Verdict{}, err
	}
	known, err := p.knownThere(ctx, reader)
	if err != nil {
		return gate.Verdict{}, err
	}
	g := gate.Gate{Policy: inForce.Policy, Source: clone{reader}, Records: records, Now: p.hook.Now(),
		Baseline: append(unjudged, known...), FormOnly: inForce.Where == ""}
	updates := make([]gate.Update, len(p.updates))
	for i, u := range p.updates {
		updates[i] = gate.Update{Ref: u.Ref, New: u.New} // what it replaces is among the known
	}
	return g.Push(ctx, updates, gate.KeepFaulty)
}

// records is what stands beside commits here, and will there.
func (p push) records(ctx context.Context, reader *repo.Reader, unsent []string) (*record.Union, error) {
	heads, err := record.Heads(ctx, p.repo)
	if err != nil {
		return nil, err
	}
	there := p.shipped()
	for _, ref := range unsent {
		if delete(heads, ref); there[ref] != "" {
			heads[ref] = there[ref]
		}
	}
	return record.Read(reader, slices.Collect(maps.Values(heads))), nil
}

// clone is a repository that is not the server: its own symbolic refs say nothing
// about the refs that are pushed to.
type clone struct{ *repo.Reader }

func (clone) Symref(context.Context, string) (string, error) { return "", nil }

// knownThere lists commits that the remote has, as far as this clone knows: the
// values that refs have there now, and its remote-tracking refs. The remote may be
// ahead of this clone; what is not here is left out.
func (p push) knownThere(ctx context.Context, reader *repo.Reader) ([]change.ID, error) {
	var ids []change.ID
	for _, u := range p.updates {
		if u.Old != "" {
			ids = append(ids, u.Old)
		}
	}
	if p.remote.name != p.remote.url {
		for ref, err := range p.repo.Refs(ctx, "refs/remotes/"+p.remote.name+"/") {
			if err != nil {
				return nil, err
			}
			ids = append(ids, ref.ID)
		}
	}
	here, err := reader.Present(ctx, ids)
	if err != nil {
		return nil, err
	}
	var commits []change.ID
	for _, id := range here {
		commit, _, err := reader.Peel(ctx, id)
		if err != nil {
			return nil, err
		}
		if commit != "" {
			commits = append(commits, commit)
		}
	}
	return commits, nil
}

func (p push) getenv(key string) string {
	for _, kv := range p.hook.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == key {
			return v
		}
	}
	return ""
}

// chained runs the hook that stood here before ours, with the same input.
func (h Hook) chained(ctx context.Context, path string, to remote, input []byte) int {
	if path == "" {
		return 0
	}
	cmd := exec.CommandContext(ctx, path, to.name, to.url)
	cmd.Dir, cmd.Env = h.Dir, h.Environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), h.Stdout, h.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	h.say("the hook %s, which was here before, did not run: %s", gate.Plain(path), gate.Plain(err.Error()))
	return exitRefused
}
