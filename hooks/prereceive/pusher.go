package prereceive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/install"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/pusher"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

// PusheeSetting is the git config key that lists the addresses under which people push
// to the repository. With any, a push certificate must name one of them.
const PusheeSetting = "gatekeeper.pushee"

// identify asks the source that was fixed at install who pushes.
func (h Hook) identify(ctx context.Context, s server, input []byte) (pusher.Identity, error) {
	source := install.PusherOf(s.settings.Value(install.PusherSetting), s.settings.Value(install.PlatformSetting))
	if !source.Known() {
		return pusher.Identity{}, fmt.Errorf("git config %s = %q: no such source; it knows %s",
			install.PusherSetting, string(source), strings.Join(install.Pushers(), ", "))
	}
	reader := s.repo.Server().Reader()
	defer reader.Close()
	return pusher.Identify(ctx, source, pusher.Push{
		Getenv: s.repo.Getenv, Updates: input, Pushees: s.settings.All(PusheeSetting), Account: account,
		Object: func(ctx context.Context, hex string) ([]byte, error) {
			id, err := change.ParseID(hex)
			if err != nil {
				return nil, err
			}
			kind, size, data, err := reader.Read(ctx, id, pusher.MaxCertificate)
			switch {
			case err != nil:
				return nil, err
			case kind != "blob" || data == nil && size > 0:
				return nil, fmt.Errorf("object %s is a %s of %d bytes", id, kind, size)
			}
			return data, nil
		}})
}

// account is the name of the account that the hook runs as, by its number: $USER may
// say anything.
func account() (string, error) {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return "", fmt.Errorf("find the account that the push runs as: %w", err)
	}
	return u.Username, nil
}

// refuted refuses a push for its certificate, nil when err is about something else.
func refuted(err error) *gate.Finding {
	var bad *pusher.CertificateError
	if !errors.As(err, &bad) {
		return nil
	}
	return &gate.Finding{Rule: gate.CertificateInvalid, Detail: gate.Plain(bad.Reason),
		Hint: "push again with git push --signed, or without a certificate: --no-signed"}
}

// ticketLife is how long a certificate is remembered: longer than its nonce can count
// without the server's admin having asked for that.
const ticketLife = 24 * time.Hour

// spend marks a push certificate as used. git tells a used nonce from a fresh one only
// where one process hands it out and gets it back, so not over HTTP.
func spend(commonDir, ticket string, now time.Time) (*gate.Finding, error) {
	if ticket == "" {
		return nil, nil
	}
	dir := filepath.Join(commonDir, filepath.FromSlash(install.TicketsDir))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("remember the push certificate: %w", err)
	}
	forget(dir, now.Add(-ticketLife))
	f, err := os.OpenFile(filepath.Join(dir, ticket), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return refuted(&pusher.CertificateError{Reason: "it has been used before"}), nil
	case err != nil:
		return nil, fmt.Errorf("remember the push certificate: %w", err)
	}
	return nil, f.Close()
}

// forget takes away certificates from before a time. One that stays does no harm.
func forget(dir string, before time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// overrideOption is the push option that asks to be let in, with the reason behind "=".
const overrideOption = "gatekeeper.override"

// askOverride looks for the push option, and at whether the pusher may use it. Whoever
// asks in vain is refused: an override is never passed over in silence.
func askOverride(getenv func(string) string, who *gate.Pusher, p *policy.Policy) (reason string, _ *gate.Finding, _ error) {
	options, err := pusher.Options(getenv)
	if err != nil {
		return "", nil, err
	}
	asked := 0
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		if name == overrideOption {
			asked++
			reason = strings.TrimSpace(value)
		}
	}
	refuse := func(detail, hint string) (string, *gate.Finding, error) {
		return "", &gate.Finding{Rule: gate.OverrideNotAllowed, Detail: detail, Hint: hint}, nil
	}
	switch {
	case asked == 0:
		return "", nil, nil
	case !who.Somebody():
		return refuse("an override needs a pusher whom the server knows", gate.Introduce(who.Source))
	case !who.MayOverride(p):
		return refuse("the policy's [override] does not name "+who.String(), "leave out the push option, or ask somebody who is named there")
	case asked > 1 || reason == "":
		return refuse("an override needs one reason", `git push -o `+overrideOption+`="why it cannot wait"`)
	}
	return gate.Plain(reason), nil, nil
}

// whole refuses a push before any of its refs was looked at.
func whole(p *policy.Policy, f gate.Finding) gate.Verdict {
	v := gate.Verdict{Schema: gate.Schema, Verdict: gate.Refused, Refs: []gate.RefVerdict{{Verdict: gate.Refused, Findings: []gate.Finding{f}}}}
	if p != nil {
		v.Policy = p.Digest()
	}
	return v
}

// tellOverride says what became of an override that was allowed.
func (h Hook) tellOverride(r ruling) {
	switch {
	case r.override == "":
	case r.overridden():
		h.say("let in by an override of %s, which is on record:", r.who)
		fmt.Fprint(h.Stderr, gate.Fold(r.override, "  "))
	case r.code == exitAccepted:
		h.say("no override was needed, and none is on record")
	default:
		h.say("no override lets this in")
	}
}

// overridden reports whether the push is let in by an override.
func (r ruling) overridden() bool { return r.override != "" && r.verdict.Overridden() }

// pushedBy is the pusher as the receipt has it.
func (r ruling) pushedBy() *receipt.Pusher {
	if r.who == nil || !r.who.Somebody() {
		return nil
	}
	return &receipt.Pusher{Source: string(r.who.Source), Name: gate.Plain(r.who.Title()), Key: r.who.Key}
}
