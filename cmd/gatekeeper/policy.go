package main

import (
	"errors"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func (p process) policyCommand() *cli.Command {
	return &cli.Command{Name: "policy", Usage: "check, explain and test a policy",
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "read a policy as the server would", ArgsUsage: "FILE", Flags: []cli.Flag{jsonFlag},
				Action: p.policyCheck},
			{Name: "explain", Usage: "say what a policy decides about a model, and why", ArgsUsage: "[FILE]",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "model", Usage: "`PROVIDER/MODEL`"},
					&cli.StringFlag{Name: "tool", Usage: "the assistant's `NAME[/VERSION]`"},
					&cli.StringFlag{Name: "ref", Usage: "pushed to `REF`, such as refs/heads/main"},
					&cli.StringFlag{Name: "path", Usage: "touching `PATH`"},
					&cli.StringFlag{Name: "at", Usage: "received at `TIME`"},
					jsonFlag},
				Action: p.policyExplain},
			{Name: "test", Usage: "run the expectations written beside a policy", ArgsUsage: "FILE", Flags: []cli.Flag{jsonFlag},
				Action: p.policyTest},
		},
		Action: func(c *cli.Context) error {
			return usage("want one of: gatekeeper policy check, policy explain, policy test")
		}}
}

func (p process) policyCheck(c *cli.Context) error {
	name, err := one(c, "policy file")
	if err != nil {
		return err
	}
	loaded, err := p.loadPolicy(name)
	if err != nil {
		return err
	}
	report := loaded.Check()
	if c.Bool("json") {
		return p.printJSON(report)
	}
	return report.WriteText(p.Stdout)
}

// loadPolicy reads the policy that is named; what is wrong with it is exit code 2.
func (p process) loadPolicy(name string) (*policy.Policy, error) {
	if _, err := os.Stat(p.path(name)); err != nil {
		return nil, usage("policy %s: %v", name, err)
	}
	loaded, err := policy.Load(p.path(name))
	if err != nil {
		return nil, usage("%v", err)
	}
	return loaded, nil
}

func (p process) policyExplain(c *cli.Context) error {
	if err := errors.Join(needs(c, "model"), wholeRef(c.String("ref"))); err != nil {
		return err
	}
	name, err := atMostOne(c, "")
	if err != nil {
		return err
	}
	var pol *policy.Policy
	if name == "" {
		if pol, err = p.policyHere(c); err != nil {
			return err
		}
	} else if pol, err = p.loadPolicy(name); err != nil {
		return err
	}
	at, err := p.at(c.String("at"))
	if err != nil {
		return err
	}
	tool, version, _ := strings.Cut(c.String("tool"), "/")
	q := policy.Query{Model: agent.CanonicalModel(c.String("model")), Tool: provenance.Tool{Name: tool, Version: version},
		Ref: c.String("ref"), At: at}
	if path := c.String("path"); path != "" {
		q.Paths = []string{path}
	}
	answer := pol.Explain(q)
	if c.Bool("json") {
		return p.printJSON(answer)
	}
	return answer.WriteText(p.Stdout)
}

func (p process) policyHere(c *cli.Context) (*policy.Policy, error) {
	r, err := p.open(c.Context)
	if err != nil {
		return nil, err
	}
	found, err := p.policyFor(c.Context, r, "")
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, usage("no policy seen here; name one: gatekeeper policy explain --model M FILE")
	}
	return found.Policy, nil
}

func (p process) policyTest(c *cli.Context) error {
	name, err := one(c, "policy file, or file of expectations")
	if err != nil {
		return err
	}
	report, err := policy.Test(p.path(name), p.Now())
	if err != nil {
		return usage("%v", err)
	}
	if c.Bool("json") {
		err = p.printJSON(report)
	} else {
		err = report.WriteText(p.Stdout)
	}
	if err == nil && report.Failed > 0 {
		return exit(exitRefused)
	}
	return err
}
