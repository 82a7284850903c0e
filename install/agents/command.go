package agents

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A shell is what an agent hands the command of a hook to.
type shell int

const (
	posix      shell = iota // sh, bash, zsh
	powershell              // Windows PowerShell, pwsh
	cmdExe                  // Windows' own
)

// on is the shell of an agent that takes a POSIX one on all systems but Windows.
func on(windows shell) shell {
	if runtime.GOOS == "windows" {
		return windows
	}
	return posix
}

// A form is how a command is written: before, the program as a word of the shell,
// then, if there is a middle, that and the word again, then after. What a form makes
// of a path never changes: Codex remembers which commands its user trusts.
type form struct {
	shell                 shell
	before, middle, after string
}

// plain calls the program with the name of the agent.
func plain(s shell, name string) form {
	f := form{shell: s, after: " " + name}
	if s == powershell {
		f.before = "& "
	}
	return f
}

// guarded does nothing where the program is gone. It is for agents that take a hook
// which cannot be started for a "no" to everything.
func guarded(s shell, name string) form {
	if s == powershell {
		return form{s, "if (Test-Path -LiteralPath ", ") { & ", " " + name + "; exit $LASTEXITCODE }"}
	}
	return form{s, "[ ! -x ", " ] || ", " " + name}
}

func (f form) command(binary string) string {
	word := f.shell.word(binary)
	if f.middle != "" {
		word += f.middle + word
	}
	return f.before + word + f.after
}

// isOurs reports whether a command is one that this form makes of some path of
// gatekeeper-agent.
func (f form) isOurs(command string) bool {
	word, ok := strings.CutPrefix(command, f.before)
	word, ends := strings.CutSuffix(word, f.after)
	if !ok || !ends || len(word) < len(f.middle) {
		return false
	}
	if f.middle != "" {
		word = word[:(len(word)-len(f.middle))/2]
	}
	binary := f.shell.unword(word)
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(binary, `\`, "/")), ".exe")
	return name == "gatekeeper-agent" && f.command(binary) == command
}

// word makes one word of the shell of any path.
func (s shell) word(path string) string {
	if safe(path) {
		return path
	}
	switch s {
	case powershell:
		return "'" + strings.ReplaceAll(path, "'", "''") + "'"
	case cmdExe:
		return `"` + path + `"` // no path of Windows holds a quote
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// unword takes back what word does; what word does not make may give anything.
func (s shell) unword(word string) string {
	switch s {
	case powershell:
		return strings.ReplaceAll(strings.Trim(word, "'"), "''", "'")
	case cmdExe:
		return strings.Trim(word, `"`)
	}
	word = strings.ReplaceAll(word, `'\''`, "\x00")
	return strings.ReplaceAll(strings.ReplaceAll(word, "'", ""), "\x00", "'")
}

// safe reports whether a path means itself in every shell.
func safe(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+", r))
	})
}

// checkBinary refuses a path that no configuration could carry.
func checkBinary(binary string) error {
	if !utf8.ValidString(binary) || strings.ContainsFunc(binary, unicode.IsControl) {
		return fmt.Errorf("the path %q has a byte that no configuration can hold", binary)
	}
	return nil
}
