// Gatekeeper-agent is what the hooks of coding agents call.
//
//	gatekeeper-agent NAME
//	gatekeeper-agent version
//
// The event comes on standard input, and what the agent is to be told goes to
// standard output, in its own form. NAME is the agent that the hook was set up for: a hint,
// not the truth. In a repository without gatekeeper nothing happens.
//
// It exits 0 whatever happens to the record. A call to an MCP server that is not approved,
// or that nobody could decide about, is denied in the agent's own way.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/agentevent"
)

func main() {
	// A run is over before a collection would pay; the limit is for the largest event.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)

	hint := ""
	if len(os.Args) > 1 {
		hint = os.Args[1]
	}
	if hint == "version" || hint == "--version" {
		fmt.Println("gatekeeper-agent", version())
		return
	}
	signal.Ignore(syscall.SIGPIPE) // death by a signal is no exit code, and taken for leave
	dir, _ := os.Getwd()           // most events name their own
	os.Exit(agentevent.Run(context.Background(), agentevent.Env{
		Hint: hint, Environ: os.Environ(), Dir: dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
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
