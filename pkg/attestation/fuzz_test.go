package attestation

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		a, err := Parse(value)
		if err != nil {
			return
		}
		if got := a.String(); got != value {
			t.Fatalf("read %q, writes %q", value, got)
		}
		again, err := Parse(a.String())
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
		if a, err := Parse(v.attestation); err == nil && a.Scheme == SSHSIG {
			f.Add(a.Sig)
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		sig, err := parseSSHSIG(blob)
		if err != nil {
			return
		}
		armored, err := Attestation{Scheme: SSHSIG, Sig: blob}.Armored()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseArmored(armored); err != nil || !bytes.Equal(back, blob) {
			t.Fatalf("armour gives %x, %v", back, err)
		}
		key, err := ParsePublicKey(sig.key)
		if err != nil {
			return
		}
		if again, err := SSHBlob(key, sig.format, sig.signature); err != nil || !bytes.Equal(again, blob) {
			t.Fatalf("read %x, writes %x, %v", blob, again, err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, v := range vectorSeeds(f) {
		if a, err := Parse(v.attestation); err == nil && a.Scheme == SSHSIG {
			if sig, err := parseSSHSIG(a.Sig); err == nil {
				f.Add(sig.key)
			}
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		key, err := ParsePublicKey(blob)
		if err != nil {
			return
		}
		again, err := NewPublicKey(key.Crypto())
		if err != nil || !again.Equal(key) || !bytes.Equal(again.Blob(), blob) {
			t.Fatalf("read %x, writes %x, %v", blob, again.Blob(), err)
		}
		line, err := ParseAuthorizedKey(key.AuthorizedKey() + " comment")
		if err != nil || line.Fingerprint() != key.Fingerprint() {
			t.Fatalf("%s reads as %s, %v", key.AuthorizedKey(), line.Fingerprint(), err)
		}
	})
}

func FuzzReadKey(f *testing.F) {
	f.Add(MarshalKey(keys()["ed25519"].(ed25519.PrivateKey), "x"))
	message := []byte("message")
	f.Fuzz(func(t *testing.T, file []byte) {
		private, err := ReadKey(file)
		if err != nil {
			return
		}
		// A key whose halves disagree would sign, and give itself away.
		if !ed25519.Verify(private.Public().(ed25519.PublicKey), message, ed25519.Sign(private, message)) {
			t.Fatalf("the key signs badly: %x", private)
		}
		again, err := ReadKey(MarshalKey(private, ""))
		if err != nil || !private.Equal(again) {
			t.Fatalf("reads back as %v, %v", again, err)
		}
	})
}
