package attestation

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// What the program of every commit does with plain Ed25519 keys must be what all
// others do.
func TestEd25519(t *testing.T) {
	values := []string{"none via=process"}
	private := keys()["ed25519"].(ed25519.PrivateKey)
	general, err := NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	one := Ed25519(private)
	if !one.PublicKey().Equal(general.PublicKey()) || one.PublicKey().Fingerprint() != general.PublicKey().Fingerprint() {
		t.Errorf("got %s, want %s", one.PublicKey().Fingerprint(), general.PublicKey().Fingerprint())
	}
	claim := Attestation{Time: time.Unix(1772000000, 0)}
	a, err := Sign(context.Background(), one, values, claim)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyEd25519(values, a); err != nil {
		t.Errorf("its own signature: %v", err)
	}
	if err := VerifyEd25519([]string{"none via=hook"}, a); !errors.Is(err, ErrSignature) {
		t.Errorf("over other values: %v", err)
	}
	b := a
	b.Key = "SHA256:" + "A" + a.Key[8:]
	if err := VerifyEd25519(values, b); err == nil {
		t.Error("a signature under another key's name verifies")
	}
	for name, key := range keys() {
		if name == "ed25519" {
			continue
		}
		signer, err := NewSigner(key)
		if err != nil {
			continue // one that no trailer can hold
		}
		a, err := Sign(context.Background(), signer, values, claim)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyEd25519(values, a); !errors.Is(err, ErrOtherKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.Scheme = DSSE
	if err := VerifyEd25519(values, a); !errors.Is(err, ErrOtherKey) {
		t.Errorf("DSSE: %v", err)
	}
}

// On every vector both ways to verify agree.
func FuzzVerifyEd25519(f *testing.F) {
	for _, v := range vectorSeeds(f) {
		f.Add(v.attestation, "none via=process")
	}
	f.Fuzz(func(t *testing.T, value, record string) {
		a, err := Parse(value)
		if err != nil {
			return
		}
		got := VerifyEd25519([]string{record}, a)
		key, err := a.EmbeddedKey()
		if errors.Is(got, ErrOtherKey) {
			if err == nil && key.Type() == typeEd25519 {
				t.Fatal("an Ed25519 key is called another")
			}
			return
		}
		if err != nil { // such as a key that no honest person has
			return
		}
		if want := Verify([]string{record}, a, key); (got == nil) != (want == nil) {
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
		a, err1 := Parse(v.attestation)
		key, err2 := ParseAuthorizedKey(v.key)
		if err1 != nil || err2 != nil {
			continue
		}
		want := Verify(v.provenance, a, key)
		s, ok := OpenEd25519(v.provenance, a, key)
		switch {
		case !ok && key.Type() == typeEd25519 && want == nil:
			t.Errorf("%s: not opened, though it verifies", path)
		case ok && key.Type() != typeEd25519:
			t.Errorf("%s: opened, with a key of type %s", path, key.Type())
		case ok:
			opened++
			if good := ed25519.Verify(s.Key, s.Data, s.Signature); good != (want == nil) || !good && !errors.Is(want, ErrSignature) {
				t.Errorf("%s: checked by itself %v, by Verify %v", path, good, want)
			}
		}
	}
	if opened < 5 {
		t.Errorf("%d vectors were opened", opened)
	}
}
