package audit

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent/mcp"
	"github.com/gatekeeper-git/gatekeeper/pkg/audit/store"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// configures remembers a file in which agents look for MCP servers.
func (w *writing) configures(ctx context.Context, tx *sql.Tx, path string) error {
	if mcp.ProjectTool(path) == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO mcp_seen (repo, file, run) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", w.place.id, path, w.x.run)
	return err
}

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// servers reads the MCP configuration in the tree of the default branch, where it is not
// as the last run found it.
func (x *indexer) servers(ctx context.Context, p *place) error {
	if p.same {
		return nil
	}
	files, err := x.configFiles(ctx, p)
	if err != nil || len(files) == 0 || p.tips[0].commit == "" {
		return err
	}
	objects, err := p.Batch(ctx)
	if err != nil {
		return err
	}
	defer objects.Close()
	ref := defaultBranch(p.tips)
	return x.do(ctx, func(tx *sql.Tx) error {
		rows := store.Into(ctx, tx, "mcp_file", "repo", "ref", "file", "run", "oid", "problem", "servers")
		for _, file := range files {
			content, blob, err := repo.FileAt(objects, p.tips[0].commit, file, maxConfig)
			if err != nil {
				return err
			}
			var last []byte
			err = tx.QueryRowContext(ctx, "SELECT oid FROM mcp_file WHERE repo = ? AND ref = ? AND file = ? ORDER BY run DESC LIMIT 1", p.id, ref, file).Scan(&last)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if bytes.Equal(last, []byte(blob)) {
				continue
			}
			problem, servers, err := configured(file, content, blob != "")
			if err != nil {
				return err
			}
			rows.Row(p.id, ref, file, x.run, raw(blob), problem, servers)
		}
		return rows.Flush()
	})
}

