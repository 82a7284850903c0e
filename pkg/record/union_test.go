package record

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func sha(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func TestAUnionIsWhatAllRefsHold(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			c := newClone(t, args...)
			if c.union().Any() {
				t.Error("an empty repository has records")
			}
			one, other := provenance.Digest{1}, provenance.Digest{1, 1}
			a, b, both := attest(t, 1, one, 0), attest(t, 2, one, 0), attest(t, 1, one, 1)
			c.add(1, a, both)
			c.add(2, b, a, attest(t, 2, other, 0))
			u := c.union()
			if !u.Any() {
				t.Error("there is none")
			}
			if d := diff.Diff(sorted(a, b, both), u.about(t, one)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if got := u.about(t, provenance.Digest{9}); len(got) != 0 {
				t.Errorf("about another change: %q", got)
			}
		})
	}
}

// Everything that somebody could put where an attestation is looked for, one at a time.
func TestOnlyAFileUnderItsOwnNameCounts(t *testing.T) {
	c := newClone(t)
	about := provenance.Digest{1}
	d, other := attest(t, 1, about, 0), attest(t, 1, provenance.Digest{2}, 0)
	folder, file := "att/"+hex.EncodeToString(about[:]), fmt.Sprintf("%x", sha(d.String()))
	key1, key2 := attestation.KeyID(key(t, 1)), attestation.KeyID(key(t, 2))
	text := d.String()
	for name, f := range map[string]struct{ path, text string }{
		"the name of another content":        {folder + "/" + key1 + "/" + strings.Repeat("0", 64), text},
		"the folder of another key":          {folder + "/" + key2 + "/" + file, text},
		"the folder of another change":       {folder + "/" + key1 + "/" + fmt.Sprintf("%x", sha(other.String())), other.String()},
		"capital letters":                    {folder + "/" + key1 + "/" + strings.ToUpper(file), text},
		"a folder more":                      {folder + "/" + key1 + "/" + file + "/x", text},
		"a folder less":                      {folder + "/" + file, text},
		"beside att":                         {"trace" + strings.TrimPrefix(folder, "att") + "/" + key1 + "/" + file, text},
		"a key that is no key's":             {folder + "/" + key1 + "0/" + file, text},
		"another text under its own name":    {folder + "/" + key1 + "/" + fmt.Sprintf("%x", sha("x")), "x"},
		"an empty text under its own name":   {folder + "/" + key1 + "/" + fmt.Sprintf("%x", sha("")), ""},
		"a text too long, by its own name":   {folder + "/" + key1 + "/" + fmt.Sprintf("%x", sha(large)), large},
		"a newline more, under its own name": {folder + "/" + key1 + "/" + fmt.Sprintf("%x", sha(text+"\n")), text + "\n"},
	} {
		u := c.union(c.holding(map[string]string{f.path: f.text}))
		if got := u.about(t, about); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
		// And it is in nobody's way.
		u = c.union(c.holding(map[string]string{f.path: f.text, d.Path(): text}))
		if name == "a folder more" {
			continue // a file cannot be a folder, too
		}
		if got := u.about(t, about); len(got) != 1 {
			t.Errorf("%s is in the way: %q", name, got)
		}
	}
}

