package agent

import (
	"os"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		stat, comm string
		parent     int
		ok         bool
	}{
		{"12 (bash) S 7 12 12 0", "bash", 7, true},
		{"12 (a) S 1 (b) R 9 1", "a) S 1 (b", 9, true},
		{"12 (bash) S", "", 0, false},
		{"12 (bash) S x", "bash", 0, false},
		{"", "", 0, false},
		{")(", "", 0, false},
	}
	for _, tt := range tests {
		comm, parent, ok := parseStat([]byte(tt.stat))
		if ok != tt.ok || ok && (comm != tt.comm || parent != tt.parent) {
			t.Errorf("%q: got %q %d %v", tt.stat, comm, parent, ok)
		}
	}
}

func TestScript(t *testing.T) {
	for in, want := range map[string]string{
		"node /opt/qwen-code/cli.js -p secret":             "/opt/qwen-code/cli.js",
		"node --max-old-space-size=4096 -r x.js gemini.js": "gemini.js",
		"python3 -m aider --model x":                       "aider",
		"python3 -c print":                                 "",
		"node -e code":                                     "",
		"node":                                             "",
	} {
		if got := script([]byte(strings.ReplaceAll(in, " ", "\x00") + "\x00")); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestAncestorsBeginWithTheParent(t *testing.T) {
	above := Ancestors()
	if len(above) == 0 || above[0].PID != os.Getppid() || above[0].Comm == "" {
		t.Errorf("got %+v, want the parent %d first", above, os.Getppid())
	}
}
