//go:build unix

package install

import (
	"fmt"
	"os"
	"syscall"
)

// checkOwner refuses root in somebody else's repository: what root writes, the
// owner's next commit or push could not change any more.
func checkOwner(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	return &UsageError{
		Msg:  fmt.Sprintf("%s belongs to user %d, and root would leave files that this user cannot change", dir, owner.Uid),
		Hint: fmt.Sprintf("run this as its owner: sudo -u '#%d' gatekeeper …", owner.Uid),
	}
}
