// Package blame says of each line of a file which agent and model it came from, as far
// as that was recorded and can be checked.
//
// git tells the commit of a line; the commit's attestation, where it stands, names the
// trace that tells the line's record. A line whose commit has no trace, or none that
// counts, is given all records of the commit. Nothing here says that a person wrote a
// line: at best, that no agent that was seen did.
//
// It judges no commit itself; see package gate.
package blame

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// From says how it is known where a line came from.
type From string

const (
	Trace    From = "trace"     // the trace of its commit tells the line
	Commit   From = "commit"    // its commit's records, of which any may be the line's
	WorkTree From = "work tree" // it is not committed, and agents' hooks told
)

// A Line is one line of a file.
type Line struct {
	Number int       // from 1
	Text   string    // without its end
	Commit change.ID // "" while it is not committed
	From   From
	// Records are those that the line came from: at most one by a trace, all of the
	// commit's without one.
	Records []gate.RecordView
	// Doubt says that the line came perhaps from an agent.
	Doubt    bool
	Evidence gate.Evidence

	path string // of the file in that commit
	at   int    // number of the line there, from 1
}

// A Source answers what is asked about commits.
type Source struct {
	Repo    *repo.Repo
	Objects change.Objects
	Judge   func(context.Context, change.ID) (gate.CommitVerdict, error)
	// Traces reads a trace; false when it is not here.
	Traces func(context.Context, provenance.Digest) (record.Trace, bool, error)
}

// File blames a file, by its path from the top of the work tree, at a revision or, when
// that is "", as the work tree has it.
func (s Source) File(ctx context.Context, path, rev string) ([]Line, error) {
	lines, err := s.git(ctx, path, rev)
	if err != nil {
		return nil, fmt.Errorf("blame %s: %w", path, err)
	}
	told := map[change.ID]*commit{}
	for i := range lines {
		l := &lines[i]
		if l.Commit == "" {
			continue
		}
		c := told[l.Commit]
		if c == nil {
			if c, err = s.commit(ctx, l.Commit); err != nil {
				return nil, fmt.Errorf("blame %s: %w", path, err)
			}
			told[l.Commit] = c
		}
		if err := c.tell(s.Objects, l); err != nil {
			return nil, fmt.Errorf("blame %s: %w", path, err)
		}
	}
	if err := s.uncommitted(ctx, path, lines); err != nil {
		return nil, fmt.Errorf("blame %s: %w", path, err)
	}
	return lines, nil
}

// git asks git for the commit of each line. Its porcelain format is that of
// git-blame(1): a line of ids and numbers, lines about the commit, and the text
// behind a tab.
func (s Source) git(ctx context.Context, path, rev string) ([]Line, error) {
	args := []string{"-c", "core.quotePath=false", "blame", "--porcelain", "--no-progress"}
	if rev != "" {
		args = append(args, rev)
	}
	cmd := s.Repo.Command(ctx, append(args, "--", path)...)
	cmd.Dir = s.Repo.WorkTree
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, errors.New(gate.Plain(strings.TrimSpace(string(exit.Stderr))))
	}
	if err != nil {
		return nil, err
	}
	return parse(out)
}

func parse(porcelain []byte) (lines []Line, err error) {
	paths := map[change.ID]string{}
	var l Line
	in := bufio.NewReader(bytes.NewReader(porcelain))
	for {
		text, readErr := in.ReadString('\n')
		if text == "" {
			return lines, nil
		}
		if l.Number == 0 {
			if l, err = header(text); err != nil {
				return nil, err
			}
			continue
		}
		switch word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " "); {
		case text[0] == '\t':
			l.Text = strings.TrimSuffix(text[1:], "\n")
			l.path = paths[l.Commit]
			lines = append(lines, l)
			l = Line{}
		case word == "filename":
			if paths[l.Commit], err = unquoted(rest); err != nil {
				return nil, err
			}
		}
		if readErr != nil {
			return lines, nil
		}
	}
}

func header(text string) (l Line, err error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return l, fmt.Errorf("git blame: want a line of ids, found %.60q", text)
	}
	if strings.Trim(words[0], "0") != "" {
		if l.Commit, err = change.ParseID(words[0]); err != nil {
			return l, err
		}
	}
	if l.at, err = strconv.Atoi(words[1]); err != nil {
		return l, err
	}
	l.Number, err = strconv.Atoi(words[2])
	return l, err
}

