package agent

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/events.want anew; read every line of the difference")

const (
	agentsDir  = "../../testdata/agents"
	eventsWant = "testdata/events.want"
)

// payloads lists every file of testdata/agents that holds an event, by its
// path below it.
func payloads(t *testing.T) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*/*.json", "*/documented/*.json"} {
		found, err := filepath.Glob(filepath.Join(agentsDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if name, err := filepath.Rel(agentsDir, f); err != nil {
				t.Fatal(err)
			} else if filepath.Base(f) != "git-commit-msg.json" {
				files = append(files, filepath.ToSlash(name))
			}
		}
	}
	return files
}

// sent is one payload as its agent sent it.
type sent struct {
	capture
	text    []byte
	environ []string
}

func readSent(t *testing.T, name string) sent {
	t.Helper()
	path := filepath.Join(agentsDir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Event string
		Stdin json.RawMessage
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	s := sent{capture: readCapture(t, path), text: file.Stdin}
	s.environ = append(s.capture.environ(), "HOME=/home/dev")
	if s.Agent == "opencode" && !bytes.Contains(s.text, []byte(`"gatekeeper"`)) {
		s.text = asPlugin(t, file.Event, file.Stdin)
	}
	return s
}

// asPlugin wraps the arguments of one of OpenCode's hooks as opencode_plugin.js does.
func asPlugin(t *testing.T, event string, stdin []byte) []byte {
	t.Helper()
	var args struct {
		Input, Output json.RawMessage
		Properties    struct{ SessionID string }
	}
	if err := json.Unmarshal(stdin, &args); err != nil {
		t.Fatal(err)
	}
	var input struct{ SessionID string }
	if args.Input != nil {
		if err := json.Unmarshal(args.Input, &input); err != nil {
			t.Fatal(err)
		}
	}
	hook := strings.TrimPrefix(event, "event-")
	if strings.HasPrefix(hook, "tool.execute.") {
		hook, _, _ = strings.Cut(hook, "-")
	}
	text, err := json.Marshal(map[string]any{
		"gatekeeper": "opencode/1", "hook": hook, "session": input.SessionID + args.Properties.SessionID,
		"directory": "/home/dev/shop", "version": "1.18.33",
		"model": map[string]string{"providerID": "stub", "modelID": "stub-model"},
		"input": args.Input, "output": args.Output,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// describe writes an event as the golden file has it, what is not told left out.
func describe(e Event, notes []error) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	word := func(name, value string) {
		if value != "" {
			line("%-8s %s", name, value)
		}
	}
	line("%-8s %s/%s", "tool", e.Tool.Name, e.Tool.Version)
	if e.Model.Name != "" {
		word("model", e.Model.ID())
	}
	word("source", e.Source)
	word("session", e.Session)
	word("agent", e.Agent)
	word("parent", e.Parent)
	what := strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Phase))
	if e.Failed {
		what += " failed"
	}
	if e.Background {
		what += " background"
	}
	word("event", e.Name+": "+what)
	word("call", e.Call)
	word("dir", e.Dir)
	for _, f := range e.Files {
		word("file", f.Path)
		word("  to", f.MovedTo)
		if f.Deleted {
			line("  deleted")
		}
		if f.HasBefore {
			line("  before %q", f.Before)
		}
		if f.HasAfter {
			line("  after  %q", f.After)
		}
		if f.UserModified {
			line("  modified by the user")
		}
		for _, c := range f.Changes {
			line("  change %q to %q, all %v", c.Old, c.New, c.All)
		}
	}
	if m := e.MCP; m != nil {
		line("%-8s %s server %q tool %q command %q url %q", "mcp", m.Name, m.Server, m.Tool, m.Command, m.URL)
	}
	for _, n := range notes {
		line("%-8s %s", "note", strings.ReplaceAll(n.Error(), "\n", "; "))
	}
	return b.String()
}

// readWant reads the golden file: a line with a name, and its event below it.
func readWant(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(eventsWant)
	if err != nil {
		t.Fatal(err)
	}
	want, name := map[string]string{}, ""
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "  ") {
			want[name] += line
		} else if name = strings.TrimSpace(line); name != "" {
			if _, twice := want[name]; twice {
				t.Errorf("%s is expected twice", name)
			}
			want[name] = ""
		}
	}
	return want
}

// TestEveryPayload holds each payload to its one expected event.
func TestEveryPayload(t *testing.T) {
	files := payloads(t)
	if *update {
		var b strings.Builder
		for _, name := range files {
			s := readSent(t, name)
			e, notes := Decode("", s.text, s.environ, s.ancestors())
			fmt.Fprintf(&b, "%s\n%s\n", name, describe(e, notes))
		}
		if err := os.WriteFile(eventsWant, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readWant(t)
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			s := readSent(t, name)
			expected, ok := want[name]
			if !ok {
				t.Fatalf("no event is expected of %s: write one into %s", name, eventsWant)
			}
			e, notes := Decode("", s.text, s.environ, s.ancestors())
			if diff := cmp.Diff(expected, describe(e, notes)); diff != "" {
				t.Error(diff)
			}
			if e.Tool.Name != s.Agent {
				t.Errorf("taken for %q", e.Tool.Name)
			}
		})
		delete(want, name)
	}
	for name := range want {
		t.Errorf("an event of %s is expected, which is not there", name)
	}
}
