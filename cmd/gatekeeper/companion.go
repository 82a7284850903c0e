package main

import (
	"context"
	"path/filepath"
	"strings"
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
		return p.prePush(ctx, args), true
	case "gatekeeper-pre-receive":
		return p.preReceive(ctx, args), true
	}
	return 0, false
}
