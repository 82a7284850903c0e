package attestation_test

import (
	"context"
	"crypto/ed25519"
	"errors"
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
