package agents

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/session"
)

// What became of an agent.
const (
	Wrote   = "wrote"
	Kept    = "kept"    // everything was as it should be
	Removed = "removed" // and the files are as if we had never been there
	Left    = "left"    // something of ours stays, because somebody has changed it
	Skipped = "skipped" // there is nowhere to write to
)

// A Report is what became of one agent.
type Report struct {
	Name   string
	Done   string // one of Wrote, Kept, …
	Where  string // the file, or the directory of several
	Detail string // why, or what to know
}

// A Change is what has to be written for some agents, worked out and not yet done.
type Change struct {
	Reports []Report // in order of names; complete after Apply

	world  World
	edits  []edit
	agents []agentChange
	undo   []func() error
}

// An edit is a file as it is and as it is to be.
type edit struct {
	agent int // in Change.agents
	file  file
	after []byte // nil: the file goes
	mode  fs.FileMode
	keep  bool // a copy of it as it was
}

type agentChange struct {
	name    string
	record  *record // as it will be
	had     *record
	entries []session.Entry // nil: none is left; empty: as they were noted
	noted   []session.Entry
	report  int
}

// Prepare works out what brings the entries of the named agents into place. It reads
// and writes nothing. An error is a *BadFile where somebody has to mend a file.
func (w World) Prepare(names []string) (*Change, error) {
	if err := checkBinary(w.Binary); err != nil {
		return nil, err
	}
	c := &Change{world: w}
	for _, name := range names {
		if err := c.prepare(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Change) prepare(name string) error {
	a, dir, err := c.agent(name)
	if err != nil {
		return err
	}
	targets := a.targets(c.world, dir)
	if len(targets) == 0 {
		c.Reports = append(c.Reports, Report{Name: name, Done: Skipped, Detail: "its hooks are not known for this system"})
		return nil
	}
	ac, err := c.begin(a.name)
	if err != nil {
		return err
	}
	before := len(c.edits)
	ac.record.program = c.world.Binary
	for _, t := range targets {
		if err := c.placeIn(ac, t); err != nil {
			return err
		}
		ac.entries = append(ac.entries, session.Entry{File: t.file, Text: t.text})
	}
	done := Kept
	if len(c.edits) > before {
		done = Wrote
	}
	r := Report{Name: name, Done: done, Where: where(ac.record.paths())}
	if name := off(targets); name != "" {
		r.Detail = name + " there keeps every hook from running"
	}
	c.report(ac, r)
	return nil
}

// agent is a known agent and where its configuration is.
func (c *Change) agent(name string) (agent, string, error) {
	a, ok := known(name)
	if !ok || a.targets == nil {
		return a, "", &UnknownAgent{name}
	}
	dir := a.dir(c.world)
	if dir == "" {
		return a, "", fmt.Errorf("%s: the environment names no home directory", a.title)
	}
	return a, dir, nil
}

func (c *Change) begin(name string) (*agentChange, error) {
	had, err := c.world.readRecord(name)
	if err != nil {
		return nil, err
	}
	noted, err := session.OpenPlaced(c.world.getenv).Agents()
	if err != nil {
		return nil, err
	}
	ac := agentChange{name: name, record: had.clone(), had: had}
	for _, p := range noted {
		if p.Name == name {
			ac.noted = p.Entries
		}
	}
	c.agents = append(c.agents, ac)
	return &c.agents[len(c.agents)-1], nil
}

func (c *Change) report(ac *agentChange, r Report) {
	ac.report = len(c.Reports)
	c.Reports = append(c.Reports, r)
}

// off names the setting that keeps the hooks in a file from running.
func off(targets []target) string {
	for _, t := range targets {
		if t.hooks == nil || t.hooks.off.path == nil {
			continue
		}
		f, err := readFile(t.file)
		if err != nil || f.data == nil {
			continue
		}
		if d, err := parseDocument(t.file, f.data); err == nil {
			return t.hooks.switchedOff(d)
		}
	}
	return ""
}

// where is what people are told of where entries are.
func where(paths []string) string {
	if len(paths) == 1 {
		return paths[0]
	}
	return filepath.Dir(paths[0])
}

func (c *Change) placeIn(ac *agentChange, t target) error {
	f, err := readFile(t.file)
	if err != nil {
		return err
	}
	e := edit{agent: len(c.agents) - 1, file: f, after: t.whole, mode: t.mode()}
	if t.hooks != nil {
		if e.after, err = t.hooks.placed(t.file, f.data); err != nil {
			return err
		}
		if f.data != nil {
			rest, _, err := t.hooks.taken(t.file, f.data)
			if err != nil {
				return err
			}
			e.keep = bytes.Equal(rest, f.data) // nothing of ours was in it
		}
	} else if f.data != nil && !bytes.Equal(f.data, t.whole) && digest(f.data) != ac.record.sum(t.file) {
		return &BadFile{File: t.file, Msg: "not as gatekeeper wrote it: move it away"}
	}
	if f.data == nil {
		ac.record.made = with(ac.record.made, t.file)
	} else {
		e.mode = f.mode
	}
	ac.record.note(t)
	if f.data == nil || !bytes.Equal(f.data, e.after) {
		c.edits = append(c.edits, e)
	}
	return nil
}

// PrepareRemoval works out what takes the entries of the named agents out again. A file
// that cannot be read is left, and reported so.
func (w World) PrepareRemoval(names []string) (*Change, error) {
	c := &Change{world: w}
	for _, name := range names {
		if err := c.prepareRemoval(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Placed are the agents that have entries of ours, as far as is known.
func (w World) Placed() (names []string, err error) {
	noted, err := session.OpenPlaced(w.getenv).Agents()
	if err != nil {
		return nil, err
	}
	for _, name := range Names() {
		r, err := w.readRecord(name)
		if err != nil {
			return nil, err
		}
		if len(r.paths())+len(r.trust) > 0 || slices.ContainsFunc(noted, func(p session.PlacedAgent) bool { return p.Name == name }) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (c *Change) prepareRemoval(name string) error {
	a, dir, err := c.agent(name)
	if err != nil {
		return err
	}
	ac, err := c.begin(name)
	if err != nil {
		return err
	}
	targets := a.targets(c.world, dir)
	// Where variables have changed since, what was written is elsewhere.
	for _, path := range ac.had.paths() {
		if !slices.ContainsFunc(targets, func(t target) bool { return t.file == path }) {
			t := target{file: path, whole: []byte{}}
			if len(targets) > 0 && targets[0].hooks != nil {
				t = target{file: path, hooks: targets[0].hooks}
			}
			targets = append(targets, t)
		}
	}
	r := Report{Name: name, Done: Kept}
	for _, t := range targets {
		if err := c.takeFrom(ac, t, &r); err != nil {
			return err
		}
	}
	if err := c.takeTrust(ac); err != nil {
		return err
	}
	if len(ac.record.trust) > 0 {
		c.leave(&r, "codex still has their trust in its config.toml")
	}
	if r.Done == Left {
		ac.entries = []session.Entry{} // keep the note
	}
	c.report(ac, r)
	return nil
}

// takeFrom says what becomes of one file; r sums up what becomes of all.
func (c *Change) takeFrom(ac *agentChange, t target, r *Report) error {
	f, err := readFile(t.file)
	var bad *BadFile
	switch {
	case errors.As(err, &bad):
		if slices.Contains(ac.had.paths(), t.file) {
			c.leave(r, bad.Error())
		}
		return nil
	case err != nil:
		return err
	case f.data == nil:
		ac.record.forget(t.file)
		return nil
	}
	e := edit{agent: len(c.agents) - 1, file: f, mode: f.mode}
	if t.hooks == nil {
		if digest(f.data) != ac.had.sum(t.file) && !bytes.Equal(f.data, t.whole) {
			if bytes.Contains(f.data, []byte("gatekeeper install")) {
				c.leave(r, t.file+" was changed since gatekeeper wrote it")
			}
			return nil
		}
	} else {
		rest, bare, err := t.hooks.taken(t.file, f.data)
		if errors.As(err, &bad) {
			if bytes.Contains(f.data, []byte("gatekeeper-agent")) {
				c.leave(r, bad.Error())
			}
			return nil
		}
		took := !bytes.Equal(rest, f.data)
		switch {
		case bare && c.madeByUs(ac, f, took):
			e.after = nil
		case took:
			e.after = rest
		default:
			ac.record.forget(t.file)
			return nil
		}
	}
	ac.record.forget(t.file)
	c.edits = append(c.edits, e)
	if r.Done == Kept {
		r.Done = Removed
	}
	if r.Where == "" {
		r.Where = t.file
	} else if r.Where != t.file {
		r.Where = filepath.Dir(t.file)
	}
	return nil
}

func (c *Change) leave(r *Report, why string) {
	r.Done = Left
	if r.Detail != "" {
		why = r.Detail + "; " + why
	}
	r.Detail = why
}

// madeByUs reports whether a file was not there before us. Where the record of it is
// lost, one that held our entries and has no copy of what was before is taken for ours.
func (c *Change) madeByUs(ac *agentChange, f file, took bool) bool {
	if info, err := os.Lstat(f.path); err != nil || !info.Mode().IsRegular() {
		return false // a link that somebody has made
	}
	if slices.Contains(ac.had.made, f.path) {
		return true
	}
	_, err := os.Lstat(f.path + backupEnd)
	return took && len(ac.had.paths()) == 0 && errors.Is(err, fs.ErrNotExist)
}

// Apply does it, all or nothing.
func (c *Change) Apply() error {
	err := c.apply()
	if err == nil {
		return nil
	}
	if back := c.Undo(); back != nil {
		return fmt.Errorf("%w; and taking it back failed: %w", err, back)
	}
	return err
}

func (c *Change) apply() error {
	for _, e := range c.edits {
		if err := c.write(e); err != nil {
			return err
		}
	}
	for i := range c.agents {
		if err := c.keep(&c.agents[i]); err != nil {
			return err
		}
	}
	return nil
}

// Undo takes back what Apply did, latest first.
func (c *Change) Undo() error {
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	c.undo = nil
	return errors.Join(errs...)
}

func (c *Change) write(e edit) error {
	ac := &c.agents[e.agent]
	if !e.file.stands() {
		return fmt.Errorf("%s was changed just now by somebody else; run again", e.file.path)
	}
	if e.after == nil {
		if err := os.Remove(e.file.real); err != nil {
			return err
		}
		c.undo = append(c.undo, func() error { return writeFile(e.file.real, e.file.data, e.file.mode) })
		return nil
	}
	if err := c.makeDirFor(ac, e.file.real); err != nil {
		return err
	}
	if e.keep {
		if err := c.backup(ac, e.file); err != nil {
			return err
		}
	}
	if err := writeFile(e.file.real, e.after, e.mode); err != nil {
		return err
	}
	c.undo = append(c.undo, func() error {
		if e.file.data == nil {
			return os.Remove(e.file.real)
		}
		return writeFile(e.file.real, e.file.data, e.file.mode)
	})
	return nil
}

func (c *Change) makeDirFor(ac *agentChange, path string) error {
	made, err := makeDir(filepath.Dir(path))
	for _, dir := range made {
		ac.record.dirs = with(ac.record.dirs, dir)
		c.undo = append(c.undo, func() error { return os.Remove(dir) })
	}
	return err
}

func (c *Change) backup(ac *agentChange, f file) error {
	path, made, err := backupOf(f)
	if err != nil {
		return err
	}
	ac.record.backups = with(ac.record.backups, path)
	if !made {
		return nil
	}
	if err := writeFile(path, f.data, f.mode); err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return os.Remove(path) })
	return nil
}

// keep notes what was done for an agent, and removes what is of no more use.
func (c *Change) keep(ac *agentChange) error {
	placed := session.OpenPlaced(c.world.getenv)
	c.undo = append(c.undo, func() error {
		return errors.Join(c.world.writeRecord(ac.name, ac.had), renote(placed, ac))
	})
	if len(ac.record.paths()) == 0 {
		if err := c.tidy(ac); err != nil {
			return err
		}
	}
	if err := c.world.writeRecord(ac.name, ac.record); err != nil {
		return err
	}
	switch {
	case ac.entries == nil:
		return placed.Forget(ac.name)
	case len(ac.entries) > 0:
		return placed.Place(ac.name, ac.entries)
	}
	return nil
}

// renote brings back the note of an agent whose files were brought back.
func renote(placed session.Placed, ac *agentChange) error {
	if len(ac.noted) == 0 {
		return placed.Forget(ac.name)
	}
	return placed.Place(ac.name, ac.noted)
}

// tidy removes copies of what is there again, and directories that we made and that
// hold nothing.
func (c *Change) tidy(ac *agentChange) error {
	r := &c.Reports[ac.report]
	for _, path := range ac.record.backups {
		copied, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(path, backupEnd)
		now, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(now, copied) {
			r.Detail = "as it was before gatekeeper it is in " + path
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		c.undo = append(c.undo, func() error { return writeFile(path, copied, info.Mode().Perm()) })
	}
	for _, dir := range slices.Backward(ac.record.dirs) {
		if os.Remove(dir) == nil {
			c.undo = append(c.undo, func() error { return os.Mkdir(dir, 0o700) })
		}
	}
	ac.record.program, ac.record.backups, ac.record.dirs = "", nil, nil
	return nil
}
