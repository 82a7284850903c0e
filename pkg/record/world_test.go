package record

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// day is when records are kept.
var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// formats are the arguments of git init for each kind of object id.
var formats = map[string][]string{"SHA-1": nil, "SHA-256": {"--object-format=sha256"}}

// A clone is a repository, to git and to us.
type clone struct {
	t testing.TB
	*gittest.Repo
	repo *repo.Repo
}

func newClone(t testing.TB, initArgs ...string) *clone {
	t.Helper()
	return opened(t, gittest.New(t, initArgs...))
}

func opened(t testing.TB, r *gittest.Repo) *clone {
	t.Helper()
	door, err := repo.Open(t.Context(), r.Dir, r.Env)
	if err != nil {
		t.Fatal(err)
	}
	return &clone{t, r, door}
}

// object stores an object of any form, well-formed or not.
func (c *clone) object(kind, data string) change.ID {
	c.t.Helper()
	out, stderr, err := c.Run(data, "hash-object", "-w", "--literally", "-t", kind, "--stdin")
	if err != nil {
		c.t.Fatal(stderr)
	}
	return id(c.t, strings.TrimSpace(out))
}

func id(t testing.TB, hex string) change.ID {
	t.Helper()
	id, err := change.ParseID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A leaf is an entry of a tree.
type leaf struct {
	mode, name string
	id         change.ID
}

func (c *clone) tree(leaves ...leaf) change.ID {
	var b strings.Builder
	for _, l := range leaves {
		b.WriteString(l.mode + " " + l.name + "\x00" + string(l.id))
	}
	return c.object("tree", b.String())
}

func (c *clone) commitOf(tree change.ID, parents ...change.ID) change.ID {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	b.WriteString("author A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nx\n")
	return c.object("commit", b.String())
}

// holding makes a commit of files, which is no record of ours until a ref says so.
func (c *clone) holding(files map[string]string) change.ID {
	c.t.Helper()
	data := map[string][]byte{}
	for path, text := range files {
		data[path] = []byte(text)
	}
	tip, err := c.repo.Grown(c.t.Context(), "", data, "x", day)
	if err != nil {
		c.t.Fatal(err)
	}
	return tip
}

// listed are the files of a revision, each with its content.
func (c *clone) listed(rev string) map[string]string {
	c.t.Helper()
	files := map[string]string{}
	for entry := range strings.SplitSeq(c.Git(c.t, "ls-tree", "-r", "-z", "--full-tree", rev), "\x00") {
		if about, path, ok := strings.Cut(entry, "\t"); ok {
			out, stderr, err := c.Run("", "cat-file", "blob", strings.Fields(about)[2])
			if err != nil {
				c.t.Fatal(stderr)
			}
			files[path] = out
		}
	}
	return files
}

// union is all that the given heads hold, or every ref of records without any.
func (c *clone) union(heads ...change.ID) *Union {
	c.t.Helper()
	reader := c.repo.Reader()
	c.t.Cleanup(func() { reader.Close() })
	if len(heads) > 0 {
		return Read(reader, heads)
	}
	u, err := All(c.t.Context(), reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

// about are the texts that a union has of a change.
func (u *Union) about(t testing.TB, about provenance.Digest) []string {
	t.Helper()
	list, err := u.Attestations(t.Context(), about)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{}
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return texts
}

func signer(t testing.TB, seed byte) attestation.Signer {
	t.Helper()
	s, err := pubkey.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// key is the fingerprint of a signer's key.
func key(t testing.TB, seed byte) string { return signer(t, seed).PublicKey().Fingerprint() }

// attest signs the n-th attestation of a key about a change.
func attest(t testing.TB, seed byte, about provenance.Digest, n int) attestation.Detached {
	t.Helper()
	values := []string{fmt.Sprintf("tool/%d acme/m lines=1/1 via=hook session=unknown", n)}
	a, err := attestation.Sign(t.Context(), signer(t, seed), values, attestation.Attestation{Time: day.Add(time.Duration(n) * time.Second), Change: about})
	if err != nil {
		t.Fatal(err)
	}
	return attestation.Detached{Provenance: values, Attestation: a}
}

// add keeps attestations in the ref of a key.
func (c *clone) add(seed byte, list ...attestation.Detached) {
	c.t.Helper()
	if err := Add(c.t.Context(), c.repo, key(c.t, seed), list, day); err != nil {
		c.t.Fatal(err)
	}
}

// sorted are the texts of attestations in the order in which a union gives them.
func sorted(list ...attestation.Detached) []string {
	slices.SortFunc(list, func(a, b attestation.Detached) int { return strings.Compare(a.Path(), b.Path()) })
	texts := []string{}
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return texts
}
