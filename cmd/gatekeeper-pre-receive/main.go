// Gatekeeper-pre-receive is the server's hook: git runs it for every push, as
// pre-receive and as post-receive.
//
//	gatekeeper-pre-receive [--chain HOOK] pre-receive|post-receive
//
// It reads ref updates on standard input as githooks(5) describes, and exits with
// 0 when the push is accepted, 1 when it is refused, 2 when there is no valid
// policy and 3 when the push could not be checked; git refuses on all but 0.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/prereceive"
)

// memory is what the Go runtime may hold, in bytes, before it collects garbage at any
// cost: the worst push needs little more, and a server has other work.
const memory = 48 << 20

// growth is by how many percent the heap may grow before garbage is collected, below that.
// The gate keeps little and drops much: at the usual 100 it spends a tenth more time.
const growth = 200

func main() {
	debug.SetMemoryLimit(memory)
	debug.SetGCPercent(growth)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	code := prereceive.Run(ctx, prereceive.Hook{Args: os.Args[1:], Environ: os.Environ(), Dir: dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now})
	os.Exit(code)
}
