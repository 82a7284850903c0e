package agents

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestCommandsAreQuotedForTheirShell(t *testing.T) {
	tests := []struct {
		name   string
		form   form
		binary string
		want   string
	}{
		{"a plain path needs no quotes", plain(posix, "codex"), "/usr/local/bin/gatekeeper-agent", "/usr/local/bin/gatekeeper-agent codex"},
		{"a space", plain(posix, "codex"), "/home/a b/gatekeeper-agent", "'/home/a b/gatekeeper-agent' codex"},
		{"a quote", plain(posix, "codex"), "/home/o'neil/gatekeeper-agent", `'/home/o'\''neil/gatekeeper-agent' codex`},
		{"a dollar", plain(posix, "codex"), "/home/$HOME/gatekeeper-agent", "'/home/$HOME/gatekeeper-agent' codex"},
		{"guarded", guarded(posix, "copilot-cli"), "/opt/gatekeeper-agent", "[ ! -x /opt/gatekeeper-agent ] || /opt/gatekeeper-agent copilot-cli"},
		{"PowerShell", plain(powershell, "gemini-cli"), `C:\Users\O'Neil\gatekeeper-agent.exe`, `& 'C:\Users\O''Neil\gatekeeper-agent.exe' gemini-cli`},
		{"PowerShell, guarded", guarded(powershell, "copilot-cli"), `C:\gatekeeper-agent.exe`,
			`if (Test-Path -LiteralPath 'C:\gatekeeper-agent.exe') { & 'C:\gatekeeper-agent.exe' copilot-cli; exit $LASTEXITCODE }`},
		{"cmd.exe", plain(cmdExe, "codex"), `C:\Program Files\gatekeeper-agent.exe`, `"C:\Program Files\gatekeeper-agent.exe" codex`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.form.command(tt.binary)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if !tt.form.isOurs(got) {
				t.Errorf("%s is not known again", got)
			}
		})
	}
}

func TestOnlyCommandsOfOursAreOurs(t *testing.T) {
	for _, command := range []string{
		"", " codex", "codex", "gatekeeper-agent", "/bin/gatekeeper-agent gemini-cli", "/bin/gatekeeper-agent codex --more",
		"FOO=1 /bin/gatekeeper-agent codex", "/bin/my-gatekeeper-agent codex", "/bin/gatekeeper-agent/x codex",
		"'/bin/gatekeeper-agent' codex", "time /bin/gatekeeper-agent codex", "echo; '/a b/gatekeeper-agent' codex", "'/a'' b/gatekeeper-agent' codex",
		"[ ! -x /a/gatekeeper-agent ] || /b/gatekeeper-agent codex",
	} {
		for _, form := range []form{plain(posix, "codex"), guarded(posix, "codex"), plain(powershell, "codex"), plain(cmdExe, "codex")} {
			if form.isOurs(command) {
				t.Errorf("%q is taken for ours", command)
			}
		}
	}
}

// A real shell runs the program whatever its path is called.
func TestShellsRunWhatTheCommandNames(t *testing.T) {
	for _, dir := range []string{"plain", "a b", "o'neil", `"q"`, "$HOME", "`id`", "a;b&c|d", "*?[x]", "\\back", "é ü", "-dash", "#", "!bang"} {
		path := filepath.Join(t.TempDir(), dir, "gatekeeper-agent")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf '%s' \"$# $1\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, form := range []form{plain(posix, "codex"), guarded(posix, "codex")} {
			if out, err := exec.Command("sh", "-c", form.command(path)).CombinedOutput(); err != nil || string(out) != "1 codex" {
				t.Errorf("%s: %v, got %q", form.command(path), err, out)
			}
		}
	}
	gone := filepath.Join(t.TempDir(), "gatekeeper-agent")
	if out, err := exec.Command("sh", "-c", guarded(posix, "copilot-cli").command(gone)).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("without the program: %v, %q, want nothing at all", err, out)
	}
}

func FuzzOwnCommandsAreKnown(f *testing.F) {
	f.Add("/usr/bin/")
	f.Add("/o'neil/''/")
	f.Fuzz(func(t *testing.T, dir string) {
		binary := dir + "/gatekeeper-agent"
		if checkBinary(binary) != nil {
			return
		}
		for _, form := range []form{plain(posix, "codex"), guarded(posix, "codex")} {
			if command := form.command(binary); !form.isOurs(command) {
				t.Errorf("%s is not known again", command)
			}
		}
	})
}
