package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/report"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

func (p process) auditReportCommand() *cli.Command {
	return &cli.Command{Name: "report", Usage: "write all of it to a folder: a page for people, JSON, CSV, and a signed manifest",
		Description: `The page needs nothing but itself, and prints. Without --as-of the report answers as of when
the index last learned something, so that the same index gives the same bytes.
gatekeeper audit verify DIR checks it, now or in years.`,
		Flags: []cli.Flag{dbFlag,
			&cli.StringFlag{Name: "out", Usage: "write to `DIR`, which is made; it may be there when it is empty"},
			&cli.StringFlag{Name: "title", Usage: "`TEXT` at the head of the page", Value: "AI provenance report"},
			sinceFlag, untilFlag,
			&cli.StringSliceFlag{Name: "incident", Usage: "look back at models like `GLOB`, which were withdrawn; again for others"},
			&cli.BoolFlag{Name: "living", Usage: "count lines that live at the default branch of each repository, too; blames every file once"},
			teamsFlag,
			&cli.BoolFlag{Name: "people", Usage: "let persons be seen; needs --purpose"},
			&cli.StringFlag{Name: "purpose", Usage: "why persons must be seen, `TEXT`; it is printed, and logged in the index"},
			&cli.StringFlag{Name: "key", Usage: "sign the manifest with `KEY`: a file, ssh-agent, a PEM file or the URI of a key service"},
			judgedByFlag, asOfFlag},
		Action: func(c *cli.Context) error { return p.auditReport(c.Context, c) }}
}

func (p process) auditReport(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		return usage("where to? name a folder with --out DIR")
	}
	out = p.path(out)
	if err := vacant(out); err != nil {
		return err
	}
	q, err := p.reportQuestions(c)
	if err != nil {
		return err
	}
	v, done, err := p.viewAsKnown(c)
	if err != nil {
		return err
	}
	defer done()
	if q.People {
		if err := v.Asked(ctx, p.Now(), account(), "report", q.Purpose); err != nil {
			return err
		}
	}
	r, err := report.Gather(ctx, v, q, release())
	if err != nil {
		return err
	}
	files, err := r.Files()
	if err != nil {
		return err
	}
	if err := p.sealReport(ctx, c.String("key"), r, files); err != nil {
		return err
	}
	if err := writeFolder(out, files); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%s\n", filepath.Join(c.String("out"), report.PageFile))
	return err
}

// vacant reports whether a folder can be made at a path without touching anything.
func vacant(dir string) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return usage("--out: %s is there, and no folder", dir)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usage("--out: %v", err)
	}
	if len(entries) > 0 {
		return usage("--out: %s is not empty; name another folder, nothing is overwritten", dir)
	}
	return nil
}

func (p process) reportQuestions(c *cli.Context) (q report.Questions, err error) {
	q = report.Questions{Parameters: report.Parameters{Title: c.String("title"), Incidents: c.StringSlice("incident"), Living: c.Bool("living"),
		People: c.Bool("people"), Purpose: strings.TrimSpace(c.String("purpose"))}, Open: p.opening, Count: p.countNow}
	if q.People && q.Purpose == "" {
		return q, usage("--people needs --purpose TEXT, which is printed and logged in the index")
	}
	if err := q.Check(); err != nil {
		return q, usage("%v", err)
	}
	if q.During, err = p.during(c); err != nil {
		return q, err
	}
	q.Since, q.Until = spelt(q.During.Since), spelt(q.During.Until)
	return q, p.readAside(c, &q)
}

// spelt writes a limit of time as parameters have it, and timeIn reads it: nil is none.
func spelt(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	text := at.UTC().Format(time.RFC3339)
	return &text
}

func timeIn(text *string) (at time.Time, err error) {
	if text == nil {
		return at, nil
	}
	return time.Parse(time.RFC3339, *text)
}

// readAside reads the files that a report is made with, beside the index.
func (p process) readAside(c *cli.Context, q *report.Questions) error {
	if name := c.String("teams"); name != "" {
		data, err := os.ReadFile(p.path(name))
		if err != nil {
			return usage("--teams: %v", err)
		}
		if q.Teams, err = audit.ParseTeams(name, data); err != nil {
			return usage("%v", err)
		}
		sum := sha256.Sum256(data)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		q.Parameters.Teams = &digest
	}
	var err error
	if q.Policy, err = p.judgedBy(c); q.Policy == nil {
		return err
	}
	digest := q.Policy.Digest()
	q.Parameters.Policy = &digest
	// Its entries are named alike whatever the file is called here: the digest is what counts.
	q.Policy, err = policy.LoadAs(p.path(c.String("policy")), inforce.File)
	return err
}

