package prepush

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// fetchTimeout bounds the wait for a policy; the push itself will tell of a remote
// that does not answer.
const fetchTimeout = 20 * time.Second

// fetchPolicy fetches the policy that the remote publishes and reports whether it
// is there now. A remote that publishes none is no error.
func (p push) fetchPolicy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	cmd := p.repo.Porcelain(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--end-of-options", p.remote.url, "+"+inforce.Ref+":"+inforce.Ref)
	if cmd.Run() != nil {
		return false
	}
	p.fetchRecords(ctx)
	return true
}

// triedBefore reports whether the same push was tried last time, and remembers
// this one. A push that succeeded does not come again: git has nothing to send.
func (p push) triedBefore() bool {
	sum := sha256.Sum256(append([]byte(p.remote.url+"\n"), p.input...))
	now := []byte(hex.EncodeToString(sum[:]) + "\n")
	name := filepath.Join(p.repo.GitDir, "gatekeeper", "pushed")
	last, _ := os.ReadFile(name)
	if bytes.Equal(last, now) {
		return true
	}
	if os.MkdirAll(filepath.Dir(name), 0o755) == nil {
		_ = repo.WriteFileAtomic(name, now) // only saves a fetch next time
	}
	return false
}
