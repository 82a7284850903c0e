package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// IsGit reports whether the process is git itself.
func (p Process) IsGit() bool { return p.Comm == "git" || filepath.Base(p.Exe) == "git" }

// Arguments reads the command line of a process, the program's name included, or
// nothing where /proc does not tell. It is for processes of git alone: those of
// others hold what people type.
func (p Process) Arguments() []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/cmdline")
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}
