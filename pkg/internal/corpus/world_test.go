package corpus

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
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

	"golang.org/x/crypto/ssh"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// signing is when commits were signed; each commit is made a minute after the one before.
var signing = time.Date(2025, 3, 4, 5, 0, 0, 0, time.UTC)

// A world is a repository that grows in memory, and the git fast-import stream that
// makes it. Ids are worked out here, so that git's own must agree with them.
type world struct {
	t       testing.TB
	sha256  bool
	objects map[string]object
	stream  bytes.Buffer // for git fast-import
	raw     []object     // that fast-import cannot make
	commits int
}

type object struct {
	kind string
	data []byte
}

type files map[string]string

// A commit is one that was made, and what it holds.
type commit struct {
	id, tree string
	parents  []*commit
	files    files
	message  string
	mark     int // in the stream; 0 for a raw object
	raw      string
}

func newWorld(t testing.TB, sha256 bool) *world {
	w := &world{t: t, sha256: sha256, objects: map[string]object{}}
	w.note("What the server has, and then what the push brings")
	return w
}

// note puts a line for people into the stream.
func (w *world) note(text string) { fmt.Fprintf(&w.stream, "# %s\n", text) }

func (w *world) put(kind string, data []byte) string {
	h := sha1.New()
	if w.sha256 {
		h = sha256.New()
	}
	fmt.Fprintf(h, "%s %d\x00", kind, len(data))
	h.Write(data)
	id := hex.EncodeToString(h.Sum(nil))
	w.objects[id] = object{kind, data}
	return id
}

// keep puts an object that goes beside the stream.
func (w *world) keep(kind, data string) string {
	w.raw = append(w.raw, object{kind, []byte(data)})
	return w.put(kind, []byte(data))
}

// tree puts the tree of files, by their paths, and all that is in it.
func (w *world) tree(f files) string {
	below := map[string]files{}
	entries := map[string]string{} // by what they are sorted by
	for path, text := range f {
		name, rest, deeper := strings.Cut(path, "/")
		if !deeper {
			entries[name] = treeEntry("100644", name, w.put("blob", []byte(text)))
			continue
		}
		if below[name] == nil {
			below[name] = files{}
		}
		below[name][rest] = text
	}
	for name, f := range below {
		entries[name+"/"] = treeEntry("40000", name, w.tree(f))
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		b.WriteString(entries[key])
	}
	return w.put("tree", []byte(b.String()))
}

func treeEntry(mode, name, id string) string {
	return mode + " " + name + "\x00" + string(unhex(id))
}

func unhex(id string) []byte {
	b, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return b
}

// Open makes a world what change digests are made of.
func (w *world) Open(id change.ID) (change.Object, error) {
	o, ok := w.objects[id.String()]
	if !ok {
		return change.Object{}, fmt.Errorf("object %s: %w", id, change.ErrMissing)
	}
	return change.Object{Type: o.kind, Size: int64(len(o.data)), ReadCloser: io.NopCloser(bytes.NewReader(o.data))}, nil
}

const alice = "Alice <alice@example.com>"

// A sketch is a commit to be made. Signatures cover what the zero values of its last
// fields say: the commit as it is.
type sketch struct {
	subject   string
	parents   []*commit
	set       files    // over the files of the first parent; "" takes one away
	values    []string // of AI-Provenance; N/N in them becomes the lines that are added
	by        []attestation.Signer
	at        time.Time // of signing
	author    string    // NAME <ADDRESS>; "" is Alice
	committer string    // likewise, who committed it; "" is the author
	charset   string    // the encoding header

	sawParents []*commit                                             // those that the signers saw
	saw        files                                                 // as set, what the signers saw
	forge      func(attestation.Attestation) attestation.Attestation // after signing
	message    string                                                // instead of one of its own
	rewrite    func(message string) string
	object     func(raw string) string // makes it an object that fast-import cannot
}

func (w *world) commit(s sketch) *commit {
	w.t.Helper()
	w.commits++
	c := &commit{parents: s.parents, files: s.filesOn(s.parents, s.set)}
	c.tree = w.tree(c.files)
	c.message = w.message(s, c)
	s.author = cmp.Or(s.author, alice)
	date := fmt.Sprintf(" %d +0000", signing.Add(time.Duration(w.commits)*time.Minute).Unix())
	who := fmt.Sprintf("author %s%s\ncommitter %s%s\n", s.author, date, cmp.Or(s.committer, s.author), date)
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range s.parents {
		fmt.Fprintf(&b, "parent %s\n", p.id)
	}
	b.WriteString(who)
	if s.charset != "" {
		fmt.Fprintf(&b, "encoding %s\n", s.charset)
	}
	fmt.Fprintf(&b, "\n%s", c.message)
	if s.object == nil {
		c.mark = w.commits
		c.id = w.put("commit", []byte(b.String()))
		w.write(s, c, who)
		return c
	}
	w.tell(c) // its tree and files
	c.raw = s.object(b.String())
	c.id = w.keep("commit", c.raw)
	return c
}

// filesOn is what set makes of the files of the first of parents.
func (s sketch) filesOn(parents []*commit, set files) files {
	f := files{}
	if len(parents) > 0 {
		f = maps.Clone(parents[0].files)
	}
	for path, text := range set {
		if f[path] = text; text == "" {
			delete(f, path)
		}
	}
	return f
}

