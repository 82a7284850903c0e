package agentevent

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// withGitHooks is the answer that gives Gemini CLI's next command git's hooks back; nil for
// any other event, and where nobody asked for it.
func (h *hook) withGitHooks(ctx context.Context, r *repo.Repo, text []byte) []byte {
	if h.event.Tool.Name != "gemini-cli" || h.event.Kind != agent.Shell || h.event.Phase != agent.Before {
		return nil
	}
	settings, err := r.Settings(ctx)
	if err != nil {
		h.say("%v", err)
		return nil
	}
	if on, _ := settings.Bool(agent.GeminiGitHooks); !on {
		return nil
	}
	dir, set := settings.Get("core.hooksPath")
	switch {
	case !set || dir == "":
		dir = filepath.Join(r.CommonDir, "hooks")
	case !filepath.IsAbs(dir):
		dir = filepath.Join(r.WorkTree, dir)
	}
	out := agent.GeminiWithGitHooks(text, dir)
	if out == nil {
		h.say("git's hooks do not run in this command: %q cannot stand in it", dir)
	}
	return out
}

// deadline is how long the big program may take to decide and to record. Agents wait
// for ten seconds where install has set their hooks up.
const deadline = 8 * time.Second

// patience is how long recording may take, the events of others that are being recorded
// included.
const patience = 5 * time.Second

// big finds gatekeeper beside this program.
func big() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	if own, err = filepath.EvalSymlinks(own); err != nil {
		return "", err
	}
	name := "gatekeeper"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	program := filepath.Join(filepath.Dir(own), name)
	if _, err := os.Stat(program); err != nil {
		return "", errBig
	}
	return program, nil
}
