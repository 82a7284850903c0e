package policy

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

const corpus = "../../testdata/policy"

// parse reads a policy from text, without any file beside it.
func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse("policy.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares got with a file of the corpus.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(corpus, name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(corpus, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return names
}

func TestLoad(t *testing.T) {
	for _, path := range files(t, "good/*.toml") {
		t.Run("loads "+filepath.Base(path), func(t *testing.T) {
			if _, err := Load(path); err != nil {
				t.Error(err)
			}
		})
	}
	for _, path := range files(t, "bad/*.toml") {
		base := filepath.Base(path)
		t.Run("refuses "+base+" with the place of every fault", func(t *testing.T) {
			_, err := Load(path)
			if err == nil {
				t.Fatal("loaded")
			}
			var first *Error
			if !errors.As(err, &first) {
				t.Errorf("not an *Error: %v", err)
			}
			got := strings.ReplaceAll(every(err), filepath.Dir(path)+"/", "")
			golden(t, "bad/"+strings.TrimSuffix(base, ".toml")+".want", got)
		})
	}
	t.Run("a policy that is not there is not a bad policy", func(t *testing.T) {
		_, err := Load(filepath.Join(t.TempDir(), "policy.toml"))
		var bad *Error
		if !errors.Is(err, os.ErrNotExist) || errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a directory is not read as a policy", func(t *testing.T) {
		if _, err := Load(t.TempDir()); err == nil {
			t.Error("loaded")
		}
	})
	t.Run("a policy larger than any should be is refused", func(t *testing.T) {
		_, err := Parse("policy.toml", []byte("schema = 1\n#"+strings.Repeat("x", MaxSize)), nil)
		if err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a link out of the directory is not followed", func(t *testing.T) {
		dir := t.TempDir()
		outside := filepath.Join(t.TempDir(), "keys")
		write(t, outside, "")
		write(t, filepath.Join(dir, "policy.toml"), "schema = 1\n[signers]\nallowed_signers = \"keys\"\n")
		if err := os.Symlink(outside, filepath.Join(dir, "keys")); err != nil {
			t.Fatal(err)
		}
		_, err := Load(filepath.Join(dir, "policy.toml"))
		if err == nil || !strings.Contains(err.Error(), ":3:19: allowed_signers") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the largest policy is loaded and checked without delay", func(t *testing.T) {
		text := "schema = 1\n" + strings.Repeat("[[model]]\nid = \"a*a*a*/**b*\"\nstatus = \"denied\"\n", maxEntries)
		if got := len(parse(t, text).Check().Hints); got < maxEntries-1 {
			t.Errorf("%d hints", got)
		}
		if _, err := Parse("policy.toml", []byte(text+"[[model]]"), nil); err == nil || !strings.Contains(err.Error(), ":2:3: 1025 entries [[model]] are more than 1024") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ten faults are shown and the rest counted", func(t *testing.T) {
		_, err := Parse("policy.toml", []byte("schema = 1\n"+strings.Repeat("[[ref]]\n", 14)), nil)
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 11 || lines[10] != "and 4 more" {
			t.Errorf("got %v", err)
		}
	})
}

