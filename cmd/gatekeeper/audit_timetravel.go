package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func (p process) auditTimetravelCommand() *cli.Command {
	return &cli.Command{Name: "timetravel", Usage: "which commits carry what a model, tool, key, server or session made, and where that went",
		Description: `Finds the commits of record, and what became of them: clean rebases and picks, which
change the same, squashes of branches, and reverts. The count is a range: those known, and
these with all commits of the time that may belong to them. --since and --until are for
the commits of record; what came of them may be younger.

--csv gives a row for each commit, or with --work one for each file to be looked at;
--json gives all.

What the index does not know yet, such as what unsigned commits change, is read from the
repositories once and kept in the index.`,
		Flags: []cli.Flag{dbFlag,
			&cli.StringFlag{Name: "model", Usage: "models like `GLOB`: provider/name, or the name alone"},
			&cli.StringFlag{Name: "tool", Usage: "tools like `GLOB`"},
			&cli.StringFlag{Name: "key", Usage: "what this key signed, `SHA256:…`"},
			&cli.StringFlag{Name: "mcp", Usage: "MCP servers like `GLOB`"},
			&cli.StringFlag{Name: "session", Usage: "the session `ID`"},
			&cli.StringFlag{Name: "repository", Usage: "only repositories like `GLOB`, for the commits of record"},
			&cli.StringFlag{Name: "since", Usage: "only commits of record from `TIME` on"},
			&cli.StringFlag{Name: "until", Usage: "only commits of record before `TIME`"},
			&cli.BoolFlag{Name: "refs", Usage: "tell which branches and tags contain each commit"},
			&cli.BoolFlag{Name: "artifacts", Usage: "tell which artifacts each commit is in; see audit artifact add"},
			&cli.BoolFlag{Name: "files", Usage: "tell which files each commit touched, and how often these were touched later"},
			&cli.StringSliceFlag{Name: "living", Usage: "count lines that live at `REF` of each repository: HEAD, or a whole name; blames every file once"},
			&cli.BoolFlag{Name: "owners", Usage: "tell who owns the files, by CODEOWNERS of the default branch"},
			&cli.BoolFlag{Name: "inverse", Usage: "try whether each commit can be reverted cleanly on the default branch"},
			&cli.BoolFlag{Name: "work", Usage: "list the files to be looked at, in order of reach; with all of the above"},
			&cli.StringFlag{Name: "replay", Usage: "judge the uses by the policy `FILE`, too, and tell the difference"},
			asOfFlag, csvFlag, jsonFlag},
		Action: func(c *cli.Context) error { return p.auditTimetravel(c.Context, c) }}
}

func (p process) auditTimetravel(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	q, err := p.quest(c)
	if err != nil {
		return err
	}
	v, done, err := p.view(c)
	if err != nil {
		return err
	}
	defer done()
	debug.SetMemoryLimit(timetravelMemory)
	t, err := v.Timetravel(ctx, q)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		return p.timetravelJSON(t)
	case c.Bool("csv"):
		return p.timetravelCSV(t)
	}
	out := bufio.NewWriter(p.Stdout)
	p.Stdout = out
	return errors.Join(p.timetravelText(t), out.Flush())
}

// timetravelMemory is what the Go heap shall stay below where it can, in bytes: an answer
// of two hundred thousand commits takes some 130 MiB.
const timetravelMemory = 150 << 20