func (x *indexer) configFiles(ctx context.Context, p *place) (files []string, err error) {
	rows, err := x.store.QueryContext(ctx, "SELECT file FROM mcp_seen WHERE repo = ? ORDER BY file", p.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var file string
		if err := rows.Scan(&file); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, rows.Err()
}

// configured is what a file defines, as it is stored.
func configured(file string, content []byte, there bool) (problem string, servers []byte, err error) {
	var list []mcp.Server
	if there && content == nil {
		problem = fmt.Sprintf("it is larger than %d bytes", maxConfig)
	} else if there {
		var notes []error
		list, notes = mcp.Project(file, content)
		for i := range list {
			list[i].File = ""
		}
		problem = text(strings.TrimPrefix(fmt.Sprint(errors.Join(notes...)), "<nil>"))
	}
	servers, err = json.Marshal(list)
	return problem, servers, err
}

// MCPSchema names the version of MCP as JSON.
const MCPSchema = "gatekeeper/audit-mcp/v1"

// MCP is what is known of MCP servers.
type MCP struct {
	Schema     string          `json:"schema"`
	AsOf       *time.Time      `json:"as_of"`
	Used       []MCPUsed       `json:"used"`       // as commits record it
	Configured []MCPConfigured `json:"configured"` // in the trees of default branches
	Broken     []MCPBroken     `json:"broken"`     // configuration that could not be read whole
}

// MCPUsed is a server that an agent used.
type MCPUsed struct {
	Server       string   `json:"server"` // a name, which whoever configures it chooses
	Tool         string   `json:"tool"`   // the agent
	Commits      int64    `json:"commits"`
	First        string   `json:"first"`
	Last         string   `json:"last"`
	Repositories []string `json:"repositories"`
	Approval     string   `json:"approval"` // approved, unsanctioned, mixed or not judged; at the time of each commit, by name
	Rule         string   `json:"rule,omitempty"`
}

// MCPConfigured is one definition of a server.
type MCPConfigured struct {
	Server     string   `json:"server"`
	Tool       string   `json:"tool"` // the agent that looks there
	Repository string   `json:"repository"`
	Ref        string   `json:"ref"`
	File       string   `json:"file"`
	Command    []string `json:"command"`
	URL        string   `json:"url"`
	Since      string   `json:"since"`    // the file as it is: date of the run that found it so
	Approval   string   `json:"approval"` // approved, unsanctioned or not judged, by what it runs or reaches
	Rule       string   `json:"rule,omitempty"`
	Reason     string   `json:"reason"`
	Unpinned   string   `json:"unpinned"` // why another day may run another program; "" when nothing says so
	Drift      []string `json:"drift"`    // in what it differs from before, and from elsewhere
}

// Runs is what it runs or reaches, for people.
func (m MCPConfigured) Runs() string {
	if m.URL != "" {
		return m.URL
	}
	return strings.Join(m.Command, " ")
}

// MCPBroken is a file that could not be read whole.
type MCPBroken struct {
	Repository string `json:"repository"`
	File       string `json:"file"`
	Problem    string `json:"problem"`
}

// Words for approvals.
const (
	approved     = "approved"
	unsanctioned = "unsanctioned"
	notJudged    = "not judged"
	mixed        = "mixed"
)

// MCP tells what the commits of a period used, and what is configured as of the view. A nil
// policy means those of the index.
func (v *View) MCP(ctx context.Context, during Period, instead *policy.Policy) (*MCP, error) {
	m := &MCP{Schema: MCPSchema, AsOf: v.AsOf, Used: []MCPUsed{}, Configured: []MCPConfigured{}, Broken: []MCPBroken{}}
	if err := v.mcpUsed(ctx, m, during, instead); err != nil {
		return nil, fmt.Errorf("read MCP servers used: %w", err)
	}
	if err := v.mcpConfigured(ctx, m, instead); err != nil {
		return nil, fmt.Errorf("read MCP servers configured: %w", err)
	}
	return m, nil
}

// lawAt is the policy for a repository at a time, nil when none is known.
func (v *View) lawAt(repo int64, at time.Time, instead *policy.Policy) *policy.Policy {
	if instead != nil {
		return instead
	}
	return v.Repositories[repo].Law.at(at)
}

func judgedMCP(p *policy.Policy, q policy.MCPQuery) (word string, d policy.Decision) {
	if p == nil || !p.JudgesMCP() {
		return notJudged, d
	}
	if d = p.MCP(q); d.Allowed {
		return approved, d
	}
	return unsanctioned, d
}

// mcpUsed reads the servers that records of commits name.
func (v *View) mcpUsed(ctx context.Context, m *MCP, during Period, instead *policy.Policy) error {
	since, until := during.seconds()
	rows, err := v.Store.QueryContext(ctx, `SELECT s.name, u.tool, c.repo, c.committed, coalesce(c.received, c.committed), c.id
		FROM server s JOIN claim k ON k.judgement = s.judgement AND k.n = s.n JOIN use u ON u.id = k.use
		JOIN judgement j ON j.id = s.judgement JOIN commits c ON c.id = j.commit_id
		WHERE j.run <= ?1 AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.judgement = j.id AND x.run <= ?1)
		AND c.committed >= ?2 AND c.committed < ?3
		AND coalesce((SELECT present FROM presence p WHERE p.commit_id = c.id AND p.run <= ?1 ORDER BY p.run DESC LIMIT 1), 1)`, v.Run, since, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	type key struct{ server, tool string }
	type seen struct {
		commits, repos map[int64]bool
		first, last    int64
		words, rules   map[string]bool
	}
	found := map[key]*seen{}
	for rows.Next() {
		var k key
		var repo, committed, at, commit int64
		if err := rows.Scan(&k.server, &k.tool, &repo, &committed, &at, &commit); err != nil {
			return err
		}
		s := found[k]
		if s == nil {
			s = &seen{commits: map[int64]bool{}, repos: map[int64]bool{}, first: committed, last: committed, words: map[string]bool{}, rules: map[string]bool{}}
			found[k] = s
		}
		s.commits[commit], s.repos[repo] = true, true
		s.first, s.last = min(s.first, committed), max(s.last, committed)
		word, d := judgedMCP(v.lawAt(repo, time.Unix(at, 0), instead), policy.MCPQuery{Server: k.server, NameOnly: true})
		s.words[word] = true
		if d.Rule != "" {
			s.rules[d.Rule] = true
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for k, s := range found {
		u := MCPUsed{Server: k.server, Tool: k.tool, Commits: int64(len(s.commits)), First: dateOf(s.first), Last: dateOf(s.last),
			Repositories: v.names(s.repos), Approval: mixed, Rule: strings.Join(slices.Sorted(maps.Keys(s.rules)), ",")}
		if len(s.words) == 1 {
			u.Approval = slices.Collect(maps.Keys(s.words))[0]
		}
		m.Used = append(m.Used, u)
	}
	slices.SortFunc(m.Used, func(a, b MCPUsed) int {
		return cmp.Or(cmp.Compare(b.Commits, a.Commits), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Tool, b.Tool))
	})
	return nil
}

// names are the names of repositories, in order.
func (v *View) names(repos map[int64]bool) []string {
	names := []string{}
	for id := range repos {
		names = append(names, v.Repositories[id].Name)
	}
	slices.Sort(names)
	return names
}

// mcpConfigured reads the files, each as the last run found it, and in what it differs
// from the time before.
func (v *View) mcpConfigured(ctx context.Context, m *MCP, instead *policy.Policy) error {
	rows, err := v.Store.QueryContext(ctx, `SELECT m.repo, m.ref, m.file, m.oid, m.problem, m.servers, r.began FROM mcp_file m JOIN run r ON r.id = m.run
		WHERE m.run <= ? ORDER BY m.repo, m.ref, m.file, m.run`, v.Run)
	if err != nil {
		return err
	}
	defer rows.Close()
	type place struct {
		repo      int64
		ref, file string
	}
	type version struct {
		place
		problem string
		servers []mcp.Server
		began   int64
		gone    bool
	}
	var before, last *version
	settle := func() {
		if last == nil || last.gone {
			return
		}
		repo := v.Repositories[last.repo]
		if last.problem != "" {
			m.Broken = append(m.Broken, MCPBroken{repo.Name, last.file, last.problem})
		}
		for _, s := range last.servers {
			word, d := judgedMCP(v.lawAt(last.repo, time.Unix(last.began, 0), instead), policy.MCPQuery{Server: s.Name, Command: s.Command, URL: s.URL})
			c := MCPConfigured{Server: s.Name, Tool: mcp.ProjectTool(last.file), Repository: repo.Name, Ref: last.ref, File: last.file,
				Command: append([]string{}, s.Command...), URL: s.URL, Since: dateOf(last.began), Approval: word, Rule: d.Rule, Reason: d.Reason,
				Unpinned: unpinned(s.Command), Drift: []string{}}
			if before != nil && !before.gone && !slices.ContainsFunc(before.servers, func(o mcp.Server) bool { return sameServer(o, s) }) {
				c.Drift = append(c.Drift, "changed on "+c.Since)
			}
			m.Configured = append(m.Configured, c)
		}
	}
	for rows.Next() {
		n := &version{}
		var oid, servers []byte
		if err := rows.Scan(&n.repo, &n.ref, &n.file, &oid, &n.problem, &servers, &n.began); err != nil {
			return err
		}
		n.gone = len(oid) == 0
		if err := json.Unmarshal(servers, &n.servers); err != nil {
			return err
		}
		if last != nil && last.place != n.place {
			settle()
			last = nil
		}
		before, last = last, n
	}
	settle()
	drift(m.Configured)
	return rows.Err()
}

func sameServer(a, b mcp.Server) bool {
	return a.Name == b.Name && a.URL == b.URL && slices.Equal(a.Command, b.Command)
}

// drift says which definitions of one name differ from what most files have.
func drift(all []MCPConfigured) {
	counts := map[string]map[string]int{}
	for _, c := range all {
		if counts[c.Server] == nil {
			counts[c.Server] = map[string]int{}
		}
		counts[c.Server][c.Runs()]++
	}
	for i := range all {
		most, n := "", 0
		for _, runs := range slices.Sorted(maps.Keys(counts[all[i].Server])) {
			if k := counts[all[i].Server][runs]; k > n {
				most, n = runs, k
			}
		}
		if len(counts[all[i].Server]) > 1 && all[i].Runs() != most {
			all[i].Drift = append(all[i].Drift, fmt.Sprintf("%d other files run %q", n, most))
		}
	}
	slices.SortFunc(all, func(a, b MCPConfigured) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.File, b.File), cmp.Compare(a.Runs(), b.Runs()))
	})
}

