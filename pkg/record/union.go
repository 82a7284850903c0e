package record

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// Bounds of what is read, so that a repository full of records costs a push no
// more than so much. Beyond them records are not found, which refuses rather than
// accepts. What one key wrote never displaces what another did.
const (
	maxTree    = 32 << 20                    // bytes of the tree of a ref, and of its att
	maxFolder  = 1 << 20                     // bytes of the tree of one change, and of one key below it
	maxIndexed = 1 << 20                     // changes, over all refs
	maxKeys    = 64                          // keys that attest one change
	maxOfKey   = 16                          // attestations of one change by one key
	maxKeySize = 2 * attestation.MaxDetached // their bytes
)

// A Union is all that several refs of records hold, and a door to what somebody
// would add to them. Several goroutines may ask it at once.
type Union struct {
	*repo.Reader
	heads []change.ID

	mu     sync.Mutex
	index  *index // nil until somebody asks
	traced map[change.ID][]change.Entry
}

// Read returns the records at heads, which are commits of refs of records. It asks
// reader, which must stay open.
func Read(reader *repo.Reader, heads []change.ID) *Union {
	heads = slices.Sorted(slices.Values(heads)) // so that bounds cut off the same twice
	return &Union{Reader: reader, heads: slices.Compact(heads)}
}

// Any reports whether there is any ref of records.
func (u *Union) Any() bool { return len(u.heads) > 0 }

// Attestations returns the detached attestations about a change, in a fixed order,
// whoever made them. A file that does not stand under its own name is passed over.
func (u *Union) Attestations(ctx context.Context, about provenance.Digest) ([]attestation.Detached, error) {
	folders, err := u.folders(ctx, about)
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	files, err := u.files(ctx, folders)
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	found, err := u.read(ctx, about, files)
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	return found, nil
}

// Trace reads the trace with a digest; false when no ref of records has it.
func (u *Union) Trace(ctx context.Context, d provenance.Digest) (Trace, bool, error) {
	name := strings.TrimPrefix(TracePath(d), traceFolder)
	for _, head := range u.heads {
		files, err := u.traces(ctx, head)
		if err != nil {
			return Trace{}, false, fmt.Errorf("read the trace: %w", err)
		}
		at, ok := slices.BinarySearchFunc(files, name, func(e change.Entry, name string) int { return strings.Compare(e.Name, name) })
		if !ok {
			continue
		}
		_, _, data, err := u.Reader.Read(ctx, files[at].ID, MaxTrace)
		if err != nil {
			return Trace{}, false, fmt.Errorf("read the trace: %w", err)
		}
		if t, err := ParseTrace(string(data)); err == nil && t.Digest() == d {
			return t, true, nil
		}
	}
	return Trace{}, false, nil
}

// traces lists the folder of traces in a ref, once.
func (u *Union) traces(ctx context.Context, head change.ID) ([]change.Entry, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if files, ok := u.traced[head]; ok {
		return files, nil
	}
	folders, err := u.root(ctx, head)
	if err != nil {
		return nil, err
	}
	var files []change.Entry
	for _, e := range folders {
		if e.Name+"/" == traceFolder && e.IsTree() {
			if files, err = u.readable(ctx, e.ID, maxTree); err != nil {
				return nil, err
			}
		}
	}
	if u.traced == nil {
		u.traced = map[change.ID][]change.Entry{}
	}
	u.traced[head] = files
	return files, nil
}

// folders finds the folders about a change, by an index that is read once.
func (u *Union) folders(ctx context.Context, about provenance.Digest) (_ []change.ID, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.index == nil {
		if u.index, err = u.readIndex(ctx); err != nil {
			return nil, err
		}
	}
	return u.index.find(about), nil
}

// A file is where an attestation may stand: att/CHANGE/KEY/NAME.
type file struct {
	key, name string
	id        change.ID
}

func (f file) compare(other file) int {
	return cmp.Or(cmp.Compare(f.key, other.key), cmp.Compare(f.name, other.name), cmp.Compare(f.id, other.id))
}

// files lists what stands in folders att/CHANGE, each file once and in order.
func (u *Union) files(ctx context.Context, folders []change.ID) ([]file, error) {
	var files []file
	for _, folder := range folders {
		keys, err := u.readable(ctx, folder, maxFolder)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if !key.IsTree() || !isHex(key.Name, 16) {
				continue
			}
			entries, err := u.readable(ctx, key.ID, maxFolder)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if e.IsFile() && isHex(e.Name, 64) {
					files = append(files, file{key.Name, e.Name, e.ID})
				}
			}
		}
	}
	slices.SortFunc(files, file.compare)
	return slices.Compact(files), nil
}

