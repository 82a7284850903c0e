package attestation_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// A detachedVector is a text and what becomes of it: where it is kept, or why not.
type detachedVector struct {
	Name, Text, Path, Malformed string
}

func detachedVectors(t testing.TB) []detachedVector {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/detached.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []detachedVector }
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) < 25 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

func TestDetachedVectors(t *testing.T) {
	for _, v := range detachedVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			d, err := attestation.ParseDetached([]byte(v.Text))
			if v.Malformed != "" {
				if err == nil || !strings.Contains(err.Error(), v.Malformed) {
					t.Errorf("error %v, want %q", err, v.Malformed)
				}
				if d.Provenance != nil || d.Attestation.Key != "" {
					t.Errorf("came back half read: %+v", d)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := d.String(); got != v.Text {
				t.Errorf("read %q, writes %q", v.Text, got)
			}
			if got := d.Path(); got != v.Path {
				t.Errorf("kept at %s, want %s", got, v.Path)
			}
		})
	}
}

func TestADetachedAttestationSignsWhatItsLinesSay(t *testing.T) {
	a, pub := signed(t, keys()["ed25519"])
	d, err := attestation.ParseDetached([]byte(attestation.Detached{Provenance: values, Attestation: a}.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := attestation.Verify(d.Provenance, d.Attestation, pub); err != nil {
		t.Error(err)
	}
	forged := strings.Replace(d.String(), "sonnet", "opus", 1)
	if d, err = attestation.ParseDetached([]byte(forged)); err != nil {
		t.Fatal(err)
	}
	if err := attestation.Verify(d.Provenance, d.Attestation, pub); err == nil {
		t.Error("another model is signed, too")
	}
}

func TestADetachedAttestationHasALargestSize(t *testing.T) {
	a, _ := signed(t, keys()["ed25519"])
	// Of lines of any length up to the largest, so that both sides of the limit are met.
	d := attestation.Detached{Attestation: a}
	line := func(n int) string { return strings.Repeat("a", n) }
	room := func() int { return attestation.MaxDetached - len(d.String()) - len("AI-Provenance: ") - 1 }
	for room() > 2048 {
		d.Provenance = append(d.Provenance, line(2048-len("AI-Provenance: ")))
	}
	d.Provenance = append(d.Provenance, line(room()))
	if n := len(d.String()); n != attestation.MaxDetached {
		t.Fatalf("%d bytes", n)
	}
	if _, err := attestation.ParseDetached([]byte(d.String())); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	d.Provenance[len(d.Provenance)-1] += "a"
	if _, err := attestation.ParseDetached([]byte(d.String())); err == nil || !strings.Contains(err.Error(), "65537 bytes, at most 65536") {
		t.Errorf("above the limit: %v", err)
	}
}

// keyID is the same in other words: what ssh-keygen -l prints is the base64 of a hash.
func keyID(key attestation.PublicKey) string {
	return fmt.Sprintf("%x", sha256.Sum256(key.Blob()))[:16]
}

func TestKeyID(t *testing.T) {
	for name, key := range keys() {
		pub, err := pubkey.New(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got := attestation.KeyID(pub.Fingerprint()); got != keyID(pub) {
			t.Errorf("%s: %q, want %q", name, got, keyID(pub))
		}
	}
	_, pub := signed(t, keys()["ed25519"])
	good := pub.Fingerprint()
	for name, fingerprint := range map[string]string{
		"empty": "", "no algorithm": strings.TrimPrefix(good, "SHA256:"), "MD5": "MD5" + good[6:], "lower case": "sha256" + good[6:],
		"padded": good + "=", "cut short": good[:len(good)-1], "too long": good + "AAAA", "stray bits": stray(good),
		"base64url": "SHA256:" + strings.Repeat("_", 43), "a newline": good + "\n", "a path": "SHA256:../../../../../../../../../../../../../../x",
	} {
		if got := attestation.KeyID(fingerprint); got != "" && fingerprint != good {
			t.Errorf("%s: %q has the id %q", name, fingerprint, got)
		}
	}
}

func FuzzParseDetached(f *testing.F) {
	for _, v := range detachedVectors(f) {
		f.Add([]byte(v.Text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := attestation.ParseDetached(text)
		if err != nil {
			return
		}
		if got := d.String(); got != string(text) {
			t.Fatalf("read %q, writes %q", text, got)
		}
		again, err := attestation.ParseDetached([]byte(d.String()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Error(diff)
		}
		// The place is four plain names, whatever was read, and speaks of the text.
		sum := sha256.Sum256(text)
		want := []string{"att", hex.EncodeToString(d.Attestation.Change[:]), "", hex.EncodeToString(sum[:])}
		got := strings.Split(d.Path(), "/")
		if len(got) != 4 || len(got[2]) != 16 || strings.Trim(got[2], "0123456789abcdef") != "" {
			t.Fatalf("kept at %q", d.Path())
		}
		want[2] = got[2]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A name of a key is its hash cut short, and no other text has one.
func FuzzKeyID(f *testing.F) {
	f.Add("SHA256:z/fSv0Z0RZS+Lccbc6ZoOWwt/fbj1VFJGSBKQbo4icE")
	f.Add("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, fingerprint string) {
		id := attestation.KeyID(fingerprint)
		if id == "" {
			return
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fingerprint, "SHA256:") + "=")
		if err != nil || len(raw) != 32 || hex.EncodeToString(raw)[:16] != id {
			t.Fatalf("%q has the id %q", fingerprint, id)
		}
		if back := "SHA256:" + base64.RawStdEncoding.EncodeToString(raw); back != fingerprint {
			t.Fatalf("%q and %q have one id", fingerprint, back)
		}
	})
}
