package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// PlatformSetting is the git config key that says which software serves the
// repository. It decides whose word counts about who pushes and who merges.
const PlatformSetting = "gatekeeper.platform"

// The platforms that gatekeeper knows. Plain is git's own hooks/pre-receive.
const (
	Plain     = "plain"
	GitHub    = "github" // GitHub Enterprise Server
	GitLab    = "gitlab"
	Gitea     = "gitea"
	Forgejo   = "forgejo"
	Bitbucket = "bitbucket" // Bitbucket Data Center
)

// Platforms lists their names.
func Platforms() []string { return []string{Plain, GitHub, GitLab, Gitea, Forgejo, Bitbucket} }

// platform is the one asked for, or the one from before.
func (s *site) platform(ctx context.Context, asked string) (string, error) {
	if asked == "" {
		before, err := s.git.value(ctx, PlatformSetting)
		if err != nil || before != "" {
			return before, err
		}
		return Plain, nil
	}
	if !slices.Contains(Platforms(), asked) {
		return "", &UsageError{
			Msg:  fmt.Sprintf("--platform %s is not one that this version knows", asked),
			Hint: "it knows: " + strings.Join(Platforms(), ", "),
		}
	}
	return asked, nil
}

// setPlatform makes the hooks believe what the platform says in their environment.
func (s *site) setPlatform(ctx context.Context, name string) error {
	now, err := s.git.value(ctx, PlatformSetting)
	switch {
	case err != nil:
		return err
	case name == Plain && now == "":
		return nil
	case name == now:
		s.result.did(Kept, Config, PlatformSetting, name)
		return nil
	}
	return s.setConfig(ctx, PlatformSetting, name)
}

// on is where a platform has its hooks. Those that keep a directory of hooks
// rewrite their own files and leave others alone.
func (w way) on(platform string) way {
	switch platform {
	case Gitea, Forgejo:
		w.nested = true
	case GitLab:
		w.dir, w.nested = "custom_hooks", true
	}
	return w
}