// What a server took before it had a gate may be anything. It neither counts nor keeps
// the records of others from counting.
func TestAHeadMayBeAnything(t *testing.T) {
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			c := newClone(t, args...)
			about := provenance.Digest{1}
			d := attest(t, 1, about, 0)
			good := c.holding(pathsOf(d))
			blob := c.object("blob", d.String())
			text := leaf{"100644", fmt.Sprintf("%x", sha(d.String())), blob}
			tagOf := func(kind string, to change.ID) change.ID {
				return c.object("tag", fmt.Sprintf("object %s\ntype %s\ntag x\ntagger A <a@example.com> 1 +0000\n\nx\n", to, kind))
			}
			inFolders := func(leaves ...leaf) change.ID {
				id := c.tree(leaves...)
				for _, name := range []string{attestation.KeyID(key(t, 1)), hex.EncodeToString(about[:]), "att"} {
					id = c.tree(leaf{"40000", name, id})
				}
				return c.commitOf(id)
			}
			at := func(depth int, bad change.ID) change.ID { // something else where a folder should be
				names := []string{"att", hex.EncodeToString(about[:]), attestation.KeyID(key(t, 1))}
				id := c.tree(leaf{"40000", names[depth], bad})
				for _, name := range slices.Backward(names[:depth]) {
					id = c.tree(leaf{"40000", name, id})
				}
				return c.commitOf(id)
			}
			deep := c.tree()
			for range 200 {
				deep = c.tree(leaf{"40000", "att", deep})
			}
			for name, head := range map[string]change.ID{
				"a blob": blob, "a tree": c.tree(text), "a tag of a blob": tagOf("blob", blob), "an empty tree": c.commitOf(c.tree()),
				"a blob for a folder":          at(0, blob),
				"a blob for a change's folder": at(1, blob),
				"a blob for a key's folder":    at(2, blob),
				"a commit for a key's folder":  at(2, good),
				"a tree that breaks off":       c.commitOf(c.object("tree", "40000 att\x00abc")),
				"a tree of no form":            c.commitOf(c.object("tree", "rubbish")),
				"a name that comes twice":      inFolders(text, text),
				"a link":                       inFolders(leaf{"120000", text.name, blob}),
				"a gitlink":                    inFolders(leaf{"160000", text.name, good}),
				"folders in folders":           c.commitOf(deep),
				"a tree for a file":            inFolders(leaf{"100644", text.name, c.tree(text)}),
			} {
				u := c.union(head)
				if got := u.about(t, about); len(got) != 0 {
					t.Errorf("%s: %q", name, got)
				}
				u = c.union(head, good)
				if got := u.about(t, about); len(got) != 1 {
					t.Errorf("%s keeps a good head from counting: %q", name, got)
				}
			}
			if got := c.union(tagOf("commit", good)).about(t, about); len(got) != 1 {
				t.Errorf("a tag of a commit: %q", got)
			}
			missing := change.ID(strings.Repeat("\x11", len(blob)))
			if _, err := c.union(missing, good).Attestations(t.Context(), about); !errors.Is(err, change.ErrMissing) {
				t.Errorf("a head that is not there: %v", err)
			}
		})
	}
}

// However much one key wrote about a change, what others wrote is found.
func TestNobodyIsCrowdedOut(t *testing.T) {
	c := newClone(t)
	about := provenance.Digest{1}
	var many []attestation.Detached
	for n := range maxOfKey + 20 {
		many = append(many, attest(t, 1, about, n))
	}
	few := []attestation.Detached{attest(t, 2, about, 0), attest(t, 3, about, 0)}
	// Spread over refs, so that no ref has too many by itself.
	var heads []change.ID
	for half := range slices.Chunk(many, 10) {
		heads = append(heads, c.holding(pathsOf(half...)))
	}
	heads = append(heads, c.holding(pathsOf(few...)))
	got := c.union(heads...).about(t, about)
	want := append(sorted(many...)[:maxOfKey], sorted(few...)...)
	slices.Sort(got)
	slices.Sort(want)
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	// Names that are no digests take no room.
	junk := pathsOf(few[0])
	for n := range 3 * maxOfKey {
		junk[strings.TrimSuffix(few[0].Path(), few[0].Path()[len(few[0].Path())-64:])+fmt.Sprintf("%03d", n)] = "junk"
	}
	if got := c.union(c.holding(junk)).about(t, about); len(got) != 1 {
		t.Errorf("among junk: %d", len(got))
	}
}

func TestAKeyMaySayOnlySoMuch(t *testing.T) {
	c := newClone(t)
	about := provenance.Digest{1}
	var long []attestation.Detached
	for n := range 8 {
		d := attest(t, 1, about, n)
		for len(d.String())+2000 < attestation.MaxDetached {
			d.Provenance = append(d.Provenance, strings.Repeat("x", 1900))
		}
		long = append(long, d)
	}
	small := attest(t, 2, about, 0)
	got := c.union(c.holding(pathsOf(append(long, small)...))).about(t, about)
	size := 0
	for _, text := range got {
		size += len(text)
	}
	if size > maxKeySize+attestation.MaxDetached+len(small.String()) || !slices.Contains(got, small.String()) {
		t.Errorf("%d bytes in %d texts", size, len(got))
	}
}