// timetravelJSON prints the commits one after the other: as one text they would take more
// memory than the answer itself.
func (p process) timetravelJSON(t *audit.Timetravel) error {
	const empty = "\n  \"commits\": []" // a line of its own: words have no line ends in JSON
	commits := t.Commits
	t.Commits = []audit.Carrier{}
	var frame bytes.Buffer
	if err := (process{Stdout: &frame}).printJSON(t); err != nil {
		return err
	}
	t.Commits = commits
	before, after, ok := strings.Cut(frame.String(), empty)
	if !ok || len(commits) == 0 {
		return p.printJSON(t)
	}
	out := bufio.NewWriter(p.Stdout)
	fmt.Fprintf(out, "%s%s", before, strings.TrimSuffix(empty, "]"))
	for i := range commits {
		frame.Reset()
		enc := json.NewEncoder(&frame)
		enc.SetIndent("    ", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(&commits[i]); err != nil {
			return err
		}
		separator := ","
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(out, "%s\n    %s", separator, bytes.TrimSuffix(frame.Bytes(), []byte("\n")))
	}
	fmt.Fprintf(out, "\n  ]%s", after)
	return out.Flush()
}

func (p process) quest(c *cli.Context) (q audit.Quest, err error) {
	q = audit.Quest{Model: c.String("model"), Tool: c.String("tool"), Key: c.String("key"), MCP: c.String("mcp"), Session: c.String("session"),
		Repository: c.String("repository"), Refs: c.Bool("refs") || c.Bool("work"), Artifacts: c.Bool("artifacts") || c.Bool("work"), Files: c.Bool("files") || c.Bool("work"),
		Owners: c.Bool("owners") || c.Bool("work"), Inverse: c.Bool("inverse") || c.Bool("work"), Living: c.StringSlice("living"), Work: c.Bool("work"),
		Open: func(ctx context.Context, place string) (*repo.Repo, error) { return repo.Open(ctx, place, p.Environ) }}
	if q.Model+q.Tool+q.Key+q.MCP+q.Session == "" {
		return q, usage("what is to be found? name at least one of --model, --tool, --key, --mcp, --session")
	}
	if q.Key != "" && !strings.HasPrefix(q.Key, "SHA256:") {
		return q, usage("--key %q: want the fingerprint, SHA256:…, as ssh-keygen -lf FILE prints it", q.Key)
	}
	for flag, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if word := c.String(flag); word != "" {
			if *to, err = p.timeOf(flag, word); err != nil {
				return q, err
			}
		}
	}
	if q.Work && len(q.Living) == 0 {
		q.Living = []string{"HEAD"}
	}
	for _, ref := range q.Living {
		if ref != "HEAD" && !strings.HasPrefix(ref, "refs/") {
			return q, usage("--living %q: want HEAD or a whole name, such as refs/heads/%s", ref, ref)
		}
	}
	if name := c.String("replay"); name != "" {
		q.Replay, err = policy.Load(p.path(name))
	}
	return q, err
}

