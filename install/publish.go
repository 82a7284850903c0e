package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// PublishOptions say which server's policy to publish.
type PublishOptions struct {
	Dir     string
	Environ []string
	Now     time.Time // the date of the commit
}

// Publication is what Publish did.
type Publication struct {
	Commit  string // what PolicyRef holds now
	Changed bool
}

// Publish puts the policy in force, and the baseline, at PolicyRef, where clones
// fetch them. While they are there already nothing changes.
func Publish(ctx context.Context, o PublishOptions) (Publication, error) {
	p, err := find(ctx, o.Dir, o.Environ)
	if err != nil {
		return Publication{}, err
	}
	return publish(ctx, p, o.Now)
}

func publish(ctx context.Context, p place, now time.Time) (Publication, error) {
	r, err := repo.Open(ctx, p.gitDir, p.git.env)
	if err != nil {
		return Publication{}, err
	}
	inForce, err := inforce.Server(ctx, r)
	if err != nil {
		return Publication{}, err
	}
	files := maps.Clone(inForce.Files)
	data, err := os.ReadFile(filepath.Join(p.common, "gatekeeper", inforce.BaselineFile))
	if err == nil {
		files[inforce.BaselineFile] = data
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Publication{}, err
	}
	there, err := inforce.Published(ctx, r)
	if err != nil {
		return Publication{}, err
	}
	old, err := p.git.line(ctx, "for-each-ref", "--format=%(objectname)", PolicyRef)
	if err != nil || maps.EqualFunc(files, there, bytes.Equal) {
		return Publication{Commit: old}, err
	}
	commit, err := commitFiles(ctx, p, files, old, now)
	if err != nil {
		return Publication{}, fmt.Errorf("publish the policy: %w", err)
	}
	if _, err := p.git.run(ctx, nil, "update-ref", "-m", "gatekeeper: policy in force", PolicyRef, commit, zeros(old, commit)); err != nil {
		return Publication{}, fmt.Errorf("publish the policy: %w", err)
	}
	return Publication{Commit: commit, Changed: true}, nil
}

// zeros is old for update-ref, where "none" has as many digits as an id.
func zeros(old, like string) string {
	if old != "" {
		return old
	}
	return strings.Repeat("0", len(like))
}

// commitFiles makes a commit of files on top of parent, by way of an index of its own.
func commitFiles(ctx context.Context, p place, files map[string][]byte, parent string, now time.Time) (string, error) {
	dir, err := os.MkdirTemp("", "gatekeeper-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	date := fmt.Sprintf("%d +0000", now.Unix())
	g := p.git.at(p.gitDir).with("GIT_INDEX_FILE="+filepath.Join(dir, "index"),
		"GIT_AUTHOR_NAME=gatekeeper", "GIT_AUTHOR_EMAIL=gatekeeper@localhost", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=gatekeeper", "GIT_COMMITTER_EMAIL=gatekeeper@localhost", "GIT_COMMITTER_DATE="+date)
	var entries bytes.Buffer
	for _, name := range sorted(files) {
		id, err := blob(ctx, g, files[name])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&entries, "100644 %s\t%s\x00", id, name)
	}
	if _, err := g.run(ctx, entries.Bytes(), "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	tree, err := g.line(ctx, "write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "-m", "The policy in force", tree}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	return g.line(ctx, args...)
}

func blob(ctx context.Context, g git, data []byte) (string, error) {
	out, err := g.run(ctx, data, "hash-object", "-w", "--stdin")
	return strings.TrimSpace(string(out)), err
}
