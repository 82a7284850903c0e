package change

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vectorCommits are the raw objects of the vectors.
func vectorCommits(t testing.TB) [][]byte {
	t.Helper()
	var all []commitVector
	readJSON(t, vectors+"/commit.json", &all)
	var raw [][]byte
	for _, v := range all {
		raw = append(raw, latin1(v.Raw))
	}
	return raw
}

// putLoose writes an object into a repository whatever git thinks of it.
func (r gitRepo) putLoose(kind string, data []byte) string {
	r.t.Helper()
	raw := fmt.Appendf(nil, "%s %d\x00%s", kind, len(data), data)
	sum := sha1.Sum(raw)
	id := hex.EncodeToString(sum[:])
	name := filepath.Join(r.dir, ".git/objects", id[:2], id[2:])
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(raw)
	if err := errors.Join(z.Close(), os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, packed.Bytes(), 0o666)); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestCommitsAgainstGit holds what is accepted, of vectors and of thousands of
// damaged commits, to what the real git reads and to what its fsck thinks.
func TestCommitsAgainstGit(t *testing.T) {
	r := newGitRepo(t)
	rnd := rand.New(rand.NewPCG(13, 14))
	seeds := vectorCommits(t)
	raw := map[string][]byte{}
	for _, s := range seeds {
		raw[r.putLoose("commit", s)] = s
	}
	whole := seeds[:0:0]
	for _, s := range seeds {
		if _, err := ParseCommit(s); err == nil {
			whole = append(whole, s)
		}
	}
	for range 2000 {
		bad := damaged(rnd, whole[rnd.IntN(len(whole))])
		raw[r.putLoose("commit", bad)] = bad
	}
	// git keeps in mind what an id was said to be, from one commit to the next.
	kinds := map[ID]string{}
	agrees := func(id ID, kind string) bool {
		if kinds[id] == "" {
			kinds[id] = kind
		}
		return kinds[id] == kind
	}
	accepted := map[string]Commit{}
	var list strings.Builder
	for _, id := range slices.Sorted(maps.Keys(raw)) {
		c, err := ParseCommit(raw[id])
		if err != nil || len(c.Tree) != sha1.Size {
			continue
		}
		ok := agrees(c.Tree, "tree")
		for _, p := range c.Parents {
			ok = agrees(p, "commit") && ok
		}
		if ok {
			accepted[id] = c
			list.WriteString(id + "\n")
		}
	}
	if len(accepted) < 400 || len(accepted) > len(raw)-400 {
		t.Fatalf("%d of %d commits are accepted", len(accepted), len(raw))
	}
	const fields = "%H%x01%T%x01%P%x01%an%x01%ae%x01%at%x01%cn%x01%ce%x01%ct%x01%e%x01%B%x02"
	out := r.git(list.String(), "log", "--no-walk=unsorted", "--stdin", "--format=tformat:"+fields)
	seen := 0
	for _, commit := range strings.Split(strings.TrimSuffix(out, "\x02\n"), "\x02\n") {
		id, got, _ := strings.Cut(commit, "\x01")
		c, ok := accepted[id]
		if !ok {
			t.Fatalf("git speaks of %.100q", commit)
		}
		want := asLogged(c)
		switch c.Encoding {
		case "", "UTF-8":
		case "ISO-8859-1": // which git turns into UTF-8
			want = fromLatin1(want)
		default:
			want = got
		}
		if got != want {
			t.Errorf("%q\n git %q\nhere %q", raw[id], got, want)
		}
		seen++
	}
	if seen != len(accepted) {
		t.Errorf("git reads %d of %d commits", seen, len(accepted))
	}
	checkFsck(t, r, accepted, raw)
}

func asLogged(c Commit) string {
	var parents []string
	for _, p := range c.Parents {
		parents = append(parents, p.String())
	}
	return strings.Join([]string{c.Tree.String(), strings.Join(parents, " "),
		c.Author.Name, c.Author.Email, fmt.Sprint(c.Author.When.Unix()),
		c.Committer.Name, c.Committer.Email, fmt.Sprint(c.Committer.When.Unix()),
		c.Encoding, string(c.Message)}, "\x01")
}

