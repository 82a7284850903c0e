package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/kms"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/sshkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

func (p process) keyCommand() *cli.Command {
	return &cli.Command{Name: "key", Usage: "the signing key of this machine",
		Subcommands: []*cli.Command{
			{Name: "new", Usage: "make a new signing key and use it in this clone", ArgsUsage: "[PATH]", Flags: []cli.Flag{jsonFlag},
				Action: func(c *cli.Context) error { return p.keyNew(c.Context, c) }},
			{Name: "show", Usage: "show the key that signs here, and the line that an admin needs", Flags: []cli.Flag{jsonFlag},
				Action: func(c *cli.Context) error { return p.keyShow(c.Context, c) }},
			{Name: "list", Usage: "list the keys that could sign here, the one in use first", Flags: []cli.Flag{jsonFlag},
				Action: func(c *cli.Context) error { return p.keyList(c.Context, c) }},
		},
		Action: func(c *cli.Context) error {
			return usage("want one of: gatekeeper key new, key show, key list")
		}}
}

const keySchema = "gatekeeper/key/v1"

// keyView is a signing key as people and programs see it.
type keyView struct {
	Schema         string `json:"schema"`
	Key            string `json:"key"` // fingerprint, "SHA256:…"
	Spec           string `json:"spec"`
	Source         string `json:"source"` // what names it
	PublicKey      string `json:"public_key"`
	Principal      string `json:"principal"`
	AllowedSigners string `json:"allowed_signers"` // the line for the admin
}

// openSigner opens any key that a setting may name.
func (p process) openSigner(ctx context.Context, spec string) (attestation.Signer, error) {
	if kms.Names(spec) {
		return kms.Open(ctx, spec)
	}
	return sshkey.Open(ctx, spec, sshkey.Env{Environ: p.Environ, Dir: p.Dir})
}

func (p process) keyShow(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	views, err := p.keys(ctx, true)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.printJSON(views[0])
	}
	v := views[0]
	fmt.Fprintf(p.Stdout, "%s\n", v.AllowedSigners)
	p.say("this clone signs with %s (%s)", v.Key, v.Source)
	p.say("an admin adds the line above to the policy's allowed_signers file")
	return nil
}

func (p process) keyList(ctx context.Context, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	views, err := p.keys(ctx, false)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.printJSON(views)
	}
	for _, v := range views {
		fmt.Fprintf(p.Stdout, "%s  %s  %s\n", v.Key, v.Source, v.Spec)
	}
	return nil
}

// keys opens the keys that could sign here; with first, only the one that does.
func (p process) keys(ctx context.Context, first bool) ([]keyView, error) {
	r, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := r.Settings(ctx)
	if err != nil {
		return nil, err
	}
	principal, _ := settings.Get("user.email")
	var views []keyView
	var problems []string
	for _, k := range attestation.KeyNames(settings.Value) {
		signer, err := p.openSigner(ctx, k.Spec)
		if err != nil {
			if first && k.Spec != attestation.AgentSpec {
				return nil, fmt.Errorf("%s: %w", k.Source, err) // the hooks do not pass it over either
			}
			problems = append(problems, fmt.Sprintf("%s: %v", k.Source, err))
			continue
		}
		views = append(views, viewKey(signer.PublicKey(), k.Spec, k.Source, principal))
		if first {
			break
		}
	}
	if len(views) == 0 {
		return nil, errors.New("no key signs here; run gatekeeper install, or gatekeeper key new (" + strings.Join(problems, "; ") + ")")
	}
	return views, nil
}

func viewKey(key attestation.PublicKey, spec, source, principal string) keyView {
	if principal == "" {
		principal = "you@example.com"
	}
	return keyView{keySchema, key.Fingerprint(), spec, source, key.AuthorizedKey(), principal,
		policy.AllowedSignersLine(principal, key.AuthorizedKey())}
}

// keyNew makes a key beside the older ones, which stay: commits that they signed
// must stay verifiable.
func (p process) keyNew(ctx context.Context, c *cli.Context) error {
	r, err := p.open(ctx)
	if err != nil {
		return err
	}
	settings, err := r.Settings(ctx)
	if err != nil {
		return err
	}
	principal, _ := settings.Get("user.email")
	path, err := atMostOne(c, "")
	if err != nil {
		return err
	}
	if path == "" {
		if path, err = p.freeKeyPath(); err != nil {
			return err
		}
	}
	path = p.path(path)
	key, err := sshkey.Generate(path, principal)
	if err != nil {
		return err
	}
	if out, err := r.Porcelain(ctx, "config", "--local", "gatekeeper.signingKey", path).CombinedOutput(); err != nil {
		return fmt.Errorf("the key is at %s, but git config gatekeeper.signingKey could not be set: %w: %s", path, err, strings.TrimSpace(string(out)))
	}
	v := viewKey(key, path, "git config gatekeeper.signingKey", principal)
	if c.Bool("json") {
		return p.printJSON(v)
	}
	fmt.Fprintf(p.Stdout, "%s\n", v.AllowedSigners)
	p.say("made %s; this clone signs with it from now on", path)
	p.say("an admin adds the line above to the policy's allowed_signers file")
	return nil
}

// freeKeyPath is the first name in gatekeeper's own folder that is not taken.
func (p process) freeKeyPath() (string, error) {
	config := p.getenv("XDG_CONFIG_HOME")
	if config == "" {
		home := p.getenv("HOME")
		if home == "" {
			return "", errors.New("neither HOME nor XDG_CONFIG_HOME is set; name a path: gatekeeper key new PATH")
		}
		config = filepath.Join(home, ".config")
	}
	for n := 1; ; n++ {
		name := "id_ed25519"
		if n > 1 {
			name = fmt.Sprintf("id_ed25519_%d", n)
		}
		path := filepath.Join(config, "gatekeeper", name)
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return path, nil
		}
	}
}
