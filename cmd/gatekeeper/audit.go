package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// indexFile is where the index is when nobody says otherwise.
const indexFile = "gatekeeper-audit.db"

// Flags that questions share.
var (
	dbFlag       = &cli.StringFlag{Name: "db", Value: indexFile, Usage: "the index `FILE`"}
	asOfFlag     = &cli.StringFlag{Name: "as-of", Usage: "answer with what was known at `TIME`"}
	csvFlag      = &cli.BoolFlag{Name: "csv", Usage: "print the result as CSV"}
	sinceFlag    = &cli.StringFlag{Name: "since", Usage: "only commits from `TIME` on"}
	untilFlag    = &cli.StringFlag{Name: "until", Usage: "only commits before `TIME`"}
	teamsFlag    = &cli.StringFlag{Name: "teams", Usage: "a `FILE` with an address, or a pattern of some, and a team on each line"}
	judgedByFlag = &cli.StringFlag{Name: "policy", Usage: "judge by this policy `FILE` instead of those in the index"}
)

func (p process) auditCommand() *cli.Command {
	return &cli.Command{Name: "audit", Usage: "who used what, where, how that is known, and what was approved",
		Subcommands: []*cli.Command{p.auditIndexCommand(), p.auditUsageCommand(), p.auditShadowCommand(), p.auditMCPCommand(), p.auditTimetravelCommand(),
			p.auditArtifactCommand(), p.auditReportCommand(), p.auditVerifyCommand()},
		Action: func(c *cli.Context) error {
			return usage("want one of: gatekeeper audit index, audit usage, audit shadow, audit mcp, audit timetravel, audit artifact, audit report, audit verify")
		}}
}

func (p process) auditIndexCommand() *cli.Command {
	return &cli.Command{Name: "index", Usage: "read what is new in repositories and their receipts into the index", ArgsUsage: "REPO…",
		Description: `Reads branches, tags and remote branches, receipts, and the notes of other recorders.
Nothing is written to a repository. A run that is killed is completed by the next one.`,
		Flags: []cli.Flag{dbFlag,
			&cli.StringFlag{Name: "policy", Usage: "hold all repositories against this policy `FILE`, not against the one in force in each"},
			jsonFlag},
		Action: func(c *cli.Context) error { return p.auditIndex(c.Context, c) }}
}

// indexView is what a run brought, as JSON.
type indexView struct {
	Schema       string   `json:"schema"`
	Run          int64    `json:"run"`
	Repositories int      `json:"repositories"`
	Commits      int      `json:"commits"`
	Judged       int      `json:"judged_anew"`
	Left         int      `json:"left"`
	Notes        []string `json:"notes"`
}

