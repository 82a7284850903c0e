// Package past makes repositories whose whole truth is known: who wrote each line with
// what, which commits are picks, squashes, rebases and reverts of others, what is signed
// and what only marked. Whatever is counted over them can be counted again from the
// truth, by other means than git's.
//
// Every line is written once and is like no other line; what a commit adds is therefore
// the lines that it has and its parent has not. Objects are written by this package and
// read by real git. It knows nothing of package audit, which it helps to test.
package past

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// A Person writes commits, and has a key of their own.
type Person struct {
	Name, Email, Team string
}

// People are those of a past.
var People = []Person{
	{"Alice Adams", "alice@example.com", "payments"},
	{"Bob Brown", "bob@example.com", "payments"},
	{"Claude Martin", "claude.martin@example.com", "platform"},
	{"Devin Clark", "devin@example.com", "platform"},
	{"Erin Ruiz", "erin@contractor.example", "contractors"},
}

// Key is the person's key, the same in every run.
func (p Person) Key() attestation.Signer {
	seed := sha256.Sum256([]byte(p.Email))
	return attestation.Ed25519(ed25519.NewKeyFromSeed(seed[:]))
}

// Signers are the [[signer]] entries of people, all of class developer.
func Signers(people ...Person) string {
	var b strings.Builder
	for _, p := range people {
		b.WriteString("\n" + policy.SignerTOML(p.Email, "developer", p.Key().PublicKey().AuthorizedKey()))
	}
	return b.String()
}

// A How is what took part in a commit, and how it is told.
type How struct {
	Evidence string // attested, none-observed, declared, inferred or unknown
	Tool     string
	Version  string
	Model    string // PROVIDER/MODEL
	Via      string
	Session  string
	MCP      string // servers, with commas between
	Mark     string // for inferred: the trailer or footer, whole
	AI       int    // how many of the added lines came of it, the first ones; -1: nobody counted
}

// A Line is one line of a file.
type Line struct {
	Text string
	By   *Commit // that wrote it
	AI   bool
}

// A Commit and what is true of it.
type Commit struct {
	Repo      *Repo
	ID        string
	Parents   []*Commit
	Author    Person
	Committer Person
	When      time.Time
	Kind      string    // edit, merge, evil-merge, pick, squash, rebase or revert
	Of        []*Commit // that it was made of: those picked, squashed, rebased, reverted
	How
	Binding string            // exact or change; "" when nothing binds
	Change  provenance.Digest // of what it changes
	Claims  [2]int            // how many lines of how many its record speaks of; -1 and -1 without one
	Files   map[string][]Line // the whole tree

	tree, block string
}

// Added counts, by path, the lines that the commit adds to its first parent.
func (c *Commit) Added() map[string]int {
	added := map[string]int{}
	for _, path := range c.Touched() {
		added[path] = 0
		before := map[string]bool{}
		for _, l := range c.before()[path] {
			before[l.Text] = true
		}
		for _, l := range c.Files[path] {
			if !before[l.Text] {
				added[path]++
			}
		}
	}
	return added
}

// AddedLines is the sum of Added.
func (c *Commit) AddedLines() (n int) {
	for _, lines := range c.Added() {
		n += lines
	}
	return n
}

