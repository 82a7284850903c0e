package agentevent_test

import (
	"path/filepath"
	"strings"
)

// policy makes a policy visible that approves MCP servers by name, and no other.
func (w *world) policy(servers ...string) {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("schema = 1\n")
	for _, s := range servers {
		b.WriteString("[[mcp]]\nserver = \"" + s + "\"\nstatus = \"approved\"\n")
	}
	w.policyText(b.String())
}

func (w *world) policyText(text string) {
	w.t.Helper()
	w.put(filepath.Join(w.home, ".config/gatekeeper/policy.toml"), text)
}
