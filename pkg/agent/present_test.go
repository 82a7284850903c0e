package agent

import (
	"slices"
	"testing"
)

func TestPresent(t *testing.T) {
	env := map[string]string{"HOME": "/home/u", "CODEX_HOME": "/elsewhere", "XDG_CONFIG_HOME": "/xdg"}
	there := map[string]bool{"/home/u/.claude": true, "/elsewhere": true, "/xdg/opencode": true, "/home/u/.config/amp": true}
	got := Present(func(name string) string { return env[name] }, func(path string) bool { return there[path] })
	if want := []string{"claude-code", "codex", "opencode"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Present(func(string) string { return "" }, func(string) bool { return true }); len(got) > 0 {
		t.Errorf("without a home: %v", got)
	}
}
