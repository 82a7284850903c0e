package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
)

// maxExamples is how many commits a bill names for each tool with each model.
const maxExamples = 100

// exportBill writes the bill of AI materials of an artifact, without --as-of as of when
// the index last learned something, so that the same index gives the same bytes.
func (p process) exportBill(ctx context.Context, c *cli.Context) error {
	asked, err := one(c, "artifact")
	if err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	a, err := p.artifactAsked(ctx, v, asked)
	if err != nil {
		return err
	}
	u, err := v.ArtifactUse(ctx, a, nil)
	if err != nil {
		return err
	}
	examples, err := v.PartExamples(ctx, u, maxExamples)
	if err != nil {
		return err
	}
	at := v.AsOf
	if at == nil {
		last, err := v.LastKnown(ctx)
		if err != nil {
			return err
		}
		at = &last
	}
	bill := billOf(u, examples)
	bill.Program, bill.AsOf = release(), *at
	data, err := bill.CycloneDX()
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(data)
	return err
}

func billOf(u *audit.ArtifactUse, examples map[[2]string][]artifact.Example) artifact.Bill {
	t := u.Usage.Total
	b := artifact.Bill{Name: u.Artifact.Name, SHA256: u.Artifact.SHA256, Commits: t.Commits, Unknown: t.Evidence[audit.Unknown]}
	for _, l := range u.Artifact.Links {
		b.Links = append(b.Links, artifact.Link{Commit: l.Commit, URI: l.URI, Strength: l.Strength, Source: l.Source})
	}
	for _, r := range u.Usage.Rows {
		provider, model, _ := strings.Cut(r.Key[1], "/")
		part := artifact.Part{Tool: r.Key[0], Provider: provider, Model: model, Commits: r.Commits.Known,
			Unsanctioned: r.Approval.Unsanctioned, Evidence: map[string]int64{}, Examples: examples[[2]string{r.Key[0], r.Key[1]}]}
		for e, n := range r.Evidence {
			part.Evidence[string(e)] = n
		}
		b.Parts = append(b.Parts, part)
	}
	return b
}
