package install

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/pusher"
)

func TestPusher(t *testing.T) {
	set := func(platform, source string) func(*ServerOptions) {
		return func(o *ServerOptions) { o.Platform, o.Pusher = platform, source }
	}
	source := func(b *bench) pusher.Source {
		get := func(key string) string {
			stdout, _, _ := b.Run("", "config", "--get", key) // exits 1 where it is not set
			return strings.TrimSpace(stdout)
		}
		return PusherOf(get(PusherSetting), get(PlatformSetting))
	}
	t.Run("the source is what was asked for, and stays", func(t *testing.T) {
		for _, c := range []struct {
			name, platform, source string
			want                   pusher.Source
		}{
			{"nobody is believed without being asked for", "", "", pusher.None},
			{"a platform says who pushes", GitLab, "", pusher.GitLab},
			{"a platform may be not believed", GitHub, "none", pusher.None},
			{"what serves a plain repository", Plain, "gitolite", pusher.Gitolite},
			{"a certificate", "", "certificate", pusher.Certificate},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBench(t, "--bare")
				b.installServer(set(c.platform, c.source))
				if got := source(b); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				before := snapshot(t, b.Dir)
				b.installServer()
				if diff := before.Diff(snapshot(t, b.Dir)); len(diff) > 0 {
					t.Errorf("a second run changes %q", diff)
				}
			})
		}
	})
	t.Run("the word of a platform is believed on it alone", func(t *testing.T) {
		b := newBench(t, "--bare")
		before := snapshot(t, b.Dir)
		for _, c := range []struct{ platform, source, want string }{
			{Plain, "gitlab", "--platform gitlab"},
			{Gitea, "gitlab", "--platform gitlab"},
			{Plain, "ldap", "it knows: none, gitlab"},
		} {
			o := b.serverOptions()
			o.Platform, o.Pusher = c.platform, c.source
			var wrong *UsageError
			if _, err := Server(t.Context(), o); !errors.As(err, &wrong) || !strings.Contains(wrong.Hint, c.want) {
				t.Errorf("%s on %s: %v", c.source, c.platform, err)
			}
		}
		if diff := before.Diff(snapshot(t, b.Dir)); len(diff) > 0 {
			t.Errorf("something was changed: %q", diff)
		}
	})
	t.Run("another platform has another word", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.installServer(set(GitLab, ""))
		b.installServer(set(Gitea, ""))
		if got := source(b); got != pusher.Gitea {
			t.Errorf("got %s", got)
		}
	})
	t.Run("git asks for certificates by a seed that nobody is shown", func(t *testing.T) {
		b := newBench(t, "--bare")
		before := snapshot(t, b.Dir)
		res := b.installServer(set("", "certificate"))
		seed := b.Git(t, "config", nonceSeed)
		var text strings.Builder
		if err := res.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if len(seed) < 26 || strings.Contains(text.String(), seed) || !strings.Contains(text.String(), nonceSeed) {
			t.Errorf("a seed of %d bytes:\n%s", len(seed), &text)
		}
		b.uninstallServer()
		if diff := before.Diff(snapshot(t, b.Dir)); len(diff) > 0 {
			t.Errorf("uninstall leaves %q", diff)
		}
	})
	t.Run("a seed that is there stays", func(t *testing.T) {
		b := newBench(t, "--bare")
		b.Git(t, "config", nonceSeed, "mine")
		b.installServer(set("", "certificate"))
		if got := b.Git(t, "config", nonceSeed); got != "mine" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("every platform but git alone has a word", func(t *testing.T) {
		for _, name := range Platforms() {
			if s := PusherOf("", name); s.OfPlatform() == (name == Plain) {
				t.Errorf("%s: %s", name, s)
			}
		}
	})
}