// checkFsck looks for commits that git fsck finds wrong and ParseCommit does
// not.
func checkFsck(t *testing.T, r gitRepo, accepted map[string]Commit, raw map[string][]byte) {
	t.Helper()
	c := r.command("fsck", "--no-dangling", "--no-progress")
	out, _ := c.CombinedOutput() // it fails, since trees are missing
	wrong := 0
	for _, line := range strings.Split(string(out), "\n") {
		rest, ok := strings.CutPrefix(line, "error in commit ")
		if !ok {
			continue
		}
		wrong++
		id, _, _ := strings.Cut(rest, ":")
		if _, ok := accepted[id]; ok {
			t.Errorf("accepted %q, git fsck: %s", raw[id], line)
		}
	}
	if wrong < 400 {
		t.Errorf("git fsck finds only %d commits wrong", wrong)
	}
}

// damaged is a commit with lines or bytes changed.
func damaged(r *rand.Rand, raw []byte) []byte {
	lines := bytes.SplitAfter(bytes.Clone(raw), []byte{'\n'})
	for range 1 + r.IntN(2) {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(6) {
		case 0:
			lines[i], lines[j] = lines[j], lines[i]
		case 1:
			lines[i] = nil
		case 2:
			lines[i] = append(bytes.Clone(lines[i]), lines[j]...)
		default:
			if len(lines[i]) > 0 {
				const bytes = "\x00\n\r\t <>+-0179afgxA\xff\v"
				at := r.IntN(len(lines[i]))
				lines[i][at] = bytes[r.IntN(len(bytes))]
			}
		}
	}
	return bytes.Join(lines, nil)
}

// FuzzParseCommit: what is accepted says, line by line, what the parts say.
func FuzzParseCommit(f *testing.F) {
	for _, raw := range vectorCommits(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCommit(raw)
		if bad := (*MalformedError)(nil); err != nil {
			if !errors.As(err, &bad) || bad.Line < 1 || bad.Line > 1+bytes.Count(raw, []byte{'\n'}) || len(err.Error()) > 400 {
				t.Fatalf("error %v", err)
			}
			return
		}
		head := "tree " + c.Tree.String() + "\n"
		for _, p := range c.Parents {
			head += "parent " + p.String() + "\n"
		}
		rest, ok := strings.CutPrefix(string(raw), head)
		if !ok {
			t.Fatalf("%q does not begin with %q", raw, head)
		}
		rest = checkIdent(t, rest, "author", c.Author)
		rest = checkIdent(t, rest, "committer", c.Committer)
		if rest, ok = strings.CutSuffix(rest, "\n"+string(c.Message)); !ok {
			t.Fatalf("%q does not end with the message %q", raw, c.Message)
		}
		if strings.HasPrefix(rest, "\n") || strings.Contains(rest, "\n\n") || rest != "" && !strings.HasSuffix(rest, "\n") {
			t.Fatalf("%q has a blank line among its headers", raw)
		}
		for _, line := range strings.Split(rest, "\n") {
			for _, name := range known[:mandatory] {
				if strings.HasPrefix(line, name+" ") {
					t.Fatalf("%q has %q twice", raw, name)
				}
			}
			if e, ok := strings.CutPrefix(line, "encoding "); ok && e != c.Encoding {
				t.Fatalf("%q has encoding %q, not %q", raw, e, c.Encoding)
			}
		}
	})
}

func checkIdent(t *testing.T, rest, name string, who Ident) string {
	t.Helper()
	line, rest, _ := strings.Cut(rest, "\n")
	zone := line[max(0, len(line)-5):]
	if when := who.When.Format("-0700"); when != zone && when != "+0000" {
		t.Fatalf("%q is in zone %s", line, when)
	}
	tail := fmt.Sprintf("<%s> %d %s", who.Email, who.When.Unix(), zone)
	before, ok := strings.CutSuffix(line, tail)
	if !ok || strings.TrimRight(before, " \t\r\n") != strings.TrimRight(name+" "+who.Name, " \t\r\n") {
		t.Fatalf("%q is not %s %q and %q", line, name, who.Name, tail)
	}
	return rest
}

func BenchmarkParseCommit(b *testing.B) {
	raw := vectorCommits(b)[1]
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommit(raw); err != nil {
			b.Fatal(err)
		}
	}
}
