package agent

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// maxAncestors bounds the walk. Deeper nests of shells are not of this world.
const maxAncestors = 64

// Ancestors lists the processes above this one, nearest first, up to and with
// the first that is a known agent. Nothing above that one is looked at.
func Ancestors() []Process {
	env := environment(os.Environ())
	known := agents()
	var above []Process
	buf := make([]byte, 4096)
	for pid := os.Getppid(); pid > 1 && len(above) < maxAncestors; {
		p, parent, ok := readProcess(pid, buf)
		if !ok {
			break
		}
		above = append(above, p)
		for _, a := range known {
			if a.is(p, env) {
				return above
			}
		}
		pid = parent
	}
	return above
}

func readProcess(pid int, buf []byte) (p Process, parent int, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	comm, parent, ok := parseStat(readStart(dir+"/stat", buf))
	if !ok {
		return p, 0, false
	}
	p = Process{PID: pid, Comm: comm}
	p.Exe, _ = os.Readlink(dir + "/exe") // other people's processes do not tell
	p.Exe = strings.TrimSuffix(p.Exe, " (deleted)")
	if interpreter(p) {
		p.Script = script(readStart(dir+"/cmdline", buf))
	}
	return p, parent, true
}

// parseStat takes name and parent out of /proc/PID/stat (proc(5)). The name
// stands in parentheses and may itself hold any byte, parentheses included.
func parseStat(stat []byte) (comm string, parent int, ok bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", 0, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return string(stat[open+1 : end]), parent, err == nil
}

// interpreter reports whether the process runs a script whose name is worth
// reading. Node calls its main thread MainThread or node-MainThread.
func interpreter(p Process) bool {
	for _, name := range []string{"node", "nodejs", "bun", "deno"} {
		if p.named(name) {
			return true
		}
	}
	return strings.HasPrefix(p.Comm, "python") || strings.HasPrefix(base(p.Exe), "python")
}

// script finds the script in an interpreter's command line and forgets the rest.
func script(cmdline []byte) string {
	args := strings.Split(string(cmdline), "\x00")
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-m" && i+1 < len(args): // python -m aider
			return args[i+1]
		case takesValue(a):
			i++
		case a == "-c" || a == "-e" || a == "--eval" || a == "-p" || a == "--print":
			return ""
		case a != "" && a[0] != '-':
			return a
		}
	}
	return ""
}

// takesValue reports whether an option of node or python has its value in the
// next argument.
func takesValue(option string) bool {
	switch option {
	case "-r", "--require", "--import", "--loader", "--experimental-loader",
		"--env-file", "-C", "--conditions", "-X", "-W":
		return true
	}
	return false
}

// readStart reads the beginning of a file, as much as buf holds.
func readStart(path string, buf []byte) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	n, _ := f.Read(buf)
	return buf[:n]
}

// Identity names the process among all that the system has run since it started: its
// number, and when it began in ticks since then. It is "" where that cannot be read.
func (p Process) Identity() string {
	if ticks := startOf(p.PID); ticks != "" {
		return strconv.Itoa(p.PID) + ":" + ticks
	}
	return ""
}

// Gone reports whether the process with this identity has ended.
func Gone(identity string) bool {
	pid, ticks, _ := strings.Cut(identity, ":")
	n, err := strconv.Atoi(pid)
	return err != nil || startOf(n) != ticks
}

// startOf is field 22 of proc_pid_stat(5).
func startOf(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses, which may hold anything.
	_, rest, _ := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}
