package mark_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mark"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// disclosures are lines as they stand in public commits and policies of projects.
var disclosures = []struct{ name, lines, want string }{
	{"Linux to 7.2", "Assisted-by: Claude:claude-3-opus coccinelle sparse", "/claude-3-opus"},
	{"among sign-offs", "Fixes: f24c4d478013 (\"efi: Reinstate\")\nAssisted-by: Claude:claude-sonnet-4-5\nSigned-off-by: A <a@example.com>", "/claude-sonnet-4-5"},
	{"two on a line, one of them unknown", "Assisted-by: Claude:claude-opus-4-7 Sashiko:claude-haiku-4-5", "/claude-opus-4-7"},
	{"two on a line", "Assisted-by: Codex:gpt-5.4 Claude Code:claude-sonnet-4-6", "codex/gpt-5.4 claude-code/claude-sonnet-4-6"},
	{"one line each", "Assisted-by: OpenCode:qwen3.6-plus\nAssisted-by: Gemini CLI:gemini-3.1-pro-preview", "opencode/qwen3.6-plus gemini-cli/gemini-3.1-pro-preview"},
	{"whatever the case", "assisted-by: codex:GPT-5.5", "codex/GPT-5.5"},
	{"Mesa", "Assisted-by: Claude Code (claude-opus-4-6)", "claude-code/claude-opus-4-6"},
	{"Mesa, without a version", "Assisted-by: Cursor (auto)", "cursor/"},
	{"Mesa, a name that people have", "Assisted-by: Claude (Opus 4.6)", "/Opus 4.6"},
	{"OpenInfra", "Generated-by: GitHub Copilot", "copilot/"},
	{"LLVM", "Assisted-by: Claude Code", "claude-code/"},
	{"Linux from 7.3", "Assisted-by: LLM coccinelle", "/"},
	{"Fedora", "Assisted-by: generic LLM chatbot", "/"},
	{"our own public trailer", "Assisted-by: claude-code:claude-opus-4-6", "claude-code/claude-opus-4-6"},
	{"with a model a name counts that may be a person's", "Assisted-by: Devin:devin-2", "devin/devin-2"},

	{"a person", "Assisted-by: Claude Dupont", ""},
	{"a person's first name", "Assisted-by: Claude", ""},
	{"another", "Assisted-by: Gemini\nAssisted-by: Devin\nAssisted-by: Jules\nAssisted-by: Crush", ""},
	{"with an address", "Assisted-by: Codex <codex@example.com>\nAssisted-by: Claude:x <a@example.com>", ""},
	{"a name and a place", "Assisted-by: Claude (Paris)", ""},
	{"curl", "Assisted-by: Viktor Szakats\nAssisted-by: Daniel Stenberg", ""},
	{"prose", "Assisted-by: Codex and me, in turns", ""},
	{"a colon that names nothing", "Assisted-by: Claude: \nAssisted-by: Codex:", ""},
	{"a bracket that does not close", "Assisted-by: Claude Code (claude-opus-4-6", ""},
	{"a longer name", "Assisted-by: Codexes:x1\nAssisted-by: LLMs\nAssisted-by: Cursory", ""},
	{"analysis alone", "Assisted-by: coccinelle sparse", ""},
	{"another trailer", "Reviewed-by: Codex:gpt-5.4\nSuggested-by: Claude Code", ""},
}

func TestDisclosed(t *testing.T) {
	for _, tt := range disclosures {
		t.Run(tt.name, func(t *testing.T) {
			block, err := trailer.Read([]byte("s\n\n" + tt.lines + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mark.Disclosed(block.Other) {
				got = append(got, m.Tool+"/"+m.Model)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzDisclosed holds what was read to the line that it stands in.
func FuzzDisclosed(f *testing.F) {
	for _, d := range disclosures {
		f.Add(d.lines)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		block, err := trailer.Read([]byte("s\n\n" + lines + "\n"))
		if err != nil {
			return
		}
		marks := mark.Disclosed(block.Other)
		if len(marks) > mark.Most {
			t.Fatalf("%d marks", len(marks))
		}
		seen := map[string]bool{}
		for _, m := range marks {
			value := block.Other[m.At].Value
			if !strings.Contains(value, m.Model) || strings.ContainsAny(value, "@<") {
				t.Errorf("%+v is not of %q", m, value)
			}
			key := fmt.Sprint(m.Tool, "/", m.Model)
			if seen[key] {
				t.Errorf("%s stands twice", key)
			}
			seen[key] = true
		}
	})
}
