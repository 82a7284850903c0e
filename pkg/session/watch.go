package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// A Watch follows the files of one work tree while agents work on them: who wrote
// which line of what is not committed yet.
//
// Agents tell before and after they edit a file or run a command. Whatever a file
// holds before an edit that the agent did not leave there is somebody else's; what the
// edit changes is the agent's; what a command changes between before and after is, too,
// but for what git merely brought back. Where an agent was heard to begin and not to
// end, what changed since may be its own or not, and stays in doubt.
//
// Each file has a small file of state below gatekeeper/work in the git directory of
// the work tree, so that a commit looks only at the states of the files that it
// commits, however many there are.
type Watch struct {
	tree Tree
	dir  string
	gone func(process string) bool
}

// A Tree is the work tree that is watched.
type Tree interface {
	// Dirty lists the files that differ from HEAD, in the index or in the work tree,
	// and those that git does not know and does not ignore.
	Dirty(ctx context.Context) ([]repo.Dirty, error)
	// Staged is a file as the index has it; nil when it has none.
	Staged(ctx context.Context, path string) ([]byte, error)
	// Head is the commit that HEAD is at, "" when there is none.
	Head(ctx context.Context) (change.ID, error)
	// FileAt is a file as a commit has it, and its blob's id; "" when no file is there.
	FileAt(ctx context.Context, commit change.ID, path string) (content []byte, blob change.ID, err error)
	// Read is a file as the work tree has it; nil when no file is there.
	Read(path string) ([]byte, error)
	// Stashes lists the commits that are stashed, and Stashed the files that one keeps.
	Stashes(ctx context.Context) ([]change.ID, error)
	Stashed(ctx context.Context, stash change.ID) (paths []string, err error)
}

// OpenWatch names the watch over the work tree of r. It touches no file.
func OpenWatch(r *repo.Repo) *Watch {
	return &Watch{workTree{r}, filepath.Join(r.GitDir, "gatekeeper", "work"), agent.Gone}
}

// Used reports whether an agent has ever told of anything here.
func (w *Watch) Used() bool {
	_, err := os.Stat(w.dir)
	return err == nil
}

// A Call is an agent's own call of a tool, from before to after.
type Call struct {
	Actor Actor
	ID    string // the agent's own, or what else tells its calls apart
	// Process is the agent's, as agent.Process.Identity writes it; "" when it is not known.
	// When it is gone, so is the call.
	Process string
	// Background says that the call goes on after the agent has gone on.
	Background bool
}

// BeforeEdit is told of files that an agent is about to edit.
func (w *Watch) BeforeEdit(ctx context.Context, c Call, paths []string) error {
	return w.locked(ctx, func(others []openCall) error {
		for _, path := range paths {
			if err := w.look(ctx, path, nil, doubt(others)); err != nil {
				return err
			}
		}
		return w.put(w.callPath(c), openCall{Call: c, files: paths}.String())
	})
}

// An Edited is a file after an agent's edit.
type Edited struct {
	Path   string
	From   string // its name before, where the edit gave it another; else ""
	Before []byte // what it held before, where the agent says so; else nil
	After  []byte // what the agent gave it, where it says so; else nil: what it holds now
}

// AfterEdit is told of files that an agent has edited. The agent's word of both contents
// makes it sure of what the edit changed; one of them, or BeforeEdit, as long as
// nobody else was at work on the file.
func (w *Watch) AfterEdit(ctx context.Context, c Call, files []Edited) error {
	return w.locked(ctx, func(open []openCall) error {
		others, own := w.without(open, c)
		for _, e := range files {
			heard := own != nil && slices.Contains(own.files, e.Path)
			if err := w.edited(ctx, c.Actor, e, heard, others); err != nil {
				return err
			}
		}
		return w.drop(w.callPath(c))
	})
}

