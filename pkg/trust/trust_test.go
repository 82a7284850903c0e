package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

const (
	aliceLine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGOP5MN+nS0jeuXMdM03CjTAr7kVJOI3N2qNLHgi"
	bobLine   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
)

func key(t testing.TB, line string) attestation.PublicKey {
	t.Helper()
	k, err := ParsePublicKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestValid(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	s := Signer{
		Principal: "alice@example.com", Key: key(t, bobLine), Source: "policy.toml:7",
		ValidAfter: day(10), ValidBefore: day(20), CompromisedSince: day(15),
	}
	for _, tt := range []struct {
		name string
		at   time.Time
		want string // "" when valid
	}{
		{"a second before the first moment", day(10).Add(-time.Second), "counts from 2026-03-10T00:00:00Z on"},
		{"the first moment", day(10), ""},
		{"a second before the compromise", day(15).Add(-time.Second), ""},
		{"the moment of the compromise", day(15), "is compromised since 2026-03-15T00:00:00Z"},
		{"a compromised key that also expired", day(25), "is compromised since"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkValid(t, s, tt.at, tt.want) })
	}

	s.CompromisedSince = time.Time{}
	t.Run("the last moment", func(t *testing.T) { checkValid(t, s, day(20), "") })
	t.Run("a second after the last moment", func(t *testing.T) {
		checkValid(t, s, day(20).Add(time.Second), "counted until 2026-03-20T00:00:00Z")
	})
	t.Run("without limits", func(t *testing.T) { checkValid(t, Signer{}, day(1), "") })

	t.Run("the error has a type", func(t *testing.T) {
		var revoked *Revoked
		var notYet *NotYet
		var expired *Expired
		s := s
		if !errors.As(s.Valid(day(1)), &notYet) || !errors.As(s.Valid(day(30)), &expired) {
			t.Error("not a NotYet and an Expired")
		}
		s.CompromisedSince = day(1)
		if !errors.As(s.Valid(day(30)), &revoked) || revoked.Signer.Source != "policy.toml:7" {
			t.Error("not a Revoked")
		}
	})
}

