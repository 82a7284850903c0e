package audit

import (
	"context"

	"github.com/gatekeeper-git/gatekeeper/pkg/blame"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
)

// A tracer tells by the traces of commits which of their living lines are those asked for.
// It is for carriers of record: what a trace says of a commit is not said of its copies.
type tracer struct {
	k      *kinship
	source blame.Source
	traces map[change.ID]string // digests, by commit
	close  func()
}

// tracer is nil where no carrier of a repository has a trace, and for quests of which lines do
// not tell: those for a server.
func (k *kinship) tracer(ctx context.Context, o *opened, carriers map[change.ID]*Carrier) (*tracer, error) {
	if k.seeker.MCP != "" {
		return nil, nil
	}
	traces := map[change.ID]string{}
	byID := map[int64]change.ID{}
	var ids []int64
	for oid, c := range carriers {
		if c.How == OfRecord {
			ids, byID[c.member.commit] = append(ids, c.member.commit), oid
		}
	}
	rows, err := k.view.Store.QueryContext(ctx, "SELECT j.commit_id, j.trace FROM json_each(?) s JOIN judgement j ON j.commit_id = s.value AND "+counts("j")+" WHERE j.trace <> ''",
		asJSON(ids), k.view.Run, k.view.Run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var digest string
		if err := rows.Scan(&id, &digest); err != nil {
			return nil, err
		}
		traces[byID[id]] = digest
	}
	if err := rows.Err(); err != nil || len(traces) == 0 {
		return nil, err
	}
	reader := o.Reader()
	kept, err := record.All(ctx, reader)
	if err != nil {
		reader.Close()
		return nil, err
	}
	t := &tracer{k: k, traces: traces, close: func() { reader.Close() }}
	t.source = blame.Source{Repo: o.Repo, Objects: o.objects,
		Judge: func(_ context.Context, id change.ID) (gate.CommitVerdict, error) {
			return gate.CommitVerdict{Trace: traces[id]}, nil
		},
		Traces: func(ctx context.Context, d provenance.Digest) (record.Trace, bool, error) {
			if text, err := record.KeptTrace(o.CommonDir, d); err == nil && text != nil {
				t, err := record.ParseTrace(string(text))
				return t, err == nil, nil
			}
			return kept.Trace(ctx, d)
		}}
	return t, nil
}

// traceCount is what traces say of the lines of one commit in a file.
type traceCount struct{ all, hit, doubt int }

// file asks the traces about a file at a tip, when one of its commits has any.
func (t *tracer) file(ctx context.Context, tip change.ID, path string, from map[change.ID]int) (map[change.ID]*traceCount, error) {
	some := false
	for commit := range from {
		some = some || t.traces[commit] != ""
	}
	if !some {
		return nil, nil
	}
	lines, err := t.source.File(ctx, path, tip.String())
	if err != nil {
		return nil, err
	}
	counts := map[change.ID]*traceCount{}
	for _, l := range lines {
		if t.traces[l.Commit] == "" {
			continue
		}
		c := counts[l.Commit]
		if c == nil {
			c = &traceCount{}
			counts[l.Commit] = c
		}
		c.all++
		switch {
		case l.From != blame.Trace || l.Doubt:
			c.doubt++
		case len(l.Records) > 0 && t.hits(l.Records[0]):
			c.hit++
		}
	}
	return counts, nil
}

// hits reports whether a record is one that is asked for.
func (t *tracer) hits(r gate.RecordView) bool {
	q := t.k.seeker
	c := recorded(r)
	return matchesUse(q.Tool, q.Model, c.Use) && (q.Session == "" || r.Session == q.Session)
}

// narrow takes what the traces of a commit say into a count of its lines. git was asked twice: for
// the count past moves and changes of white space, for the trace without. By how much the two
// differ is left open.
func (a *Alive) narrow(t *traceCount) {
	missing := max(0, a.Lines-t.all)
	a.Least = max(a.Least, t.hit-max(0, t.all-a.Lines))
	a.Most = max(a.Least, min(a.Most, t.hit+t.doubt+missing))
}
