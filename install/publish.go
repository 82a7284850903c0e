package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
)

// PublishOptions say which repository's policy to publish.
type PublishOptions struct {
	Dir     string    // the repository, or where git runs its hooks
	Environ []string  // as os.Environ; nil is the process's own. GIT_DIR in it, as in a hook, is the repository
	Now     time.Time // dates the commit; zero is the current time
}

// A Publication is what Publish did.
type Publication struct {
	Commit  string // what PolicyRef holds now
	Changed bool   // false: it had been published already
}

// Publish puts the policy that is in force in the repository at PolicyRef, for
// clones to fetch. Each change is a commit on the one before, so the ref's history
// says which policy was in force when. A policy that is there already makes none.
func Publish(ctx context.Context, o PublishOptions) (Publication, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Publication{}, err
	}
	g := newGit(dir, o.Environ)
	if named := getenv(o.Environ, "GIT_DIR"); named != "" {
		g = g.with("GIT_DIR=" + named)
	}
	common, err := g.line(ctx, "rev-parse", "--path-format=absolute", "--git-common-dir")
	if err != nil {
		return Publication{}, err
	}
	g = newGit(dir, o.Environ).at(common).with("GIT_NO_REPLACE_OBJECTS=1")
	inForce, err := policyInForce(ctx, g)
	if err != nil {
		return Publication{}, err
	}
	return publication{g, common}.put(ctx, inForce, o.Now)
}

// publish is Publish as a step of an installation.
func (s *site) publish(ctx context.Context, inForce inforce.Policy, now time.Time) error {
	if err := s.step("publish"); err != nil {
		return err
	}
	old, err := s.ref(ctx, PolicyRef)
	if err != nil {
		return err
	}
	s.undoRef(PolicyRef, old)
	p, err := publication{s.git, s.common}.put(ctx, inForce, now)
	if err != nil {
		return fmt.Errorf("publish the policy: %w", err)
	}
	if !p.Changed {
		s.result.did(Kept, Policy, PolicyRef, "for clones to fetch")
		return nil
	}
	s.madeRef(PolicyRef, old)
	s.result.did(Published, Policy, PolicyRef, "for clones to fetch")
	return nil
}

// A publication writes PolicyRef of one repository.
type publication struct {
	git    git
	common string
}

// maxBaseline bounds the baseline that is published, in bytes: clones read no file
// of a policy that is larger. Without it they judge more than the server will.
const maxBaseline = 1 << 20

func (p publication) put(ctx context.Context, inForce inforce.Policy, now time.Time) (Publication, error) {
	files := map[string][]byte{}
	for name, data := range inForce.Files {
		files[name] = data
	}
	data, err := os.ReadFile(filepath.Join(p.common, "gatekeeper", "baseline"))
	if err == nil && len(data) > 0 && len(data) <= maxBaseline {
		files["baseline"] = data
	}
	tree, err := p.tree(ctx, files)
	if err != nil {
		return Publication{}, err
	}
	// Another push may publish at the same moment; then look again.
	for range 5 {
		done, err := p.advance(ctx, tree, inForce.Digest(), now)
		if !errors.Is(err, errMoved) {
			return done, err
		}
	}
	return Publication{}, errMoved
}

// errMoved reports that the ref was not what it had been a moment before.
var errMoved = errors.New(PolicyRef + " is being moved by others")

// advance makes the ref hold the tree.
func (p publication) advance(ctx context.Context, tree, digest string, now time.Time) (Publication, error) {
	old, err := p.git.line(ctx, "for-each-ref", "--format=%(objectname) %(tree)", PolicyRef)
	if err != nil {
		return Publication{}, err
	}
	var parent, published string
	if old != "" {
		if _, err := fmt.Sscan(old, &parent, &published); err != nil {
			return Publication{}, fmt.Errorf("%s does not hold a commit", PolicyRef)
		}
	}
	if published == tree {
		return Publication{Commit: parent}, nil
	}
	args := []string{"-c", "i18n.commitEncoding=UTF-8", "commit-tree", tree}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	at := fmt.Sprintf("@%d +0000", now.Unix())
	author := p.git.with(
		"GIT_AUTHOR_NAME=gatekeeper", "GIT_AUTHOR_EMAIL=gatekeeper@localhost", "GIT_AUTHOR_DATE="+at,
		"GIT_COMMITTER_NAME=gatekeeper", "GIT_COMMITTER_EMAIL=gatekeeper@localhost", "GIT_COMMITTER_DATE="+at)
	out, err := author.run(ctx, []byte("Publish the policy in force\n\n"+digest+"\n"), args...)
	if err != nil {
		return Publication{}, err
	}
	commit := string(bytes.TrimSpace(out))
	if _, err := p.git.run(ctx, nil, "update-ref", PolicyRef, commit, parent); err != nil {
		if now, look := p.git.line(ctx, "for-each-ref", "--format=%(objectname)", PolicyRef); look == nil && now != parent {
			return Publication{}, errMoved
		}
		return Publication{}, err
	}
	return Publication{Commit: commit, Changed: true}, nil
}

// tree writes files as a tree, by way of an index of its own.
func (p publication) tree(ctx context.Context, files map[string][]byte) (string, error) {
	tmp, err := os.MkdirTemp("", "gatekeeper-publish-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	g := p.git.with("GIT_INDEX_FILE=" + filepath.Join(tmp, "index"))
	var index bytes.Buffer
	for _, name := range sorted(files) {
		out, err := g.run(ctx, files[name], "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&index, "100644 %s\t%s\x00", bytes.TrimSpace(out), filepath.ToSlash(name))
	}
	if _, err := g.run(ctx, index.Bytes(), "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	return g.line(ctx, "write-tree")
}