func checkValid(t *testing.T, s Signer, at time.Time, want string) {
	t.Helper()
	err := s.Valid(at)
	if want == "" {
		if err != nil {
			t.Errorf("got %v, want valid", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "policy.toml:7") {
		t.Errorf("got %v, want %q and its source", err, want)
	}
}

func TestSpeaks(t *testing.T) {
	s := Signer{Tools: []string{"claude-*", "cursor"}, Models: []string{"anthropic/*"}}
	for _, tt := range []struct {
		tool, model string
		want        bool
	}{
		{"claude-code", "anthropic/claude-sonnet-4-5", true},
		{"cursor", "anthropic/a/b", true},
		{"codex", "anthropic/claude-sonnet-4-5", false},
		{"claude-code", "openai/gpt-5", false},
		{"unknown", "unknown/unknown", false},
	} {
		if got := s.Speaks(tt.tool, tt.model); got != tt.want {
			t.Errorf("%s with %s: %v, want %v", tt.tool, tt.model, got, tt.want)
		}
	}
	if (Signer{}).Speaks("claude-code", "anthropic/x") {
		t.Error("a signer without lists speaks")
	}
}

func TestIs(t *testing.T) {
	for _, tt := range []struct {
		principal, identity string
		want                bool
	}{
		{"alice@example.com", "alice@example.com", true},
		{"alice@example.com", "Alice@example.com", false},
		{"alice@example.com,al@example.com", "al@example.com", true},
		{"*@example.com", "bob@example.com", true},
		{"*@example.com", "bob@example.com.evil.org", false},
		{"!mallory@example.com,*@example.com", "mallory@example.com", false},
		{"*@example.com,!mallory@example.com", "mallory@example.com", false},
		{"!mallory@example.com", "bob@example.com", false},
	} {
		if got := (Signer{Principal: tt.principal}).Is(tt.identity); got != tt.want {
			t.Errorf("%q is %q: %v, want %v", tt.principal, tt.identity, got, tt.want)
		}
	}
}

func TestSet(t *testing.T) {
	alice, bob := key(t, aliceLine), key(t, bobLine)
	set := NewSet([]Signer{{Principal: "a", Key: alice}, {Principal: "b", Key: bob}, {Principal: "a2", Key: alice}})
	got := set.Find(alice.Fingerprint())
	if len(got) != 2 || got[0].Principal != "a" || got[1].Principal != "a2" {
		t.Errorf("alice's key belongs to %v", got)
	}
	if got := set.Find("SHA256:none"); got != nil {
		t.Errorf("a stranger is %v", got)
	}
	if len(set.All()) != 3 {
		t.Errorf("all: %v", set.All())
	}
	var none *Set
	if none.Find(alice.Fingerprint()) != nil || none.All() != nil {
		t.Error("no set knows somebody")
	}
}

func TestClass(t *testing.T) {
	for _, name := range []string{"developer", "tool", "gateway", "platform"} {
		c, err := ParseClass(name)
		if err != nil || c.String() != name {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if !(Developer < Tool && Tool < Gateway && Gateway < Platform) {
		t.Error("the classes are out of order")
	}
	for _, name := range []string{"", "Developer", "class 4", "root"} {
		if c, err := ParseClass(name); err == nil {
			t.Errorf("%q is %v", name, c)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	pemOf := func(key any) string {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	ed, edPrivate, err1 := ed25519.GenerateKey(rand.Reader)
	p256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p521, err3 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	short, err4 := rsa.GenerateKey(rand.Reader, 2048)
	private, err5 := x509.MarshalPKCS8PrivateKey(edPrivate)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a line": bobLine, "a line with a comment": "  " + bobLine + " bob@example.com \n", "an Ed25519 PEM": pemOf(ed), "an ECDSA PEM": pemOf(p256.Public()),
	} {
		t.Run("reads "+name, func(t *testing.T) {
			if _, err := ParsePublicKey(text); err != nil {
				t.Error(err)
			}
		})
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "TYPE BASE64"},
		{"two lines", bobLine + "\n" + bobLine, "one line"},
		{"options", `namespaces="gatekeeper" ` + bobLine, "damaged"},
		{"a private key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "private key"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "CERTIFICATE"},
		{"two PEM blocks", pemOf(ed) + pemOf(ed), "after the PEM block"},
		{"a cut PEM block", pemOf(ed)[:60], "damaged"},
		{"a short RSA key", pemOf(short.Public()), "2048 bits are too few"},
		{"P-521", pemOf(p521.Public()), "P-521"},
		{"a type that is not the key's", strings.Replace(bobLine, "ssh-ed25519", "ssh-rsa", 1), "called ssh-ed25519"},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			if k, err := ParsePublicKey(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want %q", k.Fingerprint(), err, tt.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"?", "", false}, {"?", "a", true},
		{"a*c", "abcbc", true}, {"a*c", "abcb", false}, {"*b*", "abc", true}, {"**a", "a", true}, {"a", "A", false}, {"[a]", "a", false},
		{"a*", "a", true}, {"?*", "", false}, {"*?", "a", true},
	} {
		if got := Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
	// Exponential on naive matchers.
	if Match(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 2000)) {
		t.Error("matched")
	}
}

// path.Match means the same by * and ? where there is no slash, and by
// nothing else that is fed to it here.
func FuzzMatch(f *testing.F) {
	f.Add("a*?c*", "abcc")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		for _, text := range []string{pattern, s} {
			if strings.ContainsAny(text, `/\[]`) || strings.IndexFunc(text, func(r rune) bool { return r > 127 }) >= 0 {
				return
			}
		}
		want, err := path.Match(pattern, s)
		if err != nil {
			return
		}
		if got := Match(pattern, s); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}