func (p process) auditIndex(ctx context.Context, c *cli.Context) error {
	if c.Args().Len() == 0 {
		return usage("which repositories? see: %s", manual(c))
	}
	o := audit.Options{Program: release(), Now: p.Now(), Progress: p.progress()}
	if name := c.String("policy"); name != "" {
		loaded, err := inforce.FromFile(p.path(name))
		if err != nil {
			return err
		}
		o.Policy = &loaded
	}
	var repos []*repo.Repo
	for _, dir := range c.Args().Slice() {
		r, err := repo.Open(ctx, p.path(dir), p.Environ)
		if errors.Is(err, repo.ErrNotRepository) {
			return usage("%v", err)
		}
		if err != nil {
			return err
		}
		repos = append(repos, r)
	}
	s, err := store.Create(ctx, p.path(c.String("db")))
	if err != nil {
		return err
	}
	defer s.Close()
	sum, err := audit.Index(ctx, s, repos, o)
	if o.Progress != nil {
		fmt.Fprint(p.Stderr, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	for _, note := range sum.Notes {
		p.say("%s", gate.Plain(note))
	}
	if c.Bool("json") {
		return p.printJSON(indexView{"gatekeeper/audit-index/v1", sum.Run, sum.Repositories, sum.Commits, sum.Judged, sum.Left, append([]string{}, sum.Notes...)})
	}
	_, err = fmt.Fprintf(p.Stdout, "run %d: %d repositories, %d new commits, %d judged anew, %d that no ref reaches any more\n",
		sum.Run, sum.Repositories, sum.Commits, sum.Judged, sum.Left)
	return err
}

// progress draws a bar on a terminal, and nothing elsewhere.
func (p process) progress() func(audit.Progress) {
	f, ok := p.Stderr.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	var last time.Time
	return func(g audit.Progress) {
		if now := time.Now(); now.Sub(last) < 100*time.Millisecond && g.Done < g.Total {
			return
		} else {
			last = now
		}
		const width = 30
		full := width * g.Done / max(g.Total, 1)
		fmt.Fprintf(f, "\r\x1b[K%d/%d %-20.20s [%s%s] %d of %d commits", g.N, g.Of, gate.Plain(g.Repository),
			strings.Repeat("#", full), strings.Repeat(".", width-full), g.Done, g.Total)
	}
}

// view opens the index for a question.
func (p process) view(c *cli.Context) (*audit.View, func(), error) {
	s, err := store.Open(c.Context, p.path(c.String("db")))
	if errors.Is(err, store.ErrNoIndex) {
		return nil, nil, usage("there is no index at %s; first: gatekeeper audit index REPO… --db FILE", c.String("db"))
	}
	if err != nil {
		return nil, nil, err
	}
	var asOf *time.Time
	if word := c.String("as-of"); word != "" {
		at, err := p.timeOf("as-of", word)
		if err != nil {
			s.Close()
			return nil, nil, err
		}
		asOf = &at
	}
	v, err := audit.See(c.Context, s, asOf)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return v, func() { s.Close() }, nil
}

// timeOf reads the time that a flag names, as --at does.
func (p process) timeOf(flag, text string) (time.Time, error) {
	t, err := p.at(text)
	if err != nil {
		return t, usage("%s", strings.Replace(err.Error(), "--at", "--"+flag, 1))
	}
	return t.UTC(), nil
}

// during is the period that --since and --until give.
func (p process) during(c *cli.Context) (during audit.Period, err error) {
	for flag, to := range map[string]*time.Time{"since": &during.Since, "until": &during.Until} {
		if word := c.String(flag); word != "" {
			if *to, err = p.timeOf(flag, word); err != nil {
				return during, err
			}
		}
	}
	return during, nil
}

func (p process) teams(c *cli.Context) (t audit.Teams, err error) {
	name := c.String("teams")
	if name == "" {
		return t, nil
	}
	data, err := os.ReadFile(p.path(name))
	if err != nil {
		return t, usage("--teams: %v", err)
	}
	if t, err = audit.ParseTeams(name, data); err != nil {
		return t, usage("%v", err)
	}
	return t, nil
}

// judgedBy is the policy that --policy names, nil without it.
func (p process) judgedBy(c *cli.Context) (*policy.Policy, error) {
	if name := c.String("policy"); name != "" {
		return policy.Load(p.path(name))
	}
	return nil, nil
}

func (p process) auditUsageCommand() *cli.Command {
	return &cli.Command{Name: "usage", Usage: "what was used, with which evidence and under which approval",
		Description: `Each share is a range: what is known to belong to it, and that with what is unknown
and may belong to it, too. A commit counts in each row whose tool or model took part
in it. Unknown does not say that a person wrote something, and none-observed does not.

Dimensions: ` + strings.Join(audit.Dimensions(), ", ") + `.`,
		Flags: []cli.Flag{dbFlag,
			&cli.StringFlag{Name: "by", Value: "tool,model", Usage: "`DIMENSIONS` to tell apart, with commas between"},
			sinceFlag, untilFlag,
			&cli.StringFlag{Name: "tool", Usage: "only tools like `GLOB`"},
			&cli.StringFlag{Name: "model", Usage: "only models like `GLOB`: provider/name, or the name alone"},
			&cli.StringFlag{Name: "repository", Usage: "only repositories like `GLOB`"},
			&cli.IntFlag{Name: "depth", Value: 1, Usage: "how many folders deep to tell paths apart, 1 to 3"},
			&cli.StringFlag{Name: "living", Usage: "count lines that live at `REF` of each repository, too: HEAD, or a whole name; blames every file once"},
			teamsFlag,
			&cli.StringFlag{Name: "team", Usage: "only the people of `TEAM`"},
			&cli.BoolFlag{Name: "me", Usage: "only your own commits, by user.email"},
			&cli.BoolFlag{Name: "people", Usage: "let persons be seen; needs --purpose"},
			&cli.StringFlag{Name: "purpose", Usage: "why persons must be seen, `TEXT`; it is printed, and logged in the index"},
			judgedByFlag, asOfFlag, csvFlag, jsonFlag},
		Action: func(c *cli.Context) error { return p.auditUsage(c.Context, c) }}
}

// usageView is the answer with what was asked.
type usageView struct {
	*audit.Usage
	Purpose string `json:"purpose,omitempty"`
}

func (p process) auditUsage(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	q, err := p.question(ctx, c)
	if err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	if c.Bool("people") {
		if err := v.Asked(ctx, p.Now(), account(), "usage by "+c.String("by"), c.String("purpose")); err != nil {
			return err
		}
	}
	u, err := v.Usage(ctx, q)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return p.printJSON(usageView{u, c.String("purpose")})
	case c.Bool("csv"):
		return p.usageCSV(u)
	}
	return p.usageText(u, c.String("purpose"))
}

// account is who asks.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

func (p process) question(ctx context.Context, c *cli.Context) (q audit.Question, err error) {
	q = audit.Question{By: dimensions(c.String("by")), Tool: c.String("tool"), Model: c.String("model"), Repository: c.String("repository"),
		Depth: c.Int("depth"), Team: c.String("team")}
	for _, d := range q.By {
		if d == audit.ByPerson && !c.Bool("people") && !c.Bool("me") {
			return q, usage("persons are seen with --me, or with --people --purpose TEXT; teams are seen without")
		}
	}
	if c.Bool("people") && strings.TrimSpace(c.String("purpose")) == "" {
		return q, usage("--people needs --purpose TEXT, which is printed and logged in the index")
	}
	during, err := p.during(c)
	if err != nil {
		return q, err
	}
	q.Since, q.Until = during.Since, during.Until
	if q.Teams, err = p.teams(c); err != nil {
		return q, err
	}
	if ref := c.String("living"); ref != "" {
		if ref != "HEAD" && !strings.HasPrefix(ref, "refs/") {
			return q, usage("--living %q: want HEAD or a whole name, such as refs/heads/%s", ref, ref)
		}
		q.Living = &audit.Living{Ref: ref, Open: func(ctx context.Context, place string) (*repo.Repo, error) { return repo.Open(ctx, place, p.Environ) }}
	}
	if c.Bool("me") {
		if q.Person, err = p.ownAddress(ctx); err != nil {
			return q, err
		}
	}
	q.Policy, err = p.judgedBy(c)
	return q, err
}

// dimensions splits what --by names; "" and "none" are none.
func dimensions(words string) (list []string) {
	for word := range strings.SplitSeq(words, ",") {
		if word = strings.TrimSpace(word); word != "" && word != "none" {
			list = append(list, word)
		}
	}
	return list
}

// ownAddress is user.email as git has it here.
func (p process) ownAddress(ctx context.Context) (string, error) {
	if email := p.getenv("GIT_AUTHOR_EMAIL"); email != "" {
		return email, nil
	}
	if r, err := p.open(ctx); err == nil {
		out, err := r.Porcelain(ctx, "config", "--get", "user.email").Output()
		if email := strings.TrimSpace(string(out)); err == nil && email != "" {
			return email, nil
		}
	}
	return "", usage("--me: call it inside a clone in which git config user.email is set, so that it is known which commits are yours")
}

// percent shows a share as a range.
func percent(s audit.Share) string {
	if s.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%d..%d%%", int(s.Least*100), int(s.Most*100+0.5))
}

func (p process) usageText(u *audit.Usage, purpose string) error {
	if purpose != "" {
		fmt.Fprintf(p.Stdout, "purpose: %s\n", gate.Plain(purpose))
	}
	t := u.Total
	fmt.Fprintf(p.Stdout, "%d commits, %d added lines", t.Commits, t.Added)
	for _, e := range audit.Tiers() {
		if n := t.Evidence[e]; n > 0 {
			fmt.Fprintf(p.Stdout, ", %s %d", e, n)
		}
	}
	fmt.Fprintf(p.Stdout, "\n%d merges that bring nothing of their own are not counted\n\n", t.Merges)
	w := p.table()
	head := append(append([]string{}, u.By...), "commits", "share", "lines", "share", "approved", "unsanctioned", "not judged", "first", "last")
	if t.Living != nil {
		head = append(head, "living", "share")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, r := range u.Rows {
		for _, k := range r.Key {
			fmt.Fprintf(w, "%s\t", gate.Plain(k))
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%d\t%d\t%d\t%s\t%s", r.Commits.Known, percent(r.Commits), r.Added.Known, percent(r.Added),
			r.Approval.Approved, r.Approval.Unsanctioned, r.Approval.NotJudged, r.First, r.Last)
		if r.Living != nil {
			fmt.Fprintf(w, "\t%d\t%s", r.Living.Known, percent(*r.Living))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func (p process) usageCSV(u *audit.Usage) error {
	head := append(append([]string{}, u.By...), "commits", "commits_unknown", "commits_of", "lines", "lines_unknown", "lines_of",
		"attested", "declared", "import", "inferred", "approved", "unsanctioned", "not_judged", "first", "last", "living", "living_unknown", "living_of")
	return p.writeCSV(head, func(row func(...any)) {
		for _, r := range u.Rows {
			var cells []any
			for _, k := range r.Key {
				cells = append(cells, k)
			}
			living := []any{"", "", ""}
			if l := r.Living; l != nil {
				living = []any{l.Known, l.Unknown, l.Of}
			}
			row(append(append(cells, r.Commits.Known, r.Commits.Unknown, r.Commits.Of, r.Added.Known, r.Added.Unknown, r.Added.Of,
				r.Evidence[audit.Attested], r.Evidence[audit.Declared], r.Evidence[audit.Import], r.Evidence[audit.Inferred],
				r.Approval.Approved, r.Approval.Unsanctioned, r.Approval.NotJudged, r.First, r.Last), living...)...)
		}
	})
}

// writeCSV writes rows below a head. What a stranger wrote is no formula in anybody's
// spreadsheet.
func (p process) writeCSV(head []string, rows func(row func(...any))) error {
	w := csv.NewWriter(p.Stdout)
	if err := w.Write(head); err != nil {
		return err
	}
	rows(func(cells ...any) {
		line := make([]string, len(cells))
		for i, cell := range cells {
			line[i] = audit.Cell(fmt.Sprint(cell))
		}
		_ = w.Write(line) // Error tells
	})
	w.Flush()
	return w.Error()
}

func (p process) auditShadowCommand() *cli.Command {
	return &cli.Command{Name: "shadow", Usage: "tools and models that were used without an approval at the time",
		Flags:  []cli.Flag{dbFlag, sinceFlag, untilFlag, teamsFlag, judgedByFlag, asOfFlag, csvFlag, jsonFlag},
		Action: func(c *cli.Context) error { return p.auditShadow(c.Context, c) }}
}

func (p process) auditShadow(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	during, err := p.during(c)
	if err != nil {
		return err
	}
	teams, err := p.teams(c)
	if err != nil {
		return err
	}
	by, err := p.judgedBy(c)
	if err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	s, err := v.Shadow(ctx, during, teams, by)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return p.printJSON(s)
	case c.Bool("csv"):
		return p.writeCSV([]string{"tool", "model", "commits", "first", "last", "people", "teams", "repositories", "rules"}, func(row func(...any)) {
			for _, r := range s.Rows {
				row(r.Tool, r.Model, r.Commits, r.First, r.Last, r.People, strings.Join(r.Teams, " "), strings.Join(r.Repositories, " "), strings.Join(keys(r.Rules), " "))
			}
		})
	}
	return p.shadowText(s)
}

func (p process) shadowText(s *audit.Shadow) error {
	w := p.table()
	fmt.Fprintln(w, "tool\tmodel\tcommits\tfirst\tlast\tpeople\tteams\trepositories\trules")
	for _, r := range s.Rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n", gate.Plain(r.Tool), gate.Plain(r.Model), r.Commits, r.First, r.Last, r.People,
			gate.Plain(strings.Join(r.Teams, ", ")), gate.Plain(strings.Join(r.Repositories, ", ")), strings.Join(keys(r.Rules), ", "))
	}
	if s.NotJudged > 0 {
		defer p.say("%d commits could not be judged: no policy is known", s.NotJudged)
	}
	return w.Flush()
}

func (p process) table() *tabwriter.Writer { return tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0) }

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (p process) auditMCPCommand() *cli.Command {
	return &cli.Command{Name: "mcp", Usage: "MCP servers that agents used, and those configured in the repositories",
		Flags:  []cli.Flag{dbFlag, sinceFlag, untilFlag, judgedByFlag, asOfFlag, csvFlag, jsonFlag},
		Action: func(c *cli.Context) error { return p.auditMCP(c.Context, c) }}
}

func (p process) auditMCP(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	during, err := p.during(c)
	if err != nil {
		return err
	}
	by, err := p.judgedBy(c)
	if err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	m, err := v.MCP(ctx, during, by)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return p.printJSON(m)
	case c.Bool("csv"):
		return p.mcpCSV(m)
	}
	return p.mcpText(m)
}