func (p process) timetravelText(t *audit.Timetravel) error {
	b := t.Bounds
	fmt.Fprintf(p.Stdout, "%d..%d commits: %d known", b.Least, b.Most, b.Least)
	for _, how := range keys(t.By) {
		fmt.Fprintf(p.Stdout, ", %s %d", how, t.By[how])
	}
	fmt.Fprintf(p.Stdout, "\n%d of the time of which nothing is known may belong to them, and %d whose claims leave it open\n\n", b.Unknown, b.Unnamed)
	w := p.table()
	fmt.Fprintln(w, "repository\tcommit\tdate\thow\tevidence\tuses\tlines\tundone")
	for _, c := range t.Commits {
		fmt.Fprintf(w, "%s\t%.10s\t%s\t%s\t%s\t%s\t%s\t%s\n", gate.Plain(c.Repository), c.Commit, c.Date, c.How, c.Evidence,
			gate.Plain(strings.Join(c.Uses, ", ")), lineCount(c.Added), c.Undone)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p.timetravelMore(t)
	if err := p.timetravelWork(t); err != nil {
		return err
	}
	if r := t.Replay; r != nil {
		fmt.Fprintf(p.Stdout, "\nreplay by policy %s: %d approved, was %d; %d unsanctioned, was %d\n", r.Policy, r.After.Approved, r.Before.Approved, r.After.Unsanctioned, r.Before.Unsanctioned)
		for _, d := range r.Differ {
			fmt.Fprintf(p.Stdout, "  %s %.10s  %s: %s, was %s  %s\n", gate.Plain(d.Repository), d.Commit, gate.Plain(d.Use), d.After, d.Before, d.Rule)
		}
	}
	for _, o := range t.Open {
		p.say("%s", gate.Plain(o))
	}
	return nil
}

// lineCount shows a count that may not be known.
func lineCount(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// timetravelMore shows of each commit what was asked for beside.
func (p process) timetravelMore(t *audit.Timetravel) {
	for _, c := range t.Commits {
		var more []string
		say := func(format string, args ...any) { more = append(more, gate.Plain(fmt.Sprintf(format, args...))) }
		if len(c.UndoneBy) > 0 {
			say("undone by %s", strings.Join(c.UndoneBy, ", "))
		}
		if len(c.Refs) > 0 {
			say("in %s", strings.Join(c.Refs, ", "))
		}
		if len(c.UndoneIn) > 0 {
			say("undone in %s", strings.Join(c.UndoneIn, ", "))
		}
		if len(c.Artifacts) > 0 {
			say("in artifact %s", strings.Join(c.Artifacts, ", "))
		}
		for _, f := range c.Files {
			later := ""
			if f.Later > 0 {
				later = fmt.Sprintf(", touched by %d later commits, last %.10s", f.Later, f.Last)
			}
			say("%s +%s -%s%s", f.Path, lineCount(f.Added), lineCount(f.Deleted), later)
		}
		for _, a := range c.Living {
			say("%s at %s: %d lines live, %d..%d of them of this", a.Path, a.Ref, a.Lines, a.Least, a.Most)
		}
		if len(c.Owners) > 0 {
			say("owned by %s", strings.Join(c.Owners, ", "))
		}
		if c.Inverse != "" {
			say("taking it back: %s", c.Inverse)
		}
		if len(more) > 0 {
			fmt.Fprintf(p.Stdout, "\n%s %.10s\n  %s\n", gate.Plain(c.Repository), c.Commit, strings.Join(more, "\n  "))
		}
	}
}

// timetravelWork shows the files to be looked at.
func (p process) timetravelWork(t *audit.Timetravel) error {
	if t.Work == nil {
		return nil
	}
	w := p.table()
	fmt.Fprintln(w, "\nWORK\trepository\tliving\tin refs\tcommits\trevert cleanly\tlater\towners")
	for _, i := range t.Work {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", gate.Plain(i.Path), gate.Plain(i.Repository), i.Living, i.Refs, len(i.Commits), i.Clean, i.Later,
			gate.Plain(strings.Join(i.Owners, " ")))
	}
	return w.Flush()
}

// timetravelCSV gives the commits or, where it was asked for, the work list.
func (p process) timetravelCSV(t *audit.Timetravel) error {
	for _, o := range t.Open {
		p.say("%s", gate.Plain(o))
	}
	if t.Work != nil {
		return p.writeCSV([]string{"repository", "path", "living", "refs", "commits", "clean", "later", "owners"}, func(row func(...any)) {
			for _, w := range t.Work {
				row(w.Repository, w.Path, w.Living, w.Refs, strings.Join(w.Commits, " "), w.Clean, w.Later, strings.Join(w.Owners, " "))
			}
		})
	}
	return p.writeCSV([]string{"repository", "commit", "date", "how", "of", "evidence", "uses", "added", "undone", "undone_by", "refs", "undone_in", "artifacts", "files", "living", "owners", "inverse"}, func(row func(...any)) {
		for _, c := range t.Commits {
			var files []string
			living := map[string]int{}
			for _, a := range c.Living {
				living[a.Ref] += a.Lines
			}
			var alive []string
			for _, ref := range keys(living) {
				alive = append(alive, fmt.Sprintf("%s %d", ref, living[ref]))
			}
			for _, f := range c.Files {
				files = append(files, f.Path)
			}
			row(c.Repository, c.Commit, c.Date, c.How, strings.Join(c.Of, " "), c.Evidence, strings.Join(c.Uses, "; "), c.Added, c.Undone,
				strings.Join(c.UndoneBy, " "), strings.Join(c.Refs, " "), strings.Join(c.UndoneIn, " "), strings.Join(c.Artifacts, " "), strings.Join(files, "\n"),
				strings.Join(alive, "\n"), strings.Join(c.Owners, " "), c.Inverse)
		}
	})
}