func (w *Watch) edited(ctx context.Context, a Actor, e Edited, heard bool, others []openCall) error {
	f, err := w.load(e.Path)
	if err != nil {
		return err
	}
	head, err := w.head(ctx, "", e.Path)
	if err != nil {
		return err
	}
	content, err := w.tree.Read(e.Path)
	if err != nil {
		return err
	}
	heard = heard && f != nil
	if f == nil && e.From != "" {
		if f, err = w.load(e.From); err != nil {
			return err
		}
		if f != nil {
			f, heard = f.as(e.Path, f.Now), true
		}
	}
	first, after := content, content
	if e.After != nil {
		after = e.After
	}
	if e.Before != nil {
		first = e.Before
	}
	if f == nil {
		if f, err = w.begin(ctx, e.Path, first, head, nil, nil); err != nil {
			return err
		}
	}
	about := besides(a, others, e.Path)
	if e.Before != nil {
		o, hand := doubt(others)(f)
		f.see(e.Before, o, hand, head)
	}
	told := e.Before != nil && e.After != nil
	f.see(after, f.hand(a, told || len(about) == 0 && (heard || e.Before != nil), about), Typing, head)
	o, hand := doubt(others)(f)
	f.see(content, o, hand, head)
	return w.save(f)
}

// besides are those of the calls that may change a file, and are not an actor's own.
func besides(a Actor, calls []openCall, path string) []openCall {
	return slices.DeleteFunc(slices.Clone(calls), func(c openCall) bool { return !c.about(path) || c.Actor.same(a) })
}

// hand is the owner of what changed while an actor was at work: for sure, if not even
// that is in doubt. Who else was at work, and not heard to begin, is not known.
func (w *Work) hand(a Actor, sure bool, others []openCall) Owner {
	o := w.actor(a)
	switch {
	case sure:
		return o
	case len(others) == 0:
		return perhaps(o)
	}
	return Anyone
}

// oneOf is the owner of what any of these calls may have written, or none.
func (w *Work) oneOf(calls []openCall) Owner {
	first := w.actor(calls[0].Actor)
	one := true
	for _, c := range calls[1:] {
		w.actor(c.Actor)
		one = one && c.Actor.same(calls[0].Actor)
	}
	if one {
		return perhaps(first)
	}
	return Anyone
}

// begun is a file of which nothing is known but what it held.
func begun(path string, content []byte) *Work {
	f := &Work{Path: path}
	if lines, ok := LinesOf(content); ok {
		f.Now = by(lines, Nobody)
	} else {
		f.Opaque = true
	}
	return f
}

// look brings the state of a file up to date with what it holds. Where it has no
// state, it was as before until now, or as HEAD has it.
func (w *Watch) look(ctx context.Context, path string, before *Head, by whose) error {
	content, err := w.tree.Read(path)
	if err != nil {
		return err
	}
	return w.take(ctx, path, content, before, nil, by)
}

// begin makes the state of a file that has none: as it was before, where somebody knows
// that, else as HEAD has it. One that HEAD does not have may have had another name, among
// those that changed: the dirty ones, by default.
func (w *Watch) begin(ctx context.Context, path string, content []byte, head Head, before *Head, among []string) (*Work, error) {
	lines, ok := LinesOf(content)
	if head.Blob == "" && ok && content != nil {
		if among == nil {
			dirty, err := w.tree.Dirty(ctx)
			if err != nil {
				return nil, err
			}
			among = paths(dirty)
		}
		if f, err := w.renamed(ctx, path, lines, among); f != nil || err != nil {
			return f, err
		}
	}
	if before == nil {
		before = &head
	}
	return begun(path, before.Content), nil
}

func paths(dirty []repo.Dirty) []string {
	list := make([]string, len(dirty))
	for i, d := range dirty {
		list[i] = d.Path
	}
	return list
}

// doubt tells who may have changed a file while these calls were open: nobody that is
// known when none is about it.
func doubt(open []openCall) whose {
	return func(f *Work) (Owner, Hand) {
		about := besides(Actor{}, open, f.Path)
		if len(about) == 0 {
			return Nobody, Moving
		}
		return f.oneOf(about), Moving
	}
}

// whose tells who changed a file since it was last seen, and how.
type whose func(*Work) (Owner, Hand)

// maxDirty bounds the files that are followed through one command.
const maxDirty = 2000

