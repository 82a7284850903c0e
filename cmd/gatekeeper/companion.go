package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/hooks/prepush"
	"github.com/gatekeeper-git/gatekeeper/hooks/prereceive"
)

// companionNames are the small binaries that hooks call.
var companionNames = []string{"gatekeeper-commit-msg", "gatekeeper-pre-push", "gatekeeper-pre-receive"}

// companion lets this binary stand in for one of the small ones when it is called
// by its name: what they do is in here as well.
func (p process) companion(ctx context.Context, called string, args []string) (code int, is bool) {
	switch strings.TrimSuffix(filepath.Base(called), ".exe") {
	case "gatekeeper-commit-msg":
		return run(ctx, append([]string{"hook"}, args...), p), true
	case "gatekeeper-pre-push":
		return prepush.Run(ctx, prepush.Hook{Args: args, Environ: p.Environ, Dir: p.Dir,
			Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Now: p.Now}), true
	case "gatekeeper-pre-receive":
		return prereceive.Run(ctx, prereceive.Hook{Args: args, Environ: p.Environ, Dir: p.Dir,
			Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Now: p.Now}), true
	}
	return 0, false
}
