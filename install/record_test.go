package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var whole = &record{
	role:  client,
	hooks: "hooks",
	dirs:  []string{"gatekeeper"},
	files: []recordedFile{{"hooks/it's \"a\\b\"\n\xff", "00"}},
	backs: []recordedBack{{"gatekeeper/policy.toml", "gatekeeper/policy.toml.before-gatekeeper"}},
	config: []recordedConfig{
		{"core.hooksPath", "/x", []string{"~/one", "two\r"}},
		{"gatekeeper.signingKey", "/y", nil},
	},
	image: "11",
	refs:  []recordedRef{{"refs/gatekeeper/policy", ""}},
}

func TestRecord(t *testing.T) {
	t.Run("reads what it writes", func(t *testing.T) {
		got, err := parseRecord(whole.format())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(whole.format()), string(got.format())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	for _, bad := range []string{
		"", "gatekeeper-install v2 client\n", "gatekeeper-install v1 cook\n", "gatekeeper-install v1 client",
		"gatekeeper-install v1 client\nfile \"a\"\n", "gatekeeper-install v1 client\nfile a b\n",
		"gatekeeper-install v1 client\nhooks `a`\n", "gatekeeper-install v1 client\nwhat \"a\"\n",
		"gatekeeper-install v1 client\ndir \"a\" \n", "gatekeeper-install v1 client\nref \"a\" \"b\"\ndir \"a\"\n",
		strings.ReplaceAll(string(whole.format()), "\n", "\r\n"),
	} {
		t.Run("refuses "+bad, func(t *testing.T) {
			if r, err := parseRecord([]byte(bad)); err == nil {
				t.Errorf("read as %+v", r)
			}
		})
	}
}

// What is read is written back byte for byte, or it is not read at all.
func FuzzRecord(f *testing.F) {
	f.Add(string(whole.format()))
	f.Add("gatekeeper-install v1 server\nimage \"\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRecord([]byte(text))
		if err == nil && string(r.format()) != text {
			t.Errorf("read %q, wrote %q", text, r.format())
		}
	})
}

// A shim's words are those of the path, whatever it holds; sh is asked.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"/usr/bin/x", "it's", "a\nb", `$(x) "y" \z`, "-n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no path holds one
		}
		c := &clone{Env: []string{"PATH=/usr/bin:/bin"}}
		cmd := c.Command()
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "printf '%s' " + quote(s)}
		if got := needs(t, cmd); got != s {
			t.Errorf("sh reads %q as %q", s, got)
		}
	})
}
