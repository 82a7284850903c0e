package story

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Binaries are what ships. Hooks are shims that name them by absolute path, so
// stories need them as files, side by side as an installation has them.
var Binaries = []string{
	"gatekeeper", "gatekeeper-agent", "gatekeeper-commit-msg", "gatekeeper-pre-push", "gatekeeper-pre-receive",
}

// Build builds the binaries of the repository at root into bin, as a release has
// them. What does not build fails the test, which goes on with the others.
func Build(t testing.TB, root, bin string) {
	t.Helper()
	noteSources(t, root)
	for _, name := range Binaries {
		GoBuild(t, filepath.Join(root, "cmd", name), filepath.Join(bin, name))
	}
}

// GoBuild builds the program in the folder dir.
func GoBuild(t testing.TB, dir, out string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go build %s: %v\n%s", dir, err, output)
	}
}

// noteSources looks at every file that the binaries are built from. The go
// command keeps a test's result for as long as the files it looked at stay the
// same, and it cannot know what a go build in the test will read.
func noteSources(t testing.TB, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"), d.Name() == "go.mod", d.Name() == "go.sum":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(fmt.Errorf("look at the sources: %w", err))
	}
}
