package attestation_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

func TestMarshalKey(t *testing.T) {
	for _, comment := range []string{"", "a", "alice@example.com", "seven..", "eight..."} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		file := attestation.MarshalKey(key, comment)
		back, err := attestation.ReadKey(file)
		if err != nil || !key.Equal(back) {
			t.Fatalf("comment %q reads back as %v, %v", comment, back, err)
		}
		pub, err := pubkey.New(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(t.TempDir(), "key"), file)
		want := strings.TrimSpace(pub.AuthorizedKey() + " " + comment)
		if got := strings.TrimSpace(string(sshKeygen(t, nil, "-y", "-f", path))); got != want {
			t.Errorf("ssh-keygen reads %q, want %q", got, want)
		}
	}
}

func TestReadKey(t *testing.T) {
	dir := t.TempDir()
	generate := func(name string, args ...string) []byte {
		path := filepath.Join(dir, name)
		sshKeygen(t, nil, append([]string{"-q", "-C", "alice", "-f", path}, args...)...)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	t.Run("reads what ssh-keygen makes", func(t *testing.T) {
		key, err := attestation.ReadKey(generate("plain", "-t", "ed25519", "-N", ""))
		if err != nil {
			t.Fatal(err)
		}
		pub, err := pubkey.New(key.Public())
		if err != nil || !pub.Equal(readPub(t, filepath.Join(dir, "plain.pub"))) {
			t.Errorf("%v, %v", pub.Fingerprint(), err)
		}
	})
	for name, file := range map[string][]byte{
		"an encrypted key":  generate("locked", "-t", "ed25519", "-N", "secret"),
		"another algorithm": generate("ecdsa", "-t", "ecdsa", "-N", ""),
		"a PEM key":         generate("pem", "-t", "rsa", "-m", "PEM", "-N", ""),
		"a public key":      []byte("ssh-ed25519 AAAA alice\n"),
		"nothing":           nil,
	} {
		t.Run(name+" is not plain", func(t *testing.T) {
			if _, err := attestation.ReadKey(file); !errors.Is(err, attestation.ErrNotPlain) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("halves that do not belong together are an error", func(t *testing.T) {
		key := ed25519.NewKeyFromSeed(make([]byte, 32))
		other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
		mixed := append(append(ed25519.PrivateKey{}, key[:32]...), other[32:]...)
		if _, err := attestation.ReadKey(attestation.MarshalKey(mixed, "")); err == nil || !strings.Contains(err.Error(), "belong together") {
			t.Errorf("got %v", err)
		}
	})
}
