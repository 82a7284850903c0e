// Package agent knows the coding agents: one file each, with the marks that an
// agent leaves on the processes it starts, the way its own process looks, the
// events that its hooks tell, and where its files name the model.
//
// Detect says which agents stand behind the calling process. It answers from
// the environment and from the processes above, both of which whoever owns the
// shell can forge: what it finds is observed, never proved.
//
// Decode reads one event of an agent's own hook, ResolveModel finds the model
// that the event did not name, and Answer says yes or no in the agent's words.
// Everything read is hostile: bounded, never fatal, and never guessed from. A model
// is named only where the agent itself names it.
//
// The tables of Detect and Decode are apart, so that binaries which only detect
// do not link what reads payloads. It does not decide what becomes of what is
// seen; see packages session and policy.
package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// An Observation is one agent seen at work. Parts nobody said are empty.
type Observation struct {
	Tool    provenance.Tool
	Model   provenance.Model
	Session string // as SessionID writes it
	Via     provenance.Via
}

// Record is the observation as a record of a commit, with lines unknown.
func (o Observation) Record() provenance.Record {
	return provenance.Record{Tool: o.Tool, Model: o.Model, Via: o.Via, Session: o.Session}
}

// A Process is a process above the calling one. Command lines are not kept:
// they hold what people type, passwords included.
type Process struct {
	PID    int
	Comm   string // the name that the kernel shows, at most 15 bytes on Linux
	Exe    string // path of the program, "" when it may not be read
	Script string // what an interpreter runs: a path, or a module name of python -m
}

// An agent is what this package knows of one coding agent. Names of variables
// and processes were seen in the agent's own commits unless its file says otherwise.
type agent struct {
	name    string                   // TOOL of a record
	marks   []mark                   // each by itself shows a child of this agent
	session []string                 // variables that hold the session id, best first
	model   []string                 // variables that hold the model
	version func(environment) string // nil when no variable tells
	// hookMarks are set for hooks where marks are not; marksHooks says that a hook of
	// this agent always sees one of either.
	hookMarks  []mark
	marksHooks bool
	programs   []string // comm, or base name of exe, without .exe
	scripts    []string // script of an interpreter, see Process.runs
	// editor lists programs that also serve people: they count only beside a mark.
	editor []string
}

// A mark is a variable that an agent sets for its children. An empty value
// means that any value but the empty one will do.
type mark struct{ name, value string }

// agents is every agent known, in the order of names, so that answers have one order.
func agents() []agent {
	return []agent{
		aider(), amp(), claudeCode(), cline(), codex(), continueCLI(), copilotCLI(),
		copilotVSCode(), crush(), cursor(), geminiCLI(), openCode(), qwenCode(), windsurf(),
	}
}

// Detect names the agents behind a process with this environment and these
// ancestors, nearest first.
//
// The nearest known ancestor decides alone. Marks in the environment are
// inherited, so of two nested agents they show both, while only the inner one
// committed. Without a known ancestor (other systems than Linux, a remote
// shell, a detached process) every agent whose own mark is set counts: naming one
// too many is better than choosing the wrong one.
//
// CLAUDE_PROJECT_DIR and GEMINI_PROJECT_DIR are no marks: several agents set
// each other's.
func Detect(environ []string, ancestors []Process) []Observation {
	env := environment(environ)
	known := agents()
	for _, p := range ancestors {
		for _, a := range known {
			if a.is(p, env) {
				return []Observation{a.observe(env)}
			}
		}
	}
	var seen []Observation
	for _, a := range known {
		if a.marked(env) {
			seen = append(seen, a.observe(env))
		}
	}
	return seen
}

// is reports whether p is the agent's own process.
func (a agent) is(p Process, env environment) bool {
	for _, name := range a.programs {
		if p.named(name) {
			return true
		}
	}
	for _, s := range a.scripts {
		if p.runs(s) {
			return true
		}
	}
	for _, name := range a.editor {
		if p.named(name) {
			return a.marked(env)
		}
	}
	return false
}

func (a agent) marked(env environment) bool { return env.has(a.marks) }

func (a agent) observe(env environment) Observation {
	o := Observation{Tool: provenance.Tool{Name: a.name}, Via: provenance.ViaProcess}
	if a.version != nil {
		o.Tool.Version = bounded(a.version(env))
	}
	o.Model = CanonicalModel(env.first(a.model))
	if id := env.first(a.session); id != "" {
		o.Session = SessionID(id)
	}
	return o
}

// named reports whether the process is the program of this name.
func (p Process) named(name string) bool {
	return program(p.Comm) == name || p.Exe != "" && program(base(p.Exe)) == name
}

func program(name string) string { return strings.TrimSuffix(name, ".exe") }

// runs reports whether an interpreter runs the script: its base name, or, when
// want has a slash, the end of its path at a slash.
func (p Process) runs(want string) bool {
	s := strings.ReplaceAll(p.Script, `\`, "/")
	return s == want || strings.HasSuffix(s, "/"+want)
}

func base(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i >= 0 {
		return path[i+1:]
	}
	return path
}

// environment is a process environment, NAME=value each. Of two entries of one
// name the first counts, as getenv(3) has it.
type environment []string

func (e environment) get(name string) string {
	for _, kv := range e {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:]
		}
	}
	return ""
}

// first is the value of the first variable that has one.
func (e environment) first(names []string) string {
	for _, n := range names {
		if v := e.get(n); v != "" {
			return v
		}
	}
	return ""
}

// has reports whether one of the marks is set.
func (e environment) has(marks []mark) bool {
	for _, m := range marks {
		v := e.get(m.name)
		if v != "" && (m.value == "" || m.value == v) {
			return true
		}
	}
	return false
}

// SessionID is how a record names an agent's session: the first 12 hex digits
// of the SHA-256 of the agent's own id, which tells whoever has the agent's
// logs which one it was, and nobody else.
func SessionID(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:6])
}

// bounded drops what cannot be a version or the name of a model: what is too
// long, so that a record stays within the length of a trailer, and what is no text.
func bounded(s string) string {
	if len(s) > 200 || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}
