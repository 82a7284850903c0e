package story_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/story"
)

var update = flag.Bool("update", false, "rewrite the expected output in the stories")

func TestMain(m *testing.M) {
	os.Exit(gittest.Orphan(m))
}

func TestStories(t *testing.T) {
	bin := t.TempDir()
	story.Build(t, "../../..", bin)
	testscript.Run(t, testscript.Params{
		Dir:                 "../../../testdata/script",
		Setup:               story.Setup(bin),
		Cmds:                story.Words(),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
