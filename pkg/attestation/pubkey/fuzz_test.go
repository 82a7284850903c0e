package pubkey

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

// carriedKeys are the keys inside of the vectors of package attestation.
func carriedKeys(t testing.TB) (blobs [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("../../../testdata/vectors/attestation/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, value, _ := strings.Cut(string(text), "\nattestation: ")
		value, _, _ = strings.Cut(value, "\n")
		a, err := attestation.Parse(value)
		if err != nil {
			continue
		}
		if blob, err := a.KeyBlob(); err == nil {
			blobs = append(blobs, blob)
		}
	}
	if len(blobs) < 20 {
		t.Fatalf("%d keys in %d vectors", len(blobs), len(paths))
	}
	return blobs
}

// inside is the key as package crypto has it.
func inside(key attestation.PublicKey) crypto.PublicKey {
	switch v := key.Verifier().(type) {
	case attestation.Ed25519Key:
		return ed25519.PublicKey(v)
	case ecdsaKey:
		return v.key
	case rsaKey:
		return v.key
	}
	return nil
}

func FuzzParse(f *testing.F) {
	for _, blob := range carriedKeys(f) {
		f.Add(blob)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		key, err := Parse(blob)
		if err != nil {
			return
		}
		again, err := New(inside(key))
		if err != nil || !again.Equal(key) || !bytes.Equal(again.Blob(), blob) {
			t.Fatalf("read %x, writes %x, %v", blob, again.Blob(), err)
		}
		line, err := ParseAuthorizedKey(key.AuthorizedKey() + " comment")
		if err != nil || line.Fingerprint() != key.Fingerprint() {
			t.Fatalf("%s reads as %s, %v", key.AuthorizedKey(), line.Fingerprint(), err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	blob := carriedKeys(b)[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(blob); err != nil {
			b.Fatal(err)
		}
	}
}
