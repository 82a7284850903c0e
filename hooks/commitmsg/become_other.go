//go:build !unix

package commitmsg

import (
	"fmt"
	"os"
	"os/exec"
)

// become runs the other program and ends with it. It returns only when it
// cannot.
func become(program string, args, environ []string) error {
	cmd := exec.Command(program, args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("nothing recorded: run %s: %w", program, err)
	}
	os.Exit(0)
	return nil
}
