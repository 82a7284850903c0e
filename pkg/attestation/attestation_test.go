package attestation_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

var values = []string{
	"claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=42/57 via=hook session=9f2c1b7e0a44 mcp=github,linear",
	"unknown/unknown unknown/unknown lines=unknown/57 via=process session=unknown",
}

func claim() attestation.Attestation {
	a := attestation.Attestation{Time: time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC)}
	for i := range a.Bind {
		a.Bind[i], a.Change[i] = byte(i), byte(255-i)
	}
	return a
}

// keys are made once: an RSA key takes a while.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err3 := rsa.GenerateKey(rand.Reader, 3072)
	if err := errors.Join(err1, err2, err3); err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{
		"ed25519": ed25519.NewKeyFromSeed(seed), "ecdsa P-256": p256, "ecdsa P-384": p384, "rsa 3072": rsaKey,
	}
})

func signed(t testing.TB, key crypto.Signer) (attestation.Attestation, attestation.PublicKey) {
	t.Helper()
	s, err := pubkey.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := attestation.Sign(context.Background(), s, values, claim())
	if err != nil {
		t.Fatal(err)
	}
	return a, s.PublicKey()
}

func TestSign(t *testing.T) {
	for name, key := range keys() {
		t.Run(name, func(t *testing.T) {
			a, pub := signed(t, key)

			back, err := attestation.Parse(a.String())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, back); diff != "" {
				t.Errorf("the value reads back differently (-signed +read):\n%s", diff)
			}
			if err := attestation.Verify(values, back, pub); err != nil {
				t.Errorf("verify: %v", err)
			}
			embedded, err := pubkey.Embedded(back)
			if err != nil || !embedded.Equal(pub) {
				t.Errorf("embedded key: %v, %v", embedded.Fingerprint(), err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	a, pub := signed(t, keys()["ed25519"])
	changed := func(change func(*attestation.Attestation)) attestation.Attestation {
		b := a
		change(&b)
		return b
	}
	other := strings.Replace(values[0], "sonnet", "opus", 1)
	for _, tt := range []struct {
		name   string
		values []string
		a      attestation.Attestation
	}{
		{"another model", []string{other, values[1]}, a},
		{"records in another order", []string{values[1], values[0]}, a},
		{"a record less", values[:1], a},
		{"another time", values, changed(func(a *attestation.Attestation) { a.Time = a.Time.Add(time.Second) })},
		{"another bind", values, changed(func(a *attestation.Attestation) { a.Bind[0] ^= 1 })},
		{"another change", values, changed(func(a *attestation.Attestation) { a.Change[0] ^= 1 })},
		{"a field more", values, changed(func(a *attestation.Attestation) { a.Extra = []string{"trace=x"} })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := attestation.Verify(tt.values, tt.a, pub); !errors.Is(err, attestation.ErrSignature) {
				t.Errorf("got %v, want ErrSignature", err)
			}
		})
	}

	t.Run("values that would change the shape of the statement", func(t *testing.T) {
		split := []string{values[0] + `","` + values[1]}
		if err := attestation.Verify(split, a, pub); err == nil || errors.Is(err, attestation.ErrSignature) {
			t.Errorf("got %v, want an error about the character", err)
		}
	})
	t.Run("nothing to attest", func(t *testing.T) {
		if err := attestation.Verify(nil, a, pub); err == nil {
			t.Error("a signature over no record was accepted")
		}
	})
	t.Run("no key at all", func(t *testing.T) {
		for _, scheme := range []attestation.Scheme{attestation.SSHSIG, attestation.DSSE} {
			err := attestation.VerifyStatement(attestation.Statement(values, a), scheme, a.Sig, attestation.PublicKey{})
			if !errors.Is(err, attestation.ErrSignature) {
				t.Errorf("%s: %v", scheme, err)
			}
		}
	})
	t.Run("a key that the attestation does not name", func(t *testing.T) {
		_, another := signed(t, keys()["ecdsa P-256"])
		if err := attestation.Verify(values, a, another); err == nil {
			t.Error("accepted")
		}
	})
}

func TestStatementIsTheJSONItLooksLike(t *testing.T) {
	a, _ := signed(t, keys()["ed25519"])
	a.Extra = []string{"trace=abc", "later=A-Z.az_09:/@+,=%25"}
	statement := attestation.Statement(values, a)

	type digestSet struct {
		SHA256 string `json:"sha256"`
	}
	type subject struct {
		Name   string    `json:"name"`
		Digest digestSet `json:"digest"`
	}
	var document struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     struct {
			Provenance  []string `json:"provenance"`
			Attestation string   `json:"attestation"`
		} `json:"predicate"`
	}
	d := json.NewDecoder(bytes.NewReader(statement))
	d.DisallowUnknownFields()
	if err := d.Decode(&document); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(statement) {
		t.Errorf("encoding/json writes\n%s\nwe write\n%s", again, statement)
	}
	if diff := cmp.Diff(values, document.Predicate.Provenance); diff != "" {
		t.Error(diff)
	}
	if want, _, _ := strings.Cut(a.String(), " sig="); document.Predicate.Attestation != want {
		t.Errorf("attestation %q, want %q", document.Predicate.Attestation, want)
	}
	if want := hex.EncodeToString(a.Change[:]); document.Subject[0].Digest.SHA256 != want {
		t.Errorf("digest %q, want %q", document.Subject[0].Digest.SHA256, want)
	}
}

func TestParse(t *testing.T) {
	const (
		head = "v1 key=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA time=2026-11-23T07:12:45Z" +
			" bind=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA change=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		sig = " sig=dsse:AAAA"
	)
	for _, tt := range []struct{ name, value string }{
		{"the least", head + sig},
		{"reserved fields", head + " trace=x deleg=y" + sig},
		{"deleg alone", head + " deleg=y" + sig},
		{"unknown fields", head + " trace=x a-1=b zz=a=b" + sig},
		{"padding", head + " sig=sshsig:AA=="},
		{"the longest", head + sig + strings.Repeat("A", 1848)},
	} {
		t.Run("accepts "+tt.name, func(t *testing.T) {
			a, err := attestation.Parse(tt.value)
			if err != nil {
				t.Fatal(err)
			}
			if got := a.String(); got != tt.value {
				t.Errorf("writes\n%s\nread\n%s", got, tt.value)
			}
		})
	}
	replace := func(old, new string) string { return strings.Replace(head+sig, old, new, 1) }
	for _, tt := range []struct {
		name, value string
		offset      int
	}{
		{"nothing", "", 0},
		{"a version to come", replace("v1", "v2"), 0},
		{"no version", replace("v1 ", ""), 0},
		{"a leading space", " " + head + sig, 0},
		{"a trailing space", head + sig + " ", len(head + sig)},
		{"two spaces", replace("v1 ", "v1  "), 3},
		{"a tab", replace("v1 ", "v1\t"), 2},
		{"a quote", replace("v1", `v"`), 1},
		{"a byte above 127", replace("v1", "v\xe9"), 1},
		{"a final newline", head + sig + "\n", len(head + sig)},
		{"a newline inside of a digest", replace("bind=A", "bind=\n"), 89},
		{"fields in another order", replace("key=", "yek="), 3},
		{"a short key", replace("SHA256:A", "SHA256:"), 3},
		{"an MD5 key", replace("SHA256:", "MD5:"), 3},
		{"a key with stray bits", replace("AAA time", "AAB time"), 3},
		{"a time without zone", replace("45Z", "45"), 58},
		{"a time with a fraction", replace("45Z", "45.5Z"), 58},
		{"a time with a comma fraction", replace("45Z", "45,5Z"), 58},
		{"a time with an offset", replace("45Z", "45+00:00"), 58},
		{"a lower-case time", replace("45Z", "45z"), 58},
		{"the 30th of February", replace("11-23", "02-30"), 58},
		{"a leap second", replace("12:45", "59:60"), 58},
		{"a year before git", replace("2026", "1999"), 58},
		{"a year far ahead", replace("2026", "3000"), 58},
		{"a padded digest", replace("AAA change", "AAA= change"), 84},
		{"a digest with stray bits", replace("AAA change", "AAB change"), 84},
		{"a digest of standard base64", replace("change=A", "change=+"), 133},
		{"no change", replace("change=", "delta="), 133},
		{"an empty field", head + " trace=" + sig, len(head) + 1},
		{"a field without value", head + " trace" + sig, len(head) + 1},
		{"a field without name", head + " =x" + sig, len(head) + 1},
		{"an upper-case name", head + " Trace=x" + sig, len(head) + 1},
		{"a name that begins with a digit", head + " 1a=x" + sig, len(head) + 1},
		{"trace after deleg", head + " deleg=y trace=x" + sig, len(head) + 9},
		{"deleg after an unknown field", head + " a=y deleg=x" + sig, len(head) + 5},
		{"a field twice", head + " a=y a=y" + sig, len(head) + 5},
		{"a second bind", head + " bind=x" + sig, len(head) + 1},
		{"no signature", head, len(head)},
		{"an empty signature", head + " sig=dsse:", len(head) + 1},
		{"a scheme to come", head + " sig=x509:AAAA", len(head) + 1},
		{"no scheme", head + " sig=AAAA", len(head) + 1},
		{"an unpadded signature", head + " sig=dsse:AA", len(head) + 1},
		{"a signature with stray bits", head + " sig=dsse:AB==", len(head) + 1},
		{"a base64url signature", head + " sig=dsse:AA-_", len(head) + 1},
		{"a field after the signature", head + sig + " a=b", len(head+sig) + 1},
		{"two signatures", head + sig + sig, len(head+sig) + 1},
		{"too much", head + sig + strings.Repeat("A", 1852), attestation.MaxValue},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			a, err := attestation.Parse(tt.value)
			var malformed *attestation.MalformedError
			if !errors.As(err, &malformed) {
				t.Fatalf("got %v, %v; want a MalformedError", a, err)
			}
			if malformed.Offset != tt.offset {
				t.Errorf("error at byte %d, want %d: %v", malformed.Offset, tt.offset, err)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	s, err := pubkey.NewSigner(keys()["ed25519"])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		values []string
		change func(*attestation.Attestation)
	}{
		{"no records", nil, func(*attestation.Attestation) {}},
		{"a quote in a record", []string{`a"b`}, func(*attestation.Attestation) {}},
		{"a field with a space", values, func(a *attestation.Attestation) { a.Extra = []string{"a=b c"} }},
		{"no time", values, func(a *attestation.Attestation) { a.Time = time.Time{} }},
		{"a value that would be too long", values, func(a *attestation.Attestation) { a.Extra = []string{"a=" + strings.Repeat("x", 1700)} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := claim()
			tt.change(&a)
			if a, err := attestation.Sign(context.Background(), s, tt.values, a); err == nil {
				t.Errorf("signed %s", a)
			}
		})
	}
	t.Run("a signature that does not verify", func(t *testing.T) {
		if a, err := attestation.Sign(context.Background(), broken{s}, values, claim()); !errors.Is(err, attestation.ErrSignature) {
			t.Errorf("got %s, %v", a, err)
		}
	})
}

// broken is a key service that signs something else than it was asked to.
type broken struct{ attestation.Signer }

func (b broken) Sign(ctx context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	return b.Signer.Sign(ctx, append(statement, ' '))
}

// sshKeygen runs ssh-keygen with the statement on stdin.
func sshKeygen(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ssh-keygen %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenSSHAcceptsOurSignatures(t *testing.T) {
	for name, key := range keys() {
		t.Run(name, func(t *testing.T) {
			a, pub := signed(t, key)
			armored, err := a.Armored()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			allowed := write(t, filepath.Join(dir, "allowed_signers"),
				[]byte(`alice@example.com namespaces="gatekeeper" `+pub.AuthorizedKey()+"\n"))
			signature := write(t, filepath.Join(dir, "sig"), armored)
			out := sshKeygen(t, attestation.Statement(values, a), "-Y", "verify", "-n", "gatekeeper", "-f", allowed,
				"-I", "alice@example.com", "-s", signature)
			if !strings.Contains(string(out), "Good \"gatekeeper\" signature for alice@example.com") ||
				!strings.Contains(string(out), pub.Fingerprint()) {
				t.Errorf("ssh-keygen says %s", out)
			}
		})
	}
}

func TestWeAcceptOpenSSHSignatures(t *testing.T) {
	for _, tt := range []struct{ name, typ, bits string }{
		{"ed25519", "ed25519", "256"},
		{"ecdsa P-256", "ecdsa", "256"},
		{"ecdsa P-384", "ecdsa", "384"},
		{"rsa 3072", "rsa", "3072"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			sshKeygen(t, nil, "-q", "-t", tt.typ, "-b", tt.bits, "-N", "", "-C", "x", "-f", path)
			key := readPub(t, path+".pub")
			a := claim()
			a.Key, a.Scheme = key.Fingerprint(), attestation.SSHSIG
			armored := sshKeygen(t, attestation.Statement(values, a), "-Y", "sign", "-q", "-n", "gatekeeper", "-f", path)
			var err error
			if a.Sig, err = attestation.ParseArmored(armored); err != nil {
				t.Fatal(err)
			}
			if err := attestation.Verify(values, a, key); err != nil {
				t.Error(err)
			}
			again, err := a.Armored()
			if err != nil || string(again) != string(armored) {
				t.Errorf("we write\n%s\nssh-keygen writes\n%s", again, armored)
			}
			fingerprint := strings.Fields(string(sshKeygen(t, nil, "-l", "-f", path)))[1]
			if key.Fingerprint() != fingerprint {
				t.Errorf("fingerprint %s, ssh-keygen says %s", key.Fingerprint(), fingerprint)
			}
		})
	}
}

func readPub(t testing.TB, path string) attestation.PublicKey {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := pubkey.ParseAuthorizedKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
