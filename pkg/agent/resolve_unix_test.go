//go:build unix

package agent

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe is a transcript that would never end.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ResolveModel(source{"claude-code", path, "", []string{"a"}}.String()); err == nil {
		t.Error("a pipe passes for a transcript")
	}
}