// read reads files, in order, as far as each key has room.
func (u *Union) read(ctx context.Context, about provenance.Digest, files []file) (found []attestation.Detached, err error) {
	var last file
	var keys, ofKey, size int
	for _, f := range files {
		if f.key != last.key {
			keys, ofKey, size = keys+1, 0, 0
		}
		last = f
		if keys > maxKeys || ofKey == maxOfKey || size > maxKeySize {
			continue
		}
		_, _, data, err := u.Reader.Read(ctx, f.id, attestation.MaxDetached)
		if err != nil {
			return nil, err
		}
		ofKey, size = ofKey+1, size+len(data)
		d, err := attestation.ParseDetached(data)
		if err == nil && d.Attestation.Change == about && d.Path() == attestation.ChangeFolder(d.Attestation)+"/"+f.key+"/"+f.name {
			found = append(found, d)
		}
	}
	return found, nil
}

// readIndex notes where each change's folder is, in every ref.
func (u *Union) readIndex(ctx context.Context) (*index, error) {
	x := &index{idSize: u.IDSize}
	for _, head := range u.heads {
		if err := u.indexHead(ctx, x, head); err != nil {
			return nil, err
		}
	}
	sort.Sort(x)
	return x, nil
}

// indexHead passes over what gatekeeper does not write: a server may have taken
// anything before it had a gate.
func (u *Union) indexHead(ctx context.Context, x *index, head change.ID) error {
	folders, err := u.root(ctx, head)
	if err != nil {
		return err
	}
	for _, e := range folders {
		if e.Name != "att" || !e.IsTree() {
			continue
		}
		changes, err := u.readable(ctx, e.ID, maxTree)
		if err != nil {
			return err
		}
		for _, c := range changes {
			x.add(c)
		}
	}
	return nil
}

// root lists what a ref of records holds at its top.
func (u *Union) root(ctx context.Context, head change.ID) ([]change.Entry, error) {
	commit, _, err := u.Peel(ctx, head)
	if err != nil || commit == "" {
		return nil, err
	}
	tree, err := u.TreeOf(ctx, commit)
	if err != nil {
		return nil, err
	}
	return u.readable(ctx, tree, maxTree)
}

// readable reads a tree that may be anything; what is none, or too large, is empty.
func (u *Union) readable(ctx context.Context, id change.ID, limit int64) ([]change.Entry, error) {
	objectType, size, raw, err := u.Reader.Read(ctx, id, limit)
	if err != nil || objectType != "tree" || size > limit {
		return nil, err
	}
	entries, err := change.ParseTree(raw, len(id))
	if err != nil {
		return nil, nil
	}
	return entries, nil
}

// An index is a sorted list of rows of one size: the first bytes of a change
// digest, and the id of its folder. It is one piece of memory, some 28 bytes a row.
type index struct {
	idSize int
	rows   []byte
}

const digestPart = 8

func (x *index) size() int        { return digestPart + x.idSize }
func (x *index) Len() int         { return len(x.rows) / x.size() }
func (x *index) row(i int) []byte { return x.rows[i*x.size() : (i+1)*x.size()] }

func (x *index) Less(i, j int) bool { return bytes.Compare(x.row(i), x.row(j)) < 0 }

func (x *index) Swap(i, j int) {
	var spare [digestPart + 32]byte
	n := copy(spare[:], x.row(i))
	copy(x.row(i), x.row(j))
	copy(x.row(j), spare[:n])
}

func (x *index) add(folder change.Entry) {
	digest, err := hex.DecodeString(folder.Name)
	if err != nil || len(digest) != len(provenance.Digest{}) || !folder.IsTree() || len(folder.ID) != x.idSize || x.Len() == maxIndexed {
		return
	}
	x.rows = append(append(x.rows, digest[:digestPart]...), folder.ID...)
}

// find returns the folders of a change, and seldom one of another that begins alike.
func (x *index) find(about provenance.Digest) (folders []change.ID) {
	at := sort.Search(x.Len(), func(i int) bool { return bytes.Compare(x.row(i)[:digestPart], about[:digestPart]) >= 0 })
	for ; at < x.Len() && bytes.Equal(x.row(at)[:digestPart], about[:digestPart]); at++ {
		if id := change.ID(x.row(at)[digestPart:]); !slices.Contains(folders, id) {
			folders = append(folders, id)
		}
	}
	return folders
}
