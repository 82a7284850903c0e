package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Notes are what is known of agents' sessions in all work trees of a repository, a
// small file each: a commit opens those of the sessions that it names, however many
// there are.
type Notes struct{ dir string }

// OpenNotes names the notes of the repository with this common git directory.
func OpenNotes(commonDir string) Notes {
	return Notes{filepath.Join(commonDir, "gatekeeper", "sessions")}
}

// maxServers bounds the MCP servers of a session that are remembered.
const maxServers = 32

const notesHead = "gatekeeper session v1\n"

// MCP lists the MCP servers that a session used, by name.
func (n Notes) MCP(session string) ([]string, error) {
	if session == "" {
		return nil, nil
	}
	data, err := os.ReadFile(n.path(session))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what session %s used: %w", session, err)
	}
	return parseNotes(string(data)), nil
}

// UsedMCP takes note that a session used an MCP server.
func (n Notes) UsedMCP(session, server string) error {
	known, err := n.MCP(session)
	if err != nil || session == "" || slices.Contains(known, server) || len(known) >= maxServers {
		return err
	}
	known = append(known, server)
	slices.Sort(known)
	if err := os.MkdirAll(n.dir, 0o777); err != nil {
		return fmt.Errorf("note what session %s used: %w", session, err)
	}
	if err := repo.WriteFileAtomic(n.path(session), []byte(formatNotes(known))); err != nil {
		return fmt.Errorf("note what session %s used: %w", session, err)
	}
	return nil
}

func formatNotes(servers []string) string {
	var b strings.Builder
	b.WriteString(notesHead)
	for _, s := range servers {
		fmt.Fprintf(&b, "mcp %q\n", s)
	}
	b.WriteString("end\n")
	return b.String()
}

func parseNotes(text string) (servers []string) {
	rest, ok := strings.CutPrefix(text, notesHead)
	rest, whole := strings.CutSuffix(rest, "end\n")
	if !ok || !whole {
		return nil
	}
	for line := range strings.Lines(rest) {
		word, line, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if v, err := quoted(line); err == nil && word == "mcp" && len(v) == 1 {
			servers = append(servers, v[0])
		}
	}
	return servers
}

// path is safe whatever the session is called: SessionID gives hexadecimal digits, and
// anything else is hashed.
func (n Notes) path(session string) string { return filepath.Join(n.dir, workName(session)) }

// Prune drops the notes of sessions that nothing was heard of since.
func (n Notes) Prune(since time.Time) error { return prune(n.dir, since, nil) }

// prune removes the files of a directory that are older than since, but for those to keep.
func prune(dir string, since time.Time, keep func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var all []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() || !info.ModTime().Before(since) || keep != nil && keep(e.Name()) {
			continue
		}
		all = append(all, remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(all...)
}
