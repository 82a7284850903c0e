package prereceive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/install"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A button is how a platform tells, in its own environment, of a push that it makes
// itself, and where it keeps what merge requests end in.
type button struct {
	pressed func(getenv func(string) string) bool
	number  string // the variable with the request's number, "" when there is none
	request string // the ref of a request, with * for its number
}

// buttonOf is the button of a platform. Which platform it is was fixed when gatekeeper
// was installed: a variable alone could be anybody's.
func buttonOf(platform string) (b button, ok bool) {
	switch platform {
	case install.GitLab:
		// Everything that GitLab itself does to a repository has this protocol: its
		// web interface, its API, its merge trains.
		return button{request: "refs/merge-requests/*/head", pressed: func(getenv func(string) string) bool {
			return getenv("GL_PROTOCOL") == "web"
		}}, true
	case install.GitHub:
		// Of what GitHub Enterprise Server does itself, these make commits of requests.
		return button{request: "refs/pull/*/head", pressed: func(getenv func(string) string) bool {
			return slices.Contains([]string{"pull request merge button", "pull request merge api", "auto-merge deployment api",
				"branch merge api", "merge base into head"}, getenv("GITHUB_VIA"))
		}}, true
	case install.Gitea, install.Forgejo:
		// Newer ones name what set the push off, older ones only the request, which is 0
		// for a push of a person's.
		return button{request: "refs/pull/*/head", number: "GITEA_PR_INDEX", pressed: func(getenv func(string) string) bool {
			if trigger := getenv("GITEA_PUSH_TRIGGER"); trigger != "" {
				return strings.HasPrefix(trigger, "pr-")
			}
			id := getenv("GITEA_PR_ID")
			return id != "" && id != "0"
		}}, true
	case install.Bitbucket:
		return button{request: "refs/pull-requests/*/from", pressed: func(getenv func(string) string) bool {
			return getenv("BB_HOOK_TRIGGER_ID") == "pull-request-merge"
		}}, true
	}
	return button{}, false
}

// madeFile holds the commits that the platform made, each with what it was made of,
// so that they are still known for that when they come again with a new branch.
const madeFile = "gatekeeper/made"

// A platform is the forge around the repository, as the gate asks it. Several
// goroutines may ask at once.
type platform struct {
	repo    *repo.Repo
	button  button
	pressed bool // this push is the platform's own

	mu   sync.Mutex
	made map[change.ID]change.ID // nil until it is asked for
}

// platformOf is the platform that the repository was installed on, nil for none.
func platformOf(r *repo.Repo, settings *repo.Settings) (*platform, error) {
	name := settings.Value(install.PlatformSetting)
	if name == "" || name == install.Plain {
		return nil, nil
	}
	b, known := buttonOf(name)
	if !known {
		return nil, fmt.Errorf("git config %s = %q: no such platform; it knows %s", install.PlatformSetting, name, strings.Join(install.Platforms(), ", "))
	}
	return &platform{repo: r, button: b, pressed: b.pressed(r.Getenv)}, nil
}

// Makes reports whether the platform makes the commit now, or made it before.
func (p *platform) Makes(commit change.ID) bool {
	if p.pressed {
		return true
	}
	_, ok := p.before()[commit]
	return ok
}

// before are the commits of earlier pushes. A file that cannot be read knows none,
// which refuses and accepts nothing.
func (p *platform) before() map[change.ID]change.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made != nil {
		return p.made
	}
	p.made = map[change.ID]change.ID{}
	f, err := os.Open(filepath.Join(p.repo.CommonDir, madeFile))
	if err != nil {
		return p.made
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 2 {
			continue
		}
		commit, err1 := change.ParseID(words[0])
		head, err2 := change.ParseID(words[1])
		if errors.Join(err1, err2) == nil {
			p.made[commit] = head
		}
	}
	return p.made
}

// Made writes down what a commit was made of.
func (p *platform) Made(commit, head change.ID) error {
	if p.before()[commit] == head {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(p.repo.CommonDir, madeFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("note what the platform made: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %s\n", commit, head)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("note what the platform made: %w", err)
	}
	p.made[commit] = head
	return nil
}

// requestNumber is how messages name a request: GitHub, Gitea and Bitbucket #12, GitLab !12.
var requestNumber = regexp.MustCompile(`[#!]([0-9]{1,9})\b`)

// maxNumbers bounds the requests that a message may name, maxLatest those that are
// tried because they are the latest.
const (
	maxNumbers = 8
	maxLatest  = 24
)

// Heads lists what a commit may be made of: what it was made of before; else the
// requests that the platform or the message names, then the latest.
func (p *platform) Heads(ctx context.Context, commit, parent change.ID, message []byte) ([]change.ID, error) {
	if head, ok := p.before()[commit]; ok {
		return []change.ID{head}, nil
	}
	var numbers []string
	if n := p.repo.Getenv(p.button.number); n != "" && strings.Trim(n, "0123456789") == "" {
		numbers = append(numbers, n)
	}
	for _, found := range requestNumber.FindAllSubmatch(message[:min(len(message), 64<<10)], maxNumbers) {
		numbers = append(numbers, string(found[1]))
	}
	var heads []change.ID
	add := func(id change.ID) {
		if !slices.Contains(heads, id) {
			heads = append(heads, id)
		}
	}
	for _, n := range numbers {
		id, err := p.repo.Ref(ctx, strings.Replace(p.button.request, "*", n, 1))
		switch {
		case err == nil:
			add(id)
		case !errors.Is(err, repo.ErrNoRef) && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	latest, err := p.repo.NotIn(ctx, parent, maxLatest, p.button.request, "refs/heads/")
	if err != nil {
		return nil, err
	}
	for _, id := range latest {
		add(id)
	}
	return heads, nil
}

var _ gate.Platform = (*platform)(nil)
