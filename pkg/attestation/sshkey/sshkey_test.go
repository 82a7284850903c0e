package sshkey

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

var values = []string{"none via=process"}

// home is a home directory with tools to make keys, and no agent until one is started.
type home struct {
	t   *testing.T
	dir string
	env Env
}

func newHome(t *testing.T) *home {
	t.Helper()
	dir := t.TempDir()
	return &home{t, dir, Env{Dir: dir, Environ: []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}}}
}

func (h *home) run(stdin string, name string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = h.dir, h.env.Environ, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// key makes a key file and returns its public half as one line.
func (h *home) key(name, typ, bits, passphrase string, args ...string) string {
	h.t.Helper()
	h.run("", "ssh-keygen", append([]string{"-q", "-t", typ, "-b", bits, "-N", passphrase, "-C", "alice@example.com", "-f", name}, args...)...)
	return h.read(name + ".pub")
}

func (h *home) read(name string) string {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func (h *home) remove(name string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.dir, name)); err != nil {
		h.t.Fatal(err)
	}
}

// agent starts a real ssh-agent in the foreground, and ends it with the test.
func (h *home) agent() {
	h.t.Helper()
	// The path of a socket must be short, and that of a test's directory may be long.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		h.t.Fatal(err)
	}
	socket := filepath.Join(dir, "sock")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	cmd.Env = h.env.Environ
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(dir)
	})
	// It listens before it says so.
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		h.t.Fatal(err)
	}
	h.env.Environ = append(h.env.Environ, "SSH_AUTH_SOCK="+socket)
}

// signs opens spec, signs with it, and lets ssh-keygen judge the signature by the public line.
func (h *home) signs(spec, public string) {
	h.t.Helper()
	ctx := context.Background()
	s, err := Open(ctx, spec, h.env)
	if err != nil {
		h.t.Fatal(err)
	}
	claim := attestation.Attestation{Time: time.Unix(1795418000, 0), Bind: provenance.Digest{1}, Change: provenance.Digest{2}}
	a, err := attestation.Sign(ctx, s, values, claim)
	if err != nil {
		h.t.Fatal(err)
	}
	want, err := pubkey.ParseAuthorizedKey(public)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := attestation.Verify(values, a, want); err != nil {
		h.t.Error(err)
	}
	armored, err := a.Armored()
	if err != nil {
		h.t.Fatal(err)
	}
	for name, data := range map[string]string{"allowed": "alice " + public, "sig": string(armored)} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(data), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	h.run(string(attestation.Statement(values, a)), "ssh-keygen", "-Y", "verify", "-n", "gatekeeper", "-f", "allowed", "-I", "alice", "-s", "sig")
}

func (h *home) refuses(spec string, wants ...string) {
	h.t.Helper()
	s, err := Open(context.Background(), spec, h.env)
	if err == nil {
		h.t.Fatalf("opened %s", s.PublicKey().Fingerprint())
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			h.t.Errorf("error %q does not say %q", err, want)
		}
	}
}

var kinds = []struct{ name, typ, bits string }{
	{"ed25519", "ed25519", "256"},
	{"ecdsa P-256", "ecdsa", "256"},
	{"ecdsa P-384", "ecdsa", "384"},
	{"rsa 3072", "rsa", "3072"},
	{"rsa 4096", "rsa", "4096"},
}

func TestKeyFile(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			h := newHome(t)
			public := h.key("key", kind.typ, kind.bits, "")
			h.signs("key", public)
			h.signs("~/key", public)
			h.signs(filepath.Join(h.dir, "key.pub"), public)
		})
	}
	t.Run("in the old PEM format", func(t *testing.T) {
		h := newHome(t)
		h.signs("key", h.key("key", "rsa", "3072", "", "-m", "PEM"))
	})
	t.Run("in PKCS #8", func(t *testing.T) {
		h := newHome(t)
		h.signs("key", h.key("key", "ecdsa", "256", "", "-m", "PKCS8"))
	})
}

