package agentevent_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// canary stands in every text of an agent that nobody may keep.
const canary = "CANARY7f3a"

// kept are the members of payloads that say what happened where, and so may stand in the
// ledger. All others may not, nor may any that are not known here.
var kept = []string{
	"hook_event_name", "hookEventName", "hookName", "hook", "agent_action_name", "event", "gatekeeper",
	"tool_name", "toolName", "tool", "name", "server_name", "mcp_server_name", "mcp_tool_name", "type", "resultType", "decision",
	"cwd", "directory", "workspace_roots", "workspaceRoots", "rootPath", "file_path", "filePath", "filepath", "file", "path", "notebook_path", "files",
	"model", "model_id", "providerID", "modelID", "provider", "slug", "model_name", "version", "cursor_version", "clineVersion",
	// These find the model later. Of the path, what names the session is taken out.
	"transcript_path", "tool_use_id", "turn_id", "timestamp",
}

// sessions are the members that hold raw ids of sessions.
var sessions = []string{"session_id", "sessionId", "sessionID", "session", "root", "conversation_id", "trajectory_id", "taskId", "rootSessionId"}

// What agents tell is kept as what happened where, by whom: of no event that was ever
// captured is a prompt, a command, a content, an output, a variable of the environment or
// the id of a session kept, in the ledger or in any other file.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("good", "github")
	w.put(filepath.Join(w.home, ".local/state/gatekeeper/agents/claude-code"), "gatekeeper agent v1\nend\n")
	w.write("a.txt", canary+" one\n"+canary+" two\nthree\n")
	w.write("new.txt", canary+" hello\nworld\n")
	var files []string
	for _, pattern := range []string{"*/*.json", "*/documented/*.json"} {
		found, err := filepath.Glob(filepath.Join(agentsDir, pattern))
		w.must(err)
		files = append(files, found...)
	}
	ids := map[string]bool{}
	told := 0
	for _, file := range files {
		if filepath.Base(file) == "git-commit-msg.json" {
			continue
		}
		data, err := os.ReadFile(file)
		w.must(err)
		data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("/home/dev/shop"), []byte(w.dir)), []byte("/home/dev"), []byte(w.home))
		var e struct {
			Agent, Event string
			Stdin        any
			Markers      map[string]string `json:"env_markers"`
		}
		w.must(json.Unmarshal(data, &e))
		event := marked("", e.Stdin, ids).(map[string]any)
		if e.Agent == "opencode" && event["gatekeeper"] == nil {
			hook, _, _ := strings.Cut(strings.TrimPrefix(e.Event, "event-"), "-")
			event["gatekeeper"], event["hook"], event["directory"], event["session"] = "opencode/1", hook, w.dir, "ses_df8ac61bdffeJIP9WO4C1DFyrp"
		}
		vars := []string{"ANTHROPIC_API_KEY=" + canary, "CLAUDE_CODE_MESSAGING_TOKEN=" + canary}
		for name, value := range e.Markers {
			vars = append(vars, name+"="+value)
		}
		a := w.tell(e.Agent, text(event), vars...)
		if a.code != 0 && a.code != 2 || strings.Contains(a.stderr, "internal error") || strings.Contains(a.stderr, "not recorded") {
			t.Errorf("%s: %+v", file, a)
		}
		told++
	}
	if lines := w.ledger(); told < 150 || len(lines) < 90 || len(ids) < 10 {
		t.Fatalf("%d events gave %d lines, of %d sessions", told, len(lines), len(ids))
	}
	names := 0
	for _, top := range []string{filepath.Join(w.dir, ".git"), filepath.Join(w.home, ".local")} {
		w.must(filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.Contains(path, "/.git/objects/") {
				return err
			}
			names++
			data, err := os.ReadFile(path)
			if at := bytes.Index(data, []byte(canary)); at >= 0 {
				t.Errorf("%s keeps …%q…", path, data[max(0, at-60):min(len(data), at+60)])
			}
			for id := range ids {
				if bytes.Contains(data, []byte(id)) || strings.Contains(path, id) {
					t.Errorf("%s keeps the session %s", path, id)
				}
			}
			return err
		}))
	}
	if names < 20 {
		t.Errorf("only %d files", names)
	}
}

// marked puts the canary into every text that may not be kept, and collects the sessions.
func marked(name string, v any, ids map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		for n, member := range v {
			v[n] = marked(n, member, ids)
		}
	case []any:
		for i := range v {
			v[i] = marked(name, v[i], ids)
		}
	case string:
		switch {
		case slices.Contains(sessions, name):
			if len(v) >= 8 {
				ids[v] = true
			}
		case strings.HasPrefix(v, "*** Begin Patch"):
			return strings.ReplaceAll(v, "\n+", "\n+"+canary+" ")
		case !slices.Contains(kept, name):
			return canary + " " + v
		}
	}
	return v
}

// However large what an agent tells, little of it is kept.
func TestLittleIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	huge := strings.Repeat("huge ", 1<<16)
	for _, file := range []string{"claude-code/PostToolUse-Edit", "claude-code/PreToolUse-Bash", "claude-code/PreToolUse-mcp__good__ping",
		"gemini-cli/BeforeTool-mcp_good_ping", "codex/PostToolUse-apply_patch", "cursor/documented/afterFileEdit", "opencode/plugin-tool.execute.before-apply_patch"} {
		data, err := os.ReadFile(filepath.Join(agentsDir, file+".json"))
		w.must(err)
		data = bytes.ReplaceAll(data, []byte("/home/dev/shop"), []byte(w.dir))
		var e struct {
			Agent string
			Stdin map[string]any
		}
		w.must(json.Unmarshal(data, &e))
		for _, path := range leaves(nil, e.Stdin) {
			at := e.Stdin
			for _, name := range path[:len(path)-1] {
				at = at[name].(map[string]any)
			}
			last := path[len(path)-1]
			was := at[last]
			at[last] = fmt.Sprint(was, huge)
			w.goesOn(file+" "+strings.Join(path, "."), w.tell(e.Agent, text(e.Stdin)))
			at[last] = was
		}
	}
	var size int64
	w.must(filepath.WalkDir(filepath.Join(w.dir, ".git/gatekeeper"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 64<<10 {
			t.Errorf("%s: %d bytes", path, info.Size())
		}
		size += info.Size()
		return err
	}))
	if size > 512<<10 {
		t.Errorf("%d bytes are kept", size)
	}
	if _, gaps, err := session.OpenLedger(filepath.Join(w.dir, ".git")).Check(); err != nil || len(gaps) > 0 {
		t.Error(gaps, err)
	}
}

// leaves are the paths to the texts in an object.
func leaves(path []string, v any) (list [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			list = append(list, leaves(append(slices.Clone(path), name), member)...)
		}
	case string:
		list = append(list, path)
	}
	return list
}