func (p process) mcpCSV(m *audit.MCP) error {
	return p.writeCSV([]string{"kind", "server", "agent", "repository", "file", "runs", "approval", "rule", "commits", "first", "last", "unpinned", "drift"}, func(row func(...any)) {
		for _, u := range m.Used {
			row("used", u.Server, u.Tool, strings.Join(u.Repositories, " "), "", "", u.Approval, u.Rule, u.Commits, u.First, u.Last, "", "")
		}
		for _, f := range m.Configured {
			row("configured", f.Server, f.Tool, f.Repository, f.File, f.Runs(), f.Approval, f.Rule, "", f.Since, "", f.Unpinned, strings.Join(f.Drift, "; "))
		}
	})
}

func (p process) mcpText(m *audit.MCP) error {
	w := p.table()
	fmt.Fprintln(w, "USED\tby\tcommits\tapproval\tfirst\tlast\trepositories")
	for _, u := range m.Used {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", gate.Plain(u.Server), gate.Plain(u.Tool), u.Commits, u.Approval, u.First, u.Last,
			gate.Plain(strings.Join(u.Repositories, ", ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w = p.table()
	fmt.Fprintln(w, "\nCONFIGURED\tfor\trepository\tfile\truns\tapproval\tunpinned\tdrift")
	for _, f := range m.Configured {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", gate.Plain(f.Server), f.Tool, gate.Plain(f.Repository), gate.Plain(f.File), gate.Plain(f.Runs()),
			f.Approval, f.Unpinned, gate.Plain(strings.Join(f.Drift, "; ")))
	}
	for _, b := range m.Broken {
		p.say("%s: %s: %s", gate.Plain(b.Repository), gate.Plain(b.File), gate.Plain(b.Problem))
	}
	return w.Flush()
}
