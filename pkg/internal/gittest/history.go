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
	"os/exec"
	"slices"
	"strings"
	"time"
)

// A History describes commits to be made by git fast-import: a line of them,
// each changing one line of one file.
type History struct {
	Commits int
	Files   int    // how many files take turns to change; 0 means 10
	Lines   int    // lines of a file; 0 means 20
	Branch  string // where it goes; "" means main
	Onto    string // the revision it starts from; "" begins a new root

	// Message writes the message of a commit; nil gives a plain subject.
	Message func(Draft) (string, error)
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
	if h.Branch == "" {
		h.Branch = "main"
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
	onto    string // commit id
	tree    string // tree id so far, "" before a root
	entries map[string]entry
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
	w.entries = map[string]entry{}
	if w.h.Onto == "" {
		return nil
	}
	ids, stderr, err := r.Run("", "rev-parse", w.h.Onto+"^{commit}", w.h.Onto+"^{tree}")
	if err != nil {
		return fmt.Errorf("%w: %s", err, stderr)
	}
	w.onto, w.tree, _ = strings.Cut(strings.TrimSpace(ids), "\n")
	return w.adopt(r)
}

// adopt takes over the top-level entries of the commit that is built upon, and
// those of its files that the history will change.
func (w *weaver) adopt(r *Repo) error {
	list, _, err := r.Run("", "ls-tree", "-z", w.tree)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		f := strings.Fields(meta)
		w.entries[name] = entry{mode: strings.TrimLeft(f[0], "0"), id: f[2]}
	}
	w.keep("tree", w.rawTree())
	for i := range w.h.Files {
		e, ok := w.entries[fileName(i)]
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

func (w *weaver) write(out io.Writer) error {
	start, err := time.Parse(time.RFC3339, Date)
	if err != nil {
		return err
	}
	for n := 1; n <= w.h.Commits; n++ {
		if err := w.commit(out, n, start.Add(time.Duration(n)*time.Second)); err != nil {
			return fmt.Errorf("commit %d: %w", n, err)
		}
	}
	_, err = io.WriteString(out, "done\n")
	return err
}

func (w *weaver) commit(out io.Writer, n int, when time.Time) error {
	name := fileName(n % w.h.Files)
	content := w.content(n)
	d := Draft{N: n, Subject: fmt.Sprintf("Change %d", n), When: when, objects: w.objects}
	if w.tree != "" {
		d.Parents = []string{w.tree}
	}
	before := w.entries[name]
	w.entries[name] = entry{mode: "100644", id: w.keep("blob", content)}
	d.Tree = w.keep("tree", w.rawTree())
	message, err := w.h.Message(d)
	if err != nil {
		return err
	}
	who := fmt.Sprintf("Alice <alice@example.com> %d +0000", when.Unix())
	fmt.Fprintf(out, "commit refs/heads/%s\nauthor %s\ncommitter %s\ndata %d\n%s\n",
		w.h.Branch, who, who, len(message), message)
	if n == 1 && w.onto != "" {
		fmt.Fprintf(out, "from %s\n", w.onto)
	}
	fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
	// A long history must not hold every version of every file.
	if before.id != w.entries[name].id {
		delete(w.objects, before.id)
	}
	if w.tree != d.Tree {
		delete(w.objects, w.tree)
	}
	w.tree = d.Tree
	return nil
}

func fileName(i int) string { return fmt.Sprintf("file%04d.txt", i) }

// content is what commit n leaves in its file: the text that was there with one
// line replaced, so that hunks are small as those of real commits.
func (w *weaver) content(n int) []byte {
	var lines []string
	if e, ok := w.entries[fileName(n%w.h.Files)]; ok && w.objects[e.id].kind == "blob" {
		lines = strings.SplitAfter(string(w.objects[e.id].data), "\n")
	} else {
		for i := range w.h.Lines {
			lines = append(lines, fmt.Sprintf("line %d as it was first written\n", i))
		}
	}
	lines[(n/w.h.Files)%w.h.Lines%len(lines)] = fmt.Sprintf("line as commit %d left it\n", n)
	return []byte(strings.Join(lines, ""))
}

// rawTree is the tree object of the entries, in git's order: a folder sorts as
// if its name ended in a slash.
func (w *weaver) rawTree() []byte {
	names := make([]string, 0, len(w.entries))
	for name := range w.entries {
		names = append(names, name)
	}
	key := func(name string) string {
		if w.entries[name].mode == "40000" {
			return name + "/"
		}
		return name
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	var b bytes.Buffer
	for _, name := range names {
		e := w.entries[name]
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