// BeforeShell is told that an agent is about to run a command, which may change any
// file.
func (w *Watch) BeforeShell(ctx context.Context, c Call) error {
	dirty, err := w.tree.Dirty(ctx)
	if err != nil {
		return err
	}
	head, err := w.tree.Head(ctx)
	if err != nil {
		return err
	}
	return w.locked(ctx, func(others []openCall) error {
		if err := w.noteStashes(ctx, doubt(others)); err != nil {
			return err
		}
		open := openCall{Call: c, head: head, partial: len(dirty) > maxDirty}
		for _, d := range dirty[:min(len(dirty), maxDirty)] {
			if err := w.beforehand(ctx, d, others); err != nil {
				return err
			}
			open.dirty = append(open.dirty, d.Path)
		}
		return w.put(w.callPath(c), open.String())
	})
}

// beforehand brings the state of a file up to date before a command: with what the work tree
// has and, where that is something else, with what the index has, since the command
// may commit it.
func (w *Watch) beforehand(ctx context.Context, d repo.Dirty, others []openCall) error {
	if err := w.takeStaged(ctx, d, nil, doubt(others)); err != nil {
		return err
	}
	return w.look(ctx, d.Path, nil, doubt(others))
}

// takeStaged takes note of what the index has of a file, where that is neither in HEAD nor
// in the work tree.
func (w *Watch) takeStaged(ctx context.Context, d repo.Dirty, before *Head, by whose) error {
	if !d.Between {
		return nil
	}
	staged, err := w.tree.Staged(ctx, d.Path)
	if err != nil {
		return err
	}
	return w.take(ctx, d.Path, staged, before, nil, by)
}

// take takes note of a version of a file.
func (w *Watch) take(ctx context.Context, path string, content []byte, before *Head, among []string, by whose) error {
	f, err := w.load(path)
	if err != nil {
		return err
	}
	head, err := w.head(ctx, "", path)
	if err != nil {
		return err
	}
	if f == nil {
		if f, err = w.begin(ctx, path, content, head, before, among); err != nil {
			return err
		}
	}
	o, hand := by(f)
	f.see(content, o, hand, head)
	return w.save(f)
}

// AfterShell is told that a command of an agent has ended.
func (w *Watch) AfterShell(ctx context.Context, c Call) error {
	dirty, err := w.tree.Dirty(ctx)
	if err != nil {
		return err
	}
	return w.locked(ctx, func(open []openCall) error {
		others, own := w.without(open, c)
		if own == nil { // it was not heard to begin
			own = &openCall{Call: c, partial: true}
		}
		own.Actor = c.Actor // which may know more by now
		return w.ended(ctx, *own, dirty, others, true)
	})
}

// Ended is told that none of a session's calls goes on, or none but those in the
// background: what changed since the others began is the agent's, or not.
func (w *Watch) Ended(ctx context.Context, session string, background bool) error {
	if !w.Used() {
		return nil
	}
	return w.locked(ctx, func(open []openCall) error {
		_, err := w.closeAll(ctx, open, func(c openCall) bool { return c.Actor.Session == session && (background || !c.Background) })
		return err
	})
}

