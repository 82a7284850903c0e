package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

func (p process) recordCommand() *cli.Command {
	return &cli.Command{Name: "record", Usage: "declare the use of a tool that no hook can see", ArgsUsage: "[PATH…]",
		Description: `The next commit in this work tree carries the declaration, with via=declared.
It also names the model of a tool that was seen without one.

   gatekeeper record --tool claude-code --model anthropic/claude-sonnet-4-5
   git commit --amend --no-edit`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tool", Usage: "the assistant's `NAME`, such as claude-code"},
			&cli.StringFlag{Name: "model", Usage: "`PROVIDER/MODEL`, such as anthropic/claude-sonnet-4-5"},
			&cli.StringFlag{Name: "version", Usage: "the assistant's `VERSION`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error { return p.record(c.Context, c) }}
}

func (p process) record(ctx context.Context, c *cli.Context) error {
	if err := needs(c, "tool", "model"); err != nil {
		return err
	}
	model, err := namedModel(c)
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	if r.WorkTree == "" {
		return usage("%s is a bare repository, where nobody commits", r.GitDir)
	}
	declared, err := session.Open(r.GitDir).Declare(session.Declaration{
		Time:  p.Now(),
		Tool:  provenance.Tool{Name: c.String("tool"), Version: c.String("version")},
		Model: model,
		Paths: c.Args().Slice(),
	})
	if err != nil {
		return usage("%v", err)
	}
	if c.Bool("json") {
		return p.printJSON(viewDeclared(declared))
	}
	fmt.Fprintf(p.Stdout, "%s\n", withoutLines(declared.Record().String()))
	p.say("the next commit here will say so; for the last one: git commit --amend --no-edit")
	return nil
}

func viewDeclared(d session.Declaration) recordView {
	return recordView{"gatekeeper/record/v1", d.ID, d.Tool.Name, cmp.Or(d.Tool.Version, "unknown"), d.Model.ID(), append([]string{}, d.Paths...)}
}

// withoutLines is a value of AI-Provenance while no commit counts its lines yet.
func withoutLines(value string) string {
	return strings.Replace(value, " lines=unknown/0", "", 1)
}

// recordView is a declaration, as the next commit will carry it.
type recordView struct {
	Schema  string   `json:"schema"`
	ID      string   `json:"id"`
	Tool    string   `json:"tool"`
	Version string   `json:"version"`
	Model   string   `json:"model"`
	Paths   []string `json:"paths"`
}
