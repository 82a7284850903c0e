package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A told is what another recorder says of a commit, as it is kept.
type told struct {
	Tool, Version, Provider, Model, Session string   `json:",omitempty"`
	AI                                      *int     `json:",omitempty"`
	Files                                   []string `json:",omitempty"` // that it is about; none is all
}

func (t told) claim(source string) Claim {
	return Claim{Session: t.Session, AI: t.AI, Use: Use{Source: source, Tool: provenance.Tool{Name: t.Tool, Version: t.Version},
		Model: provenance.Model{Provider: t.Provider, Name: t.Model}, Via: provenance.ViaImport}}
}

// Limits of what others write.
const (
	maxNote  = 1 << 20  // bytes of a note
	maxTrace = 16 << 20 // bytes of a file of traces
	maxTold  = 32       // claims of one note
	maxLines = 1 << 24  // lines that one claim may speak of
)

// gitAINote reads a note of git-ai, authorship/3.0.0: for each file lines of a key and the
// ranges that it wrote, a line ---, and JSON that says what the keys stand for. Lines of
// people (h_) are no claim: what is not an agent's there is not known to be a person's.
func gitAINote(note []byte) ([]told, error) {
	head, rest, ok := bytes.Cut(note, []byte("\n---\n"))
	if !ok {
		if rest, ok = bytes.CutPrefix(note, []byte("---\n")); !ok {
			return nil, fmt.Errorf("git-ai note: no line --- in it")
		}
		head = nil
	}
	type agent struct {
		AgentID struct{ Tool, ID, Model string } `json:"agent_id"`
	}
	var meta struct {
		Version  string           `json:"schema_version"`
		Prompts  map[string]agent `json:"prompts"`
		Sessions map[string]agent `json:"sessions"`
	}
	if err := json.Unmarshal(rest, &meta); err != nil {
		return nil, fmt.Errorf("git-ai note: %w", err)
	}
	if !strings.HasPrefix(meta.Version, "authorship/") {
		return nil, fmt.Errorf("git-ai note: schema_version %.40q is none of git-ai's", meta.Version)
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(head)) {
		entry, indented := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "  ")
		if !indented {
			continue
		}
		key, ranges, _ := strings.Cut(entry, " ")
		key, _, _ = strings.Cut(key, "::")
		counts[key] = min(counts[key]+rangesLines(ranges), maxLines)
	}
	var list []told
	for _, agents := range []map[string]agent{meta.Sessions, meta.Prompts} {
		for key, a := range agents {
			n, wrote := counts[key]
			if a.AgentID.Tool == "" || !wrote {
				continue
			}
			m := modelOf(a.AgentID.Model)
			list = append(list, told{Tool: toolNamed(a.AgentID.Tool), Provider: m.Provider, Model: m.Name, Session: sessionOf(a.AgentID.ID), AI: &n})
		}
	}
	return bounded(list), nil
}

// rangesLines counts the lines of "1-5,7,9-10".
func rangesLines(ranges string) (n int) {
	for r := range strings.SplitSeq(ranges, ",") {
		from, to, span := strings.Cut(r, "-")
		a, err := strconv.Atoi(from)
		if err != nil || a < 1 {
			continue
		}
		b := a
		if span {
			if b, err = strconv.Atoi(to); err != nil || b < a {
				continue
			}
		}
		n = min(n+min(b-a, maxLines)+1, maxLines)
	}
	return n
}

// bounded sorts claims, so that the same note gives the same, and keeps the first ones.
func bounded(list []told) []told {
	slices.SortFunc(list, func(a, b told) int {
		return strings.Compare(a.Tool+"\x00"+a.Provider+"\x00"+a.Model+"\x00"+a.Session, b.Tool+"\x00"+b.Provider+"\x00"+b.Model+"\x00"+b.Session)
	})
	list = slices.CompactFunc(list, func(a, b told) bool {
		return a.Tool == b.Tool && a.Provider == b.Provider && a.Model == b.Model && a.Session == b.Session && a.Files == nil && b.Files == nil && a.AI == nil && b.AI == nil
	})
	return list[:min(len(list), maxTold)]
}

// qwenNote reads a note of Qwen Code: JSON with a share of each file. It names no model, and
// lines of shares cannot be counted; that it is there is the claim.
func qwenNote(note []byte) ([]told, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(note, &object); err != nil {
		return nil, fmt.Errorf("note of Qwen Code: %w", err)
	}
	if len(object) == 0 {
		return nil, nil
	}
	return []told{{Tool: "qwen-code"}}, nil
}

// agentTraces reads lines of Agent Trace 0.1. A record names the commit on which an edit
// was made, so what it says is about the commits that come next on that one and touch
// the file. A line that is no record is passed over and counted.
func agentTraces(data []byte) (about map[change.ID][]told, bad int) {
	about = map[change.ID][]told{}
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		id, list, err := agentTrace(line)
		if err != nil {
			bad++
			continue
		}
		if id != "" && len(list) > 0 && len(about[id]) < maxTold {
			about[id] = append(about[id], list...)
		}
	}
	return about, bad
}

type contributor struct {
	Type    string `json:"type"`
	ModelID string `json:"model_id"`
}

func (c *contributor) ai() bool { return c != nil && (c.Type == "ai" || c.Type == "mixed") }

func agentTrace(line []byte) (id change.ID, list []told, err error) {
	var r struct {
		Version string `json:"version"`
		VCS     *struct{ Type, Revision string }
		Tool    *struct{ Name, Version string }
		Files   []struct {
			Path          string
			Conversations []struct {
				URL         string
				Contributor *contributor
				Ranges      []struct{ Contributor *contributor }
			}
		}
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return "", nil, fmt.Errorf("agent trace: %w", err)
	}
	if r.Version == "" || r.Files == nil {
		return "", nil, fmt.Errorf("agent trace: version or files are missing")
	}
	if r.VCS == nil || r.VCS.Type != "git" {
		return "", nil, nil
	}
	if id, err = change.ParseID(r.VCS.Revision); err != nil {
		return "", nil, fmt.Errorf("agent trace: %w", err)
	}
	base := told{}
	if r.Tool != nil {
		base.Tool, base.Version = toolNamed(r.Tool.Name), text(r.Tool.Version)
	}
	models := map[string]*told{}
	for _, f := range r.Files {
		for _, c := range f.Conversations {
			who := []*contributor{c.Contributor}
			for _, rg := range c.Ranges {
				who = append(who, rg.Contributor)
			}
			for _, w := range who {
				if !w.ai() {
					continue
				}
				t := models[w.ModelID]
				if t == nil {
					m := modelOf(w.ModelID)
					one := base
					one.Provider, one.Model = m.Provider, m.Name
					t = &one
					models[w.ModelID] = t
				}
				if !slices.Contains(t.Files, text4k(f.Path)) && len(t.Files) < 1000 {
					t.Files = append(t.Files, text4k(f.Path))
				}
			}
		}
	}
	for _, t := range models {
		list = append(list, *t)
	}
	return id, bounded(list), nil
}

// toolNamed is the TOOL of a record for a name that people see: "Claude Code".
func toolNamed(name string) string {
	name = strings.ToLower(strings.Join(strings.Fields(text(name)), "-"))
	switch name {
	case "claude":
		return "claude-code"
	case "gemini":
		return "gemini-cli"
	case "cursor-ide", "cursor-cli":
		return "cursor"
	}
	return strings.ReplaceAll(name, "/", "-")
}