// Touched lists the files in which the commit differs from its first parent.
func (c *Commit) Touched() (paths []string) {
	all := maps.Clone(c.Files)
	maps.Copy(all, c.before())
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if !sameFile(c.before(), c.Files, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// Unlike lists the files of a merge that are unlike those of each parent.
func (c *Commit) Unlike() (paths []string) {
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		if !slices.ContainsFunc(c.Parents, func(p *Commit) bool { return sameFile(p.Files, c.Files, path) }) {
			paths = append(paths, path)
		}
	}
	return paths
}

// sameFile reports whether two trees have the same at a path; an empty file is not none.
func sameFile(a, b map[string][]Line, path string) bool {
	_, inA := a[path]
	_, inB := b[path]
	return inA == inB && slices.Equal(a[path], b[path])
}

// Own reports whether the commit brings something of its own: only a merge may not.
func (c *Commit) Own() bool { return len(c.Parents) < 2 || len(c.Unlike()) > 0 }

func (c *Commit) before() map[string][]Line {
	if len(c.Parents) == 0 {
		return nil
	}
	return c.Parents[0].Files
}

// Ancestors are the commit and all that it reaches.
func (c *Commit) Ancestors() map[*Commit]bool {
	all := map[*Commit]bool{}
	for open := []*Commit{c}; len(open) > 0; {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		if !all[next] {
			all[next] = true
			open = append(open, next.Parents...)
		}
	}
	return all
}

// A Repo is a repository with its truth.
type Repo struct {
	*gittest.Repo
	Name     string
	Commits  []*Commit          // in the order in which they were made
	Branches map[string]*Commit // what refs/heads/NAME holds

	t     testing.TB
	clock time.Time
	lines int
}

// New makes an empty repository; arguments go to git init.
func New(t testing.TB, name string, initArgs ...string) *Repo {
	t.Helper()
	start, err := time.Parse(time.RFC3339, gittest.Date)
	if err != nil {
		t.Fatal(err)
	}
	return &Repo{Repo: gittest.New(t, initArgs...), Name: name, Branches: map[string]*Commit{}, t: t, clock: start}
}

// GitDir is the repository's git directory.
func (r *Repo) GitDir() string {
	if dir := filepath.Join(r.Dir, ".git"); exists(dir) {
		return dir
	}
	return r.Dir
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// An Edit says what a commit is to do.
type Edit struct {
	Author Person
	How
	Add    map[string]int // lines to add at the end of a file, by path
	Drop   map[string]int // lines to take from the start of a file
	Delete []string
	After  time.Duration // since the commit before; 0 is an hour
}

// Edit commits on a branch, which is made when it is not there.
func (r *Repo) Edit(branch string, e Edit) *Commit {
	r.t.Helper()
	c := r.draft(branch, "edit", e.Author, e.How)
	r.clock = r.clock.Add(e.After)
	c.When = r.clock
	for path, n := range e.Drop {
		c.Files[path] = slices.Clone(c.Files[path][min(n, len(c.Files[path])):])
	}
	left := c.How.AI
	for _, path := range slices.Sorted(maps.Keys(e.Add)) {
		lines := slices.Clone(c.Files[path])
		for range e.Add[path] {
			r.lines++
			lines = append(lines, Line{fmt.Sprintf("%s line %d of %s", r.Name, r.lines, path), c, left > 0})
			left--
		}
		c.Files[path] = lines
	}
	for _, path := range e.Delete {
		delete(c.Files, path)
	}
	return r.put(branch, c, fmt.Sprintf("Change %d", len(r.Commits)+1), "")
}

// Branch makes a branch at a commit.
func (r *Repo) Branch(name string, at *Commit) {
	r.t.Helper()
	r.Branches[name] = at
	r.Git(r.t, "update-ref", "refs/heads/"+name, at.ID)
}

// Delete takes a branch away.
func (r *Repo) Delete(name string) {
	r.t.Helper()
	delete(r.Branches, name)
	r.Git(r.t, "update-ref", "-d", "refs/heads/"+name)
}

// Merge merges what another branch has on top. Files that both changed get the lines of
// both, and, when how says that something took part, a line of the merge's own.
func (r *Repo) Merge(branch, other string, author Person, how How) *Commit {
	r.t.Helper()
	kind := "merge"
	if how.Evidence != "unknown" {
		kind = "evil-merge"
	}
	c := r.draft(branch, kind, author, how)
	theirs := r.Branches[other]
	c.Parents = append(c.Parents, theirs)
	base := r.base(c.Parents[0], theirs)
	for path, lines := range theirs.Files {
		switch {
		case slices.Equal(lines, base.Files[path]):
		case slices.Equal(c.Files[path], base.Files[path]):
			c.Files[path] = lines
		default:
			c.Files[path] = union(c.Files[path], lines)
		}
	}
	for path, lines := range base.Files {
		if _, kept := theirs.Files[path]; !kept && slices.Equal(c.Files[path], lines) {
			delete(c.Files, path)
		}
	}
	if kind == "evil-merge" {
		r.lines++
		c.Files["merged.txt"] = append(slices.Clone(c.Files["merged.txt"]), Line{fmt.Sprintf("%s line %d of a merge", r.Name, r.lines), c, true})
	}
	return r.put(branch, c, "Merge "+other, "")
}

func union(a, b []Line) []Line {
	all := slices.Clone(a)
	for _, l := range b {
		if !slices.ContainsFunc(all, func(k Line) bool { return k.Text == l.Text }) {
			all = append(all, l)
		}
	}
	return all
}

// base is the youngest commit that both reach.
func (r *Repo) base(a, b *Commit) *Commit {
	inA, inB := a.Ancestors(), b.Ancestors()
	for _, c := range slices.Backward(r.Commits) {
		if inA[c] && inB[c] {
			return c
		}
	}
	return &Commit{}
}

// Pick does to a branch what a commit did to its parent, as git cherry-pick -x does: its
// message, with its provenance, comes along.
func (r *Repo) Pick(branch string, of *Commit, author Person) *Commit {
	r.t.Helper()
	c := r.draft(branch, "pick", of.Author, of.How)
	c.Committer, c.Of = author, []*Commit{of}
	c.apply(of.before(), of.Files)
	return r.put(branch, c, r.subject(of), "(cherry picked from commit "+of.ID+")")
}

// Rebase puts what a branch has on top of another onto that one, commit by commit, and
// moves it.
func (r *Repo) Rebase(branch, onto string, author Person) (made []*Commit) {
	r.t.Helper()
	known := r.Branches[onto].Ancestors()
	var list []*Commit
	for c := r.Branches[branch]; !known[c]; c = c.Parents[0] {
		list = append([]*Commit{c}, list...)
	}
	r.Branches[branch] = r.Branches[onto]
	for _, of := range list {
		c := r.draft(branch, "rebase", of.Author, of.How)
		c.Committer, c.Of = author, []*Commit{of}
		c.apply(of.before(), of.Files)
		made = append(made, r.put(branch, c, r.subject(of), ""))
	}
	return made
}

// Squash does to a branch what commits in a row did, in one commit that how speaks for.
func (r *Repo) Squash(branch string, of []*Commit, author Person, how How) *Commit {
	r.t.Helper()
	c := r.draft(branch, "squash", author, how)
	c.Of = of
	c.apply(of[0].before(), of[len(of)-1].Files)
	body := ""
	for _, part := range of {
		body += "* " + r.subject(part) + "\n\n"
	}
	return r.put(branch, c, fmt.Sprintf("Squash %d", len(r.Commits)+1), strings.TrimSpace(body))
}

// Revert takes back what a commit did.
func (r *Repo) Revert(branch string, of *Commit, author Person, how How) *Commit {
	r.t.Helper()
	c := r.draft(branch, "revert", author, how)
	c.Of = []*Commit{of}
	c.apply(of.Files, of.before())
	return r.put(branch, c, fmt.Sprintf("Revert %q", r.subject(of)), "This reverts commit "+of.ID+".")
}

func (r *Repo) subject(c *Commit) string {
	return fmt.Sprintf("Change %d", slices.Index(r.Commits, c)+1)
}

// apply does to the commit's tree what leads from one tree to another.
func (c *Commit) apply(from, to map[string][]Line) {
	all := map[string][]Line{}
	maps.Copy(all, to)
	maps.Copy(all, from)
	for path := range all {
		if slices.Equal(from[path], to[path]) {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(c.Files[path]), func(l Line) bool {
			return slices.Contains(from[path], l) && !slices.Contains(to[path], l)
		})
		for _, l := range to[path] {
			if !slices.Contains(from[path], l) && !slices.Contains(kept, l) {
				kept = append(kept, l)
			}
		}
		if _, stays := to[path]; !stays && len(kept) == 0 {
			delete(c.Files, path)
			continue
		}
		c.Files[path] = kept
	}
}

// draft begins a commit on top of a branch.
func (r *Repo) draft(branch, kind string, author Person, how How) *Commit {
	r.clock = r.clock.Add(time.Hour)
	c := &Commit{Repo: r, Author: author, Committer: author, When: r.clock, Kind: kind, How: how, Files: map[string][]Line{}}
	if tip := r.Branches[branch]; tip != nil {
		c.Parents = []*Commit{tip}
		c.Files = maps.Clone(tip.Files)
	}
	return c
}

// put writes a commit and moves the branch.
func (r *Repo) put(branch string, c *Commit, subject, body string) *Commit {
	r.t.Helper()
	store := objects{}
	c.tree = r.trees(store, c.Files)
	var parents []change.ID
	for _, p := range c.Parents {
		r.trees(store, p.Files)
		parents = append(parents, id(r.t, p.tree))
	}
	message := r.message(c, store, parents, subject, body)
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range c.Parents {
		fmt.Fprintf(&b, "parent %s\n", p.ID)
	}
	fmt.Fprintf(&b, "author %s <%s> %d +0000\ncommitter %s <%s> %d +0000\n\n%s", c.Author.Name, c.Author.Email, c.When.Unix(),
		c.Committer.Name, c.Committer.Email, c.When.Unix(), message)
	c.ID = r.object(store, "commit", b.Bytes())
	if err := r.write(store); err != nil {
		r.t.Fatal(err)
	}
	r.Commits = append(r.Commits, c)
	r.Branch(branch, c)
	return c
}

// message is that of a commit, with what How says of it. What was picked or rebased
// keeps its words to the letter; its signature still counts when the change is the same.
func (r *Repo) message(c *Commit, store objects, parents []change.ID, subject, body string) string {
	paragraphs := []string{subject}
	if body != "" {
		paragraphs = append(paragraphs, body)
	}
	var err error
	if c.Change, _, err = change.OfCommit(store, parents, id(r.t, c.tree)); err != nil {
		r.t.Fatalf("digest of %s: %v", c.Kind, err)
	}
	c.Claims = [2]int{-1, -1}
	switch {
	case c.Kind == "pick" || c.Kind == "rebase":
		c.keep(c.Of[0])
	case c.Evidence == "inferred":
		c.block = c.Mark
	case c.Evidence != "unknown":
		c.block = r.trailers(c, store, parents)
	}
	block := c.block
	if block != "" && strings.HasPrefix(body, "(cherry") {
		paragraphs[1] = block + "\n" + body // where git cherry-pick -x puts it
	} else if block != "" {
		paragraphs = append(paragraphs, block)
	}
	return strings.Join(paragraphs, "\n\n") + "\n"
}

// keep takes over the words of another commit, with what they are worth here.
func (c *Commit) keep(of *Commit) {
	c.block, c.Claims, c.Binding = of.block, of.Claims, ""
	switch {
	case of.Binding == "":
	case c.Change == of.Change:
		c.Binding = "change"
		if c.tree == of.tree && len(c.Parents) == len(of.Parents) && c.Parents[0].tree == of.Parents[0].tree {
			c.Binding = "exact"
		}
	default:
		c.Evidence = "declared"
	}
}

func (r *Repo) trailers(c *Commit, store objects, parents []change.ID) string {
	value := "none via=hook"
	if c.Evidence != "none-observed" {
		total := c.AddedLines()
		c.Claims = [2]int{min(c.AI, total), total}
		lines := fmt.Sprintf("lines=%d/%d", c.Claims[0], total)
		if c.AI < 0 {
			lines = fmt.Sprintf("lines=unknown/%d", total)
		}
		value = fmt.Sprintf("%s/%s %s %s via=%s session=%s", c.Tool, or(c.Version), c.Model, lines, or(c.Via), or(c.Session))
		if c.MCP != "" {
			value += " mcp=" + c.MCP
		}
	}
	said := "AI-Provenance: " + value
	if c.Evidence == "declared" {
		return said
	}
	c.Binding = "exact"
	a := attestation.Attestation{Time: c.When, Bind: change.Bind(parents, id(r.t, c.tree)), Change: c.Change}
	a, err := attestation.Sign(context.Background(), c.Committer.Key(), []string{value}, a)
	if err != nil {
		r.t.Fatal(err)
	}
	return said + "\nAI-Attestation: " + a.String()
}

func or(s string) string {
	if s == "" {
		return provenance.Unknown
	}
	return s
}

// objects are those of two commits, by id.
type objects map[change.ID]object

type object struct {
	kind string
	data []byte
}

// Open reads one.
func (o objects) Open(id change.ID) (change.Object, error) {
	found, ok := o[id]
	if !ok {
		return change.Object{}, fmt.Errorf("object %s: %w", id, change.ErrMissing)
	}
	return change.Object{Type: found.kind, Size: int64(len(found.data)), ReadCloser: io.NopCloser(bytes.NewReader(found.data))}, nil
}

func (r *Repo) trees(store objects, files map[string][]Line) string {
	return r.folder(store, files, "")
}

// folder makes the tree of a folder and all below it.
func (r *Repo) folder(store objects, files map[string][]Line, prefix string) string {
	entries := map[string]string{} // name as git sorts it, to the entry
	for path, lines := range files {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		if name, _, deeper := strings.Cut(rest, "/"); deeper {
			if entries[name+"/"] == "" {
				entries[name+"/"] = "40000 " + name + "\x00" + string(id(r.t, r.folder(store, files, prefix+name+"/")))
			}
			continue
		}
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
		}
		entries[rest] = "100644 " + rest + "\x00" + string(id(r.t, r.object(store, "blob", []byte(text.String()))))
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		b.WriteString(entries[name])
	}
	return r.object(store, "tree", []byte(b.String()))
}

func (r *Repo) object(store objects, kind string, data []byte) string {
	h := sha1.New()
	if r.sha256() {
		h = sha256.New()
	}
	fmt.Fprintf(h, "%s %d\x00%s", kind, len(data), data)
	store[change.ID(h.Sum(nil))] = object{kind, data}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *Repo) sha256() bool {
	data, _ := os.ReadFile(filepath.Join(r.GitDir(), "config"))
	return bytes.Contains(data, []byte("sha256"))
}

// write stores objects as loose files.
func (r *Repo) write(store objects) error {
	for id, o := range store {
		name := id.String()
		file := filepath.Join(r.GitDir(), "objects", name[:2], name[2:])
		if exists(file) {
			continue
		}
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		fmt.Fprintf(z, "%s %d\x00%s", o.kind, len(o.data), o.data)
		if err := z.Close(); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, b.Bytes(), 0o444); err != nil {
			return err
		}
	}
	return nil
}

func id(t testing.TB, hex string) change.ID {
	t.Helper()
	parsed, err := change.ParseID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
