//go:build unix

package agentevent_test

import (
	"os/exec"
	"syscall"
)

func withoutRights(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}
