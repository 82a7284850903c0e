package attestation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func blobOf(t testing.TB, text string) []byte {
	t.Helper()
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func point(first byte, rest ...byte) []byte {
	p := make([]byte, 32)
	p[0] = first
	copy(p[32-len(rest):], rest)
	return p
}

func TestParsePublicKeyRefuses(t *testing.T) {
	ed := func(key []byte) []byte { return appendString(appendString(nil, typeEd25519), key) }
	rsaBlob := func(e, n []byte) []byte { return appendString(appendString(appendString(nil, typeRSA), e), n) }
	modulus := func(bits int) []byte {
		n := make([]byte, bits/8+1)
		n[1], n[bits/8] = 0x80, 1
		return n
	}
	good := ed(keys()["ed25519"].Public().(ed25519.PublicKey))
	e := []byte{1, 0, 1}
	for _, tt := range []struct {
		name string
		blob []byte
		want string
	}{
		{"nothing", nil, "type is missing"},
		{"bytes left over", append(bytes.Clone(good), 0), "left over"},
		{"bytes missing", good[:len(good)-1], "missing"},
		{"DSA", appendString(nil, "ssh-dss"), "too weak"},
		{"a security key", appendString(nil, "sk-ssh-ed25519@openssh.com"), "FIDO"},
		{"an ECDSA security key", appendString(nil, "sk-ecdsa-sha2-nistp256@openssh.com"), "FIDO"},
		{"a certificate", appendString(nil, "ssh-ed25519-cert-v01@openssh.com"), "certificates"},
		{"P-521", appendString(nil, "ecdsa-sha2-nistp521"), "P-521"},
		{"an unknown type", appendString(nil, "ssh-xmss@openssh.com"), "not supported"},
		{"a curve that is not the type's", appendString(appendString(appendString(nil, typeP256), "nistp384"), make([]byte, 97)), "curve"},
		{"an ECDSA point at infinity", appendString(appendString(appendString(nil, typeP256), "nistp256"), []byte{0}), "point"},
		{"RSA of 2048 bits", rsaBlob(e, modulus(2048)), "2048 bits are too few"},
		{"RSA of 16384 bits", rsaBlob(e, modulus(16384)), "too many"},
		{"an RSA modulus with a needless zero", rsaBlob(e, append([]byte{0}, modulus(3072)...)), "shortest form"},
		{"a negative RSA modulus", rsaBlob(e, modulus(3072)[1:]), "shortest form"},
		{"an RSA exponent of 1", rsaBlob([]byte{1}, modulus(3072)), "exponent"},
		{"an even RSA exponent", rsaBlob([]byte{4}, modulus(3072)), "exponent"},
		{"a long RSA exponent", rsaBlob([]byte{1, 0, 0, 0, 1}, modulus(3072)), "exponent"},
		{"the neutral point", ed(point(1)), "small order"},
		{"the neutral point with the sign of x set", ed(point(1, 0x80)), "small order"},
		{"a point of order 2", ed(append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), "small order"},
		{"a point of order 4", ed(point(0)), "small order"},
		{"another point of order 4", ed(point(0, 0x80)), "small order"},
		{"y = p", ed(append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), "canonical"},
		{"y = p+1 with the sign of x set", ed(append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0xff)), "canonical"},
		{"y off the curve", ed(point(2)), "not a point"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ParsePublicKey(tt.blob)
			var keyErr *KeyError
			if !errors.As(err, &keyErr) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want a KeyError with %q", key.Fingerprint(), err, tt.want)
			}
		})
	}
}

// The four points of order 8, from https://github.com/C2SP/CCTV/tree/main/ed25519.
func TestPointsOfOrder8AreRefused(t *testing.T) {
	for _, text := range []string{
		"JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=", "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/IU=",
		"xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=", "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o=",
	} {
		key := blobOf(t, text)
		if got := badPoint(key); !strings.Contains(got, "small order") {
			t.Errorf("%x: %q", key, got)
		}
	}
}

func TestHonestPointsAreAccepted(t *testing.T) {
	for range 200 {
		pub, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if reason := badPoint(pub); reason != "" {
			t.Fatalf("%x: %s", pub, reason)
		}
	}
}

// Half of all y belong to a point. TestHonestPointsAreAccepted holds the other side.
func TestAboutHalfOfAllValuesAreNotOnTheCurve(t *testing.T) {
	bad := 0
	for y := range 200 {
		if badPoint(point(byte(y), 0)) == "not a point of the curve" {
			bad++
		}
	}
	if bad < 70 || bad > 130 {
		t.Errorf("%d of 200 small y are off the curve", bad)
	}
}

func TestNewSignerRefusesKeysThatDoNotFit(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSigner(short); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("RSA 2048: %v", err)
	}
	long := make([]byte, 640)
	long[0], long[639] = 0x80, 1
	key, err := ParsePublicKey(appendMpint(appendMpint(appendString(nil, typeRSA), []byte{1, 0, 1}), long))
	if err != nil {
		t.Fatal(err)
	}
	if err := FitsSSHSIG(key); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("RSA 5120: %v", err)
	}
}

func TestMarshalKey(t *testing.T) {
	for _, comment := range []string{"", "a", "alice@example.com", "seven..", "eight..."} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		file := MarshalKey(key, comment)
		back, err := ReadKey(file)
		if err != nil || !key.Equal(back) {
			t.Fatalf("comment %q reads back as %v, %v", comment, back, err)
		}
		pub, err := NewPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(t.TempDir(), "key"), file)
		want := strings.TrimSpace(pub.AuthorizedKey() + " " + comment)
		if got := strings.TrimSpace(string(sshKeygen(t, nil, "-y", "-f", path))); got != want {
			t.Errorf("ssh-keygen reads %q, want %q", got, want)
		}
	}
}

func TestReadKey(t *testing.T) {
	dir := t.TempDir()
	generate := func(name string, args ...string) []byte {
		path := filepath.Join(dir, name)
		sshKeygen(t, nil, append([]string{"-q", "-C", "alice", "-f", path}, args...)...)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	t.Run("reads what ssh-keygen makes", func(t *testing.T) {
		key, err := ReadKey(generate("plain", "-t", "ed25519", "-N", ""))
		if err != nil {
			t.Fatal(err)
		}
		pub, err := NewPublicKey(key.Public())
		if err != nil || !pub.Equal(readPub(t, filepath.Join(dir, "plain.pub"))) {
			t.Errorf("%v, %v", pub.Fingerprint(), err)
		}
	})
	for name, file := range map[string][]byte{
		"an encrypted key":  generate("locked", "-t", "ed25519", "-N", "secret"),
		"another algorithm": generate("ecdsa", "-t", "ecdsa", "-N", ""),
		"a PEM key":         generate("pem", "-t", "rsa", "-m", "PEM", "-N", ""),
		"a public key":      []byte("ssh-ed25519 AAAA alice\n"),
		"nothing":           nil,
	} {
		t.Run(name+" is not plain", func(t *testing.T) {
			if _, err := ReadKey(file); !errors.Is(err, ErrNotPlain) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("halves that do not belong together are an error", func(t *testing.T) {
		key := ed25519.NewKeyFromSeed(make([]byte, 32))
		other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
		mixed := append(append(ed25519.PrivateKey{}, key[:32]...), other[32:]...)
		if _, err := ReadKey(MarshalKey(mixed, "")); err == nil || !strings.Contains(err.Error(), "belong together") {
			t.Errorf("got %v", err)
		}
	})
}
