package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	securedsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	sigstoredsse "github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

var values = []string{"claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=42/57 via=hook session=9f2c1b7e0a44"}

func claim() attestation.Attestation {
	return attestation.Attestation{
		Time: time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC), Bind: provenance.Digest{1}, Change: provenance.Digest{2},
	}
}

func newKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	rsaKey, err4 := rsa.GenerateKey(rand.Reader, 3072)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": ed, "ecdsa P-256": p256, "ecdsa P-384": p384, "rsa 3072": rsaKey}
}

func writeKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	pem, err := cryptoutils.MarshalPrivateKeyToPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, pem)
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sign opens the key that spec names, signs and verifies with it.
func sign(t *testing.T, ctx context.Context, spec string) attestation.Attestation {
	t.Helper()
	s, err := Open(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	a, err := attestation.Sign(ctx, s, values, claim())
	if err != nil {
		t.Fatal(err)
	}
	back, err := attestation.Parse(a.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := attestation.Verify(values, back, s.PublicKey()); err != nil {
		t.Fatal(err)
	}
	if back.Scheme != attestation.DSSE {
		t.Errorf("scheme %s, want dsse", back.Scheme)
	}
	return back
}

func TestSigstoreAcceptsTheEnvelope(t *testing.T) {
	for name, key := range newKeys(t) {
		t.Run(name, func(t *testing.T) {
			a := sign(t, context.Background(), writeKey(t, key))
			envelope, err := Envelope(values, a)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := Open(context.Background(), writeKey(t, key))
			if err != nil {
				t.Fatal(err)
			}
			const other = `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.com/v1"}`
			sealed, err := Seal(context.Background(), opened, []byte(other))
			if err != nil {
				t.Fatal(err)
			}

			hash := crypto.SHA256
			if ec, ok := key.(*ecdsa.PrivateKey); ok && ec.Curve == elliptic.P384() {
				hash = crypto.SHA384
			}
			raw, err := signature.LoadVerifier(key.Public(), hash)
			if err != nil {
				t.Fatal(err)
			}
			var payload []byte
			verifier := sigstoredsse.WrapVerifier(raw,
				sigstoredsse.WithExpectedPayloadType("application/vnd.in-toto+json"), sigstoredsse.WithDecodedPayload(&payload))
			if err := verifier.VerifySignature(bytes.NewReader(envelope), nil); err != nil {
				t.Fatalf("sigstore refuses\n%s\n%v", envelope, err)
			}
			if want := attestation.Statement(values, a); string(payload) != string(want) {
				t.Errorf("payload\n%s\nwant\n%s", payload, want)
			}
			if err := verifier.VerifySignature(bytes.NewReader(sealed), nil); err != nil || string(payload) != other {
				t.Errorf("sigstore refuses\n%s\n%v", sealed, err)
			}
		})
	}
}

func TestEnvelopeSignedBySigstoreIsAccepted(t *testing.T) {
	for name, key := range newKeys(t) {
		t.Run(name, func(t *testing.T) {
			public, err := pubkey.New(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			a := claim()
			a.Key, a.Scheme = public.Fingerprint(), attestation.DSSE
			raw, err := signature.LoadDefaultSigner(key)
			if err != nil {
				t.Fatal(err)
			}
			envelope, err := sigstoredsse.WrapSigner(raw, attestation.PayloadType).SignMessage(bytes.NewReader(attestation.Statement(values, a)))
			if err != nil {
				t.Fatal(err)
			}
			var parsed securedsse.Envelope
			if err := json.Unmarshal(envelope, &parsed); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(`"`+parsed.Signatures[0].Sig+`"`), &a.Sig); err != nil {
				t.Fatal(err)
			}
			if err := attestation.Verify(values, a, public); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSSHSignaturesHaveNoEnvelope(t *testing.T) {
	a := claim()
	a.Scheme = attestation.SSHSIG
	if _, err := Envelope(values, a); err == nil {
		t.Error("an envelope around an SSH signature")
	}
}

func TestOpen(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(t *testing.T) string {
		der, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, cryptoutils.StaticPasswordFunc([]byte("secret")))
		if err != nil {
			t.Fatal(err)
		}
		return write(t, cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, der))
	}
	t.Run("a cosign key with its password in the environment", func(t *testing.T) {
		t.Setenv("COSIGN_PASSWORD", "secret")
		sign(t, context.Background(), encrypted(t))
	})
	t.Run("a key in the home directory", func(t *testing.T) {
		path := writeKey(t, key)
		t.Setenv("HOME", filepath.Dir(path))
		sign(t, context.Background(), "~/key.pem")
	})
	t.Run("a key of a linked service", func(t *testing.T) {
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []crypto.Signer{key, p384} {
			sign(t, context.WithValue(context.Background(), fake.KmsCtxKey{}, key), fake.ReferenceScheme+"key")
		}
	})

	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, spec, want string }{
		{"a service that is not linked", "awskms:///alias/release", `the key service "awskms" is not built in`},
		{"a file that is not there", filepath.Join(t.TempDir(), "none.pem"), "no such file"},
		{"a file that holds something else", write(t, []byte("ssh-ed25519 AAAA\n")), "not a PEM private key"},
		{"a key of another kind", writeKey(t, p521), "P-521 is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(context.Background(), tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), tt.spec) {
				t.Errorf("got %v, want %q and the key's name", err, tt.want)
			}
		})
	}
	t.Run("an encrypted key without password", func(t *testing.T) {
		t.Setenv("COSIGN_PASSWORD", "")
		os.Unsetenv("COSIGN_PASSWORD")
		if _, err := Open(context.Background(), encrypted(t)); err == nil || !strings.Contains(err.Error(), "COSIGN_PASSWORD") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOnlyDSSEIsSealed(t *testing.T) {
	ssh, err := pubkey.NewSigner(newKeys(t)["ed25519"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(context.Background(), ssh, []byte("{}")); err == nil || !strings.Contains(err.Error(), "signs as sshsig") {
		t.Errorf("an SSH key gives %v", err)
	}
}