func (w *world) message(s sketch, c *commit) string {
	w.t.Helper()
	message := s.message
	if message == "" {
		message = w.signed(s, c)
	}
	if s.rewrite != nil {
		message = s.rewrite(message)
	}
	return message
}

// signed is a message as gatekeeper writes it.
func (w *world) signed(s sketch, c *commit) string {
	parents, tree := s.parents, c.tree
	if s.sawParents != nil {
		parents = s.sawParents
	}
	if s.sawParents != nil || s.saw != nil {
		set := s.saw
		if set == nil {
			set = s.set
		}
		tree = w.tree(s.filesOn(parents, set))
	}
	var trees []change.ID
	for _, p := range parents {
		trees = append(trees, w.id(p.tree))
	}
	digest, stats, err := change.OfCommit(w, trees, w.id(tree))
	if err != nil {
		w.t.Fatal(err)
	}
	var values []string
	for _, v := range s.values {
		values = append(values, strings.ReplaceAll(v, "N/N", fmt.Sprintf("%d/%d", stats.Added, stats.Added)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", cmp.Or(s.subject, "Add a retry loop"))
	for _, v := range values {
		fmt.Fprintf(&b, "AI-Provenance: %s\n", v)
	}
	at := s.at
	if at.IsZero() {
		at = signing
	}
	for _, signer := range s.by {
		a := attestation.Attestation{Time: at, Bind: change.Bind(trees, w.id(tree)), Change: digest}
		if a, err = attestation.Sign(context.Background(), signer, values, a); err != nil {
			w.t.Fatal(err)
		}
		if s.forge != nil {
			a = s.forge(a)
		}
		fmt.Fprintf(&b, "AI-Attestation: %s\n", a)
	}
	if len(values)+len(s.by) == 0 {
		return strings.TrimSuffix(b.String(), "\n")
	}
	return b.String()
}

func (w *world) id(hex string) change.ID {
	id, err := change.ParseID(hex)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// write puts a commit into the stream, as the files in which it differs from its
// first parent.
func (w *world) write(s sketch, c *commit, who string) {
	fmt.Fprintf(&w.stream, "commit refs/pushed/%d\nmark :%d\n%s", c.mark, c.mark, who)
	if s.charset != "" {
		fmt.Fprintf(&w.stream, "encoding %s\n", s.charset)
	}
	fmt.Fprintf(&w.stream, "data %d\n%s\n", len(c.message), c.message)
	for i, p := range c.parents {
		fmt.Fprintf(&w.stream, "%s %s\n", []string{"from", "merge"}[min(i, 1)], p.name())
	}
	w.writeFiles(c)
}

// name is how the stream calls a commit.
func (c *commit) name() string {
	if c.mark == 0 {
		return c.id
	}
	return fmt.Sprintf(":%d", c.mark)
}

func (w *world) writeFiles(c *commit) {
	before := files{}
	if len(c.parents) > 0 {
		before = c.parents[0].files
	}
	all := maps.Clone(before)
	maps.Copy(all, c.files)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		text, is := c.files[path]
		old, was := before[path]
		switch {
		case !is:
			fmt.Fprintf(&w.stream, "D %s\n", path)
		case !was || old != text:
			fmt.Fprintf(&w.stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
		}
	}
	w.stream.WriteByte('\n')
}

// tell puts the tree of a raw commit into the stream, by way of a commit that nobody
// asks for.
func (w *world) tell(c *commit) {
	fmt.Fprintf(&w.stream, "# the files of an object in raw/\ncommit refs/pushed/%d\ncommitter Nobody <nobody@example.com> 0 +0000\ndata 0\n", w.commits)
	if len(c.parents) > 0 {
		fmt.Fprintf(&w.stream, "from %s\n", c.parents[0].name())
	}
	w.writeFiles(c)
}

const keyDir = "../../../testdata/gate/keys"

// key is one of the corpus's own.
func key(t testing.TB, name string) attestation.Signer {
	t.Helper()
	s, err := pubkey.NewSigner(private(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func private(t testing.TB, name string) crypto.Signer {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(keyDir, name))
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.ParseRawPrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return steady{k.(crypto.Signer)}
}

// steady signs the same twice, by ECDSA too: without a source of randomness Go takes
// that of RFC 6979.
type steady struct{ crypto.Signer }

func (s steady) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(nil, digest, opts)
}

// dsse signs as tools and key services do.
type dsse struct {
	attestation.Signer
	key crypto.Signer
}

func (s dsse) Sign(_ context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	sig, err := s.key.Sign(nil, attestation.PAE(statement), crypto.Hash(0))
	return attestation.DSSE, sig, err
}

// forGit is an attestation whose signature is that of the same key under git's own
// namespace, in an envelope that says ours.
func forGit(t testing.TB, name string, values []string, a attestation.Attestation) attestation.Attestation {
	t.Helper()
	sum := sha512.Sum512(attestation.Statement(values, a))
	data := []byte("SSHSIG")
	for _, part := range []string{"git", "", "sha512", string(sum[:])} {
		data = wire.AppendString(data, part)
	}
	sig, err := private(t, name).Sign(nil, data, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	a.Sig = append(slices.Clone(a.Sig[:len(a.Sig)-len(sig)]), sig...)
	return a
}
