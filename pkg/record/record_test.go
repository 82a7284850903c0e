package record

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// pathsOf are attestations as files.
func pathsOf(list ...attestation.Detached) map[string]string {
	files := map[string]string{}
	for _, d := range list {
		files[d.Path()] = d.String()
	}
	return files
}

func TestAdd(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			c := newClone(t, args...)
			ref := Ref(key(t, 1))
			one, two := attest(t, 1, provenance.Digest{1}, 0), attest(t, 1, provenance.Digest{2}, 0)
			c.add(1)
			if refs := c.Git(t, "for-each-ref"); refs != "" {
				t.Errorf("nothing was added, and yet there is\n%s", refs)
			}
			c.add(1, one)
			first := c.Git(t, "rev-parse", ref)
			c.add(1, one, one)
			c.add(1)
			if now := c.Git(t, "rev-parse", ref); now != first {
				t.Error("the same twice made another commit")
			}
			c.add(1, two, one)
			if diff := cmp.Diff(pathsOf(one, two), c.listed(ref)); diff != "" {
				t.Error(diff)
			}
			if parent := c.Git(t, "rev-parse", ref+"^"); parent != first {
				t.Error("the second does not stand on the first")
			}
			other := attest(t, 2, provenance.Digest{1}, 0)
			c.add(2, other)
			if diff := cmp.Diff(pathsOf(one, two), c.listed(ref)); diff != "" {
				t.Errorf("another key wrote into the ref: %s", diff)
			}
			if diff := cmp.Diff(pathsOf(other), c.listed(Ref(key(t, 2)))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("what is no key has no ref", func(t *testing.T) {
		c := newClone(t)
		for _, bad := range []string{"", "SHA256:", "MD5:00", "../../heads/main"} {
			if err := Add(t.Context(), c.repo, bad, []attestation.Detached{attest(t, 1, provenance.Digest{1}, 0)}, day); err == nil {
				t.Errorf("%q has records", bad)
			}
		}
		if refs := c.Git(t, "for-each-ref"); refs != "" {
			t.Error(refs)
		}
	})
}

// Agents commit in several work trees of one clone at once, with one key.
func TestWhoAddAtOnceLoseNothing(t *testing.T) {
	c := newClone(t)
	const writers, each = 8, 3
	var want []attestation.Detached
	errs := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		var own []attestation.Detached
		for n := range each {
			own = append(own, attest(t, 1, provenance.Digest{byte(w)}, n))
		}
		want = append(want, own...)
		all.Go(func() {
			for _, d := range own {
				if err := Add(t.Context(), c.repo, key(t, 1), []attestation.Detached{d}, day); err != nil {
					errs[w] = err
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	ref := Ref(key(t, 1))
	if diff := cmp.Diff(pathsOf(want...), c.listed(ref)); diff != "" {
		t.Error(diff)
	}
	if n := c.Git(t, "rev-list", "--count", ref); n != fmt.Sprint(writers*each) {
		t.Errorf("%s commits", n)
	}
	if merges := c.Git(t, "rev-list", "--merges", ref); merges != "" {
		t.Error("a merge, which no server takes")
	}
}

func TestRefNames(t *testing.T) {
	if got, want := Ref(key(t, 1)), "refs/gatekeeper/records/"+attestation.KeyID(key(t, 1)); got != want || !IsRef(got) {
		t.Errorf("%s, want %s", got, want)
	}
	for _, name := range []string{"", Prefix, Prefix + "0123456789abcde", Prefix + "0123456789abcdef0", Prefix + "0123456789ABCDEF",
		Prefix + "0123456789abcdeg", Prefix + "0123456789abcdef/x", "refs/gatekeeper/policy", "refs/heads/0123456789abcdef"} {
		if IsRef(name) {
			t.Errorf("%q is a ref of records", name)
		}
	}
}

func TestHeadsAreTheRefsOfRecords(t *testing.T) {
	c := newClone(t)
	c.add(1, attest(t, 1, provenance.Digest{1}, 0))
	tip := c.Git(t, "rev-parse", Ref(key(t, 1)))
	for _, other := range []string{"refs/heads/main", Prefix + "junk", "refs/gatekeeper/policy"} {
		c.Git(t, "update-ref", other, tip)
	}
	got, err := Heads(t.Context(), c.repo)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]change.ID{Ref(key(t, 1)): id(t, tip)}, got); diff != "" {
		t.Error(diff)
	}
}

func TestJoin(t *testing.T) {
	ref := Ref(key(t, 1))
	d := func(n byte) attestation.Detached { return attest(t, 1, provenance.Digest{n}, 0) }
	// machines are two clones of a server, with one key; the second has what the first
	// sent, and each has gone on by itself.
	machines := func(t *testing.T, args ...string) (a, b *clone) {
		t.Helper()
		a = newClone(t, args...)
		a.Commit(t, "Root") // of an empty repository git 2.39 clones no format of ids
		a.add(1, d(0))
		b = opened(t, a.Clone(t))
		b.Git(t, "fetch", "-q", a.Dir, ref+":"+ref)
		return a, b
	}
	fetched := func(from, to *clone) change.ID {
		to.Git(t, "fetch", "-q", from.Dir, "+"+ref+":refs/fetched")
		theirs := id(t, to.Git(t, "rev-parse", "refs/fetched"))
		to.Git(t, "update-ref", "-d", "refs/fetched")
		return theirs
	}
	join := func(c *clone, theirs change.ID) {
		t.Helper()
		if err := Join(t.Context(), c.repo, ref, theirs, day); err != nil {
			t.Fatal(err)
		}
	}

	for format, args := range formats {
		t.Run("two machines come together and lose nothing, "+format, func(t *testing.T) {
			a, b := machines(t, args...)
			a.add(1, d(1), d(2))
			b.add(1, d(2), d(3))
			theirs := fetched(a, b)
			join(b, theirs)
			if diff := cmp.Diff(pathsOf(d(0), d(1), d(2), d(3)), b.listed(ref)); diff != "" {
				t.Error(diff)
			}
			if b.Git(t, "rev-parse", ref+"^") != theirs.String() {
				t.Error("ours does not stand on theirs")
			}
			b.Git(t, "push", "-q", a.Dir, ref+":"+ref) // which git takes without force
			join(a, fetched(b, a))
			if refs := b.Git(t, "for-each-ref", "--format=%(refname)", "refs/gatekeeper"); refs != ref {
				t.Errorf("left behind:\n%s", refs)
			}
		})
	}
	t.Run("who has nothing of its own takes theirs", func(t *testing.T) {
		a, b := machines(t)
		a.add(1, d(1))
		theirs := fetched(a, b)
		join(b, theirs)
		if got := b.Git(t, "rev-parse", ref); got != theirs.String() {
			t.Errorf("%s, want %s", got, theirs)
		}
	})
	t.Run("who has no ref yet takes theirs", func(t *testing.T) {
		a, b := machines(t)
		b.Git(t, "update-ref", "-d", ref)
		theirs := fetched(a, b)
		join(b, theirs)
		if got := b.Git(t, "rev-parse", ref); got != theirs.String() {
			t.Errorf("%s, want %s", got, theirs)
		}
	})
	t.Run("who is ahead stays there", func(t *testing.T) {
		a, b := machines(t)
		b.add(1, d(1))
		b.add(1, d(2))
		before := b.Git(t, "rev-parse", ref)
		join(b, fetched(a, b))
		join(b, id(t, before))
		if got := b.Git(t, "rev-parse", ref); got != before {
			t.Errorf("moved to %s", got)
		}
	})
	t.Run("histories of their own come together, too", func(t *testing.T) {
		a, b := machines(t)
		b.Git(t, "update-ref", "-d", ref)
		b.add(1, d(5))
		theirs := fetched(a, b)
		join(b, theirs)
		if diff := cmp.Diff(pathsOf(d(0), d(5)), b.listed(ref)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("only records are handed on", func(t *testing.T) {
		a, b := machines(t)
		real := d(1)
		trace := "trace/" + strings.Repeat("0", 64)
		junk := map[string][]byte{
			"att/x\ndata 1\nz\nreset refs/heads/evil\nfrom " + b.Git(t, "rev-parse", ref) + "\n": []byte("x"),
			real.Path(): []byte(real.String()), trace: []byte("not its name"),
			strings.Replace(real.Path(), "att/", "att/att/", 1): []byte(real.String()),
			real.Path() + "0": []byte(real.String()),
			"trace/" + fmt.Sprintf("%x", sha("a trace")): []byte("a trace"),
			"trace/" + fmt.Sprintf("%x", sha(large)):     []byte(large),
		}
		old := id(t, b.Git(t, "rev-parse", ref))
		if err := b.repo.Grow(t.Context(), ref, old, junk, "junk", day); err != nil {
			t.Fatal(err)
		}
		a.add(1, d(2))
		join(b, fetched(a, b))
		want := pathsOf(d(0), d(1), d(2))
		want["trace/"+fmt.Sprintf("%x", sha("a trace"))] = "a trace"
		if diff := cmp.Diff(want, b.listed(ref)); diff != "" {
			t.Error(diff)
		}
		if got := b.Git(t, "for-each-ref", "--format=%(refname)", "refs/gatekeeper", "refs/heads/evil"); got != ref {
			t.Errorf("refs\n%s", got)
		}
	})
	t.Run("what is no commit is not joined", func(t *testing.T) {
		a, _ := machines(t)
		before := a.Git(t, "rev-parse", ref)
		for _, theirs := range []change.ID{a.object("blob", "x"), a.tree(), id(t, strings.Repeat("11", 20))} {
			if err := Join(t.Context(), a.repo, ref, theirs, day); err == nil && theirs[0] == 0x11 {
				t.Errorf("%s was joined", theirs)
			}
		}
		if got := a.Git(t, "for-each-ref", "--format=%(objectname) %(refname)", "refs/gatekeeper"); got != before+" "+ref {
			t.Errorf("refs\n%s", got)
		}
	})
}

var large = strings.Repeat("x", attestation.MaxDetached+1)

func TestAttestSignsWhatIsThere(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			c := opened(t, gittest.New(t, args...))
			c.Write(t, "a", "one\n")
			root := id(t, c.Commit(t, "root"))
			c.Write(t, "a", "one\ntwo\n")
			next := id(t, c.Commit(t, "next"))
			c.Git(t, "checkout", "-q", "-b", "side", root.String())
			c.Write(t, "b", "b\n")
			side := id(t, c.Commit(t, "side"))
			c.Git(t, "merge", "-q", "--no-edit", "main")
			merge := id(t, c.Git(t, "rev-parse", "HEAD"))
			objects, err := c.repo.Batch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer objects.Close()
			tree := func(rev change.ID) change.ID { return id(t, c.Git(t, "rev-parse", rev.String()+"^{tree}")) }
			values := []string{"none via=hook"}
			for _, want := range []struct {
				commit  change.ID
				parents []change.ID
			}{{root, nil}, {next, []change.ID{tree(root)}}, {merge, []change.ID{tree(side), tree(next)}}} {
				d, err := Attest(t.Context(), objects, signer(t, 1), want.commit, values, day)
				if err != nil {
					t.Fatal(err)
				}
				about, _, err := change.OfCommit(objects, want.parents, tree(want.commit))
				if err != nil {
					t.Fatal(err)
				}
				if d.Attestation.Bind != change.Bind(want.parents, tree(want.commit)) || d.Attestation.Change != about || !d.Attestation.Time.Equal(day) {
					t.Errorf("%s: %+v", want.commit, d)
				}
				if err := attestation.Verify(values, d.Attestation, signer(t, 1).PublicKey()); err != nil {
					t.Error(err)
				}
			}
			if _, err := Attest(t.Context(), objects, signer(t, 1), tree(root), values, day); err == nil {
				t.Error("a tree was attested")
			}
			if _, err := Attest(t.Context(), objects, signer(t, 1), next, nil, day); err == nil {
				t.Error("nothing was attested")
			}
		})
	}
}
