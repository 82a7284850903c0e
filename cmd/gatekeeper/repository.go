package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

var jsonFlag = &cli.BoolFlag{Name: "json", Usage: "print the result as JSON"}

func (p process) open(ctx context.Context) (*repo.Repo, error) {
	r, err := repo.Open(ctx, p.Dir, p.Environ)
	if errors.Is(err, repo.ErrNotRepository) {
		return nil, usage("%v", err)
	}
	return r, err
}

// wholeRef refuses the short name of a ref: rules of a policy match whole names,
// so a short one would be judged by none of them.
func wholeRef(ref string) error {
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		return usage("--ref %q: want a whole name, such as refs/heads/%s", ref, ref)
	}
	return nil
}

// printJSON writes one result, indented, with a newline at its end.
func (p process) printJSON(v any) error {
	enc := json.NewEncoder(p.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// policyFor is the policy named by --policy or, without it, the one in force here.
// nil says that there is none.
func (p process) policyFor(ctx context.Context, r *repo.Repo, named string) (*inforce.Policy, error) {
	if named != "" {
		loaded, err := policy.Load(p.path(named))
		if err != nil {
			return nil, err
		}
		return &inforce.Policy{Policy: loaded, Where: named}, nil
	}
	found, err := inforce.Client(ctx, r, p.getenv)
	if errors.Is(err, inforce.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// path resolves a path against the directory the command was called in.
func (p process) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Dir, name)
}

// at reads the time that --at names: RFC 3339, or a date, which is its first
// second in UTC. "" is now.
func (p process) at(text string) (time.Time, error) {
	if text == "" {
		return p.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--at %q: want a time such as 2026-11-23T07:12:45Z or a date such as 2026-11-23", text)
}

func one(c *cli.Context, what string) (string, error) {
	if c.Args().Len() != 1 {
		return "", usage("want one %s; see: %s", what, manual(c))
	}
	return c.Args().First(), nil
}

func atMostOne(c *cli.Context, otherwise string) (string, error) {
	switch c.Args().Len() {
	case 0:
		return otherwise, nil
	case 1:
		return c.Args().First(), nil
	}
	return "", usage("%d arguments, want one at most; see: %s", c.Args().Len(), manual(c))
}

func none(c *cli.Context) error {
	if c.Args().Present() {
		return usage("%s takes no arguments; see: %s", c.Command.HelpName, manual(c))
	}
	return nil
}

// needs says which of the options that a command cannot do without is missing.
// The library's own check prints help among the results.
func needs(c *cli.Context, flags ...string) error {
	for _, f := range flags {
		if c.String(f) == "" {
			return usage("--%s is missing; see: %s", f, manual(c))
		}
	}
	return nil
}
