// Command gatekeeper-commit-msg runs the hooks that record provenance in a
// commit. git calls it, through the shims that gatekeeper install puts in place, at
// every commit; so it links little and starts fast.
//
//	gatekeeper-commit-msg prepare-commit-msg FILE [SOURCE [COMMIT]]
//	gatekeeper-commit-msg commit-msg FILE
//	gatekeeper-commit-msg applypatch-msg FILE
//	gatekeeper-commit-msg post-applypatch
//	gatekeeper-commit-msg post-commit
//	gatekeeper-commit-msg post-rewrite amend|rebase
//	gatekeeper-commit-msg version
//
// It exits 0 whatever happens to the record, and 2 when called in another way.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/commitmsg"
)

func main() {
	// A run is over before a collection would pay; the limit is for a commit of
	// files as large as memory.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)

	if len(os.Args) == 2 && (os.Args[1] == "version" || os.Args[1] == "--version") {
		fmt.Println("gatekeeper-commit-msg", version())
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatekeeper: nothing recorded:", err)
		return
	}
	os.Exit(commitmsg.Run(context.Background(), commitmsg.Env{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Dir:     dir,
		Stdin:   os.Stdin,
		Stderr:  os.Stderr,
		Now:     time.Now,
	}))
}

// version is the module's, as the go command stamped it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
