package prereceive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/sshkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// KeySetting is the git config key that names the key with which receipts are signed.
const KeySetting = "gatekeeper.receiptKey"

// A server is the repository of a push and its settings, or why they cannot be read.
type server struct {
	repo     *repo.Repo
	log      *receipt.Log
	settings *repo.Settings
	err      error
}

func (h Hook) open(ctx context.Context) (s server, err error) {
	if s.repo, err = repo.FromHook(h.Environ, h.Dir); err == nil {
		s.log = receipt.Open(receipt.In(s.repo.CommonDir))
		s.settings, s.err = s.repo.Settings(ctx)
	}
	return s, err
}

// receiptKey opens the key that signs receipts, nil when none is set.
func (h Hook) receiptKey(ctx context.Context, s server) (attestation.Signer, error) {
	spec := s.settings.Value(KeySetting)
	if spec == "" {
		return nil, nil
	}
	open := h.OpenSigner
	if open == nil {
		open = func(ctx context.Context, spec string) (attestation.Signer, error) {
			return sshkey.Open(ctx, spec, sshkey.Env{Environ: h.Environ, Dir: h.Dir})
		}
	}
	key, err := open(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("git config %s: %w", KeySetting, err)
	}
	return key, nil
}

// asBig lets the program that knows every kind of key run the whole hook, when receipts
// are signed with one that is not for SSH.
func (h Hook) asBig(ctx context.Context, s server, input []byte) (code int, is bool) {
	if h.OpenSigner != nil || s.err != nil || !attestation.NamesDSSE(s.settings.Value(KeySetting)) {
		return 0, false
	}
	program, err := big()
	if err != nil {
		return h.unchecked(fmt.Errorf("git config %s names a key that only the program gatekeeper can use: %w", KeySetting, err)), true
	}
	return h.run(ctx, input, "the program for the key of receipts", program, append([]string{"hook"}, h.Args...)...), true
}

// big finds gatekeeper beside this program.
func big() (string, error) {
	name := "gatekeeper"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(filepath.Dir(self), name))
}

// lastReceipt is the time of the last receipt, zero when there is none.
func (s server) lastReceipt(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := s.log.Last(ctx)
	return head.Time, err
}

// maxSetback is how far a clock may be set back without anybody asking why. Those that
// are kept by a server of time are set by less.
const maxSetback = 10 * time.Minute

// timeOfReceipt is the time by which a push is judged: never before that of the last
// receipt. A clock that was set back further must not make a key valid again that was
// revoked in the meantime, or an approval that has ended.
func timeOfReceipt(now, last time.Time) (time.Time, error) {
	if now.Add(maxSetback).Before(last) {
		return now, fmt.Errorf("the server's clock says %s, and its last receipt is of %s; set the clock, or, if that was wrong at the time, keep %s elsewhere for the auditor and begin anew",
			now.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339), receipt.Dir)
	}
	if now.Before(last) {
		return last, nil
	}
	return now, nil
}

// withAdvice tells the admin where to look when receipts are not as they were written.
func withAdvice(err error) error {
	if errors.As(err, new(*receipt.BrokenError)) {
		return fmt.Errorf("receipts were changed; see gatekeeper receipts verify: %w", err)
	}
	return err
}
