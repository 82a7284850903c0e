package main

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
)

func (p process) demoCommand() *cli.Command {
	return &cli.Command{Name: "demo", Usage: "the whole story on a throw-away server and clone, with real git, in seconds",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("demo takes no arguments")
			}
			if code, apart, err := p.demoApart(c.Context); apart || err != nil {
				if err == nil && code != 0 {
					return exit(code)
				}
				return err
			}
			return p.demo(c.Context)
		}}
}

// demo tells the story. Each command in it is really run, and must end as the story
// says: a demo that only looked right would be a lie.
func (p process) demo(ctx context.Context) (err error) {
	s, err := p.newStage(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(s.dir); err == nil {
			err = gone
		}
	}()
	for _, act := range []func(){s.server, s.developers, s.approved, s.unapproved, s.mended, s.rebased, s.stripped, s.forged} {
		if act(); s.err != nil {
			return fmt.Errorf("the demo did not go as it should: %w", s.err)
		}
	}
	s.tell("That was real git from beginning to end. Nothing of it is left behind.")
	return s.err
}

const demoPolicy = `schema = 1

[[model]]
id     = "alibaba/qwen3-coder-plus"
status = "approved"
reason = "reviewed in Q1"

[signers]
allowed_signers = "allowed_signers"
`

func (s *stage) server() {
	s.tell(`A server, two developers, one approved model. The admin writes down who may
sign and which models are approved, and installs the gate on the server.`)
	s.write("policy.toml", demoPolicy)
	s.write("allowed_signers", "# who may sign: gatekeeper key show prints the line\n")
	s.quietly(admin, ".", "git", "init", "--quiet", "--bare", "--initial-branch=main", "server.git")
	s.show(admin, ".", "cat", "policy.toml")
	s.show(admin, ".", "gatekeeper", "install", "--server", "server.git", "--policy", "policy.toml")
}

func (s *stage) developers() {
	s.tell(`Alice clones and installs. She gets a signing key; the admin lists it, as
everybody's, once.`)
	s.show(alice, ".", "git", "clone", "--quiet", "server.git", "alice")
	s.show(alice, "alice", "gatekeeper", "install", "--agents", "none") // those of this machine stay out of it
	s.quietly(bob, ".", "git", "clone", "--quiet", "server.git", "bob")
	s.quietly(bob, "bob", "gatekeeper", "install", "--agents", "none")
	signers := s.quietly(alice, "alice", "gatekeeper", "key", "show") + s.quietly(bob, "bob", "gatekeeper", "key", "show")
	s.write("allowed_signers", signers)
	s.quietly(admin, ".", "gatekeeper", "install", "--server", "server.git", "--policy", "policy.toml")
	s.quietly(alice, "alice", "gatekeeper", "install", "--agents", "none")
	s.quietly(bob, "bob", "gatekeeper", "install", "--agents", "none") // once more: it fetches the policy, and changes nothing else
}

func (s *stage) approved() {
	s.tell(`Alice lets Qwen Code write a function and commits as always. The trailers
appear by themselves, signed.`)
	s.write("alice/retry.go", "package retry\n\nfunc Do(f func() error) error { return f() }\n")
	s.quietly(alice, "alice", "git", "add", "retry.go")
	s.show(alice.with(qwen("qwen3-coder-plus")...), "alice", "git", "commit", "--quiet", "-m", "Add retry loop")
	s.show(alice, "alice", "git", "log", "-1", "--format=%B")
	s.show(alice, "alice", "git", "push", "--quiet", "origin", "main")
	s.show(alice, "alice", "gatekeeper", "show")
}

func (s *stage) unapproved() {
	s.tell(`Then she tries a model that nobody approved. Her own clone tells her before
anything is sent …`)
	s.write("alice/backoff.go", "package retry\n\nconst Backoff = 2\n")
	s.quietly(alice, "alice", "git", "add", "backoff.go")
	s.show(alice.with(qwen("qwen3-coder-flash")...), "alice", "git", "commit", "--quiet", "-m", "Add back-off")
	s.refused(alice, "alice", "git", "push", "--quiet", "origin", "main")
	s.tell(`… and when she goes round her own hook, the server says the same.`)
	s.refused(alice, "alice", "git", "push", "--quiet", "--no-verify", "origin", "main")
}

func (s *stage) mended() {
	s.tell(`She does that work again with the approved model. The push goes through.`)
	s.quietly(alice, "alice", "git", "reset", "--quiet", "--hard", "HEAD~1")
	s.write("alice/backoff.go", "package retry\n\n// Backoff is the factor between two waits.\nconst Backoff = 2\n")
	s.quietly(alice, "alice", "git", "add", "backoff.go")
	s.show(alice.with(qwen("qwen3-coder-plus")...), "alice", "git", "commit", "--quiet", "-m", "Add back-off")
	s.show(alice, "alice", "git", "push", "--quiet", "origin", "main")
}

func (s *stage) rebased() {
	s.tell(`Bob committed without any assistant, on an older state, and rebases. His
signature is bound to the change, so it survives.`)
	s.quietly(bob, "bob", "git", "fetch", "--quiet", "origin", "main")
	s.quietly(bob, "bob", "git", "checkout", "--quiet", "-B", "main", "origin/main~1")
	s.write("bob/README", "Retries, by hand.\n")
	s.quietly(bob, "bob", "git", "add", "README")
	s.show(bob, "bob", "git", "commit", "--quiet", "-m", "Say what it is")
	s.show(bob, "bob", "git", "rebase", "--quiet", "origin/main")
	s.show(bob, "bob", "gatekeeper", "show")
	s.show(bob, "bob", "git", "push", "--quiet", "origin", "main")
}

func (s *stage) stripped() {
	s.tell(`Somebody strips the trailers: hooks off on the way in, hooks off on the way out.`)
	s.write("bob/timeout.go", "package retry\n\nconst Timeout = 30\n")
	s.quietly(bob, "bob", "git", "add", "timeout.go")
	s.show(bob, "bob", "git", "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "Nothing to see here")
	s.refused(bob, "bob", "git", "push", "--quiet", "--no-verify", "origin", "main")
}

func (s *stage) forged() {
	s.tell(`And somebody copies Alice's signed trailers onto work of their own.`)
	s.write("copied", "Nothing to see here\n\n"+s.quietly(alice, "alice", "git", "log", "-1", "--format=%(trailers)"))
	s.show(bob, "bob", "git", "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--amend", "-F", "../copied")
	s.refused(bob, "bob", "git", "push", "--quiet", "--no-verify", "origin", "main")
}