func TestKeysAreBounded(t *testing.T) {
	c := newClone(t)
	about := provenance.Digest{1}
	files := map[string]string{}
	for n := range maxKeys + 10 {
		d := attest(t, byte(n+1), about, 0)
		files[d.Path()] = d.String()
	}
	if got := c.union(c.holding(files)).about(t, about); len(got) != maxKeys {
		t.Errorf("%d of %d keys", len(got), len(files))
	}
}

func TestAFolderTooLargeIsPassedOver(t *testing.T) {
	c := newClone(t)
	about := provenance.Digest{1}
	d := attest(t, 1, about, 0)
	blob := c.object("blob", "x")
	var leaves []leaf
	for n := range maxFolder/92 + 10 {
		leaves = append(leaves, leaf{"100644", fmt.Sprintf("%064x", n), blob})
	}
	id := c.tree(leaves...)
	for _, name := range []string{attestation.KeyID(key(t, 2)), hex.EncodeToString(about[:]), "att"} {
		id = c.tree(leaf{"40000", name, id})
	}
	if got := c.union(c.commitOf(id), c.holding(pathsOf(d))).about(t, about); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestAUnionMayBeAskedByMany(t *testing.T) {
	c := newClone(t)
	for n := range 5 {
		c.add(1, attest(t, 1, provenance.Digest{byte(n)}, 0))
	}
	u := c.union()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 5 {
				about := provenance.Digest{byte(n)}
				if got := u.about(t, about); len(got) != 1 {
					t.Errorf("%q", got)
				}
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Attestations(ctx, provenance.Digest{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// The index against a map, with changes that begin alike.
func TestTheIndexFindsWhatAMapDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{20, 32} {
		x := &index{idSize: size}
		want := map[[digestPart]byte]map[change.ID]bool{}
		var asked [][32]byte
		for n := range 2000 {
			var digest [32]byte
			binary.BigEndian.PutUint64(digest[:], uint64(random.IntN(300))<<56|uint64(random.IntN(2)))
			digest[31] = byte(random.IntN(256))
			id := change.ID(fmt.Sprintf("%0*d", size, random.IntN(1500)))
			x.add(change.Entry{Mode: 0o40000, Name: hex.EncodeToString(digest[:]), ID: id})
			part := [digestPart]byte(digest[:])
			if want[part] == nil {
				want[part] = map[change.ID]bool{}
			}
			want[part][id] = true
			asked = append(asked, digest, [32]byte{byte(n)}, [32]byte{0xff, byte(n)})
		}
		sort.Sort(x)
		for _, digest := range asked {
			got := slices.Sorted(slices.Values(x.find(digest)))
			if d := diff.Diff(slices.Sorted(maps.Keys(want[[digestPart]byte(digest[:])])), got); d != "" {
				t.Fatalf("%x: -want +got\n%s", digest, d)
			}
		}
	}
	x := &index{idSize: 20}
	zero := change.ID(strings.Repeat("\x11", 20))
	for name, e := range map[string]change.Entry{
		"a file":                {Mode: 0o100644, Name: strings.Repeat("0", 64), ID: zero},
		"no hexadecimal":        {Mode: 0o40000, Name: strings.Repeat("x", 64), ID: zero},
		"too short":             {Mode: 0o40000, Name: strings.Repeat("0", 62), ID: zero},
		"too long":              {Mode: 0o40000, Name: strings.Repeat("0", 66), ID: zero},
		"an id of another size": {Mode: 0o40000, Name: strings.Repeat("0", 64), ID: zero[:10]},
	} {
		if x.add(e); x.Len() != 0 {
			t.Errorf("%s is in the index", name)
		}
	}
}

// modelOf is the union by way of git's own lists, slowly: every file of every head is
// looked at, and what stands in its lines is read by patterns.
func (c *clone) modelOf(about provenance.Digest, heads []change.ID) []string {
	c.t.Helper()
	line := regexp.MustCompile(`^(AI-Provenance: [^\n]+\n)+AI-Attestation: v1 key=SHA256:([^ ]{43}) time=[^ ]+ bind=[^ ]{43} change=([^ ]{43}) sig=sshsig:[^\n]+\n$`)
	found := map[string]string{}
	for _, head := range heads {
		for entry := range strings.SplitSeq(c.Git(c.t, "ls-tree", "-r", "-z", "--full-tree", head.String()), "\x00") {
			meta, path, ok := strings.Cut(entry, "\t")
			if !ok || !strings.HasPrefix(meta, "100") {
				continue
			}
			text, stderr, err := c.Run("", "cat-file", "blob", strings.Fields(meta)[2])
			if err != nil {
				c.t.Fatal(stderr)
			}
			m := line.FindStringSubmatch(text)
			if m == nil || len(text) > 64<<10 {
				continue
			}
			keySum, err1 := base64.RawStdEncoding.DecodeString(m[2])
			of, err2 := base64.RawURLEncoding.DecodeString(m[3])
			if errors.Join(err1, err2) != nil || !slices.Equal(of, about[:]) {
				continue
			}
			// A folder whose name begins as the change's does is as good: what counts is
			// that the text is about the change.
			folder, rest, _ := strings.Cut(strings.TrimPrefix(path, "att/"), "/")
			if isDigest.MatchString(folder) && strings.HasPrefix(path, fmt.Sprintf("att/%x", of[:8])) && rest == fmt.Sprintf("%x/%x", keySum[:8], sha(text)) {
				found[rest] = text
			}
		}
	}
	texts := []string{}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		texts = append(texts, found[path])
	}
	return texts
}

var isDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func TestAUnionIsThatOfASlowModelOnRandomTrees(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for format, args := range formats {
		t.Run(format, func(t *testing.T) {
			c := newClone(t, args...)
			var all []attestation.Detached
			changes := []provenance.Digest{{1}, {1, 0, 0, 0, 0, 0, 0, 0, 1}, {2}, {0xff}} // two of them begin alike
			for _, about := range changes {
				for seed := range byte(3) {
					for n := range 2 {
						all = append(all, attest(t, seed+1, about, n))
					}
				}
			}
			misplaced := func(d attestation.Detached) (path, text string) {
				path, text = d.Path(), d.String()
				parts := strings.Split(path, "/")
				other := strings.Split(all[random.IntN(len(all))].Path(), "/")
				switch random.IntN(8) {
				case 0:
					parts[1] = other[1]
				case 1:
					parts[2] = other[2]
				case 2:
					parts[3] = other[3]
				case 3:
					parts = append(parts[:1], other...)
				case 4:
					parts[0] = "trace"
				case 5:
					parts[1+random.IntN(3)] = "x"
				case 6:
					text += "x"
					parts[3] = fmt.Sprintf("%x", sha(text))
				case 7:
					text = strings.Replace(text, "AI-", "ai-", 1)
					parts[3] = fmt.Sprintf("%x", sha(text))
				}
				return strings.Join(parts, "/"), text
			}
			found := 0
			for round := range 6 {
				var heads []change.ID
				for range 1 + random.IntN(4) {
					files := map[string]string{}
					for range random.IntN(12) {
						path, text := misplaced(all[random.IntN(len(all))])
						if !clash(files, path) {
							files[path] = text
						}
					}
					for range random.IntN(8) {
						if d := all[random.IntN(len(all))]; !clash(files, d.Path()) {
							files[d.Path()] = d.String()
						}
					}
					heads = append(heads, c.holding(files))
				}
				u := c.union(heads...)
				for _, about := range changes {
					want := c.modelOf(about, heads)
					found += len(want)
					if d := diff.Diff(want, u.about(t, about)); d != "" {
						t.Errorf("round %d, %x: -model +union\n%s", round, about, d)
					}
				}
			}
			if found < 20 {
				t.Errorf("only %d were found: nothing was compared", found)
			}
		})
	}
}

// clash reports whether a path would be a folder of another, or the other way round.
func clash(files map[string]string, path string) bool {
	for other := range files {
		short, long := path, other
		if cmp.Compare(len(short), len(long)) > 0 {
			short, long = long, short
		}
		if short == long || strings.HasPrefix(long, short+"/") {
			return true
		}
	}
	return false
}
