package mcp

import (
	"errors"
	"path"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// projectFiles are the files of a project in which agents look for servers, in the
// project's own folder or any above the one they work in; and who looks there. See
// reader.agent.
var projectFiles = []struct {
	name, tool, member string
	read               func(r *reader, member, name string, data []byte)
}{
	{".mcp.json", "claude-code", "mcpServers", (*reader).text},
	{".codex/config.toml", "codex", "mcp_servers", (*reader).tomlText},
	{".gemini/settings.json", "gemini-cli", "mcpServers", (*reader).text},
	{".qwen/settings.json", "qwen-code", "mcpServers", (*reader).text},
	{".github/mcp.json", "copilot-cli", "mcpServers", (*reader).text},
	{".vscode/mcp.json", "copilot-vscode", "servers", (*reader).text},
	{".cursor/mcp.json", "cursor", "mcpServers", (*reader).text},
	{"opencode.json", "opencode", "mcp", (*reader).text},
	{"opencode.jsonc", "opencode", "mcp", (*reader).text},
	{"crush.json", "crush", "mcp", (*reader).text},
	{".crush.json", "crush", "mcp", (*reader).text},
}

// ProjectTool is the agent that looks for servers in a file of a project, by the file's
// path with slashes; "" when none does.
func ProjectTool(file string) string {
	for _, f := range projectFiles {
		if file == f.name || strings.HasSuffix(file, "/"+f.name) {
			return f.tool
		}
	}
	return ""
}

// Project lists the servers that a file of a project defines. What can be read of a
// broken one is given, beside a diagnostic.
func Project(file string, data []byte) ([]Server, []error) {
	r := &reader{}
	if len(data) > payload.MaxSize {
		r.note(file, errors.New("too much to read"))
		return nil, r.notes
	}
	for _, f := range projectFiles {
		if path.Clean(file) == f.name || strings.HasSuffix(file, "/"+f.name) {
			f.read(r, f.member, file, data)
			return r.servers, r.notes
		}
	}
	return nil, nil
}