// closeAll ends the calls that are over, though nobody heard them end, and gives the others.
func (w *Watch) closeAll(ctx context.Context, open []openCall, over func(openCall) bool) ([]openCall, error) {
	if !slices.ContainsFunc(open, over) {
		return open, nil
	}
	dirty, err := w.tree.Dirty(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range slices.Clone(open) {
		if !over(c) {
			continue
		}
		open, _ = w.without(open, c.Call)
		if err := w.ended(ctx, c, dirty, open, false); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// ended takes what changed while a call was open for its agent's, where nobody else's
// was.
func (w *Watch) ended(ctx context.Context, c openCall, dirty []repo.Dirty, others []openCall, sure bool) error {
	its := func(f *Work) (Owner, Hand) {
		about := besides(c.Actor, others, f.Path)
		known := !c.partial || slices.Contains(c.dirty, f.Path)
		return f.hand(c.Actor, sure && known && len(about) == 0, about), Moving
	}
	if c.files != nil {
		dirty = nil
	}
	if err := w.noteStashes(ctx, its); err != nil {
		return err
	}
	files := slices.Clone(dirty)
	for _, path := range slices.Concat(c.dirty, c.files) {
		if !slices.ContainsFunc(dirty, func(d repo.Dirty) bool { return d.Path == path }) {
			files = append(files, repo.Dirty{Path: path})
		}
	}
	for _, d := range files {
		before, err := w.head(ctx, c.head, d.Path) // else it would have been dirty
		if err != nil {
			return err
		}
		if err := w.takeStaged(ctx, d, &before, its); err != nil {
			return err
		}
		if err := w.look(ctx, d.Path, &before, its); err != nil {
			return err
		}
	}
	return w.drop(w.callPath(c.Call))
}

// Prune drops the states of files that nobody has looked at since, but for those of files
// that differ from HEAD.
func (w *Watch) Prune(ctx context.Context, since time.Time) error {
	if !w.Used() {
		return nil
	}
	var needed map[string]bool
	var err error
	drop := prune(w.dir, since, func(name string) bool {
		name = strings.TrimSuffix(name, pastEnd)
		if len(name) != len(workName("")) || err != nil {
			return true
		}
		if needed == nil {
			needed = map[string]bool{}
			var dirty []repo.Dirty
			if dirty, err = w.tree.Dirty(ctx); err != nil {
				return true
			}
			for _, d := range dirty {
				needed[workName(d.Path)] = true
			}
		}
		return needed[name]
	})
	return errors.Join(err, drop)
}

// noteStashes takes note of what was stashed since the last time, since it may come
// back: by is who changed those files until then.
func (w *Watch) noteStashes(ctx context.Context, by whose) error {
	stashes, err := w.tree.Stashes(ctx)
	if err != nil || len(stashes) == 0 {
		return err
	}
	name := filepath.Join(w.dir, "stashes")
	noted, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b strings.Builder
	for _, s := range stashes {
		b.WriteString(s.String() + "\n")
		if strings.Contains(string(noted), s.String()+"\n") {
			continue
		}
		if err := w.noteStash(ctx, s, by); err != nil {
			return err
		}
	}
	if b.String() == string(noted) {
		return nil
	}
	return w.put(name, b.String())
}

func (w *Watch) noteStash(ctx context.Context, stash change.ID, by whose) error {
	paths, err := w.tree.Stashed(ctx, stash)
	if err != nil {
		return err
	}
	for _, path := range paths[:min(len(paths), maxDirty)] {
		content, _, err := w.tree.FileAt(ctx, stash, path)
		if err != nil {
			return err
		}
		if err := w.take(ctx, path, content, nil, paths, by); err != nil {
			return err
		}
	}
	return nil
}

// head is a file as a commit has it, HEAD by default.
func (w *Watch) head(ctx context.Context, commit change.ID, path string) (Head, error) {
	if commit == "" {
		var err error
		if commit, err = w.tree.Head(ctx); err != nil || commit == "" {
			return Head{}, err
		}
	}
	content, id, err := w.tree.FileAt(ctx, commit, path)
	if err != nil || id == "" {
		return Head{}, err
	}
	return Head{id.String(), content}, nil
}

// put writes a file of the state whole or not at all.
func (w *Watch) put(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return repo.WriteFileAtomic(path, []byte(text))
}

func (w *Watch) drop(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// locked runs do while no other process changes the state, with the calls that are
// open. It ends those whose process is gone.
func (w *Watch) locked(ctx context.Context, do func(open []openCall) error) error {
	if err := os.MkdirAll(w.dir, 0o777); err != nil {
		return fmt.Errorf("follow the work tree: %w", err)
	}
	unlock, err := repo.Lock(ctx, filepath.Join(w.dir, "lock"))
	if err != nil {
		return fmt.Errorf("follow the work tree: %w", err)
	}
	defer unlock()
	open, err := w.open()
	if err == nil {
		open, err = w.closeAll(ctx, open, func(c openCall) bool { return c.Process != "" && w.gone(c.Process) })
	}
	if err == nil {
		err = do(open)
	}
	if err != nil {
		return fmt.Errorf("follow the work tree: %w", err)
	}
	return nil
}

// An openCall is a call that was heard to begin.
type openCall struct {
	Call
	files   []string  // that it is about; nil is all
	head    change.ID // at that time
	dirty   []string  // the files whose state was up to date then
	partial bool      // there were more than can be followed, or it was not heard to begin
}

// about reports whether the call may change a file.
func (c openCall) about(path string) bool { return c.files == nil || slices.Contains(c.files, path) }

// without takes a call out of the open ones.
func (w *Watch) without(open []openCall, c Call) (others []openCall, own *openCall) {
	for _, o := range open {
		if w.callPath(o.Call) == w.callPath(c) {
			own = &o
		} else {
			others = append(others, o)
		}
	}
	return others, own
}

const callHead = "gatekeeper call v1\n"

func (c openCall) String() string {
	var b strings.Builder
	b.WriteString(callHead)
	a := c.Actor
	fmt.Fprintf(&b, "call %q %q %q %q %q %q %q %q\n", c.ID, c.Process, a.Tool.Name, a.Tool.Version, a.Model.Provider, a.Model.Name, a.Session, a.Source)
	fmt.Fprintf(&b, "head %q\n", c.head.String())
	for _, path := range c.files {
		fmt.Fprintf(&b, "file %q\n", path)
	}
	for _, path := range c.dirty {
		fmt.Fprintf(&b, "dirty %q\n", path)
	}
	if c.partial {
		b.WriteString("partial\n")
	}
	if c.Background {
		b.WriteString("background\n")
	}
	b.WriteString("end\n")
	return b.String()
}

var errCall = errors.New("not a whole call of this version")

func parseCall(text string) (c openCall, err error) {
	rest, ok := strings.CutPrefix(text, callHead)
	rest, whole := strings.CutSuffix(rest, "end\n")
	if !ok || !whole {
		return c, errCall
	}
	for line := range strings.Lines(rest) {
		word, line, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		v, err := quoted(line)
		switch {
		case err != nil:
			return c, err
		case word == "call" && len(v) == 8:
			c.Call = Call{ID: v[0], Process: v[1], Actor: Actor{Tool: provenance.Tool{Name: v[2], Version: v[3]},
				Model: provenance.Model{Provider: v[4], Name: v[5]}, Session: v[6], Source: v[7]}}
		case word == "head" && len(v) == 1 && v[0] == "":
		case word == "head" && len(v) == 1:
			if c.head, err = change.ParseID(v[0]); err != nil {
				return c, err
			}
		case word == "file" && len(v) == 1:
			c.files = append(c.files, v[0])
		case word == "dirty" && len(v) == 1:
			c.dirty = append(c.dirty, v[0])
		case word == "partial" && len(v) == 0:
			c.partial = true
		case word == "background" && len(v) == 0:
			c.Background = true
		default:
			return c, errCall
		}
	}
	if c.String() != text {
		return c, errCall
	}
	return c, nil
}

func (w *Watch) callPath(c Call) string {
	return filepath.Join(w.dir, "calls", workName(c.Actor.Session+"\x00"+c.ID))
}

// Open lists the actors whose calls were heard to begin and not to end.
func (w *Watch) Open() (list []Actor, err error) {
	open, err := w.open()
	for _, c := range open {
		if !slices.Contains(list, c.Actor) {
			list = append(list, c.Actor)
		}
	}
	return list, err
}

// open lists the calls that were heard to begin and not to end.
func (w *Watch) open() ([]openCall, error) {
	entries, err := os.ReadDir(filepath.Join(w.dir, "calls"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var open []openCall
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(w.dir, "calls", e.Name()))
		if err != nil {
			return nil, err
		}
		if c, err := parseCall(string(data)); err == nil {
			open = append(open, c)
		}
	}
	return open, nil
}

// Content is what the work tree holds at a path; nil when nothing.
func (w *Watch) Content(path string) ([]byte, error) { return w.tree.Read(path) }
