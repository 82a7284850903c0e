package prepush

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/record"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// shipTimeout bounds a push or fetch of records, which are small.
const shipTimeout = time.Minute

// shipTries bounds how often records are sent anew because somebody else sent some
// with the same key meanwhile, and shipPause how long the first wait is, at most.
const (
	shipTries = 8
	shipPause = 50 * time.Millisecond
)

// ship sends the records that the remote may lack, ahead of the branch, so that they
// are there when it judges the commits. It returns the refs that it could not send.
func (p push) ship(ctx context.Context) (unsent []string, why error) {
	heads, err := record.Heads(ctx, p.repo)
	if err != nil || len(heads) == 0 {
		return nil, err
	}
	known := p.shipped()
	for _, ref := range slices.Sorted(maps.Keys(heads)) {
		if known[ref] == heads[ref] {
			continue
		}
		if err := p.shipOne(ctx, ref); err != nil {
			unsent, why = append(unsent, ref), err
			continue
		}
		if now, err := p.repo.Ref(ctx, ref); err == nil {
			known[ref] = now
			p.rememberShipped(known)
		}
	}
	return unsent, why
}

// shipOne sends one ref. Where the remote has what we have not, that is fetched, and
// ours put on top.
func (p push) shipOne(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, shipTimeout)
	defer cancel()
	pause := shipPause
	for try := 1; ; try++ {
		raced, err := p.send(ctx, ref)
		if err == nil || !raced || try == shipTries {
			return err
		}
		p.fetchInto(ctx, ref)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(pause)): // so that those who race do not keep in step
			pause *= 2
		}
	}
}

// send pushes one ref. When that is refused, raced says whether it may be because
// somebody else moved the ref.
func (p push) send(ctx context.Context, ref string) (raced bool, err error) {
	out, err := p.git(ctx, "push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no",
		"--end-of-options", p.remote.url, ref+":"+ref)
	if err == nil {
		return false, nil
	}
	for line := range strings.Lines(out) {
		// git-push(1): FLAG TAB FROM:TO TAB SUMMARY (REASON), with ! for a ref that was refused.
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(fields) == 3 && fields[0] == "!" {
			return !strings.Contains(fields[2], "hook declined"), fmt.Errorf("git push: %s", gate.Plain(fields[2]))
		}
	}
	return false, err
}

// fetchInto joins ours with the remote's copy of a ref, where it has one and nobody else
// does the same in this clone. Whether that was enough the next push tells.
func (p push) fetchInto(ctx context.Context, ref string) {
	fetched := fmt.Sprintf("refs/gatekeeper/fetched/%d", os.Getpid())
	if _, err := p.git(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--end-of-options", p.remote.url, "+"+ref+":"+fetched); err != nil {
		return
	}
	theirs, err := p.repo.Ref(ctx, fetched)
	if err != nil {
		return
	}
	_ = record.Join(ctx, p.repo, ref, theirs, p.hook.Now())
	_ = p.repo.UpdateRef(ctx, fetched, "", theirs, "gatekeeper")
}

// fetchRecords fetches what others keep beside their commits. Ours, where they have
// gone on by themselves, are left to ship.
func (p push) fetchRecords(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shipTimeout)
	defer cancel()
	_, _ = p.git(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--end-of-options", p.remote.url, record.Prefix+"*:"+record.Prefix+"*")
}

// git runs git as the person would and returns what it printed. Its error tells what git
// said last.
func (p push) git(ctx context.Context, args ...string) (string, error) {
	cmd := p.repo.Porcelain(ctx, args...)
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		err = fmt.Errorf("git %s: %s", args[0], gate.Plain(lines[len(lines)-1]))
	}
	return printed.String(), err
}

// dryRun reports whether the push only pretends, where that can be seen: then
// nothing may be sent.
func dryRun() bool { return slices.ContainsFunc(pushArguments(), pretends) }

// pushArguments are those of the git push above, up to --, where they can be seen.
func pushArguments() []string {
	for _, above := range agent.Ancestors() {
		if !above.IsGit() {
			continue
		}
		args := above.Arguments()
		if at := slices.Index(args, "--"); at >= 0 {
			args = args[:at]
		}
		return args
	}
	return nil
}

// pretends reports whether an argument of git push is --dry-run, cut short as git
// allows, or -n among other letters; -o has its value attached or behind it.
func pretends(arg string) bool {
	letters, ok := strings.CutPrefix(arg, "-")
	if !ok || strings.HasPrefix(letters, "-") {
		return len(arg) >= len("--dr") && strings.HasPrefix("--dry-run", arg)
	}
	letters, _, _ = strings.Cut(letters, "o")
	return strings.Contains(letters, "n")
}

// The file of what was sent where saves most pushes a round trip. Each line holds
// the digest of a URL, a ref and what it held.
func (p push) shippedFile() string { return filepath.Join(p.repo.CommonDir, "gatekeeper", "shipped") }

func (p push) urlDigest() string {
	sum := sha256.Sum256([]byte(p.remote.url))
	return hex.EncodeToString(sum[:8])
}

// shipped is what this remote was last known to have, by ref.
func (p push) shipped() map[string]change.ID {
	known := map[string]change.ID{}
	data, _ := os.ReadFile(p.shippedFile())
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != p.urlDigest() {
			continue
		}
		if id, err := change.ParseID(words[2]); err == nil {
			known[words[1]] = id
		}
	}
	return known
}

// rememberShipped keeps what this remote has; that of others stays. A failure costs
// the next push a round trip.
func (p push) rememberShipped(known map[string]change.ID) {
	var b strings.Builder
	data, _ := os.ReadFile(p.shippedFile())
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, p.urlDigest()+" ") {
			b.WriteString(line)
		}
	}
	for ref, id := range known {
		fmt.Fprintf(&b, "%s %s %s\n", p.urlDigest(), ref, id)
	}
	if os.MkdirAll(filepath.Dir(p.shippedFile()), 0o755) == nil {
		_ = repo.WriteFileAtomic(p.shippedFile(), []byte(b.String()))
	}
}
