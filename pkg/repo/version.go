package repo

import (
	"context"
	"fmt"
)

// oldestMajor and oldestMinor are the oldest git that a server may have: those before it read --stdin, quarantines
// and configuration in ways that nothing here was tested with.
const oldestMajor, oldestMinor = 2, 30

// CheckVersion says what is wrong with git: that it is missing, or too old.
func (r *Repo) CheckVersion(ctx context.Context) error {
	out, err := r.output(ctx, nil, "version")
	if err != nil {
		return err
	}
	return checkVersion(out)
}

func checkVersion(said string) error {
	var major, minor int
	if n, _ := fmt.Sscanf(said, "git version %d.%d", &major, &minor); n != 2 {
		return fmt.Errorf("git version: cannot read %q", cut(said))
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("git %d.%d is too old: gatekeeper needs git %d.%d or newer on the server", major, minor, oldestMajor, oldestMinor)
	}
	return nil
}