// unquoted undoes git's C-style quoting, of which Go's is a superset.
func unquoted(path string) (string, error) {
	if !strings.HasPrefix(path, `"`) {
		return path, nil
	}
	return strconv.Unquote(path)
}

// A commit is what is known of one.
type commit struct {
	verdict gate.CommitVerdict
	trace   record.Trace
	traced  bool
	parent  change.ID // the first, "" for none
	id      change.ID
	added   map[string][]change.Span
}

func (s Source) commit(ctx context.Context, id change.ID) (*commit, error) {
	verdict, err := s.Judge(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &commit{verdict: verdict, added: map[string][]change.Span{}}
	d, err := provenance.ParseDigest(verdict.Trace)
	if verdict.Trace == "" || err != nil {
		return c, nil
	}
	if c.trace, c.traced, err = s.Traces(ctx, d); err != nil || !c.traced {
		return c, err
	}
	raw, err := repo.ReadCommit(s.Objects, id)
	if err != nil {
		return nil, err
	}
	if c.id = id; len(raw.Parents) > 0 {
		c.parent = raw.Parents[0]
	}
	return c, nil
}

// tell fills in what the commit says of a line.
func (c *commit) tell(objects change.Objects, l *Line) error {
	l.Evidence, l.From, l.Records = c.verdict.Evidence, Commit, c.verdict.Records
	if !c.traced {
		return nil
	}
	source, ok, err := c.source(objects, l)
	if err != nil || !ok {
		return err
	}
	l.From, l.Records = Trace, nil
	switch source {
	case record.Nobody:
	case record.Unknown:
		l.Doubt = true
	default:
		r, err := provenance.ParseRecord(c.trace.Records[source])
		if err != nil {
			return err
		}
		l.Records = gate.ViewRecords([]provenance.Record{r})
	}
	return nil
}

// source finds a line in the trace: as the n-th of those that the commit adds to the
// file.
func (c *commit) source(objects change.Objects, l *Line) (source int, ok bool, err error) {
	file, ok := c.trace.File(l.path)
	if !ok {
		return 0, false, nil
	}
	added, ok := c.added[l.path]
	if !ok {
		if added, err = c.addedTo(objects, l.path); err != nil {
			return 0, false, err
		}
		c.added[l.path] = added
	}
	n := 0
	for _, span := range added {
		if span.From <= l.at-1 && l.at-1 < span.To {
			source, ok = file.At(n + l.at - 1 - span.From)
			return source, ok, nil
		}
		n += span.To - span.From
	}
	return 0, false, nil
}

func (c *commit) addedTo(objects change.Objects, path string) ([]change.Span, error) {
	new, err := repo.BlobAt(objects, c.id, path)
	if err != nil || new == "" {
		return nil, err
	}
	old := change.ID("")
	if c.parent != "" {
		if old, err = repo.BlobAt(objects, c.parent, path); err != nil {
			return nil, err
		}
	}
	return change.AddedLines(objects, old, new)
}

// uncommitted tells of the lines that are in no commit yet.
func (s Source) uncommitted(ctx context.Context, path string, lines []Line) error {
	var text strings.Builder
	some := false
	for _, l := range lines {
		text.WriteString(l.Text + "\n")
		some = some || l.Commit == ""
	}
	if !some {
		return nil
	}
	got, err := session.OpenWatch(s.Repo).Staged(ctx, path, []byte(text.String()), false, nil)
	if err != nil {
		return err
	}
	for i := range lines {
		l := &lines[i]
		if l.Commit != "" {
			continue
		}
		l.From, l.Evidence = WorkTree, gate.Unknown
		if got == nil {
			continue
		}
		if i >= len(got.Owners) || got.Owners[i] < 0 {
			l.Doubt = true
		} else if a, ok := got.Actor(got.Owners[i]); ok {
			l.Records = gate.ViewRecords([]provenance.Record{{Tool: a.Tool, Model: a.Model, Via: provenance.ViaHook, Session: a.Session}})
		}
	}
	return nil
}
