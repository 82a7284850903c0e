package install

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// agentRole is what companions looks for when agents are set up.
const agentRole = "agent"

// binaries are the absolute paths that shims, and entries of agents, name.
type binaries struct {
	commitMsg, prePush, preReceive, agent string
}

// companions finds the binaries of a role in dir, or beside the running program.
// The running program may be reached by a link (a package manager's bin
// directory); its own directory is looked in first, then the link's target's.
func companions(dir, role string) (binaries, error) {
	dirs := []string{dir}
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return binaries{}, fmt.Errorf("find the gatekeeper binaries: %w", err)
		}
		dirs = []string{filepath.Dir(self)}
		if target, err := filepath.EvalSymlinks(self); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	var missing []string
	for _, d := range dirs {
		d, err := filepath.Abs(d)
		if err != nil {
			return binaries{}, err
		}
		b := binaries{
			commitMsg:  filepath.Join(d, program("gatekeeper-commit-msg")),
			prePush:    filepath.Join(d, program("gatekeeper-pre-push")),
			preReceive: filepath.Join(d, program("gatekeeper-pre-receive")),
			agent:      filepath.Join(d, program("gatekeeper-agent")),
		}
		needs := []string{b.commitMsg, b.prePush}
		switch role {
		case server:
			needs = []string{b.preReceive}
		case agentRole:
			needs = []string{b.agent}
		}
		if missing = absent(needs); len(missing) == 0 {
			return b, nil
		}
	}
	return binaries{}, &UsageError{
		Msg:  "missing " + strings.Join(missing, ", "),
		Hint: "put all gatekeeper binaries into one directory and run its gatekeeper",
	}
}

func program(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// absent are the paths that hold no program.
func absent(paths []string) []string {
	var missing []string
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil || st.IsDir() || runtime.GOOS != "windows" && st.Mode()&0o111 == 0 {
			missing = append(missing, p)
		}
	}
	return missing
}
