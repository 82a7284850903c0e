// Package inforce finds the policy that is in force: on a server, and as a clone
// can see it.
//
// It knows where policies live (git config, files, refs) and nothing of what they
// say; package policy reads them. A server's policy never comes from what is being
// pushed: with gatekeeper.policy = repo it is read at the value that the default
// branch has before the push.
package inforce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Setting is the git config key that names a policy.
const Setting = "gatekeeper.policy"

// Ref is where a server publishes its policy for clones: a commit whose tree
// holds policy.toml, the files it names, and baseline.
const Ref = "refs/gatekeeper/policy"

// Dir is the folder of an in-repository policy, and File the policy in any folder.
const (
	Dir  = ".gatekeeper"
	File = "policy.toml"
)

// BaselineFile is the name of the baseline, on a server and where it is published.
const BaselineFile = "baseline"

// maxFile bounds each file of a policy, in bytes.
const maxFile = 1 << 20

// maxTree bounds a tree on the way to a policy, in bytes: some 100,000 names.
const maxTree = 4 << 20

// ErrNone reports that no policy is in force.
var ErrNone = errors.New("no policy")

// A Policy that is in force, with the bytes that made it.
type Policy struct {
	*policy.Policy
	Where        string            // for people: a path, or a ref and path
	Files        map[string][]byte // policy.toml and each file it read, by name
	InRepository bool              // the default branch holds it, or may from now on: no push may change Dir there
}

// Server finds the policy of the repository r that a push goes to. The error wraps
// ErrNone when there is none; a policy that is there but cannot be read is an
// error, never the next one in line.
func Server(ctx context.Context, r *repo.Repo) (Policy, error) {
	settings, err := r.Settings(ctx)
	if err != nil {
		return Policy{}, err
	}
	return Named(ctx, r, settings.Value(Setting))
}

// Named is Server for those who have read the Setting already.
func Named(ctx context.Context, r *repo.Repo, named string) (Policy, error) {
	own := filepath.Join(r.CommonDir, "gatekeeper", File)
	switch {
	case named == "":
		return FromFile(own)
	case named == "repo":
		p, err := inRepository(ctx, r.Server())
		if errors.Is(err, ErrNone) && !hadOne(r) {
			p, err = FromFile(own)
		}
		p.InRepository = true
		return p, err
	case !filepath.IsAbs(named):
		return Policy{}, fmt.Errorf("git config %s = %q: want an absolute path or the word repo", Setting, named)
	default:
		return FromFile(named)
	}
}

// FromFile reads the policy at a path, and the files beside it that it names. The
// error wraps ErrNone when nothing is there.
func FromFile(name string) (Policy, error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return Policy{}, fmt.Errorf("%w: %s is not there", ErrNone, name)
	}
	return load(name, filepath.Base(name), func(base string) ([]byte, error) {
		return readFile(filepath.Join(filepath.Dir(name), filepath.FromSlash(base)))
	})
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return data, err
}

// load parses a policy and remembers each file that it reads.
func load(where, name string, open func(string) ([]byte, error)) (Policy, error) {
	data, err := open(name)
	if err != nil {
		return Policy{}, fmt.Errorf("read policy: %w", err)
	}
	p := Policy{Where: where, Files: map[string][]byte{File: data}}
	p.Policy, err = policy.Parse(where, data, func(name string) ([]byte, error) {
		if name == File || name == BaselineFile { // they have a meaning of their own where a policy is published
			return nil, fmt.Errorf("%s: choose another name for this file", name)
		}
		data, err := open(name)
		if err == nil {
			p.Files[name] = data
		}
		return data, err
	})
	return p, err
}

// inRepository reads the policy at the default branch as it is before the push.
func inRepository(ctx context.Context, r *repo.Repo) (Policy, error) {
	branch, tip, err := r.Head(ctx)
	if err != nil {
		return Policy{}, fmt.Errorf("read the default branch: %w", err)
	}
	if tip == "" {
		return Policy{}, fmt.Errorf("%w: %s has no commit yet", ErrNone, branch)
	}
	p, err := fromCommit(ctx, r, tip, Dir, branch+":"+Dir+"/"+File)
	if err == nil {
		err = rememberOne(r)
	}
	return p, err
}

// At reads the policy that a commit of the default branch would put in force. The
// error wraps ErrNone when it has none.
func At(ctx context.Context, r *repo.Repo, commit change.ID) (Policy, error) {
	return fromCommit(ctx, r, commit, Dir, Dir+"/"+File)
}

