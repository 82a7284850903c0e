package install

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/pusher"
)

// PusherSetting is the git config key that says what the server goes by to know who
// pushes: a pusher.Source.
const PusherSetting = "gatekeeper.pusher"

// nonceSeed is the setting with which git asks pushers for signed certificates. It is
// a secret.
const nonceSeed = "receive.certNonceSeed"

// TicketsDir holds, below the common git directory, the names of push certificates that
// were used, so that none is used twice.
const TicketsDir = "gatekeeper/certificates"

// Pushers lists the sources by which a server can know who pushes.
func Pushers() []string {
	var names []string
	for _, s := range pusher.Sources() {
		names = append(names, string(s))
	}
	return names
}

// PusherOf is the source for the values of PusherSetting and PlatformSetting: where none
// is set, the platform's own word.
func PusherOf(setting, platform string) pusher.Source {
	if setting != "" {
		return pusher.Source(setting)
	}
	if s := pusher.Source(platform); s.OfPlatform() {
		return s
	}
	return pusher.None
}

// pusher is the source that was asked for, or the one from before.
func (s *site) pusher(ctx context.Context, asked, platform string) (pusher.Source, error) {
	source := pusher.Source(asked)
	if asked == "" {
		before, err := s.git.value(ctx, PusherSetting)
		if err != nil {
			return "", err
		}
		source = PusherOf(before, platform)
	}
	switch {
	case !source.Known():
		return "", &UsageError{
			Msg:  fmt.Sprintf("--pusher %s is not a source that this version knows", source),
			Hint: "it knows: " + strings.Join(Pushers(), ", "),
		}
	case source.OfPlatform() && string(source) != platform:
		return "", &UsageError{
			Msg:  fmt.Sprintf("--pusher %s is the word of a platform that this is not", source),
			Hint: fmt.Sprintf("believe it where it is at home: --platform %s", source),
		}
	}
	return source, nil
}

// setPusher makes the hooks go by one source, and git ask for certificates where that
// is what they go by.
func (s *site) setPusher(ctx context.Context, source pusher.Source, platform string) error {
	now, err := s.git.value(ctx, PusherSetting)
	switch {
	case err != nil:
		return err
	case string(source) == now:
		s.result.did(Kept, Config, PusherSetting, now)
	case source != PusherOf(now, platform):
		if err := s.setConfig(ctx, PusherSetting, string(source)); err != nil {
			return err
		}
	}
	if source != pusher.Certificate {
		return nil
	}
	if err := s.mkdir(TicketsDir); err != nil { // with the permissions that all in it will have
		return err
	}
	seed, err := s.git.values(ctx, "--get-all", nonceSeed)
	if err != nil || len(seed) > 0 && !slices.Contains(seed, "") {
		return err
	}
	return s.setSecret(ctx, nonceSeed, rand.Text())
}
