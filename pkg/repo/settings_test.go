package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var askedKeys = []string{"gatekeeper.signingKey", "gatekeeper.publicTrailer", "gatekeeper.policy", "gatekeeper.Sub.x", "user.signingKey", "user.name",
	"user.email", "gpg.format", "core.commentChar", "core.commentString", "core.hooksPath", "commit.cleanup", "commit.verbose"}

// checkSettings holds Settings to git config, both when git is asked and when the
// answer may be remembered.
func (f *fixture) checkSettings(env ...string) {
	f.t.Helper()
	for range 2 {
		s, err := f.hook(env...).Settings(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		for _, key := range askedKeys {
			got, set := s.Get(key)
			out, err := f.at(f.dir, env...).try("", "config", "--get-all", "-z", key)
			var want []string
			if err == nil {
				want = strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
			}
			if all := s.All(key); fmt.Sprintf("%q", all) != fmt.Sprintf("%q", want) || set != (want != nil) || set && got != want[len(want)-1] {
				f.t.Fatalf("%s is %q (%q), git says %q", key, got, all, want)
			}
		}
	}
}

// remembered reports whether Settings can answer without git. Files settle first.
func (f *fixture) remembered(env ...string) bool {
	f.t.Helper()
	f.age()
	if _, err := f.hook(env...).Settings(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	// The same PATH, or another git would be meant; so git itself must not run.
	r := f.hook(env...)
	data, err := os.ReadFile(filepath.Join(r.GitDir, "gatekeeper/settings"))
	if err != nil {
		return false
	}
	_, ok := parseSettings(string(data), r.configEnvironment())
	return ok
}

// age waits until no file is younger than a stamp may be.
func (f *fixture) age() { time.Sleep(120 * time.Millisecond) }

func withScopes(t *testing.T) *fixture {
	f := newFixture(t)
	var env []string
	for _, kv := range f.env {
		if !strings.HasPrefix(kv, "GIT_CONFIG_") {
			env = append(env, kv)
		}
	}
	f.env = append(env, "GIT_CONFIG_SYSTEM="+filepath.Join(f.home, "system"))
	return f
}

func TestSettingsFollowEveryChangeOfTheConfiguration(t *testing.T) {
	f := withScopes(t)
	home := func(name, text string) func() {
		return func() { f.at(f.home).write(name, text) }
	}
	gone := func(name string) func() {
		return func() {
			if err := os.Remove(filepath.Join(f.home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := func(args ...string) func() {
		return func() { f.git(append([]string{"config"}, args...)...) }
	}
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"nothing set", func() {}},
		{"repository", config("gatekeeper.policy", "repo")},
		{"global", home(".gitconfig", "[user]\nname = N\nemail = e@x\n[gatekeeper]\npolicy = global\n[gatekeeper \"Sub\"]\nx = 1\n")},
		{"system", home("system", "[core]\ncommentChar = ;\n[commit]\nverbose = yes\n")},
		{"xdg", home(".config/git/config", "[user]\nname = X\n[gpg]\nformat = ssh\n")},
		{"global gone", gone(".gitconfig")},
		{"global back, same size", home(".gitconfig", "[user]\nname = M\nemail = e@x\n[gatekeeper]\npolicy = glubal\n[gatekeeper \"Sub\"]\nx = 1\n")},
		{"several values", config("--add", "gatekeeper.policy", "second\nline \"quoted\"")},
		{"work tree scope", func() {
			f.git("config", "extensions.worktreeConfig", "true")
			f.git("config", "--worktree", "core.hooksPath", "/h")
		}},
		{"work tree scope changes", config("--worktree", "core.hooksPath", "/i")},
		{"include of nothing", config("include.path", filepath.Join(f.home, "included"))},
		{"included file appears", home("included", "[user]\nsigningKey = k\n[include]\npath = nested\n")},
		{"nested include appears", home("nested", "[commit]\ncleanup = scissors\n")},
		{"nested include changes", home("nested", "[commit]\ncleanup = verbatim\n")},
		{"home include", config("--add", "include.path", "~/tilde")},
		{"home include appears", home("tilde", "[gatekeeper]\npublicTrailer = none\n")},
		{"includeIf gitdir", config("includeIf.gitdir:"+f.dir+"/.path", filepath.Join(f.home, "cond"))},
		{"includeIf target", home("cond", "[gatekeeper]\nsigningKey = cond\n")},
		{"includeIf that does not hold", config("includeIf.gitdir:/elsewhere/.path", filepath.Join(f.home, "not"))},
		{"included file gone", gone("included")},
		{"link to another file", func() {
			gone("tilde")()
			home("dots/tilde", "[gatekeeper]\npublicTrailer = kernel\n")()
			if err := os.Symlink("dots/tilde", filepath.Join(f.home, "tilde")); err != nil {
				t.Fatal(err)
			}
		}},
		{"behind the link", home("dots/tilde", "[gatekeeper]\npublicTrailer = newest\n")},
		{"unset", config("--unset-all", "gatekeeper.policy")},
	} {
		t.Run(step.name, func(t *testing.T) {
			f.t = t
			step.change()
			f.checkSettings() // at once, while files are young
			f.age()
			f.checkSettings() // remembered
			if !f.remembered() {
				t.Error("not remembered")
			}
		})
	}
}

func TestSettingsFollowTheEnvironment(t *testing.T) {
	f := withScopes(t)
	f.git("config", "gatekeeper.policy", "repo")
	other := filepath.Join(f.home, "other")
	f.at(other).write(".gitconfig", "[user]\nname = Other\n")
	f.at(f.home).write(".gitconfig", "[user]\nname = Home\n")
	for _, env := range [][]string{
		nil,
		{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=gatekeeper.policy", "GIT_CONFIG_VALUE_0=env"},
		{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=gatekeeper.policy", "GIT_CONFIG_VALUE_0=env2"},
		{"GIT_CONFIG_PARAMETERS='user.name'='p'"},
		nil,
		{"HOME=" + other},
		{"GIT_CONFIG_GLOBAL=" + filepath.Join(other, ".gitconfig")},
		{"GIT_CONFIG_GLOBAL=/dev/null"},
		{"GIT_CONFIG_NOSYSTEM=1"},
		{"XDG_CONFIG_HOME=" + other},
	} {
		f.checkSettings(env...)
		f.age()
		f.checkSettings(env...)
		if !f.remembered(env...) {
			t.Errorf("not remembered with %v", env)
		}
	}
	data, err := os.ReadFile(filepath.Join(f.dir, ".git/gatekeeper/settings"))
	if err != nil || strings.Contains(string(data), "GIT_CONFIG") {
		t.Errorf("the environment is written down: %s, %v", data, err)
	}
	info, err := os.Stat(filepath.Join(f.dir, ".git/gatekeeper/settings"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestWhatMayChangeUnseenIsNotRemembered(t *testing.T) {
	for _, config := range []string{
		"[includeIf \"onbranch:main\"]\npath = x\n",
		"[includeIf \"hasconfig:remote.*.url:https://x/**\"]\npath = x\n",
		"[includeIf \"future:x\"]\npath = x\n",
		"[include]\npath = ~root/x\n",
	} {
		f := withScopes(t)
		f.at(f.home).write(".gitconfig", config)
		f.checkSettings()
		if f.remembered() {
			t.Errorf("remembered with %q", config)
		}
	}
}

func TestYoungFilesAreNotRemembered(t *testing.T) {
	f := withScopes(t)
	f.age()
	f.checkSettings()
	for n := range 20 {
		f.git("config", "gatekeeper.policy", fmt.Sprintf("%02d", n)) // same size, perhaps the same tick
		f.checkSettings()
	}
}

func TestADamagedMemoryIsNotBelieved(t *testing.T) {
	f := withScopes(t)
	f.git("config", "gatekeeper.policy", "right")
	if !f.remembered() {
		t.Fatal("not remembered")
	}
	path := filepath.Join(f.dir, ".git/gatekeeper/settings")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := f.hook().configEnvironment()
	for n := range whole {
		if s, ok := parseSettings(string(whole[:n]), env); ok {
			t.Fatalf("believed after %d of %d bytes: %v", n, len(whole), s)
		}
	}
}

func TestBooleansAreGits(t *testing.T) {
	f := withScopes(t)
	for _, v := range []string{"true", "YES", "on", "1", "-1", "no", "False", "off", "0", "", "00", "maybe"} {
		f.git("config", "commit.verbose", v)
		s, err := f.hook().Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, set := s.Bool("commit.verbose")
		want, err := f.try("", "config", "--type=bool", "commit.verbose")
		if set != (err == nil) || fmt.Sprint(got) != want && set {
			t.Errorf("%q is %v %v, git says %q %v", v, got, set, want, err)
		}
	}
	s, _ := f.hook().Settings(t.Context())
	if _, set := s.Bool("commit.none"); set {
		t.Error("an absent key is set")
	}
}

// What is written is read back, whatever the values hold.
func FuzzSettings(f *testing.F) {
	f.Add("gatekeeper.x", "va\"l\nue", "/a\nb")
	f.Fuzz(func(t *testing.T, key, value, path string) {
		if strings.ContainsAny(key, "\n\"\x00") || key == "" || strings.ContainsAny(path, "\x00") {
			return
		}
		file := filepath.Join(t.TempDir(), "s")
		absent := fileStamp{path: "/nonexistent/" + path}
		want := &Settings{values: []setting{{key, value}}}
		if err := writeSettings(file, "e", &configFiles{stamps: []fileStamp{absent}}, want); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := parseSettings(string(data), "e")
		if !ok || len(got.values) != 1 || got.values[0] != want.values[0] {
			t.Errorf("wrote %q %q, read %v %v", key, value, got, ok)
		}
	})
}

func BenchmarkSettings(b *testing.B) {
	f := newFixture(b)
	f.age()
	r := f.hook()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Settings(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
