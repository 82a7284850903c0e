package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/blame"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// agentTrace is a record of Agent Trace 0.1 (agent-trace.dev). That format has no
// signature, so whoever wants proof asks for the attestation; metadata names it.
type agentTrace struct {
	Version   string           `json:"version"`
	ID        string           `json:"id"` // made of the commit, so that two exports are the same
	Timestamp string           `json:"timestamp"`
	VCS       agentTraceVCS    `json:"vcs"`
	Tool      *agentTraceTool  `json:"tool,omitempty"` // where all records have one
	Files     []agentTraceFile `json:"files"`
	Metadata  map[string]any   `json:"metadata"`
}

type agentTraceVCS struct {
	Type     string `json:"type"`
	Revision string `json:"revision"`
}

type agentTraceTool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type agentTraceFile struct {
	Path          string                   `json:"path"`
	Conversations []agentTraceConversation `json:"conversations"`
}

type agentTraceConversation struct {
	Contributor agentTraceContributor `json:"contributor"`
	Ranges      []agentTraceRange     `json:"ranges"`
}

type agentTraceContributor struct {
	Type    string `json:"type"` // ai | unknown: gatekeeper never says human
	ModelID string `json:"model_id,omitempty"`
}

type agentTraceRange struct {
	StartLine int `json:"start_line"`
	EndLine   int `json:"end_line"`
}

// exportAgentTrace writes what a commit adds, as its trace tells it. Without a trace
// each added line may be anybody's.
func (p process) exportAgentTrace(ctx context.Context, r *repo.Repo, rev string) error {
	id, err := r.Resolve(ctx, rev+"^{commit}")
	if err != nil {
		return usage("%q names no commit here", rev)
	}
	commit, err := readCommit(ctx, r, rev)
	if err != nil {
		return err
	}
	pol, err := p.policyFor(ctx, r, "")
	if err != nil {
		return err
	}
	verdict, err := p.judgeOne(ctx, r, id, pol)
	if err != nil {
		return err
	}
	judged := verdict.Commits[len(verdict.Commits)-1]
	t := agentTrace{Version: "0.1", ID: idOf(id), Timestamp: commit.Committer.When.UTC().Format(time.RFC3339),
		VCS: agentTraceVCS{"git", id.String()}, Tool: oneTool(judged.Records), Files: []agentTraceFile{},
		Metadata: map[string]any{"gatekeeper": map[string]any{"evidence": judged.Evidence, "records": judged.Records}}}
	paths, err := added(ctx, r, commit)
	if err != nil {
		return err
	}
	for _, path := range paths {
		lines, err := p.blamed(ctx, r, path, id.String(), "")
		if err != nil {
			return err
		}
		if c := conversations(lines, id); len(c) > 0 {
			t.Files = append(t.Files, agentTraceFile{path, c})
		}
	}
	return p.printJSON(t)
}

// idOf is a UUID of version 8 (RFC 9562) made of a commit's id.
func idOf(id change.ID) string {
	sum := sha256.Sum256([]byte("gatekeeper agent-trace " + id.String()))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func oneTool(records []gate.RecordView) *agentTraceTool {
	if len(records) == 0 || slices.ContainsFunc(records, func(r gate.RecordView) bool {
		return r.Tool != records[0].Tool || r.Version != records[0].Version || r.Tool == "unknown"
	}) {
		return nil
	}
	t := &agentTraceTool{Name: records[0].Tool}
	if v := records[0].Version; v != "unknown" {
		t.Version = v
	}
	return t
}

// added lists the files to which a commit adds lines.
func added(ctx context.Context, r *repo.Repo, commit change.Commit) (paths []string, err error) {
	objects, err := r.Batch(ctx)
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	old := change.ID("")
	if len(commit.Parents) > 0 {
		if old, err = repo.TreeOf(objects, commit.Parents[0]); err != nil {
			return nil, err
		}
	}
	d := change.Digester{Visit: func(f change.FileChange) error {
		if len(f.Added) > 0 {
			paths = append(paths, f.Path)
		}
		return nil
	}}
	_, _, err = d.Compute(objects, old, commit.Tree)
	return paths, err
}

// conversations gathers the lines that a commit brought by who wrote them. Lines of
// nobody that is known are left out: the format has no word for them but human.
func conversations(lines []blame.Line, id change.ID) (list []agentTraceConversation) {
	for _, l := range lines {
		who, said := contributor(l)
		if l.Commit != id || !said {
			continue
		}
		at := slices.IndexFunc(list, func(c agentTraceConversation) bool { return c.Contributor == who })
		if at < 0 {
			list = append(list, agentTraceConversation{Contributor: who})
			at = len(list) - 1
		}
		ranges := &list[at].Ranges
		if n := len(*ranges); n > 0 && (*ranges)[n-1].EndLine == l.Number-1 {
			(*ranges)[n-1].EndLine++
		} else {
			*ranges = append(*ranges, agentTraceRange{l.Number, l.Number})
		}
	}
	return list
}

func contributor(l blame.Line) (who agentTraceContributor, said bool) {
	switch {
	case l.From == blame.Trace && len(l.Records) == 1:
		who := agentTraceContributor{Type: "ai"}
		if l.Records[0].Model != "unknown/unknown" {
			who.ModelID = l.Records[0].Model
		}
		return who, true
	case l.Doubt || l.From == blame.Commit && len(l.Records) > 0:
		return agentTraceContributor{Type: "unknown"}, true
	}
	return who, false
}
