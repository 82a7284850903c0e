package change

import "fmt"

// Added calls visit for each file that the tree new has and old, which may be "", has
// not, in byte order of paths, and, before what is in it, for each folder of new that
// had to be read to find that out: it has the mode of a tree, as its Size the bytes of
// the trees on both sides, and an empty path for the root. No file's content is read.
//
// The error wraps ErrNotGrown when something of old is not in new as it was, or new has
// a folder that holds nothing. It is ErrTooLarge or a *MalformedError for trees of
// which no digest could be made either, and otherwise that of objs or visit.
func Added(objs Objects, old, new ID, visit func(RawFile) error) error {
	w := walker{objs: objs, idSize: max(len(old), len(new))}
	w.visit = func(path []byte, old, new treeEntry) error {
		if old.id != nil {
			return fmt.Errorf("%.200q: %w", path, ErrNotGrown)
		}
		return visit(RawFile{Path: string(path), Mode: new.mode, ID: ID(new.id)})
	}
	w.folder = func(path []byte, old, new *treeReader) error {
		if len(new.raw) == 0 {
			return fmt.Errorf("%.200q holds nothing: %w", path, ErrNotGrown)
		}
		path = path[:max(len(path)-1, 0)]
		return visit(RawFile{Path: string(path), Mode: 0o040000, Size: int64(len(old.raw) + len(new.raw))})
	}
	return w.begin(old, new)
}
