package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// An archive is a world whose refs of records can grow.
type archive struct {
	*world
	asked bool  // for what stands beside commits
	err   error // of all questions
}

func (a *archive) Any() bool { return true }

func (a *archive) Attestations(context.Context, provenance.Digest) ([]attestation.Detached, error) {
	a.asked = true
	return nil, nil
}

func (a *archive) Added(ctx context.Context, old, new change.ID, limit int64) iter.Seq2[change.RawFile, error] {
	return func(yield func(change.RawFile, error) bool) {
		var before change.ID
		if old != "" {
			before = a.treeOf(old)
		}
		stop := errors.New("stop")
		err := change.Added(a.world, before, a.treeOf(new), func(f change.RawFile) error {
			if o := a.objects[f.ID]; o.kind == "blob" {
				f.Size, f.Data = int64(len(o.data)), o.data
				if f.TooLarge = f.Size > limit; f.TooLarge {
					f.Data = nil
				}
			}
			if !yield(f, nil) {
				return stop
			}
			return nil
		})
		if err = errors.Join(err, a.err); err != nil && !errors.Is(err, stop) {
			yield(change.RawFile{}, err)
		}
	}
}

func (a *archive) Sizes(_ context.Context, commit change.ID, most int64) (files int, size int64, err error) {
	err = change.Added(a.world, "", a.treeOf(commit), func(f change.RawFile) error {
		if f.ID != "" {
			files, size = files+1, size+int64(len(a.objects[f.ID].data)+len(f.Path))
		}
		return nil
	})
	return files, size, err
}

// folders stores files by their paths, as trees in trees. A path that ends in a slash
// is a folder that holds nothing.
func (w *world) folders(files map[string]leaf) change.ID {
	below := map[string]map[string]leaf{}
	here := map[string]leaf{}
	for path, f := range files {
		name, rest, deeper := strings.Cut(path, "/")
		if !deeper {
			here[name] = f
			continue
		}
		if below[name] == nil {
			below[name] = map[string]leaf{}
		}
		if rest != "" {
			below[name][rest] = f
		}
	}
	for name, files := range below {
		here[name+"/"] = leaf{0o40000, string(w.folders(files))}
	}
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(here)) {
		f := here[name]
		id := change.ID(f.text)
		if f.mode != 0o40000 && f.mode != 0o160000 {
			id = w.put("blob", []byte(f.text))
		}
		fmt.Fprintf(&b, "%o %s\x00%s", f.mode, strings.TrimSuffix(name, "/"), string(id))
	}
	return w.put("tree", b.Bytes())
}

type leaf struct {
	mode uint32
	text string
}

// keeps is a commit of records.
func (w *world) keeps(files map[string]leaf, parents ...change.ID) change.ID {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", w.folders(files))
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	b.WriteString("author A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nAdd records\n")
	return w.put("commit", []byte(b.String()))
}

func refOf(t testing.TB, seed byte) string {
	return RecordsPrefix + attestation.KeyID(signer(t, seed).PublicKey().Fingerprint())
}

// file is a record as it is kept, under its own name.
func file(d attestation.Detached) (path string, f leaf) { return d.Path(), leaf{0o100644, d.String()} }

func trace(text string) (path string, f leaf) {
	sum := sha256.Sum256([]byte(text))
	return "trace/" + hex.EncodeToString(sum[:]), leaf{0o100644, text}
}

