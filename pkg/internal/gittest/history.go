package gittest

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"
)

// A History describes commits to be made by git fast-import: a line of them,
// each changing one line of one file, unless it says otherwise.
type History struct {
	Commits int
	Files   int    // how many files take turns to change; 0 means 10
	Lines   int    // lines of a file; 0 means 20
	Folders int    // folders inside folders that share the files; 0 puts all at the top
	Changes int    // files that one commit changes; 0 means 1
	Edits   int    // lines that it changes in each, far from each other; 0 means 1
	Branch  string // where it goes; "" means main
	Onto    string // the revision it starts from; "" begins a new root
	Later   int    // seconds after Date that it begins

	// Message writes the message of a commit; nil gives a plain subject.
	Message func(Draft) (string, error)

	// Author is who makes the n-th commit, as `NAME <ADDRESS>`; nil is Alice.
	Author func(n int) string
}

// A Draft is a commit whose message is still to be written.
type Draft struct {
	N       int      // 1 for the first
	Subject string   // a plain one
	Parents []string // tree ids of the parents, in hexadecimal; none for a root
	Tree    string   // tree id of the commit itself
	When    time.Time
	objects map[string]object
}

type object struct {
	kind string
	data []byte
}

// Object returns a tree or blob of the draft or its parent by id, as long as the
// history itself made it.
func (d Draft) Object(id string) (kind string, data []byte, ok bool) {
	o, ok := d.objects[id]
	return o.kind, o.data, ok
}

// Generate writes the history into the repository at once and returns the id
// of its last commit.
func (r *Repo) Generate(h History) (tip string, err error) {
	w := &weaver{h: h.withDefaults(), objects: map[string]object{}}
	if err := w.begin(r); err != nil {
		return "", fmt.Errorf("history onto %q: %w", h.Onto, err)
	}
	cmd := r.Command("fast-import", "--quiet", "--done", "--force")
	if err := feed(cmd, w.write); err != nil {
		return "", err
	}
	out, stderr, err := r.Run("", "rev-parse", "--verify", "refs/heads/"+w.h.Branch)
	if err != nil {
		return "", fmt.Errorf("rev-parse: %w: %s", err, stderr)
	}
	return strings.TrimSpace(out), nil
}

// feed runs cmd with what write writes as its input.
func feed(cmd *exec.Cmd, write func(io.Writer) error) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	buf := bufio.NewWriterSize(stdin, 1<<16)
	wrote := write(buf)
	if wrote == nil {
		wrote = buf.Flush()
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		return errors.Join(wrote, fmt.Errorf("git fast-import: %w: %s", err, stderr.Bytes()))
	}
	return wrote
}

func (h History) withDefaults() History {
	if h.Files == 0 {
		h.Files = 10
	}
	if h.Lines == 0 {
		h.Lines = 20
	}
	h.Changes, h.Edits = max(h.Changes, 1), max(h.Edits, 1)
	if h.Branch == "" {
		h.Branch = "main"
	}
	if h.Author == nil {
		h.Author = func(int) string { return "Alice <alice@example.com>" }
	}
	if h.Message == nil {
		h.Message = func(d Draft) (string, error) { return d.Subject + "\n", nil }
	}
	return h
}

// A weaver works out each tree as it goes, because a signature over a commit
// needs its tree's id before git has seen the commit.
type weaver struct {
	h       History
	hash    func() hash.Hash
	onto    string                      // commit id
	start   time.Time                   // a second before the first commit
	tree    string                      // tree id so far, "" before a root
	folders map[string]map[string]entry // by path, "" for the root
	objects map[string]object
}

type entry struct {
	mode string
	id   string
}

func (w *weaver) begin(r *Repo) error {
	format, _, err := r.Run("", "rev-parse", "--show-object-format")
	if err != nil {
		return err
	}
	w.hash = sha1.New
	if strings.TrimSpace(format) == "sha256" {
		w.hash = sha256.New
	}
	w.folders = map[string]map[string]entry{"": {}}
	if w.h.Onto == "" {
		w.start, err = time.Parse(time.RFC3339, Date)
		return err
	}
	// git walks a history by its dates, and far when what is new looks old.
	about, stderr, err := r.Run("", "log", "-1", "--format=%H %T %cI", w.h.Onto)
	if err != nil {
		return fmt.Errorf("%w: %s", err, stderr)
	}
	words := strings.Fields(about)
	w.onto, w.tree = words[0], words[1]
	if w.start, err = time.Parse(time.RFC3339, words[2]); err != nil {
		return err
	}
	return w.adopt(r)
}

// adopt takes over the entries of the commit that is built upon, its trees, and
// those of its files that the history will change.
func (w *weaver) adopt(r *Repo) error {
	list, _, err := r.Run("", "ls-tree", "-rtz", w.tree)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		f := strings.Fields(meta)
		w.set(name, entry{mode: strings.TrimLeft(f[0], "0"), id: f[2]})
	}
	for folder := range w.folders {
		w.keep("tree", w.rawTree(folder))
	}
	for i := range w.h.Files {
		e, ok := w.entry(w.file(i))
		if !ok {
			continue
		}
		blob, _, err := r.Run("", "cat-file", "blob", e.id)
		if err != nil {
			return err
		}
		w.keep("blob", []byte(blob))
	}
	return nil
}

// entry is what stands at a path.
func (w *weaver) entry(name string) (entry, bool) {
	folder, base := split(name)
	e, ok := w.folders[folder][base]
	return e, ok
}