func (p process) opening(ctx context.Context, place string) (*repo.Repo, error) {
	return repo.Open(ctx, place, p.Environ)
}

// countNow asks git how many commits tips reach.
func (p process) countNow(ctx context.Context, r audit.Repository, tips []change.ID) (int64, error) {
	opened, err := p.opening(ctx, r.Place)
	if err != nil {
		return 0, fmt.Errorf("the repository is %w", report.ErrNotHere)
	}
	n, err := opened.Count(ctx, tips, nil, 1<<31-1)
	if err != nil {
		return 0, errors.New("not all of its commits are there any more")
	}
	return int64(n), nil
}

// viewAsKnown is the view that --as-of names or, without it, that of when the index
// last learned something.
func (p process) viewAsKnown(c *cli.Context) (*audit.View, func(), error) {
	v, done, err := p.view(c)
	if err != nil {
		return nil, nil, err
	}
	at, err := v.LastKnown(c.Context)
	switch {
	case err != nil:
	case at.IsZero() && v.AsOf != nil:
		err = usage("--as-of: the index knew nothing at %s", v.AsOf.UTC().Format(time.RFC3339))
	case at.IsZero():
		err = usage("the index holds nothing yet; first: gatekeeper audit index REPO… --db %s", c.String("db"))
	case v.AsOf == nil:
		v, err = audit.See(c.Context, v.Store, &at)
	case v.AsOf.After(p.Now()):
		err = usage("--as-of: a report of a time to come could not be checked then")
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return v, done, nil
}

// sealReport adds the manifest to the files, and the signature of it.
func (p process) sealReport(ctx context.Context, key string, r *report.Report, files map[string][]byte) error {
	manifest, err := r.Manifest(files).Bytes()
	if err != nil {
		return err
	}
	files[report.ManifestFile] = manifest
	if key == "" {
		p.say("the manifest is not signed; --key KEY signs it")
		return nil
	}
	signer, err := p.openSigner(ctx, key)
	if err != nil {
		return err
	}
	name, signature, err := report.Sign(ctx, signer, manifest)
	if err != nil {
		return err
	}
	files[name] = signature
	return nil
}

// writeFolder makes a folder with files in it, all at once: it is there whole, or not.
func writeFolder(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(filepath.Dir(dir), ".gatekeeper-report-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	making := filepath.Join(aside, "report") // with the rights that the umask leaves, unlike aside
	if err := os.Mkdir(making, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(making, name), files[name], 0o644); err != nil {
			return err
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(making, dir)
}

func (p process) auditVerifyCommand() *cli.Command {
	return &cli.Command{Name: "verify", Usage: "check a report: its signature, its files, and its figures by counting again", ArgsUsage: "DIR",
		Description: `Exits with 0 when all agrees, with 1 when something differs, and with 3 when something
could not be checked. The signature can be checked without gatekeeper, too:
  ssh-keygen -Y verify -n gatekeeper -f SIGNERS -I WHO -s manifest.json.sig < manifest.json`,
		Flags: []cli.Flag{dbFlag,
			&cli.StringFlag{Name: "signers", Usage: "who may sign reports: a `FILE` as ssh-keygen's allowed_signers"},
			teamsFlag, judgedByFlag, jsonFlag},
		Action: func(c *cli.Context) error { return p.auditVerify(c.Context, c) }}
}

// checkView is what came of it, as JSON.
type checkView struct {
	Schema string           `json:"schema"`
	Checks []report.Finding `json:"checks"`
}

func (p process) auditVerify(ctx context.Context, c *cli.Context) error {
	name, err := one(c, "folder with a report")
	if err != nil {
		return err
	}
	dir, err := os.OpenRoot(p.path(name))
	if err != nil {
		return usage("%v", err)
	}
	defer dir.Close()
	checker := report.Checker{Program: release(), Now: p.Now(), Again: func(ctx context.Context, m *report.Manifest) (*report.Report, error) { return p.regather(ctx, c, m) },
		Count: func(ctx context.Context, s report.Source) (int64, error) { return p.countSource(ctx, c, s) }}
	if checker.Signers, err = p.reportSigners(c.String("signers")); err != nil {
		return err
	}
	found, err := checker.Check(ctx, dir.FS())
	if err != nil {
		return usage("%s: %v", name, err)
	}
	if c.Bool("json") {
		if err := p.printJSON(checkView{"gatekeeper/audit-verify/v1", found}); err != nil {
			return err
		}
	} else {
		p.tellChecks(found)
	}
	return verdictOf(found)
}

func (p process) tellChecks(found []report.Finding) {
	for _, f := range found {
		fmt.Fprintf(p.Stdout, "%-13s %-12s %s\n", f.Check, f.State, gate.Plain(f.Said))
		for _, d := range f.Details {
			fmt.Fprintf(p.Stdout, "%27s%s\n", "", gate.Plain(d))
		}
	}
}

func verdictOf(found []report.Finding) error {
	is := func(s report.State) bool {
		return slices.ContainsFunc(found, func(f report.Finding) bool { return f.State == s })
	}
	switch {
	case is(report.Differs):
		return exit(exitRefused)
	case is(report.Unchecked):
		return exit(exitUnchecked)
	}
	return nil
}

// reportSigners are those who may sign, nil when nobody is named.
func (p process) reportSigners(name string) (*trust.Set, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(p.path(name))
	if err != nil {
		return nil, usage("--signers: %v", err)
	}
	signers, hints, err := trust.ParseAllowedSigners(name, data)
	if err != nil {
		return nil, usage("--signers: %v", err)
	}
	for _, h := range hints {
		p.say("%s", gate.Plain(h))
	}
	return trust.NewSet(signers), nil
}

// regather gathers a report with the parameters of its manifest.
func (p process) regather(ctx context.Context, c *cli.Context, m *report.Manifest) (*report.Report, error) {
	q := report.Questions{Parameters: m.Predicate.Parameters, Open: p.opening, Count: countsOf(m)}
	q.Teams, q.Policy = audit.Teams{}, nil
	var err error
	if q.During.Since, err = timeIn(q.Since); err != nil {
		return nil, err
	}
	if q.During.Until, err = timeIn(q.Until); err != nil {
		return nil, err
	}
	if err := p.sameAside(c, &q, m.Predicate.Parameters); err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, m.Predicate.AsOf)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, p.path(c.String("db")))
	if errors.Is(err, store.ErrNoIndex) {
		return nil, fmt.Errorf("the index is %w: there is none at %s; name it with --db FILE", report.ErrNotHere, c.String("db"))
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	v, err := audit.See(ctx, s, &at)
	if err != nil {
		return nil, err
	}
	return report.Gather(ctx, v, q, release())
}

// sameAside reads the files that the report was made with, when they are the same.
func (p process) sameAside(c *cli.Context, q *report.Questions, was report.Parameters) error {
	if err := p.readAside(c, q); err != nil {
		return err
	}
	for _, of := range []struct {
		flag    string
		was, is *string
	}{{"teams", was.Teams, q.Parameters.Teams}, {"policy", was.Policy, q.Parameters.Policy}} {
		named := c.String(of.flag) != ""
		switch {
		case of.was != nil && !named:
			return fmt.Errorf("a file is %w: the report was made with --%s FILE (%s); name it", report.ErrNotHere, of.flag, *of.was)
		case of.was == nil && named:
			return fmt.Errorf("a file is too much (%w): the report was made without --%s", report.ErrNotHere, of.flag)
		case named && *of.is != *of.was:
			return fmt.Errorf("the file is %w: --%s names %s, and the report was made with %s", report.ErrNotHere, of.flag, *of.is, *of.was)
		}
	}
	return nil
}

// countsOf gives the counts of git that a manifest has: whether git still says so is a
// question of its own.
func countsOf(m *report.Manifest) func(context.Context, audit.Repository, []change.ID) (int64, error) {
	return func(_ context.Context, r audit.Repository, _ []change.ID) (int64, error) {
		for _, s := range m.Predicate.Repositories {
			if s.Repository == r.Name && s.Git != nil {
				return *s.Git, nil
			} else if s.Repository == r.Name {
				return 0, s.Uncounted()
			}
		}
		return 0, errors.New("the report does not know it")
	}
}

// countSource asks git now; where the repository is, the index knows.
func (p process) countSource(ctx context.Context, c *cli.Context, source report.Source) (int64, error) {
	s, err := store.Open(ctx, p.path(c.String("db")))
	if err != nil {
		return 0, report.ErrNotHere
	}
	defer s.Close()
	v, err := audit.See(ctx, s, nil)
	if err != nil {
		return 0, err
	}
	var tips []change.ID
	for ref, tip := range source.Tips {
		id, err := change.ParseID(tip)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", ref, err)
		}
		tips = append(tips, id)
	}
	for _, r := range v.Repositories {
		if r.Name == source.Repository {
			return p.countNow(ctx, r, tips)
		}
	}
	return 0, report.ErrNotHere
}
