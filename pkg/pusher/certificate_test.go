package pusher

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
)

const update = "0000000000000000000000000000000000000000 1111111111111111111111111111111111111111 refs/heads/main\n"

// unsigned is a certificate up to its signature.
func (c Certified) unsigned() []byte {
	var b bytes.Buffer
	b.WriteString(version)
	b.WriteString("pusher " + c.Pusher + "\n")
	if c.Pushee != "" {
		b.WriteString("pushee " + c.Pushee + "\n")
	}
	if c.Nonce != "" {
		b.WriteString("nonce " + c.Nonce + "\n")
	}
	for _, o := range c.Options {
		b.WriteString("push-option " + o + "\n")
	}
	b.WriteString("\n")
	b.Write(c.Updates)
	return b.Bytes()
}

// sign signs with ssh-keygen, as git does.
func sign(t *testing.T, key, namespace string, data []byte) []byte {
	t.Helper()
	cmd := exec.Command("ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", namespace)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newKey(t *testing.T, kind string) (path, fingerprint string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	if err := gittest.NewKey(path, kind); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-l", "-f", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return path, strings.Fields(string(out))[1]
}

func TestCertificate(t *testing.T) {
	key, fingerprint := newKey(t, "ed25519")
	said := Certified{Pusher: "SHA256:x 1772000000 +0000", Pushee: "https://git.example.com/project", Nonce: "1772000000-abc",
		Options: []string{"a=b", ""}, Updates: []byte(update)}
	env := map[string]string{
		"GIT_PUSH_CERT": strings.Repeat("1", 40), "GIT_PUSH_CERT_NONCE": said.Nonce, "GIT_PUSH_CERT_NONCE_STATUS": "OK",
		"GIT_PUSH_OPTION_COUNT": "2", "GIT_PUSH_OPTION_0": "a=b", "GIT_PUSH_OPTION_1": "",
		"GIT_PUSH_CERT_STATUS": "N", "GIT_PUSH_CERT_SIGNER": "mallory@example.com",
	}
	whole := func(c Certified) []byte { return append(c.unsigned(), sign(t, key, namespace, c.unsigned())...) }
	good := whole(said)

	tests := []struct {
		name    string
		data    []byte
		env     map[string]string // over that above
		updates string
		pushees []string
		want    string // part of the reason; "" for none
	}{
		{name: "as git makes it", data: good},
		{name: "for one of the addresses of the repository", data: good, pushees: []string{"ssh://x", said.Pushee}},
		{name: "for another repository", data: good, pushees: []string{"https://git.example.com/other"}, want: "not this repository"},
		{name: "naming no repository where one is asked for", data: whole(Certified{Pusher: "x", Nonce: said.Nonce, Options: said.Options, Updates: said.Updates}),
			pushees: []string{said.Pushee}, want: "not this repository"},
		{name: "of another push", data: good, updates: strings.ReplaceAll(update, "1111", "2222"), want: "other ref updates"},
		{name: "of more refs than the push has", data: whole(Certified{Pusher: "x", Nonce: said.Nonce, Options: said.Options, Updates: []byte(update + strings.ReplaceAll(update, "main", "next"))}), want: "other ref updates"},
		{name: "of fewer refs than the push has", data: good, updates: update + strings.ReplaceAll(update, "main", "next"), want: "other ref updates"},
		{name: "of no ref", data: whole(Certified{Pusher: "x", Nonce: said.Nonce, Options: said.Options}), want: "other ref updates"},
		{name: "with another push option", data: good, env: map[string]string{"GIT_PUSH_OPTION_0": "gatekeeper.override=x"}, want: "other push options"},
		{name: "with a push option more", data: good, env: map[string]string{"GIT_PUSH_OPTION_COUNT": "3", "GIT_PUSH_OPTION_2": "x"}, want: "other push options"},
		{name: "sent again", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "BAD"}, want: "for another push"},
		{name: "with an old nonce of the repository", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "SLOP", "GIT_PUSH_CERT_NONCE_SLOP": "301"}, want: "5m0s ago"},
		{name: "with a nonce of the future", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "SLOP", "GIT_PUSH_CERT_NONCE_SLOP": "-301"}, want: "5m0s ago"},
		{name: "with a nonce of nobody knows when", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "SLOP"}, want: "5m0s ago"},
		{name: "over HTTP, some seconds later", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "SLOP", "GIT_PUSH_CERT_NONCE_SLOP": "9", "GIT_PUSH_CERT_NONCE": "1772000009-def"}},
		{name: "without a nonce", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "MISSING"}, want: "answers no nonce"},
		{name: "with a nonce from nowhere", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": "UNSOLICITED"}, want: "receive.certNonceSeed"},
		{name: "that git says nothing of", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE_STATUS": ""}, want: "for another push"},
		{name: "whose nonce is not the one that git found", data: good, env: map[string]string{"GIT_PUSH_CERT_NONCE": "1772000000-abd"}, want: "not the one that git looked at"},
		{name: "changed by a byte", data: bytes.Replace(good, []byte("pusher SHA256:x"), []byte("pusher SHA256:y"), 1), want: "signature"},
		{name: "signed for another purpose", data: append(said.unsigned(), sign(t, key, "gatekeeper", said.unsigned())...), want: `namespace "gatekeeper"`},
		{name: "cut off", data: good[:len(good)-40], want: "not an SSH signature"},
		{name: "not signed", data: said.unsigned(), want: "no SSH signature"},
		{name: "signed twice", data: append(good, good[len(said.unsigned()):]...), want: "not an SSH signature"},
		{name: "with words behind it", data: append(bytes.Clone(good), "x\n"...), want: "not an SSH signature"},
		{name: "with two nonces", data: whole(Certified{Pusher: "x", Nonce: said.Nonce + "\nnonce " + said.Nonce, Options: said.Options, Updates: said.Updates}), want: "not in its place"},
		{name: "with an unknown header", data: whole(Certified{Pusher: "x\ncolour red", Nonce: said.Nonce, Updates: said.Updates}), want: `"colour red"`},
		{name: "with a NUL", data: whole(Certified{Pusher: "x\x00", Nonce: said.Nonce, Options: said.Options, Updates: said.Updates}), want: "NUL"},
		{name: "of another version", data: []byte("certificate version 0.2\n"), want: "does not begin with"},
		{name: "that is empty", want: "does not begin with"},
	}
	for _, c := range tests {
		t.Run("a certificate "+c.name, func(t *testing.T) {
			if c.updates == "" {
				c.updates = update
			}
			got, err := Identify(t.Context(), Certificate, Push{Updates: []byte(c.updates), Pushees: c.pushees,
				Getenv: func(name string) string {
					if v, ok := c.env[name]; ok {
						return v
					}
					return env[name]
				},
				Object: func(context.Context, string) ([]byte, error) { return c.data, nil }})
			var refuted *CertificateError
			switch {
			case c.want == "" && (err != nil || got.Key != fingerprint || got.Name != "" || len(got.Ticket) != 64):
				t.Errorf("got %+v, %v", got, err)
			case c.want != "" && (!errors.As(err, &refuted) || !strings.Contains(err.Error(), c.want) || got.Somebody()):
				t.Errorf("got %+v, %v; want %q", got, err, c.want)
			}
		})
	}
	for _, kind := range []string{"ecdsa", "rsa"} {
		t.Run("a certificate signed with "+kind, func(t *testing.T) {
			key, fingerprint := newKey(t, kind)
			c, err := ParseCertificate(append(said.unsigned(), sign(t, key, namespace, said.unsigned())...))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Verify(); err != nil || got != fingerprint {
				t.Errorf("got %s, %v; want %s", got, err, fingerprint)
			}
		})
	}
	t.Run("a certificate that git could not store is no reason to believe anybody", func(t *testing.T) {
		p := Push{Getenv: func(string) string { return strings.Repeat("0", 40) }}
		if got, err := Identify(t.Context(), Certificate, p); err == nil || got.Somebody() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("nor one that cannot be read", func(t *testing.T) {
		p := Push{Getenv: func(string) string { return strings.Repeat("1", 40) },
			Object: func(context.Context, string) ([]byte, error) { return nil, os.ErrNotExist }}
		if got, err := Identify(t.Context(), Certificate, p); !errors.Is(err, os.ErrNotExist) || got.Somebody() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, count := range []string{"x", "-1", "1001", "99999999999999999999"} {
		if got, err := Options(func(string) string { return count }); err == nil || strings.Contains(err.Error(), count) {
			t.Errorf("%s options: %q, %v", count, got, err)
		}
	}
}

// Whatever is read is written again as it was: nothing that was signed goes unread, and
// nothing is read that was not signed.
func FuzzParseCertificate(f *testing.F) {
	const sig = armor + "U1NI\n-----END SSH SIGNATURE-----\n"
	f.Add([]byte(version + "pusher SHA256:x 1772000000 +0000\npushee ../s\nnonce 1-a\npush-option a=b\n\n" + update + sig))
	f.Add([]byte(version + "pusher x\n\n" + sig))
	f.Add([]byte(version + "pusher x\nnonce y\nnonce z\n\n" + update + update + sig + sig))
	f.Add([]byte(version + "pusher x\r\n\n" + update + " " + sig))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCertificate(data)
		if err != nil {
			if !errors.As(err, new(*CertificateError)) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if got := append(c.unsigned(), c.signature...); !bytes.Equal(got, data) || !bytes.Equal(c.signed, c.unsigned()) {
			t.Fatalf("read and written again:\n%q\nis not\n%q", got, data)
		}
		if bytes.Contains(c.Updates, []byte("\n"+armor)) || bytes.HasPrefix(c.Updates, []byte(armor)) {
			t.Fatalf("a signature among the updates: %q", c.Updates)
		}
		again, err := ParseCertificate(append(c.unsigned(), c.signature...))
		if err != nil || !slices.Equal(again.Options, c.Options) || again.Nonce != c.Nonce {
			t.Fatalf("%+v, %v", again, err)
		}
		if _, err := c.Verify(); err != nil && !errors.As(err, new(*CertificateError)) {
			t.Fatalf("an error of another kind: %v", err)
		}
	})
}
