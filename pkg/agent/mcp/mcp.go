// Package mcp reads which MCP servers a coding agent is configured to use, from
// the agent's own files: what stands behind the name of a server.
//
// A name is chosen by whoever writes the configuration, and several files may
// define it. Servers gives every definition, and does not work out which of them the
// agent takes: that differs between agents and versions, and a person may
// switch a server on by an option that no file shows. Whoever approves a name
// approves all that it is defined as. A server that no file defines is not
// known here.
//
// It starts nothing, asks nobody, and does not judge; see package policy.
package mcp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/payload"
)

// A Server is one definition of an MCP server. Variables in it are as written.
type Server struct {
	Name    string
	Command []string // what it runs, arguments included; they may hold secrets
	URL     string   // what it reaches
	File    string   // where it is defined
}

// Servers lists the definitions that an agent, named as in a record, can have for
// work in dir: in its own files below home, or where variables of the environment
// put them; in those of the machine; and in those of the project, in dir and every directory
// above. Equal definitions of one name are given once. Files that are not there
// are passed over. Of broken ones what can be read is given, beside a diagnostic.
func Servers(tool, dir, home string, environ []string) (servers []Server, notes []error) {
	return read("/", tool, dir, home, environ)
}

func read(root, tool, dir, home string, environ []string) ([]Server, []error) {
	r := reader{root: root, home: home, env: environ}
	r.agent(tool, dir)
	return r.servers, r.notes
}

type reader struct {
	root    string // below which the machine's own files stand
	home    string
	env     []string
	servers []Server
	notes   []error
	done    int64 // bytes read
}

// agent reads the files of one agent. Those marked RUN were seen to be read by the
// agent itself ("mcp list"); the others are documented.
func (r *reader) agent(tool, dir string) {
	switch tool {
	case "claude-code":
		r.json("mcpServers", r.machine("etc/claude-code/managed-mcp.json"), r.machine("Library/Application Support/ClaudeCode/managed-mcp.json"))
		r.claude(r.in("CLAUDE_CONFIG_DIR", "", ".claude.json"), dir)
		r.above(dir, r.json, "mcpServers", ".mcp.json")
	case "codex": // RUN
		r.toml("mcp_servers", r.machine("etc/codex/config.toml"), r.in("CODEX_HOME", ".codex", "config.toml"))
		r.above(dir, r.toml, "mcp_servers", ".codex/config.toml")
	case "gemini-cli": // RUN
		r.json("mcpServers", r.machine("etc/gemini-cli/settings.json"), r.in("", ".gemini", "settings.json"))
		r.above(dir, r.json, "mcpServers", ".gemini/settings.json")
	case "qwen-code": // RUN
		r.json("mcpServers", r.machine("etc/qwen-code/settings.json"), r.in("", ".qwen", "settings.json"))
		r.above(dir, r.json, "mcpServers", ".qwen/settings.json", ".mcp.json")
	case "copilot-cli": // RUN
		r.json("mcpServers", r.in("COPILOT_HOME", ".copilot", "mcp-config.json"))
		r.above(dir, r.json, "mcpServers", ".mcp.json", ".github/mcp.json")
	case "copilot-vscode":
		r.json("servers", r.in("", ".config/Code/User", "mcp.json"), r.in("", "Library/Application Support/Code/User", "mcp.json"))
		r.above(dir, r.json, "servers", ".vscode/mcp.json")
	case "opencode": // RUN
		for _, name := range []string{"config.json", "opencode.json", "opencode.jsonc"} {
			r.json("mcp", r.in("XDG_CONFIG_HOME", ".config", "opencode/"+name))
			r.above(dir, r.json, "mcp", name, ".opencode/"+name)
		}
		r.json("mcp", r.get("OPENCODE_CONFIG"))
		r.text("mcp", "OPENCODE_CONFIG_CONTENT", []byte(r.get("OPENCODE_CONFIG_CONTENT")))
	case "cline":
		r.json("mcpServers", r.get("CLINE_MCP_SETTINGS_PATH"), r.in("CLINE_DATA_DIR", ".cline/data", "settings/cline_mcp_settings.json"))
	case "cursor":
		r.json("mcpServers", r.in("", ".cursor", "mcp.json"))
		r.above(dir, r.json, "mcpServers", ".cursor/mcp.json")
	case "windsurf":
		r.json("mcpServers", r.in("", ".codeium/windsurf", "mcp_config.json"), r.in("", ".codeium", "mcp_config.json"))
	case "crush":
		r.json("mcp", r.in("XDG_CONFIG_HOME", ".config", "crush/crush.json"))
		r.above(dir, r.json, "mcp", "crush.json", ".crush.json")
	}
}

