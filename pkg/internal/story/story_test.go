package story_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/story"
)

var update = flag.Bool("update", false, "rewrite the expected output in the stories")

// root is the top of the repository, seen from this package.
const root = "../../.."

// binaries are what ships. Hooks are shims that name them by absolute path, so
// stories need them as files, side by side as an installation has them.
var binaries = []string{
	"gatekeeper", "gatekeeper-agent", "gatekeeper-commit-msg", "gatekeeper-pre-push", "gatekeeper-pre-receive",
}

func TestMain(m *testing.M) {
	os.Exit(gittest.Orphan(m))
}

func TestStories(t *testing.T) {
	bin := t.TempDir()
	build(t, bin)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		Setup:               story.Setup(bin),
		Cmds:                story.Words(),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// build puts the binaries into bin.
func build(t testing.TB, bin string) {
	t.Helper()
	noteSources(t)
	for _, name := range binaries {
		if files, _ := filepath.Glob(filepath.Join(root, "cmd", name, "*.go")); len(files) == 0 {
			t.Logf("there is no %s yet", name)
			continue
		}
		goBuild(t, filepath.Join(bin, name), filepath.Join(root, "cmd", name))
	}
}

// goBuild builds the package in dir as it is built for a release, but with the
// symbols that a crash in a test is explained by.
func goBuild(t testing.TB, out, dir string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go build %s: %v\n%s", dir, err, output)
	}
}

// noteSources looks at every file that the binaries are built from. The go
// command keeps a test's result for as long as the files it looked at stay the
// same, and it cannot know what a go build in the test will read.
func noteSources(t testing.TB) {
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
