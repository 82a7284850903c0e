package gittest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

func TestNoAgentOfTheMachineIsOnPath(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"claude", "tool"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho "+name+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for range 2 { // a person comes home twice
		for _, kv := range gittest.Env(t) {
			if path, ok := strings.CutPrefix(kv, "PATH="); ok {
				t.Setenv("PATH", path)
			}
		}
	}
	if out, err := exec.Command("tool").Output(); err != nil || string(out) != "tool\n" {
		t.Errorf("what stands beside an agent: %q, %v", out, err)
	}
	for _, name := range gittest.AgentPrograms {
		if path, err := exec.LookPath(name); err == nil {
			t.Errorf("%s is found at %s", name, path)
		}
	}
}
