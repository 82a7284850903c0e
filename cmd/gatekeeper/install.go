package main

import (
	"context"
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/install"
	"github.com/gatekeeper-git/gatekeeper/install/agents"
)

func (p process) installCommand() *cli.Command {
	return &cli.Command{Name: "install", Usage: "put the hooks in place, in a clone or on a server",
		Description: `Inside a clone: hooks beside those that are there, a signing key, the policy that
the server publishes. No tracked file is touched. And one entry in the configuration
of each coding agent of yours, by which it tells what it does; in repositories
without gatekeeper it does nothing.

With --server DIR, on a bare repository: pre-receive and post-receive, the policy,
and the baseline, so that history that is there already is never judged.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "agents", Usage: "`WHICH` coding agents to set up: auto for all that are found here, none, or of " + strings.Join(agents.Names(), ", "), Value: "auto"},
			&cli.BoolFlag{Name: "trust-codex", Usage: "make Codex trust our hooks, in the place of your own look at them in /hooks"},
			&cli.BoolFlag{Name: "gemini-git-hooks", Usage: "let git's hooks run in the shell of Gemini CLI, which switches them off; =false undoes it"},
			&cli.StringFlag{Name: "server", Usage: "install on the server's repository `DIR`"},
			&cli.StringFlag{Name: "policy", Usage: "with --server: the policy `FILE` to put in force"},
			&cli.StringFlag{Name: "platform", Usage: "with --server: the `NAME` of the server's software: " + strings.Join(install.Platforms(), ", ")},
			&cli.StringFlag{Name: "pusher", Usage: "with --server: the `SOURCE` that says who pushes: " + strings.Join(install.Pushers(), ", ") + " (default: the platform's own)"},
			&cli.BoolFlag{Name: "harden", Usage: "with --server: set the safe settings, too, instead of proposing them"},
			&cli.BoolFlag{Name: "rebaseline", Usage: "with --server: what is there now is never judged; rewrites the baseline"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.install(c.Context, c) }}
}

func (p process) uninstallCommand() *cli.Command {
	return &cli.Command{Name: "uninstall", Usage: "take everything out again, byte for byte",
		Description: `Inside a clone: takes gatekeeper out of it, and with your last clone the entries
in your coding agents' configurations, too.

With --agents it takes out entries alone, for all of your clones, from anywhere.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "agents", Usage: "`WHICH` agents' entries to take out, and nothing else: auto for all, or names; none: this clone alone, the entries stay"},
			&cli.StringFlag{Name: "server", Usage: "uninstall from the server's repository `DIR`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.uninstall(c.Context, c) }}
}

func (p process) install(ctx context.Context, c *cli.Context) error {
	if c.Args().Present() {
		return usage("install takes no arguments; for a server: gatekeeper install --server DIR")
	}
	var result install.Result
	var err error
	if server := c.String("server"); server != "" {
		for _, flag := range []string{"agents", "trust-codex", "gemini-git-hooks"} {
			if c.IsSet(flag) {
				return usage("--%s is for clones, not for --server", flag)
			}
		}
		o := install.ServerOptions{Dir: p.path(server), Environ: p.Environ, Platform: c.String("platform"), Pusher: c.String("pusher"),
			Harden: c.Bool("harden"), Rebaseline: c.Bool("rebaseline"), Now: p.Now()}
		if file := c.String("policy"); file != "" {
			o.Policy = p.path(file)
		}
		result, err = install.Server(ctx, o)
	} else {
		for _, flag := range []string{"policy", "platform", "pusher", "harden", "rebaseline"} {
			if c.IsSet(flag) {
				return usage("--%s goes with --server DIR", flag)
			}
		}
		o := install.Options{Dir: p.Dir, Environ: p.Environ, OpenSigner: p.openSigner,
			Agents: c.String("agents"), TrustCodex: c.Bool("trust-codex")}
		if c.IsSet("gemini-git-hooks") {
			on := c.Bool("gemini-git-hooks")
			o.GeminiGitHooks = &on
		}
		result, err = install.Client(ctx, o)
	}
	return p.tellInstall(c, result, err)
}

func (p process) uninstall(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	var result install.Result
	var err error
	o := install.Options{Dir: p.Dir, Environ: p.Environ, Agents: c.String("agents")}
	switch server := c.String("server"); {
	case server != "" && c.IsSet("agents"):
		return usage("--agents is for clones, not for --server")
	case server != "":
		result, err = install.UninstallServer(ctx, install.ServerOptions{Dir: p.path(server), Environ: p.Environ})
	case o.Agents == "" || o.Agents == "none":
		result, err = install.UninstallClient(ctx, o)
	default:
		result, err = install.UninstallAgents(ctx, o)
	}
	return p.tellInstall(c, result, err)
}

func (p process) tellInstall(c *cli.Context, r install.Result, err error) error {
	var wrong *install.UsageError
	switch {
	case errors.As(err, &wrong):
		return usage("%v", err)
	case err != nil:
		return err
	case c.Bool("json"):
		err = p.printJSON(r)
	default:
		err = r.WriteText(p.Stdout)
	}
	if err == nil && !r.Complete() {
		return exit(exitRefused)
	}
	return err
}