// fromCommit reads the policy in a folder of a commit's tree, "" being the root,
// and what else of beside is there.
func fromCommit(ctx context.Context, r *repo.Repo, commit change.ID, dir, where string, beside ...string) (Policy, error) {
	objects, err := r.Batch(ctx)
	if err != nil {
		return Policy{}, err
	}
	defer objects.Close()
	root, err := repo.TreeOf(objects, commit)
	if err != nil {
		return Policy{}, err
	}
	open := func(name string) ([]byte, error) { return readBlob(objects, root, path.Join(dir, name)) }
	if _, err := open(File); errors.Is(err, fs.ErrNotExist) {
		return Policy{}, fmt.Errorf("%w: %s is not there", ErrNone, where)
	}
	p, err := load(where, File, open)
	if err != nil {
		return p, err
	}
	for _, name := range beside {
		switch data, err := open(name); {
		case err == nil:
			p.Files[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return p, err
		}
	}
	return p, nil
}

// Entry returns the id of what stands at a path in a tree, "" when nothing does.
func Entry(objects change.Objects, root change.ID, name string) (change.ID, uint32, error) {
	id, mode := root, uint32(0o040000)
	for _, part := range strings.Split(path.Clean(name), "/") {
		if mode != 0o040000 {
			return "", 0, nil
		}
		entries, err := readTree(objects, id)
		if err != nil {
			return "", 0, err
		}
		id = ""
		for _, e := range entries {
			if e.Name == part {
				id, mode = e.ID, e.Mode
			}
		}
		if id == "" {
			return "", 0, nil
		}
	}
	return id, mode, nil
}

func readTree(objects change.Objects, id change.ID) ([]change.Entry, error) {
	o, err := objects.Open(id)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.Size > maxTree {
		return nil, fmt.Errorf("tree %s: larger than %d bytes", id, maxTree)
	}
	raw, err := io.ReadAll(o)
	if err != nil {
		return nil, err
	}
	return change.ParseTree(raw, len(id))
}

func readBlob(objects change.Objects, root change.ID, name string) ([]byte, error) {
	id, mode, err := Entry(objects, root, name)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if mode&0o170000 != 0o100000 {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	o, err := objects.Open(id)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.Size > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return io.ReadAll(o)
}

// Once a default branch has had a policy, its absence must refuse, or deleting the
// branch would switch the gate off. The marker remembers.
func marker(r *repo.Repo) string {
	return filepath.Join(r.CommonDir, "gatekeeper", "policy-in-repository")
}

func hadOne(r *repo.Repo) bool {
	_, err := os.Stat(marker(r))
	return !errors.Is(err, fs.ErrNotExist)
}

func rememberOne(r *repo.Repo) error {
	if hadOne(r) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(marker(r)), 0o755); err != nil {
		return fmt.Errorf("remember that the policy is in the repository: %w", err)
	}
	return os.WriteFile(marker(r), []byte("the default branch has had a policy; without one, pushes are refused\n"), 0o644)
}

// Client finds the policy that a clone can see. The error wraps ErrNone when there
// is none; then only form and signature can be checked.
func Client(ctx context.Context, r *repo.Repo, environ func(string) string) (Policy, error) {
	settings, err := r.Settings(ctx)
	if err != nil {
		return Policy{}, err
	}
	if named, _ := settings.Get(Setting); named != "" && named != "repo" {
		if !filepath.IsAbs(named) {
			return Policy{}, fmt.Errorf("git config %s = %q: want an absolute path", Setting, named)
		}
		return FromFile(named)
	}
	for _, name := range siteFiles(environ) {
		p, err := FromFile(name)
		if !errors.Is(err, ErrNone) {
			return p, err
		}
	}
	tip, err := r.Ref(ctx, Ref)
	if errors.Is(err, repo.ErrNoRef) || err == nil && tip == "" {
		return Policy{}, fmt.Errorf("%w: none in git config, on this machine or fetched to %s", ErrNone, Ref)
	}
	if err != nil {
		return Policy{}, err
	}
	return fromCommit(ctx, r, tip, "", Ref+"/"+File, BaselineFile)
}

// siteFiles are the places of a policy for a whole machine or user.
func siteFiles(environ func(string) string) []string {
	files := []string{"/etc/gatekeeper/" + File}
	config := environ("XDG_CONFIG_HOME")
	if home := environ("HOME"); config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		files = append(files, filepath.Join(config, "gatekeeper", File))
	}
	return files
}

// Unjudged lists the commits that, with all they reach, are never judged: those of
// the repository's own baseline file, of the published one, and of the policy.
// What the repository does not have is passed over.
func (p Policy) Unjudged(ctx context.Context, reader *repo.Reader) ([]change.ID, error) {
	name := filepath.Join(reader.CommonDir, "gatekeeper", BaselineFile)
	own, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ids, err := Baseline(own)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	published, err := Baseline(p.Files[BaselineFile])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Ref, err)
	}
	ids = append(ids, published...)
	for _, hex := range p.Baseline() {
		id, err := change.ParseID(hex)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return reader.Present(ctx, ids)
}

// Baseline reads a list of commit ids, one a line; blank lines and # comments are
// passed over.
func Baseline(data []byte) ([]change.ID, error) {
	var ids []change.ID
	for n, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		id, err := change.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("baseline line %d: %w", n+1, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