// replace sets an entry and returns the id that is no longer there, "" for none.
func (w *weaver) replace(name string, e entry) (before string) {
	if old, _ := w.entry(name); old.id != e.id {
		before = old.id
	}
	w.set(name, e)
	return before
}

func (w *weaver) set(name string, e entry) {
	folder, base := split(name)
	if w.folders[folder] == nil {
		w.folders[folder] = map[string]entry{}
	}
	w.folders[folder][base] = e
}

// split cuts a path into its folder, "" for the root, and its last name.
func split(name string) (folder, base string) {
	folder, base = path.Split(name)
	return strings.TrimSuffix(folder, "/"), base
}

func (w *weaver) write(out io.Writer) error {
	for n := 1; n <= w.h.Commits; n++ {
		if err := w.commit(out, n, w.start.Add(time.Duration(w.h.Later+n)*time.Second)); err != nil {
			return fmt.Errorf("commit %d: %w", n, err)
		}
	}
	_, err := io.WriteString(out, "done\n")
	return err
}

func (w *weaver) commit(out io.Writer, n int, when time.Time) error {
	d := Draft{N: n, Subject: fmt.Sprintf("Change %d", n), When: when, objects: w.objects}
	if w.tree != "" {
		d.Parents = []string{w.tree}
	}
	var changes bytes.Buffer
	var before []string // ids of what the commit replaces
	touched := map[string]bool{}
	for turn := n * w.h.Changes; turn < (n+1)*w.h.Changes; turn++ {
		name := w.file(turn)
		content := w.content(n, turn)
		before = append(before, w.replace(name, entry{mode: "100644", id: w.keep("blob", content)}))
		fmt.Fprintf(&changes, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
		for folder, _ := split(name); folder != ""; folder, _ = split(folder) {
			touched[folder] = true
		}
	}
	before = append(before, w.trees(touched)...)
	d.Tree = w.keep("tree", w.rawTree(""))
	if w.tree != d.Tree {
		before = append(before, w.tree)
	}
	message, err := w.h.Message(d)
	if err != nil {
		return err
	}
	who := fmt.Sprintf("%s %d +0000", w.h.Author(n), when.Unix())
	fmt.Fprintf(out, "commit refs/heads/%s\nauthor %s\ncommitter %s\ndata %d\n%s\n",
		w.h.Branch, who, who, len(message), message)
	if n == 1 && w.onto != "" {
		fmt.Fprintf(out, "from %s\n", w.onto)
	}
	if _, err := changes.WriteTo(out); err != nil {
		return err
	}
	// A long history must not hold every version of every file.
	for _, id := range before {
		delete(w.objects, id)
	}
	w.tree = d.Tree
	return nil
}

// trees makes the trees of touched folders anew, inner ones first, and returns
// the ids of those they replace.
func (w *weaver) trees(touched map[string]bool) (before []string) {
	byLength := func(a, b string) int { return len(b) - len(a) }
	for _, folder := range slices.SortedFunc(maps.Keys(touched), byLength) {
		before = append(before, w.replace(folder, entry{mode: "40000", id: w.keep("tree", w.rawTree(folder))}))
	}
	return before
}

// file is the path of the file whose turn it is. Two that follow each other share
// a folder, and four such folders share the one above.
func (w *weaver) file(turn int) string {
	i := turn % w.h.Files
	name := fmt.Sprintf("file%04d.txt", i)
	if w.h.Folders == 0 {
		return name
	}
	folder := i / 2 % w.h.Folders
	return fmt.Sprintf("src/part%02d/sub%d/%s", folder/4, folder%4, name)
}

// content is what commit n leaves in a file: the text that was there with some
// lines replaced, so that hunks are small as those of real commits.
func (w *weaver) content(n, turn int) []byte {
	name := w.file(turn)
	var lines []string
	if e, ok := w.entry(name); ok && w.objects[e.id].kind == "blob" {
		lines = strings.SplitAfter(string(w.objects[e.id].data), "\n")
	} else {
		for i := range w.h.Lines {
			lines = append(lines, fmt.Sprintf("line %d of %s as written\n", i, path.Base(name)))
		}
	}
	for i := range w.h.Edits {
		at := turn/w.h.Files + i*w.h.Lines/w.h.Edits
		lines[at%w.h.Lines%len(lines)] = fmt.Sprintf("%s as %s %d left it\n", path.Base(name), w.h.Branch, n)
	}
	return []byte(strings.Join(lines, ""))
}

// rawTree is the tree object of a folder, in git's order: a folder sorts as if
// its name ended in a slash.
func (w *weaver) rawTree(folder string) []byte {
	entries := w.folders[folder]
	key := func(name string) string {
		if entries[name].mode == "40000" {
			return name + "/"
		}
		return name
	}
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int { return strings.Compare(key(a), key(b)) })
	var b bytes.Buffer
	for _, name := range names {
		e := entries[name]
		raw, _ := hex.DecodeString(e.id)
		fmt.Fprintf(&b, "%s %s\x00%s", e.mode, name, raw)
	}
	return b.Bytes()
}

func (w *weaver) keep(kind string, data []byte) (id string) {
	h := w.hash()
	fmt.Fprintf(h, "%s %d\x00%s", kind, len(data), data)
	id = hex.EncodeToString(h.Sum(nil))
	w.objects[id] = object{kind, data}
	return id
}
