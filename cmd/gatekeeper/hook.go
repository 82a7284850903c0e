package main

import (
	"context"
	"os/signal"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/hooks/agentevent"
	"github.com/gatekeeper-git/gatekeeper/hooks/commitmsg"
	"github.com/gatekeeper-git/gatekeeper/hooks/prepush"
	"github.com/gatekeeper-git/gatekeeper/hooks/prereceive"
	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/mcpcall"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) hookCommand() *cli.Command {
	return &cli.Command{Name: "hook", Usage: "run a hook of git, as the small binaries do", ArgsUsage: "NAME [ARGS]",
		SkipFlagParsing: true, // the arguments are git's
		Description: `NAME is prepare-commit-msg, commit-msg, applypatch-msg,
post-applypatch, post-commit, post-rewrite, pre-push, pre-receive or post-receive;
or agent, for an event of a coding agent. Useful with hook managers, and for what the
small binaries cannot do themselves.`,
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usage("which hook? see: gatekeeper hook --help")
			}
			if code := p.hook(c.Context, c.Args().Slice()); code != 0 {
				return exit(code)
			}
			return nil
		}}
}

func (p process) hook(ctx context.Context, args []string) int {
	switch name := args[0]; {
	case name == "pre-push":
		return p.prePush(ctx, args[1:])
	case name == "pre-receive" || name == "post-receive":
		return p.preReceive(ctx, args)
	case name == "agent":
		return p.agentEvent(ctx, append(args[1:], "")[0])
	case slices.Contains(commitmsg.Names(), name):
		return commitmsg.Run(ctx, commitmsg.Env{Args: args, Environ: p.Environ, Dir: p.Dir,
			Stdin: p.Stdin, Stderr: p.Stderr, Now: p.Now,
			OpenSigner: p.openSigner, Sign: attestation.Sign, Verify: verifyCarried})
	default:
		p.say("no hook %q; see: gatekeeper hook --help", name)
		return exitUsage
	}
}

// agentEvent takes an event of a coding agent, as gatekeeper-agent does.
func (p process) agentEvent(ctx context.Context, hint string) int {
	signal.Ignore(syscall.SIGPIPE) // as there
	return agentevent.Run(ctx, agentevent.Env{Hint: hint, Environ: p.Environ, Dir: p.Dir, Stdin: p.Stdin,
		Stdout: p.Stdout, Stderr: p.Stderr, Now: p.Now, Decide: decideMCP})
}

func decideMCP(ctx context.Context, r *repo.Repo, environ []string, e agent.Event) (agentevent.Decision, error) {
	d, err := mcpcall.Decide(ctx, r, environ, e)
	return agentevent.Decision(d), err
}

// verifyCarried verifies an attestation with the key that it carries.
func verifyCarried(values []string, a attestation.Attestation) error {
	key, err := pubkey.Embedded(a)
	if err != nil {
		return err
	}
	return attestation.Verify(values, a, key)
}

// prePush takes the arguments of gatekeeper-pre-push.
func (p process) prePush(ctx context.Context, args []string) int {
	return prepush.Run(ctx, prepush.Hook{Args: args, Environ: p.Environ, Dir: p.Dir,
		Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Now: p.Now, OpenSigner: p.openSigner})
}

// preReceive takes the arguments of gatekeeper-pre-receive.
func (p process) preReceive(ctx context.Context, args []string) int {
	return prereceive.Run(ctx, prereceive.Hook{Args: args, Environ: p.Environ, Dir: p.Dir,
		Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Now: p.Now, OpenSigner: p.openSigner})
}