func (r *reader) get(name string) string {
	for _, kv := range r.env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// machine is the path of a file that is everybody's.
func (r *reader) machine(path string) string { return filepath.Join(r.root, path) }

// in is the path of a file in the directory that a variable names, or else in one below
// home; "" without either.
func (r *reader) in(variable, belowHome, name string) string {
	if dir := r.get(variable); variable != "" && dir != "" {
		return filepath.Join(dir, name)
	}
	if r.home == "" {
		return ""
	}
	return filepath.Join(r.home, belowHome, name)
}

// maxAbove bounds the directories above that are looked into.
const maxAbove = 64

// above reads files of a project, from dir upwards.
func (r *reader) above(dir string, read func(member string, paths ...string), member string, names ...string) {
	if !filepath.IsAbs(dir) {
		return
	}
	dir = filepath.Clean(dir)
	for range maxAbove {
		for _, name := range names {
			read(member, filepath.Join(dir, name))
		}
		up := filepath.Dir(dir)
		if up == dir {
			return
		}
		dir = up
	}
}

// json reads the servers in one member of JSON files, which may hold comments.
func (r *reader) json(member string, paths ...string) {
	for _, path := range paths {
		r.text(member, path, r.read(path))
	}
}

func (r *reader) text(member, name string, data []byte) {
	if len(data) == 0 {
		return
	}
	v, err := payload.Parse(payload.Plain(data))
	if err != nil {
		r.note(name, err)
	}
	r.table(name, v.At(member))
}

// claude reads Claude Code's own file, which holds the user's servers, and those of
// each project by its directory.
func (r *reader) claude(path, dir string) {
	data := r.read(path)
	if len(data) == 0 {
		return
	}
	v, err := payload.Parse(data)
	if err != nil {
		r.note(path, err)
	}
	r.table(path, v.At("mcpServers"))
	for project, settings := range v.At("projects").Members() {
		if rel, err := filepath.Rel(project, dir); err == nil && filepath.IsLocal(rel) {
			r.table(path, settings.At("mcpServers"))
		}
	}
}

// table reads the servers of an object, by their names.
func (r *reader) table(file string, servers payload.Value) {
	for name, v := range servers.Members() {
		s := Server{Name: name, File: file}
		for _, member := range []string{"url", "httpUrl", "serverUrl"} {
			if url := v.At(member).String(); url != "" {
				s.URL = url
			}
		}
		var err error
		if s.Command, err = command(v); err != nil {
			r.note(file, fmt.Errorf("server %.60q: %w", name, err))
		}
		r.add(s)
	}
}

// command is what a server runs: a program and its arguments, or, with OpenCode,
// a list of both. One that cannot be read whole is not known.
func command(v payload.Value) ([]string, error) {
	program := v.At("command").String()
	if program == "" {
		list, ok := v.At("command").Strings()
		if !ok {
			return nil, errors.New("its command is no list of strings")
		}
		return list, nil
	}
	args, ok := v.At("args").Strings()
	if !ok {
		return nil, errors.New("its args are no list of strings")
	}
	return append([]string{program}, args...), nil
}

// maxServers bounds what a hostile file can ask for.
const maxServers = 1000

// add keeps a definition that is not there yet.
func (r *reader) add(s Server) {
	same := func(t Server) bool {
		return t.Name == s.Name && t.URL == s.URL && slices.Equal(t.Command, s.Command)
	}
	switch {
	case len(r.servers) >= maxServers:
		r.note(s.File, fmt.Errorf("more than %d servers; %.60q is left out", maxServers, s.Name))
	case !slices.ContainsFunc(r.servers, same):
		r.servers = append(r.servers, s)
	}
}

// maxNotes bounds the diagnostics.
const maxNotes = 20

func (r *reader) note(file string, err error) {
	if len(r.notes) < maxNotes {
		r.notes = append(r.notes, fmt.Errorf("%s: %w", file, err))
	}
}

// maxRead bounds what is read of all files together, in bytes.
const maxRead = 64 << 20

// read reads a regular file, or nothing where there is none.
func (r *reader) read(path string) []byte {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && !info.Mode().IsRegular():
		return nil
	case err != nil:
		r.note(path, err)
		return nil
	case info.Size() > payload.MaxSize || info.Size() > maxRead-r.done:
		r.note(path, errors.New("too much to read"))
		return nil
	}
	r.done += info.Size()
	data, err := os.ReadFile(path)
	if err != nil {
		r.note(path, err)
		return nil
	}
	return data
}
