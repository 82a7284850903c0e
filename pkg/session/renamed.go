package session

import (
	"context"
	"os"
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// maxNew bounds the new files that are looked at for another name: what unpacks an
// archive renames nothing.
const maxNew = 100

// renamed finds the file that a new one with these lines was before, or is a copy of: one
// that is gone and half of which is here, or one that has half of what is here. Its owners
// come along, since moving a line is not writing it. nil is that there is none.
//
// What only HEAD had under the other name is nobody's: who wrote it is told by the
// commit that brought it.
func (w *Watch) renamed(ctx context.Context, path string, lines Lines, among []string) (*Work, error) {
	if len(lines.Exact) == 0 || len(among) > maxNew {
		return nil, nil
	}
	known, err := w.known()
	if err != nil {
		return nil, err
	}
	source, text, err := w.mostAlike(known, lines)
	if err != nil {
		return nil, err
	}
	var committed []*Work
	for _, other := range among {
		head, err := w.head(ctx, "", other)
		if err != nil {
			return nil, err
		}
		if head.Blob != "" {
			committed = append(committed, begun(other, head.Content))
		}
	}
	from, was, err := w.mostAlike(committed, lines)
	switch {
	case err != nil:
		return nil, err
	case source == nil && from == nil:
		return nil, nil
	case source == nil:
		return from.as(path, was), nil
	}
	f := source.as(path, text)
	if from != nil {
		f.newer = slices.Insert(f.newer, 0, was)
	}
	return f, nil
}

// mostAlike finds the file, and the version of it, that a new file with these lines came
// from.
func (w *Watch) mostAlike(files []*Work, lines Lines) (best *Work, text Text, err error) {
	wanted := make(map[uint64]bool, len(lines.Exact))
	for _, l := range lines.Exact {
		wanted[l] = true
	}
	most := 0
	for _, f := range files {
		content, err := w.tree.Read(f.Path)
		if err != nil {
			return nil, text, err
		}
		for _, t := range f.versions() {
			enough := (len(lines.Exact) + 1) / 2
			if content == nil {
				enough = min(enough, (len(t.Exact)+1)/2)
			}
			if have(t.Exact, wanted) <= max(most, enough-1) {
				continue
			}
			if n := common(t.Exact, lines.Exact); n > max(most, enough-1) {
				best, text, most = f, t, n
			}
		}
	}
	return best, text, nil
}

// as is the file under another name, as it was at t.
func (w *Work) as(path string, t Text) *Work {
	before := w.before()
	slices.Reverse(before)
	return &Work{Path: path, Actors: slices.Clone(w.Actors), Touched: slices.Clone(w.Touched), Heads: slices.Clone(w.Heads), Now: t, newer: before}
}

// have counts the lines that are wanted, which are no fewer than those in common.
func have(lines []uint64, wanted map[uint64]bool) (n int) {
	for _, l := range lines {
		if wanted[l] {
			n++
		}
	}
	return n
}

func common(a, b []uint64) (n int) {
	matches, _ := change.Align(a, b)
	for _, m := range matches {
		n += m.N
	}
	return n
}

// known are the files with a state.
func (w *Watch) known() ([]*Work, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var list []*Work
	for _, e := range entries {
		if len(e.Name()) != len(workName("")) {
			continue
		}
		f, err := w.read(e.Name())
		if err != nil {
			return nil, err
		}
		if f != nil {
			list = append(list, f)
		}
	}
	return list, nil
}
