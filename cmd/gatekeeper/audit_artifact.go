package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/artifact"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

func (p process) auditArtifactCommand() *cli.Command {
	return &cli.Command{Name: "artifact", Usage: "binaries and images: which commits, models and tools are in them",
		Subcommands: []*cli.Command{
			{Name: "add", Usage: "link binaries or images to the commits that they were built from", ArgsUsage: "FILE…",
				Description: `A FILE may be named by its digest, sha256:HEX, when it is elsewhere. Links come from, the best
founded first: --document with SLSA provenance that one of --key signed; what go build writes
into a binary; other documents; --commit.`,
				Flags: []cli.Flag{dbFlag,
					&cli.StringFlag{Name: "name", Usage: "call the artifact `NAME` instead of by its file name"},
					&cli.StringSliceFlag{Name: "document", Usage: "SLSA provenance, as in-toto statement or DSSE envelope, or CycloneDX in `FILE`; again for others"},
					&cli.StringSliceFlag{Name: "key", Usage: "a public key in `FILE`, PEM or SSH, that signs provenance; again for others"},
					&cli.StringSliceFlag{Name: "commit", Usage: "it was built from the commit `ID`; again for others"},
					jsonFlag},
				Action: func(c *cli.Context) error { return p.artifactAdd(c.Context, c) }},
			{Name: "list", Usage: "list artifacts with their links", Flags: []cli.Flag{dbFlag, asOfFlag, csvFlag, jsonFlag},
				Action: func(c *cli.Context) error { return p.artifactList(c.Context, c) }},
			{Name: "show", Usage: "which models and tools are in an artifact", ArgsUsage: "NAME|DIGEST|FILE",
				Flags: []cli.Flag{dbFlag,
					&cli.BoolFlag{Name: "living", Usage: "count the lines of each that are in it, too; blames every file once"},
					asOfFlag, csvFlag, jsonFlag},
				Action: func(c *cli.Context) error { return p.artifactShow(c.Context, c) }},
		},
		Action: func(c *cli.Context) error {
			return usage("want one of: gatekeeper audit artifact add, artifact list, artifact show")
		}}
}

func (p process) artifactAdd(ctx context.Context, c *cli.Context) error {
	if c.Args().Len() == 0 {
		return usage("which artifacts? see: %s", manual(c))
	}
	if c.Args().Len() > 1 && c.String("name") != "" {
		return usage("--name is for one artifact")
	}
	keys, err := p.publicKeys(c.StringSlice("key"))
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, p.path(c.String("db")))
	if errors.Is(err, store.ErrNoIndex) {
		return usage("there is no index at %s; first: gatekeeper audit index REPO… --db FILE", c.String("db"))
	}
	if err != nil {
		return err
	}
	defer s.Close()
	var added []string
	for _, arg := range c.Args().Slice() {
		digest, err := p.addArtifact(ctx, c, s, arg, keys)
		if err != nil {
			return err
		}
		added = append(added, digest)
	}
	v, err := audit.See(ctx, s, nil)
	if err != nil {
		return err
	}
	return p.tellArtifacts(ctx, c, v, added)
}

// addArtifact keeps one, with all that is claimed of it: all claims hold, or nothing is kept.
func (p process) addArtifact(ctx context.Context, c *cli.Context, s *store.Store, arg string, keys []attestation.PublicKey) (digest string, err error) {
	b, err := p.built(arg, len(c.StringSlice("commit")) > 0)
	if err != nil {
		return "", err
	}
	if c.String("name") != "" {
		b.name = c.String("name")
	}
	more, err := p.claimsOf(c, b.digests, keys)
	if err != nil {
		return "", err
	}
	if b.claims = append(b.claims, more...); len(b.claims) == 0 {
		return "", refuse("%s: %s; link it with --document FILE or --commit ID", arg, b.silent)
	}
	return b.digests[0], audit.KeepArtifact(ctx, s, p.Now(), b.name, b.digests[0], b.size, b.claims)
}

// A built thing is an artifact as it lies here, or is named.
type built struct {
	name    string
	digests []string // by which it is known, the first one to us
	size    int64    // -1 when only its digest is known
	claims  []artifact.Claim
	silent  string // why it says nothing itself
}

// built reads what a file says of itself. One that was built from what no commit holds is
// taken only when somebody vouches for a commit.
func (p process) built(arg string, declared bool) (b built, err error) {
	if hex, ok := strings.CutPrefix(arg, "sha256:"); ok {
		if digest := strings.ToLower(hex); isDigest(digest) {
			return built{name: arg, digests: []string{digest}, size: -1, silent: "nothing links it to a commit"}, nil
		}
		return b, usage("%q: want sha256: and 64 hexadecimal digits", arg)
	}
	file := p.path(arg)
	digest, size, err := digestOf(file)
	if err != nil {
		return b, usage("%v", err)
	}
	b = built{name: filepath.Base(arg), digests: []string{digest}, size: size}
	image, err := artifact.OfImage(file)
	switch {
	case err == nil:
		b.name, b.silent = cmp.Or(image.Name, b.name), "its labels name no commit"
		b.digests = append([]string{image.SHA256}, append(image.Also, digest)...)
		if len(image.Claim.Commits) > 0 {
			b.claims = append(b.claims, image.Claim)
		}
		return b, nil
	case !errors.Is(err, artifact.ErrNoImage):
		return b, refuse("%s: %v", arg, err)
	}
	claim, err := artifact.OfBinary(file)
	switch {
	case err == nil:
		b.claims = append(b.claims, claim)
	case errors.Is(err, artifact.ErrNoClaim) || declared:
		b.silent = err.Error()
	default:
		return b, refuse("%s: %v", arg, err)
	}
	return b, nil
}