// every is all faults of a policy, a line for each.
func every(err error) string {
	var many Errors
	if !errors.As(err, &many) {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, e := range many {
		b.WriteString(e.Error() + "\n")
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDigest(t *testing.T) {
	with := func(policy, signers string) string {
		p, err := Parse("x", []byte(policy), func(string) ([]byte, error) { return []byte(signers), nil })
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest()
	}
	const one, two = "schema = 1\n[signers]\nallowed_signers = \"a\"\n", "# x\n"
	t.Run("it is the same for the same bytes", func(t *testing.T) {
		first, second := with(one, two), with(one, two)
		if first != second {
			t.Errorf("%s, then %s", first, second)
		}
	})
	t.Run("it covers the files beside the policy", func(t *testing.T) {
		if with(one, two) == with(one, "") {
			t.Error("a changed allowed_signers keeps the digest")
		}
	})
	t.Run("bytes that move from one file to the other change it", func(t *testing.T) {
		if with(one, two+"#\n") == with(one+two, "#\n") {
			t.Error("same digest")
		}
	})
	t.Run("it is what others can compute", func(t *testing.T) {
		// printf '\0\0\0\0\0\0\0\013schema = 1\n' | sha256sum
		const want = "sha256:94c26a504561c57417e6089970f36603824b106765fdff00800fbb5923ab64bb"
		if got := parse(t, "schema = 1\n").Digest(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestSigners(t *testing.T) {
	p, err := Load(corpus + "/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the entry of the policy holds alone where a key stands in both files", func(t *testing.T) {
		var got []string
		for _, s := range p.Signers().All() {
			got = append(got, s.Principal+" "+s.Class.String()+" "+s.Source)
		}
		want := []string{
			"alice@example.com developer policy.toml:86", "gateway.example.com gateway policy.toml:96", "bob@example.com developer allowed_signers:3"}
		for i := range want {
			want[i] = strings.ReplaceAll(want[i], "policy.toml", "full.toml")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("tools and models that are left out allow all", func(t *testing.T) {
		for _, s := range p.Signers().All() {
			if !s.Speaks("claude-code", "anthropic/claude-opus-4-6") {
				t.Errorf("%s may not speak", s.Principal)
			}
		}
	})
	t.Run("a date is UTC", func(t *testing.T) {
		if got := p.Signers().All()[0].ValidAfter.String(); got != "2026-01-01 00:00:00 +0000 UTC" {
			t.Error(got)
		}
	})
}

func TestStarter(t *testing.T) {
	for _, mode := range []Mode{Enforce, Warn, Off} {
		t.Run("loads in mode "+string(mode), func(t *testing.T) {
			p := parse(t, string(Starter(mode)))
			if p.Rule("refs/heads/main").Mode != mode {
				t.Errorf("%+v", p.Rule("refs/heads/main"))
			}
		})
	}
	t.Run("its examples load, too", func(t *testing.T) {
		text := strings.ReplaceAll(string(Starter(Warn)), "ssh-ed25519 AAAA...", alice)
		_, examples, _ := strings.Cut(text, "schema = 1")
		p, err := Parse("policy.toml", []byte("schema = 1"+uncomment(examples)), func(string) ([]byte, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Check().Counts; got != (Counts{Refs: 2, Models: 2, Aliases: 1, Tools: 1, MCP: 1, Signers: 1}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a signer's block is read back as it was written", func(t *testing.T) {
		p := parse(t, string(Starter(Warn))+SignerTOML(`al "ice"\@example.com`, "tool", alice+"\n"))
		got := p.Signers().All()[0]
		if got.Principal != `al "ice"\@example.com` || got.Class.String() != "tool" || got.Key.AuthorizedKey() != alice {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a signer's line is read back as it was written", func(t *testing.T) {
		for _, principal := range []string{"alice@example.com", "Alice Example", "#alice"} {
			line := AllowedSignersLine(principal, alice)
			p, err := Parse("policy.toml", []byte("schema = 1\nsigners.allowed_signers = \"s\""), func(string) ([]byte, error) { return []byte(line), nil })
			if err != nil || len(p.Signers().All()) != 1 || p.Signers().All()[0].Principal != principal {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

const alice = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEHkicZHY109ia16YEVf3mqx/dda3SQ7Ms+QuSV/RhK1"

// uncomment turns commented TOML into TOML and leaves sentences alone.
func uncomment(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		body, ok := strings.CutPrefix(line, "# ")
		if ok && (strings.HasPrefix(body, "[") || strings.Contains(body, " = ")) {
			lines[i] = body
		}
	}
	return strings.Join(lines, "\n")
}
