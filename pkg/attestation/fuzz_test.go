package attestation_test

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

func vectorSeeds(f *testing.F) []vector {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no vectors, %v", err)
	}
	var seeds []vector
	for _, path := range paths {
		seeds = append(seeds, readVector(f, path))
	}
	return seeds
}

func FuzzParse(f *testing.F) {
	for _, v := range vectorSeeds(f) {
		f.Add(v.attestation)
	}
	f.Add("v1 key=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA time=2026-11-23T07:12:45Z" +
		" bind=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA change=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a=b sig=dsse:AA==")
	f.Fuzz(func(t *testing.T, value string) {
		a, err := attestation.Parse(value)
		if err != nil {
			return
		}
		if got := a.String(); got != value {
			t.Fatalf("read %q, writes %q", value, got)
		}
		again, err := attestation.Parse(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, again); diff != "" {
			t.Error(diff)
		}
	})
}

// One signature has one blob, and one key one fingerprint.
func FuzzSSHSIG(f *testing.F) {
	for _, v := range vectorSeeds(f) {
		if a, err := attestation.Parse(v.attestation); err == nil && a.Scheme == attestation.SSHSIG {
			f.Add(a.Sig)
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		a := attestation.Attestation{Scheme: attestation.SSHSIG, Sig: blob}
		carried, err := a.KeyBlob()
		if err != nil {
			return
		}
		parts := takeApart(blob)
		if !bytes.Equal(carried, parts.key) {
			t.Fatalf("carries %x, want %x", carried, parts.key)
		}
		armored, err := a.Armored()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := attestation.ParseArmored(armored); err != nil || !bytes.Equal(back, blob) {
			t.Fatalf("armour gives %x, %v", back, err)
		}
		key, err := pubkey.Parse(parts.key)
		if err != nil {
			return
		}
		if again, err := attestation.SSHBlob(key, parts.format, parts.signature); err != nil || !bytes.Equal(again, blob) {
			t.Fatalf("read %x, writes %x, %v", blob, again, err)
		}
	})
}

func FuzzReadKey(f *testing.F) {
	f.Add(attestation.MarshalKey(keys()["ed25519"].(ed25519.PrivateKey), "x"))
	message := []byte("message")
	f.Fuzz(func(t *testing.T, file []byte) {
		private, err := attestation.ReadKey(file)
		if err != nil {
			return
		}
		// A key whose halves disagree would sign, and give itself away.
		if !ed25519.Verify(private.Public().(ed25519.PublicKey), message, ed25519.Sign(private, message)) {
			t.Fatalf("the key signs badly: %x", private)
		}
		again, err := attestation.ReadKey(attestation.MarshalKey(private, ""))
		if err != nil || !private.Equal(again) {
			t.Fatalf("reads back as %v, %v", again, err)
		}
	})
}
