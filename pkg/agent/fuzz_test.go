package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// FuzzDecode holds whatever comes to the promises of an event: the same twice,
// bounded, one line where a line is promised, and every part of it a thing that
// the rest of the house can write down.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(agentsDir, "*", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	documented, err := filepath.Glob(filepath.Join(agentsDir, "*", "documented", "*.json"))
	if err != nil || len(files)+len(documented) < 100 {
		f.Fatal(len(files), err)
	}
	for _, file := range append(files, documented...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		v, err := payload.Parse(data)
		if err != nil {
			f.Fatal(err)
		}
		text := v.At("stdin").Compact()
		if v.At("agent").String() == "opencode" && !v.At("stdin", "gatekeeper").Exists() {
			text = []byte(`{"gatekeeper":"opencode/1","hook":"tool.execute.after","session":"s","directory":"/r","input":` +
				orNull(v.At("stdin", "input")) + `,"output":` + orNull(v.At("stdin", "output")) + `}`)
		}
		f.Add(v.At("agent").String(), text)
	}
	for _, text := range []string{"", "{", `{"hook_event_name":"PreToolUse","tool_name":"mcp__a__b"`, "\xff\xfe{\x00", "null", `[1]`,
		`{"hook_event_name":"PostToolUse","session_id":"s","turn_id":"t","cwd":"/r","tool_name":"apply_patch","tool_input":{"command":"*** Begin Patch\n*** Add File: ../../x\n+a\n*** Move to: \u0000\n"}}`} {
		f.Add("claude-code", []byte(text))
	}
	environ := []string{"HOME=/home/dev", "CLAUDECODE=1", "QWEN_CODE_SESSION_ID=q", "QWEN_CODE_MODEL=m"}
	f.Fuzz(func(t *testing.T, hint string, text []byte) {
		input := bytes.Clone(text)
		e, notes := Decode(hint, text, environ, nil)
		if !bytes.Equal(input, text) {
			t.Fatal("the payload was changed")
		}
		again, _ := Decode(hint, text, environ, nil)
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatalf("not the same twice: %s", diff)
		}
		checkEvent(t, e, len(text))
		for _, n := range notes {
			if len(n.Error()) > 1000 {
				t.Fatalf("a diagnostic of %d bytes", len(n.Error()))
			}
		}
		stdout, stderr, _ := Answer(e, "no", nil)
		if v, err := payload.Parse(stdout); len(stdout) > 0 && (err != nil || !v.IsObject()) {
			t.Fatalf("answer %q", stdout)
		}
		if strings.Count(stderr, "\n") > 1 {
			t.Fatalf("answer %q", stderr)
		}
	})
}

func checkEvent(t *testing.T, e Event, size int) {
	t.Helper()
	for _, line := range []string{e.Source, e.Name, e.Call, e.Dir, e.Tool.Version} {
		if len(line) > 4*maxPath || strings.ContainsAny(line, "\n\x00") {
			t.Fatalf("%q is no line of bounded length", line)
		}
	}
	for _, id := range []string{e.Session, e.Agent, e.Parent} {
		if id != "" && (len(id) != 12 || strings.Trim(id, "0123456789abcdef") != "") {
			t.Fatalf("session %q", id)
		}
	}
	if e.Source != "" {
		if s, ok := parseSource(e.Source); !ok || s.String() != e.Source {
			t.Fatalf("source %q", e.Source)
		}
	}
	if acts := e.Kind == Edit || e.Kind == Shell || e.Kind == MCP; acts != (e.Phase != "") {
		t.Fatalf("kind %q with phase %q", e.Kind, e.Phase)
	}
	if (e.Kind == MCP) != (e.MCP != nil) {
		t.Fatalf("kind %q with %+v", e.Kind, e.MCP)
	}
	total := 0
	for _, file := range e.Files {
		if file.Path == "" || len(file.Path) > maxPath || len(file.MovedTo) > maxPath || strings.ContainsRune(file.Path+file.MovedTo, 0) {
			t.Fatalf("path %q to %q", file.Path, file.MovedTo)
		}
		if file.HasAfter && e.Phase != After {
			t.Fatal("content afterwards, before")
		}
		total += len(file.Before) + len(file.After)
		for _, c := range file.Changes {
			total += len(c.Old) + len(c.New)
		}
	}
	if len(e.Files) > maxFiles || total > 8*size+maxDerived {
		t.Fatalf("%d files with %d bytes of a payload of %d", len(e.Files), total, size)
	}
}

func orNull(v payload.Value) string {
	if !v.Exists() {
		return "null"
	}
	return string(v.Compact())
}

// TestSurvival feeds what is known to come, and what could.
func TestSurvival(t *testing.T) {
	const head = `{"session_id":"fd328dcb","transcript_path":"/home/dev/.claude/projects/-r/fd328dcb.jsonl","cwd":"/r","hook_event_name":"PreToolUse","tool_name":"mcp__evil__ping","tool_use_id":"t1",`
	const whole = head + `"mcp_server":{"name":"evil"},"tool_input":{"msg":"hé"}}`
	var wide []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + whole)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for _, c := range []struct {
		name  string
		text  []byte
		notes int
	}{
		{"as it should be", []byte(whole), 0},
		{"fields nobody knows", []byte(strings.Replace(whole, `{`, `{"x":{"y":[1,2]},`, 1)), 0},
		{"UTF-16", wide, 0},
		{"control characters in a string", []byte(strings.Replace(whole, "hé", "a\x01\nb", 1)), 0},
		{"a payload that breaks off", []byte(head + `"tool_input":{"msg":"h`), 1},
		{"10 MiB", []byte(head + `"tool_input":{"msg":"` + strings.Repeat("a\\n", 10<<20/3) + `"}}`), 0},
		{"more than is read", []byte(head + `"tool_input":{"msg":"` + strings.Repeat("a", payload.MaxSize) + `"}}`), 1},
		{"nested too deep", []byte(head + `"tool_input":` + strings.Repeat(`{"a":`, 10_000)), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, notes := Decode("", c.text, nil, nil)
			if e.Tool.Name != "claude-code" || e.Kind != MCP || e.Phase != Before || e.MCP.Name != "mcp__evil__ping" || e.Call != "t1" {
				t.Errorf("got %+v", e)
			}
			if len(notes) != c.notes {
				t.Errorf("notes: %v", notes)
			}
		})
	}
}

// TestDerivedContentIsBounded: a small payload must not become a large file.
func TestDerivedContentIsBounded(t *testing.T) {
	text := `{"session_id":"s","transcript_path":"/h/.claude/projects/-r/s.jsonl","hook_event_name":"PostToolUse","tool_name":"MultiEdit","tool_input":{"file_path":"/a","edits":[` +
		strings.TrimSuffix(strings.Repeat(`{"old_string":"a","new_string":"`+strings.Repeat("a", 1000)+`","replace_all":true},`, 5), ",") + `]},"tool_response":{"originalFile":"` + strings.Repeat("a", 1000) + `"}}`
	e, _ := Decode("", []byte(text), nil, nil)
	if len(e.Files) != 1 || e.Files[0].HasAfter || !e.Files[0].HasBefore {
		t.Errorf("got %d files, after %d bytes", len(e.Files), len(e.Files[0].After))
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile(filepath.Join(agentsDir, "claude-code", "PostToolUse-Edit.json"))
	if err != nil {
		b.Fatal(err)
	}
	v, err := payload.Parse(data)
	if err != nil {
		b.Fatal(err)
	}
	text := v.At("stdin").Compact()
	for b.Loop() {
		Decode("claude-code", text, nil, nil)
	}
}
