// Gatekeeper-pre-push is the client's hook before a push: it says what the server
// will say, before anything is sent.
//
//	gatekeeper-pre-push [--chain HOOK] REMOTE URL
//
// It reads standard input as githooks(5) describes. It exits with 1 when the server
// would refuse and with 2 when this machine's policy is wrong; git then sends
// nothing. What cannot be checked is said, and the push goes on.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatekeeper-git/gatekeeper/hooks/prepush"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/sshkey"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	code := prepush.Run(ctx, prepush.Hook{Args: os.Args[1:], Environ: os.Environ(), Dir: dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
		OpenSigner: func(ctx context.Context, spec string) (attestation.Signer, error) {
			if kms.Names(spec) {
				return kms.Open(ctx, spec)
			}
			return sshkey.Open(ctx, spec, sshkey.Env{Environ: os.Environ(), Dir: dir})
		}})
	os.Exit(code)
}