// unpinned says why a command may run another program tomorrow: it fetches one by a name
// without an exact version or digest. It knows the runners that MCP servers are mostly
// started with.
func unpinned(command []string) string {
	if len(command) == 0 {
		return ""
	}
	program := strings.TrimSuffix(strings.ToLower(command[0][strings.LastIndexAny(command[0], `/\`)+1:]), ".exe")
	program = strings.TrimSuffix(program, ".cmd")
	args := command[1:]
	switch program {
	case "npx", "bunx", "pnpx":
		return npmPinned(argument(args, "-p", "--package"))
	case "pnpm", "yarn":
		if len(args) > 0 && args[0] == "dlx" {
			return npmPinned(argument(args[1:], "-p", "--package"))
		}
	case "uvx", "pipx":
		if program == "pipx" && len(args) > 0 && args[0] == "run" {
			args = args[1:]
		}
		return pyPinned(argument(args, "--from", "--spec"))
	case "uv":
		if len(args) > 1 && args[0] == "tool" && args[1] == "run" {
			return pyPinned(argument(args[2:], "--from"))
		}
	case "docker", "podman":
		return imagePinned(args)
	case "go":
		if len(args) > 1 && args[0] == "run" {
			return goPinned(args[1])
		}
	}
	return ""
}

// argument is the value of one of the flags or else the first that is no flag.
func argument(args []string, flags ...string) string {
	first := ""
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		switch {
		case slices.Contains(flags, name) && joined:
			return value
		case slices.Contains(flags, a) && i+1 < len(args):
			return args[i+1]
		case first == "" && !strings.HasPrefix(a, "-"):
			first = a
		}
	}
	return first
}

func npmPinned(pkg string) string {
	at := strings.LastIndexByte(pkg, '@')
	switch {
	case pkg == "" || strings.HasPrefix(pkg, ".") || strings.HasPrefix(pkg, "/"):
		return ""
	case at <= 0:
		return "no version of " + pkg
	case !exact(pkg[at+1:]):
		return pkg[at+1:] + " is no exact version of " + pkg[:at]
	}
	return ""
}

func pyPinned(pkg string) string {
	for _, sign := range []string{"==", "@"} {
		if _, version, ok := strings.Cut(pkg, sign); ok {
			if exact(version) || sign == "@" && strings.HasPrefix(strings.TrimSpace(version), "git+") && len(version) > 40 {
				return ""
			}
			return version + " is no exact version"
		}
	}
	if pkg == "" || strings.HasPrefix(pkg, ".") || strings.HasPrefix(pkg, "/") {
		return ""
	}
	return "no version of " + pkg
}

func goPinned(pkg string) string {
	if strings.HasPrefix(pkg, ".") || strings.HasPrefix(pkg, "/") {
		return ""
	}
	if _, version, ok := strings.Cut(pkg, "@"); ok && exact(strings.TrimPrefix(version, "v")) {
		return ""
	}
	return "no exact version of " + pkg
}

// exact reports whether a version is one release: digits, dots, and what may stand behind
// them.
func exact(version string) bool {
	number, _, _ := strings.Cut(version, "-")
	parts := strings.Split(number, ".")
	return len(parts) >= 3 && !slices.ContainsFunc(parts, func(p string) bool {
		return p == "" || strings.Trim(p, "0123456789") != "" && !strings.ContainsAny(p, "+")
	})
}

// imagePinned looks for the image behind `run` and its flags: of the words that are left,
// the first that names one.
func imagePinned(args []string) string {
	i := slices.Index(args, "run")
	if i < 0 {
		return ""
	}
	rest := args[i+1:]
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		switch {
		case strings.HasPrefix(a, "-") && takesValue(a) && !strings.Contains(a, "="):
			i++
		case strings.HasPrefix(a, "-"):
		case strings.Contains(a, "@sha256:"):
			return ""
		default:
			return "no digest of the image " + a
		}
	}
	return ""
}

// takesValue reports whether a flag of `docker run` takes the next word.
func takesValue(flag string) bool {
	return !slices.Contains([]string{"-i", "-t", "-d", "-it", "-ti", "--rm", "--init", "--interactive", "--tty", "--detach", "--privileged", "--read-only"}, flag)
}
