//go:build unix

package commitmsg

import (
	"fmt"
	"syscall"
)

// become replaces this process. It returns only when it cannot.
func become(program string, args, environ []string) error {
	return fmt.Errorf("nothing recorded: start %s: %w", program, syscall.Exec(program, args, environ))
}
