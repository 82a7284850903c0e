package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

func (p process) exportCommand() *cli.Command {
	return &cli.Command{Name: "export", Usage: "write a commit's attestation, or what is in an artifact, for other tools", ArgsUsage: "REV|ARTIFACT",
		Description: `Writes to standard output, as --format says:

statement   the in-toto statement, the very bytes that are signed
sshsig      the SSH signature file; check it with
            ssh-keygen -Y verify -n gatekeeper -f ALLOWED -I WHO -s SIG < STATEMENT
dsse        the DSSE envelope of an attestation signed with a PEM or KMS key
agent-trace a record of Agent Trace 0.1: which lines of which files, as they
            stand at REV, came from which model
cyclonedx   the bill of AI materials of an ARTIFACT that the auditor's index knows
            (gatekeeper audit artifact add), as CycloneDX 1.6`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "`FORMAT`: statement, sshsig, dsse, agent-trace or cyclonedx", Value: "statement"},
			&cli.StringFlag{Name: "key", Usage: "the attestation of this key's `FINGERPRINT`, where there are several"},
			dbFlag, asOfFlag,
		},
		Action: func(c *cli.Context) error { return p.export(c.Context, c) }}
}

func (p process) export(ctx context.Context, c *cli.Context) error {
	format := c.String("format")
	if !slices.Contains([]string{"statement", "sshsig", "dsse", "agent-trace", "cyclonedx"}, format) {
		return usage("--format %q: want statement, sshsig, dsse, agent-trace or cyclonedx", format)
	}
	if format == "cyclonedx" {
		return p.exportBill(ctx, c)
	}
	rev, err := one(c, "commit")
	if err != nil {
		return err
	}
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	if format == "agent-trace" {
		return p.exportAgentTrace(ctx, r, rev)
	}
	values, a, err := attested(ctx, r, rev, c.String("key"))
	if err != nil {
		return fmt.Errorf("export %s: %w", rev, err)
	}
	data, err := render(format, values, a)
	if err != nil {
		return fmt.Errorf("export %s: %w", rev, err)
	}
	_, err = p.Stdout.Write(data)
	return err
}

func render(format string, values []string, a attestation.Attestation) ([]byte, error) {
	switch {
	case format == "statement":
		return attestation.Statement(values, a), nil
	case format == "sshsig" && a.Scheme == attestation.SSHSIG:
		return a.Armored()
	case format == "dsse" && a.Scheme == attestation.DSSE:
		return kms.Envelope(values, a)
	}
	return nil, usage("the commit is signed as %s and a signature cannot be turned into %s; use --format %s", a.Scheme, format, a.Scheme)
}

// attested reads the provenance and one attestation of a commit.
func attested(ctx context.Context, r *repo.Repo, rev, key string) ([]string, attestation.Attestation, error) {
	commit, err := readCommit(ctx, r, rev)
	if err != nil {
		return nil, attestation.Attestation{}, err
	}
	block, err := trailer.Read(commit.Message)
	if err != nil {
		return nil, attestation.Attestation{}, err
	}
	var found []attestation.Attestation
	for _, value := range block.Attestation {
		a, err := attestation.Parse(value)
		if err != nil {
			return nil, attestation.Attestation{}, err
		}
		if key == "" || key == a.Key {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return nil, attestation.Attestation{}, errors.New("the commit carries no such attestation")
	case 1:
		return block.Provenance, found[0], nil
	}
	return nil, attestation.Attestation{}, usage("the commit carries %d attestations; choose one with --key", len(found))
}

func readCommit(ctx context.Context, r *repo.Repo, rev string) (change.Commit, error) {
	id, err := r.Resolve(ctx, rev+"^{commit}")
	if err != nil {
		return change.Commit{}, usage("%q names no commit here", rev)
	}
	objects, err := r.Batch(ctx)
	if err != nil {
		return change.Commit{}, err
	}
	defer objects.Close()
	return repo.ReadCommit(objects, id)
}
