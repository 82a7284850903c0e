package gittest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// AgentPrograms are the coding agents that an installation looks for on PATH.
var AgentPrograms = []string{
	"aider", "amp", "claude", "cline", "cn", "codex", "copilot", "crush", "cursor",
	"cursor-agent", "gemini", "opencode", "qwen", "windsurf",
}

// Path is a PATH without the coding agents of this machine, so that no test sets up
// or starts one. A folder that holds one is replaced by a folder below dir, with links
// to everything else in it.
func Path(path, dir string) (string, error) {
	folders := filepath.SplitList(path)
	for i, folder := range folders {
		if !slices.ContainsFunc(AgentPrograms, func(name string) bool { return isThere(filepath.Join(folder, name)) }) {
			continue
		}
		folders[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := linkOthers(folder, folders[i]); err != nil {
			return "", err
		}
	}
	return strings.Join(folders, string(filepath.ListSeparator)), nil
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func linkOthers(folder, links string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(links, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(AgentPrograms, e.Name()) {
			continue
		}
		err := os.Symlink(filepath.Join(folder, e.Name()), filepath.Join(links, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