// claimsOf reads documents and commits that flags name.
func (p process) claimsOf(c *cli.Context, digests []string, keys []attestation.PublicKey) (claims []artifact.Claim, err error) {
	for _, name := range c.StringSlice("document") {
		data, err := readUpTo(p.path(name), artifact.MaxDocument)
		if err != nil {
			return nil, usage("--document: %v", err)
		}
		claim, err := artifact.OfDocument(data, digests, keys)
		if err != nil {
			return nil, refuse("--document %s: %v", name, err)
		}
		claims = append(claims, claim)
	}
	if ids := c.StringSlice("commit"); len(ids) > 0 {
		claim := artifact.Claim{Strength: artifact.Declared, Source: "by hand", By: account()}
		for _, word := range ids {
			id, err := artifact.ParseCommit(word)
			if err != nil {
				return nil, usage("--commit: %v; want the whole id", err)
			}
			claim.Commits = append(claim.Commits, artifact.Commit{ID: id})
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

// refusal says that what was asked for was looked at, and is not taken.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

func digestOf(file string) (digest string, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", 0, errors.Join(err, fmt.Errorf("%s is not an ordinary file", file))
	}
	sum := sha256.New()
	if size, err = io.Copy(sum, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(sum.Sum(nil)), size, nil
}

func readUpTo(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", file, most)
	}
	return data, err
}

func (p process) publicKeys(files []string) (keys []attestation.PublicKey, err error) {
	for _, name := range files {
		data, err := readUpTo(p.path(name), 1<<16)
		if err != nil {
			return nil, usage("--key: %v", err)
		}
		key, err := trust.ParsePublicKey(string(data))
		if err != nil {
			return nil, usage("--key %s: %v", name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// artifactsView is some artifacts, as JSON.
type artifactsView struct {
	Schema    string           `json:"schema"`
	Artifacts []audit.Artifact `json:"artifacts"`
}

func (p process) artifactList(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	return p.tellArtifacts(ctx, c, v, nil)
}

// tellArtifacts shows all artifacts, or those with some digests.
func (p process) tellArtifacts(ctx context.Context, c *cli.Context, v *audit.View, digests []string) error {
	all, err := v.Artifacts(ctx)
	if err != nil {
		return err
	}
	list := []audit.Artifact{}
	for _, a := range all {
		if digests == nil || slices.Contains(digests, a.SHA256) {
			list = append(list, a)
		}
	}
	switch {
	case c.Bool("json"):
		return p.printJSON(artifactsView{"gatekeeper/audit-artifacts/v1", list})
	case c.Bool("csv"):
		return p.writeCSV([]string{"name", "sha256", "commit", "repository", "strength", "source", "by", "uri", "added"}, func(row func(...any)) {
			for _, a := range list {
				for _, l := range a.Links {
					row(a.Name, a.SHA256, l.Commit, l.Repository, l.Strength, l.Source, l.By, l.URI, a.Added)
				}
			}
		})
	}
	for _, a := range list {
		p.artifactText(a)
	}
	return nil
}

func (p process) artifactText(a audit.Artifact) {
	fmt.Fprintf(p.Stdout, "%s  sha256:%s\n", gate.Plain(a.Name), a.SHA256)
	for _, l := range a.Links {
		where := "in no repository of the index"
		if l.Repository != "" {
			where = "in " + gate.Plain(l.Repository)
		}
		by := ""
		if l.By != "" {
			by = " by " + gate.Plain(l.By)
		}
		fmt.Fprintf(p.Stdout, "  built from %.10s %s: %s, %s%s\n", l.Commit, where, l.Strength, gate.Plain(l.Source), by)
	}
}

// artifactAsked finds the artifact that an argument names: by name or digest, or by being it.
func (p process) artifactAsked(ctx context.Context, v *audit.View, asked string) (audit.Artifact, error) {
	a, err := v.FindArtifact(ctx, asked)
	if errors.Is(err, audit.ErrNoArtifact) {
		if b, ferr := p.built(asked, true); ferr == nil {
			a, err = v.FindArtifact(ctx, b.digests[0])
		}
	}
	if err != nil {
		return a, usage("%s: %v; see: gatekeeper audit artifact list", asked, err)
	}
	return a, nil
}

func (p process) artifactShow(ctx context.Context, c *cli.Context) error {
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
	var open func(context.Context, string) (*repo.Repo, error)
	if c.Bool("living") {
		open = p.opening
	}
	u, err := v.ArtifactUse(ctx, a, open)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return p.printJSON(u)
	case c.Bool("csv"):
		return p.usageCSV(u.Usage)
	}
	p.artifactText(a)
	for _, id := range u.Absent {
		p.say("commit %.10s is in no repository of the index; what it brings is not counted", id)
	}
	if u.Gone > 0 {
		p.say("%d commits are reached by no ref any more, and not counted", u.Gone)
	}
	fmt.Fprintln(p.Stdout)
	return p.usageText(u.Usage, "")
}
