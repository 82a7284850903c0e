package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// WriteObject stores an object of the given type ("blob", "tree", "commit",
// "tag") and returns its id. git checks the form of all but blobs.
func (r *Repo) WriteObject(ctx context.Context, objectType string, data []byte) (change.ID, error) {
	out, err := r.output(ctx, bytes.NewReader(data), "hash-object", "-w", "-t", objectType, "--stdin")
	if err != nil {
		return "", fmt.Errorf("write %s: %w", objectType, err)
	}
	return change.ParseID(out)
}

// WriteObjects stores many objects of one type at once and returns their ids, in
// order.
func (r *Repo) WriteObjects(ctx context.Context, objectType string, list [][]byte) ([]change.ID, error) {
	if len(list) == 0 {
		return nil, nil
	}
	temp, err := filepath.Abs(os.TempDir()) // git runs in another directory
	if err != nil {
		return nil, fmt.Errorf("write %ss: %w", objectType, err)
	}
	dir, err := os.MkdirTemp(temp, "gatekeeper-objects-")
	if err != nil {
		return nil, fmt.Errorf("write %ss: %w", objectType, err)
	}
	defer os.RemoveAll(dir)
	var names bytes.Buffer
	for i, data := range list {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, fmt.Errorf("write %ss: %w", objectType, err)
		}
		names.WriteString(name + "\n")
	}
	out, err := r.output(ctx, &names, "hash-object", "-w", "-t", objectType, "--no-filters", "--stdin-paths")
	if err != nil {
		return nil, fmt.Errorf("write %ss: %w", objectType, err)
	}
	ids := make([]change.ID, 0, len(list))
	for line := range strings.FieldsSeq(out) {
		id, err := change.ParseID(line)
		if err != nil {
			return nil, fmt.Errorf("write %ss: %w", objectType, err)
		}
		ids = append(ids, id)
	}
	if len(ids) != len(list) {
		return nil, fmt.Errorf("write %ss: git stored %d of %d", objectType, len(ids), len(list))
	}
	return ids, nil
}

// UpdateRef moves a ref from old to id, or fails and changes nothing when it no
// longer stands at old. A zero old means that the ref must not exist; a zero id
// deletes it. why goes into the reflog.
func (r *Repo) UpdateRef(ctx context.Context, name string, id, old change.ID, why string) error {
	return r.updateRef(ctx, name, id, old, "-m", why)
}

// MoveBranch is UpdateRef for what people want to find again: the old value is in
// the reflog also where git keeps none by itself, as in bare repositories.
func (r *Repo) MoveBranch(ctx context.Context, name string, id, old change.ID, why string) error {
	return r.updateRef(ctx, name, id, old, "--create-reflog", "-m", why)
}

func (r *Repo) updateRef(ctx context.Context, name string, id, old change.ID, options ...string) error {
	if !plainRef(name) {
		return fmt.Errorf("update ref: bad name %q", name)
	}
	args := append([]string{"update-ref", "--no-deref"}, options...)
	if id == "" {
		args = append(args, "-d", name, r.hex(old))
	} else {
		args = append(args, name, r.hex(id), r.hex(old))
	}
	if _, err := r.output(ctx, nil, args...); err != nil {
		return fmt.Errorf("update %s: %w", name, err)
	}
	return nil
}

// hex is an id as git wants it on a command line: zeros for none.
func (r *Repo) hex(id change.ID) string {
	if id == "" {
		return strings.Repeat("00", r.IDSize)
	}
	return id.String()
}

// WriteFileAtomic replaces the content of a file, so that a reader sees the old
// or the new whole. It keeps the file's mode and follows symbolic links. It does
// not sync: after a power cut git itself would have lost the message as well.
func WriteFileAtomic(path string, data []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
	}
	return writeFile(target, data, mode)
}

func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatekeeper-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
