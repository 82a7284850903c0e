package attestation_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// What the program of every commit does with plain Ed25519 keys must be what all
// others do.
func TestEd25519(t *testing.T) {
	values := []string{"none via=process"}
	private := keys()["ed25519"].(ed25519.PrivateKey)
	general, err := pubkey.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	one := attestation.Ed25519(private)
	if !one.PublicKey().Equal(general.PublicKey()) || one.PublicKey().Fingerprint() != general.PublicKey().Fingerprint() {
		t.Errorf("got %s, want %s", one.PublicKey().Fingerprint(), general.PublicKey().Fingerprint())
	}
	claim := attestation.Attestation{Time: time.Unix(1772000000, 0)}
	a, err := attestation.Sign(context.Background(), one, values, claim)
	if err != nil {
		t.Fatal(err)
	}
	if err := attestation.VerifyEd25519(values, a); err != nil {
		t.Errorf("its own signature: %v", err)
	}
	if err := attestation.VerifyEd25519([]string{"none via=hook"}, a); !errors.Is(err, attestation.ErrSignature) {
		t.Errorf("over other values: %v", err)
	}
	b := a
	b.Key = "SHA256:" + "A" + a.Key[8:]
	if err := attestation.VerifyEd25519(values, b); err == nil {
		t.Error("a signature under another key's name verifies")
	}
	for name, key := range keys() {
		if name == "ed25519" {
			continue
		}
		signer, err := pubkey.NewSigner(key)
		if err != nil {
			continue // one that no trailer can hold
		}
		a, err := attestation.Sign(context.Background(), signer, values, claim)
		if err != nil {
			t.Fatal(err)
		}
		if err := attestation.VerifyEd25519(values, a); !errors.Is(err, attestation.ErrOtherKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.Scheme = attestation.DSSE
	if err := attestation.VerifyEd25519(values, a); !errors.Is(err, attestation.ErrOtherKey) {
		t.Errorf("DSSE: %v", err)
	}
}

// On every vector both ways to verify agree.
func FuzzVerifyEd25519(f *testing.F) {
	for _, v := range vectorSeeds(f) {
		f.Add(v.attestation, "none via=process")
	}
	f.Fuzz(func(t *testing.T, value, record string) {
		a, err := attestation.Parse(value)
		if err != nil {
			return
		}
		got := attestation.VerifyEd25519([]string{record}, a)
		key, err := pubkey.Embedded(a)
		if errors.Is(got, attestation.ErrOtherKey) {
			if err == nil && key.Type() == attestation.TypeEd25519 {
				t.Fatal("an Ed25519 key is called another")
			}
			return
		}
		if err != nil { // such as a key that no honest person has
			return
		}
		if want := attestation.Verify([]string{record}, a, key); (got == nil) != (want == nil) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// What is opened and then checked by itself comes out as Verify has it, for every vector.
func TestOpenEd25519(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, path := range paths {
		v := readVector(t, path)
		a, err1 := attestation.Parse(v.attestation)
		key, err2 := pubkey.ParseAuthorizedKey(v.key)
		if err1 != nil || err2 != nil {
			continue
		}
		want := attestation.Verify(v.provenance, a, key)
		s, ok := attestation.OpenEd25519(v.provenance, a, key)
		switch {
		case !ok && key.Type() == attestation.TypeEd25519 && want == nil:
			t.Errorf("%s: not opened, though it verifies", path)
		case ok && key.Type() != attestation.TypeEd25519:
			t.Errorf("%s: opened, with a key of type %s", path, key.Type())
		case ok:
			opened++
			if good := ed25519.Verify(s.Key, s.Data, s.Signature); good != (want == nil) || !good && !errors.Is(want, attestation.ErrSignature) {
				t.Errorf("%s: checked by itself %v, by Verify %v", path, good, want)
			}
		}
	}
	if opened < 5 {
		t.Errorf("%d vectors were opened", opened)
	}
}