func TestKeyInTheAgent(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			h := newHome(t)
			h.agent()
			public := h.key("key", kind.typ, kind.bits, "")
			h.run("", "ssh-add", "-q", "key")
			h.remove("key")
			h.signs("key.pub", public)
			h.signs("ssh-agent", public)
			h.signs("key::"+public, public)
			h.signs(public, public)
		})
	}
	t.Run("the first that counts is taken", func(t *testing.T) {
		h := newHome(t)
		h.agent()
		h.key("short", "rsa", "2048", "")
		h.key("long", "ecdsa", "521", "")
		public := h.key("good", "ed25519", "256", "")
		h.run("", "ssh-add", "-q", "short", "long", "good")
		h.signs("ssh-agent", public)
	})
	t.Run("a public file goes to the agent first", func(t *testing.T) {
		h := newHome(t)
		h.agent()
		public := h.key("key", "ed25519", "256", "")
		h.run("", "ssh-add", "-q", "key")
		if err := os.WriteFile(filepath.Join(h.dir, "key"), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		h.signs("key.pub", public)
	})
	t.Run("an agent that never answers is left when the context ends", func(t *testing.T) {
		h := newHome(t)
		dir, err := os.MkdirTemp("", "agent")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		listener, err := net.Listen("unix", filepath.Join(dir, "sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		h.env.Environ = append(h.env.Environ, "SSH_AUTH_SOCK="+listener.Addr().String())
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			if _, err := listener.Accept(); err == nil {
				cancel()
			}
		}()
		if _, err := Open(ctx, "ssh-agent", h.env); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestKeyBehindAPassphrase(t *testing.T) {
	// askpass answers for a person at the terminal.
	askpass := func(h *home, script string) {
		path := filepath.Join(h.dir, "askpass")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			h.t.Fatal(err)
		}
		h.env.Environ = append(h.env.Environ, "SSH_ASKPASS="+path, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	}
	for _, format := range []string{"RFC4716", "PEM"} {
		t.Run("ssh-keygen asks, format "+format, func(t *testing.T) {
			h := newHome(t)
			public := h.key("key", "rsa", "3072", "secret", "-m", format)
			askpass(h, "echo secret")
			h.signs("key", public)
			h.signs("key.pub", public)
		})
	}
	t.Run("the agent is used when it holds the key", func(t *testing.T) {
		h := newHome(t)
		h.agent()
		public := h.key("key", "ed25519", "256", "secret")
		askpass(h, "echo secret; : >asked")
		h.run("", "ssh-add", "-q", "key")
		h.remove("asked")
		h.signs("key", public)
		if _, err := os.Stat(filepath.Join(h.dir, "asked")); err == nil {
			t.Error("the passphrase was asked for")
		}
	})
	t.Run("a wrong passphrase is an error that names the key", func(t *testing.T) {
		h := newHome(t)
		h.key("key", "ed25519", "256", "secret")
		askpass(h, "echo wrong")
		s, err := Open(context.Background(), "key", h.env)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Sign(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "ssh-add") ||
			!strings.Contains(err.Error(), filepath.Join(h.dir, "key")) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an old key without its public half says how to make it", func(t *testing.T) {
		h := newHome(t)
		h.key("key", "rsa", "3072", "secret", "-m", "PEM")
		h.remove("key.pub")
		h.refuses("key", "ssh-keygen -y -f")
	})
}

func TestOpenRefuses(t *testing.T) {
	const securityKey = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAAABHNzaDo= yubi"
	h := newHome(t)
	h.key("short", "rsa", "2048", "")
	h.key("locked", "rsa", "2048", "secret")
	h.key("p521", "ecdsa", "521", "")
	public := h.key("key", "ed25519", "256", "")
	other := h.key("other", "ed25519", "256", "")
	for name, data := range map[string]string{"fido.pub": securityKey, "dsa.pub": "ssh-dss AAAAB3NzaC1kc3M= old", "text": "hello\n", "mixed": h.read("other"), "mixed.pub": public,
		"alone.pub": public, "damaged": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, spec string
		wants      []string
	}{
		{"no name", "", []string{"no signing key"}},
		{"a file that is not there", "none", []string{filepath.Join(h.dir, "none"), "gatekeeper key new"}},
		{"a short RSA key", "short", []string{"2048 bits are too few", "3072"}},
		{"a short RSA key, before its passphrase is asked for", "locked", []string{"2048 bits are too few"}},
		{"P-521", "p521", []string{"P-521", "P-256"}},
		{"DSA", "dsa.pub", []string{"DSA", "ssh-ed25519"}},
		{"a security key", "fido.pub", []string{"FIDO", "ssh-ed25519"}},
		{"a security key, literally", "key::" + securityKey, []string{"FIDO"}},
		{"a security key, as git also writes it", securityKey, []string{"FIDO"}},
		{"a file of text", "text", []string{"text", "TYPE BASE64"}},
		{"a damaged private key", "damaged", []string{"damaged"}},
		{"a public key beside another private one", "mixed.pub", []string{"another one"}},
		{"a public key alone", "alone.pub", []string{"no private key beside it", "SSH_AUTH_SOCK", "ssh-add"}},
		{"a literal key without agent", "key::" + public, []string{"SSH_AUTH_SOCK"}},
		{"an agent that is not there", "ssh-agent", []string{"SSH_AUTH_SOCK"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&home{t, h.dir, h.env}).refuses(tt.spec, tt.wants...)
		})
	}

	h.agent()
	t.Run("an empty agent", func(t *testing.T) {
		(&home{t, h.dir, h.env}).refuses("ssh-agent", "holds no keys", "ssh-add")
	})
	h.run("", "ssh-add", "-q", "short")
	t.Run("an agent with keys that do not count", func(t *testing.T) {
		(&home{t, h.dir, h.env}).refuses("ssh-agent", "2048 bits are too few")
	})
	t.Run("a literal key that the agent does not hold", func(t *testing.T) {
		(&home{t, h.dir, h.env}).refuses("key::"+other, "does not hold it")
	})
}

func TestGenerate(t *testing.T) {
	h := newHome(t)
	path := filepath.Join(h.dir, "new", "dir", "key")
	key, err := Generate(path, "alice@example.com")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the key signs", func(t *testing.T) {
		(&home{t, h.dir, h.env}).signs(path, h.read("new/dir/key.pub"))
	})
	t.Run("the public half is one line with the comment", func(t *testing.T) {
		if got, want := h.read("new/dir/key.pub"), key.AuthorizedKey()+" alice@example.com\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("only the owner reads it", func(t *testing.T) {
		for name, want := range map[string]os.FileMode{"new/dir": 0o700, "new/dir/key": 0o600, "new/dir/key.pub": 0o644} {
			info, err := os.Stat(filepath.Join(h.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got&^want != 0 { // a umask may take away more
				t.Errorf("%s has mode %v, want %v", name, got, want)
			}
		}
	})
	t.Run("nothing is written over", func(t *testing.T) {
		if _, err := Generate(path, ""); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("a second key: %v", err)
		}
		h.remove("new/dir/key")
		if _, err := Generate(path, ""); err == nil || !strings.Contains(err.Error(), "key.pub is there already") {
			t.Errorf("with its public half left: %v", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("a private key stayed behind")
		}
	})
	t.Run("a comment of two lines is refused", func(t *testing.T) {
		if _, err := Generate(filepath.Join(h.dir, "x"), "a\nssh-ed25519 AAAA"); err == nil {
			t.Error("accepted")
		}
	})
}
