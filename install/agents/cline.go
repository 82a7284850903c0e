package agents

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
)

// cline runs programs of ~/.cline/hooks, or of CLINE_DIR, that are called after an
// event, with an ending or without. It runs all that there are for an event and joins
// what they answer (read in its CLI 3.0.65), so ours stands beside that of anybody
// else, under an ending that is free.
func cline() agent {
	return agent{
		name: "cline", title: "Cline", programs: []string{"cline"},
		dir: func(w World) string { return w.moved("CLINE_DIR", w.home(".cline")) },
		targets: func(w World, dir string) (targets []target) {
			if runtime.GOOS == "windows" {
				return nil // it would take another kind of program there
			}
			word := posix.word(w.Binary)
			call := "[ ! -x " + word + " ] || exec " + word + " cline\n"
			for _, event := range []string{
				"TaskStart", "TaskResume", "UserPromptSubmit", "PreToolUse", "PostToolUse",
				"TaskComplete", "TaskCancel", "TaskError", "SessionShutdown",
			} {
				targets = append(targets, target{
					file: freeHook(filepath.Join(dir, "hooks", event)), text: call,
					whole: []byte("#!/bin/sh\n" + marker + "; gatekeeper uninstall takes it out again.\n" + call),
				})
			}
			return targets
		},
	}
}

// marker begins the second line of every program of ours.
const marker = "# Written by gatekeeper install"

// freeHook is the name under which our hook stands, or may stand.
func freeHook(path string) string {
	free := ""
	for _, ending := range []string{"", ".sh", ".bash", ".zsh"} {
		data, err := os.ReadFile(path + ending)
		if err == nil && bytes.Contains(data, []byte("\n"+marker)) {
			return path + ending
		}
		if os.IsNotExist(err) && free == "" {
			free = path + ending
		}
	}
	if free == "" {
		return path // and is refused, because it is somebody else's
	}
	return free
}