// ship judges updates of a push to an archive.
func (a *archive) ship(t testing.TB, more string, updates ...Update) Verdict {
	t.Helper()
	g := Gate{Policy: rules(t, house(t, "mode = \"warn\"\n"+more)), Source: a.world, Records: a, Now: now}
	v, err := g.Push(context.Background(), updates, KeepAll)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRecords(t *testing.T) {
	b := newBeside(t, sketch{})
	a := &archive{world: b.world}
	first, firstFile := file(b.says(alice, nil, good))
	second, secondFile := file(b.says(bob, nil, "none via=hook"))
	line, lineFile := trace("which lines came from where")
	one := a.keeps(map[string]leaf{first: firstFile})
	two := a.keeps(map[string]leaf{first: firstFile, second: secondFile, line: lineFile}, one)
	ref := refOf(t, alice)

	for _, c := range []struct {
		name   string
		update Update
		want   []string
	}{
		{"a first record", Update{ref, "", one}, []string{}},
		{"more, by others too", Update{ref, one, two}, []string{}},
		{"all at once", Update{ref, "", two}, []string{}},
		{"one deleted with its ref", Update{ref, one, ""}, []string{RecordsRewrite}},
		{"one taken away", Update{ref, two, one}, []string{RecordsRewrite}},
		{"a ref of nobody's", Update{RecordsPrefix + "0123456789abcdef", "", one}, []string{SignerUnknown}},
		{"the ref of a stranger", Update{refOf(t, stranger), "", one}, []string{SignerUnknown}},
		{"a ref with another name", Update{RecordsPrefix + "x", "", one}, []string{RefForbidden}},
		{"a ref below", Update{ref + "/x", "", one}, []string{RefForbidden}},
		{"a ref in capitals", Update{RecordsPrefix + strings.ToUpper(strings.TrimPrefix(ref, RecordsPrefix)), "", one}, []string{RefForbidden}},
		{"a tag of it", Update{ref, "", a.put("tag", []byte("object "+one.String()+"\ntype commit\ntag x\n"))}, []string{RefForbidden}},
		{"a tree", Update{ref, "", a.treeOf(one)}, []string{RefForbidden}},
		{"a blob", Update{ref, "", a.put("blob", []byte("x"))}, []string{RefForbidden}},
		{"a commit of code", Update{ref, "", b.commit}, []string{RefForbidden}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := a.ship(t, "", c.update)
			if diff := cmp.Diff(c.want, names(v)); diff != "" {
				t.Error(diff)
			}
			if want := map[bool]Outcome{true: Accepted, false: Refused}[len(c.want) == 0]; v.Verdict != want {
				t.Errorf("it is %s, whatever the mode of other refs", v.Verdict)
			}
		})
	}

	t.Run("without a keeper of records their refs are the server's own", func(t *testing.T) {
		g := Gate{Policy: rules(t, house(t, "")), Source: a.world, Now: now}
		v, err := g.Push(context.Background(), []Update{{ref, "", one}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{RefForbidden}, names(v)); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever gatekeeper does not write itself is no record.
func TestRecordsRefuse(t *testing.T) {
	b := newBeside(t, sketch{})
	a := &archive{world: b.world}
	d := b.says(alice, nil, good)
	path, f := file(d)
	folder := path[:strings.LastIndex(path, "/")+1]
	other, _ := file(b.says(alice, nil, banned))
	line, lineFile := trace("lines")
	unsorted := b.says(alice, nil, good)
	unsorted.Provenance = []string{many(good), many(another)}
	unsorted.Attestation = b.attest(sketch{parents: b.sketch.parents, files: b.sketch.files, values: unsorted.Provenance}, signer(t, alice))
	forged := d
	forged.Attestation.Time = forged.Attestation.Time.Add(1e9)
	dsse := func(seed byte) attestation.Detached {
		s := sketch{parents: b.sketch.parents, files: b.sketch.files, values: []string{good}}
		return b.detached(s, dsseSigner{newKey(seed)})
	}
	with := func(mode uint32, text string) leaf { return leaf{mode, text} }
	one := func(path string, f leaf) map[string]leaf { return map[string]leaf{path: f} }
	under := func(d attestation.Detached) map[string]leaf { p, f := file(d); return one(p, f) }

	for _, c := range []struct {
		name  string
		files map[string]leaf
		want  string
	}{
		{"an executable", one(path, with(0o100755, f.text)), RefForbidden},
		{"a symbolic link", one(path, with(0o120000, f.text)), RefForbidden},
		{"a submodule", one(path, with(0o160000, string(b.root))), RefForbidden},
		{"a file that its group may write", one(path, with(0o100664, f.text)), RefForbidden},
		{"a mode that git does not know", one(path, with(0o110644, f.text)), RefForbidden},
		{"under the name of another", one(other, f), AttestationInvalid},
		{"in the folder of another key", one(strings.Replace(path, attestation.KeyID(d.Attestation.Key), "0123456789abcdef", 1), f), AttestationInvalid},
		{"in the folder of another change", one(strings.Replace(path, hex.EncodeToString(d.Attestation.Change[:]), strings.Repeat("0", 64), 1), f), AttestationInvalid},
		{"with a line more", one(path, with(0o100644, f.text+"\n")), AttestationInvalid},
		{"with Windows' line ends", one(path, with(0o100644, strings.ReplaceAll(f.text, "\n", "\r\n"))), AttestationInvalid},
		{"nothing at all", one(path, with(0o100644, "")), AttestationInvalid},
		{"noise", one(path, with(0o100644, strings.Repeat("\x00\xff", 500))), AttestationInvalid},
		{"a signature over another time", under(forged), AttestationInvalid},
		{"records out of order", under(unsorted), AttestationInvalid},
		{"signed by a stranger", under(b.says(stranger, nil, good)), SignerUnknown},
		{"signed by a stranger with DSSE", under(dsse(stranger)), SignerUnknown},
		{"an attestation of too many bytes", one(path, with(0o100644, strings.Repeat("x", attestation.MaxDetached+1))), PushTooLarge},
		{"a trace of too many bytes", one(line, with(0o100644, strings.Repeat("x", attestation.MaxDetached+1))), PushTooLarge},
		{"a trace under another name", one("trace/"+strings.Repeat("0", 64), lineFile), RefForbidden},
		{"a trace in a folder", one("trace/x/"+strings.TrimPrefix(line, "trace/"), lineFile), RefForbidden},
		{"a trace in capitals", one(strings.ToUpper(line), lineFile), RefForbidden},
		{"a file at the top", one("README", with(0o100644, "x")), RefForbidden},
		{"a file that is called as a folder is", one("att", with(0o100644, "x")), RefForbidden},
		{"a file where a key has its folder", one(strings.TrimSuffix(folder, "/"), f), RefForbidden},
		{"a file that is called by another name", one(folder+"x", f), RefForbidden},
		{"a file in a folder of its name", one(path+"/x", f), RefForbidden},
		{"a name of two lines", one("att/a\nb", f), RefForbidden},
		{"another folder", one("other/"+path, f), RefForbidden},
		{"a folder git keeps", one(".git/config", f), RefForbidden},
		{"folders within each other", one(strings.Repeat("att/", 100)+"x", f), RefForbidden},
		{"a folder that holds nothing", map[string]leaf{path: f, "trace/": {}}, RecordsRewrite},
		{"nothing", map[string]leaf{}, RecordsRewrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]string{c.want}, names(a.ship(t, "", Update{refOf(t, alice), "", a.keeps(c.files)}))); diff != "" {
				t.Error(diff)
			}
			base := a.keeps(one(line, lineFile))
			c.files[line] = lineFile
			v := a.ship(t, "", Update{refOf(t, alice), base, a.keeps(c.files, base)})
			if v.Verdict != Refused && c.name != "a trace of too many bytes" && c.name != "a folder that holds nothing" && c.name != "nothing" {
				t.Errorf("added to what is there, it is %s", v.Verdict)
			}
		})
	}

	t.Run("signed by a known key with DSSE it is taken", func(t *testing.T) {
		if got := names(a.ship(t, "", Update{refOf(t, alice), "", a.keeps(under(dsse(gateway)))})); len(got) > 0 {
			t.Error(got)
		}
	})
	t.Run("of a key whose time is over it is history", func(t *testing.T) {
		for _, seed := range []byte{expired, leaked} {
			if got := names(a.ship(t, "", Update{refOf(t, alice), "", a.keeps(under(b.says(seed, nil, good)))})); len(got) > 0 {
				t.Error(got)
			}
		}
	})
}

func TestRecordsAreBounded(t *testing.T) {
	b := newBeside(t, sketch{})
	a := &archive{world: b.world}
	ref := refOf(t, alice)
	files := map[string]leaf{}
	for i := range 40 {
		path, f := trace(fmt.Sprint("lines ", i))
		files[path] = f
	}
	many := a.keeps(files)

	t.Run("by what one key may keep", func(t *testing.T) {
		v := a.ship(t, "\n[limits]\nrecords = \"2KiB\"", Update{ref, "", many})
		if diff := cmp.Diff([]string{PushTooLarge}, names(v)); diff != "" {
			t.Error(diff)
		}
		if v := a.ship(t, "\n[limits]\nrecords = \"4KiB\"", Update{ref, "", many}); v.Verdict != Accepted {
			t.Errorf("got %v", names(v))
		}
	})
	t.Run("by what a push may make the gate read", func(t *testing.T) {
		v := a.ship(t, "\n[limits]\nread = \"64KiB\"", Update{ref, "", many})
		if diff := cmp.Diff([]string{PushTooLarge}, names(v)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("over all refs of the push", func(t *testing.T) {
		const limits = "\n[limits]\nread = \"256KiB\""
		if v := a.ship(t, limits, Update{ref, "", many}); v.Verdict != Accepted {
			t.Errorf("got %v", names(v))
		}
		v := a.ship(t, limits, Update{ref, "", many}, Update{refOf(t, bob), "", many})
		if diff := cmp.Diff([]string{PushTooLarge}, names(v)); diff != "" {
			t.Error(diff)
		}
	})
}

// By records that are refused no commit is judged: they may be made to be read for ever.
func TestRecordsThatAreRefusedAreNotRead(t *testing.T) {
	b := newBeside(t, sketch{})
	a := &archive{world: b.world}
	path, f := trace("lines")
	bad := a.keeps(map[string]leaf{"README": {0o100644, "x"}})
	v := a.ship(t, "", Update{"refs/heads/main", b.root, b.commit}, Update{refOf(t, alice), "", bad})
	if v.Verdict != Refused || len(v.Refs) != 2 || a.asked {
		t.Errorf("got %+v; records read: %v", v, a.asked)
	}
	v = a.ship(t, "", Update{"refs/heads/main", b.root, b.commit}, Update{refOf(t, alice), "", a.keeps(map[string]leaf{path: f})})
	if v.Verdict != Warned || !a.asked {
		t.Errorf("beside good ones got %+v; records read: %v", v, a.asked)
	}
}

// What cannot be read is no verdict.
func TestRecordsThatCannotBeRead(t *testing.T) {
	b := newBeside(t, sketch{})
	a := &archive{world: b.world, err: io.ErrUnexpectedEOF}
	path, f := trace("lines")
	g := Gate{Policy: rules(t, house(t, "")), Source: a.world, Records: a, Now: now}
	for _, new := range []change.ID{a.keeps(map[string]leaf{path: f}), change.ID(strings.Repeat("x", 20))} {
		if v, err := g.Push(context.Background(), []Update{{refOf(t, alice), "", new}}, KeepAll); err == nil {
			t.Errorf("got %+v", v)
		}
	}
}
