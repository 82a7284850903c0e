package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// kept is what a policy adds that keeps a model from some paths.
const kept = `
[[model]]
id = "acme/coder"
status = "approved"
paths.deny = ["crypto/**", "*.pem"]
`

var coder = []string{"aider/1.0 acme/coder lines=1/1 via=hook session=9f2c1b7e0a44"}

// tree0 is what most commits of these tests start from.
var tree0 = map[string]string{"main.go": "1\n", "crypto/aes/block.go": "1\n", "crypto/x.go": "1\n", "docs/a.md": "1\n"}

// with is files with some changed; "" takes one away.
func with(files map[string]string, changed ...string) map[string]string {
	files = maps.Clone(files)
	for i := 0; i < len(changed); i += 2 {
		if files[changed[i]] = changed[i+1]; changed[i+1] == "" {
			delete(files, changed[i])
		}
	}
	return files
}

func TestPathsThatAModelMayNotChange(t *testing.T) {
	refused := []string{PathRestricted}
	for _, c := range []struct {
		name   string
		files  map[string]string
		values []string
		alter  func(*sketch)
		want   []string
	}{
		{"a path that nobody restricts", with(tree0, "docs/a.md", "2\n"), coder, nil, nil},
		{"a file that is changed", with(tree0, "crypto/aes/block.go", "2\n"), coder, nil, refused},
		{"beside others", with(tree0, "docs/a.md", "2\n", "crypto/x.go", "2\n", "main.go", "2\n"), coder, nil, refused},
		{"a file that is added", with(tree0, "server.pem", "2\n"), coder, nil, refused},
		{"a star stops at a slash", with(tree0, "docs/server.pem", "2\n"), coder, nil, nil},
		{"a file that is taken away", with(tree0, "crypto/x.go", ""), coder, nil, refused},
		{"a folder that becomes a file", with(tree0, "crypto/x.go", "", "crypto/aes/block.go", "", "crypto", "2\n"), coder, nil, refused},
		{"another model may", with(tree0, "crypto/x.go", "2\n"), []string{good}, nil, nil},
		{"nobody observed a model", with(tree0, "crypto/x.go", "2\n"), none, nil, nil},
		{"one of two records", with(tree0, "crypto/x.go", "2\n"), append(coder[:1:1], "claude-code/2.1.330 anthropic/claude-sonnet-4-5 lines=0/1 via=hook session=9f2c1b7e0a44"), nil, refused},
		{"in a rebased commit", with(tree0, "crypto/x.go", "2\n", "main.go", "2\n"), coder, func(s *sketch) {
			s.claimed = with(tree0, "crypto/x.go", "2\n")
		}, refused},
		{"in a rebased commit, elsewhere", with(tree0, "docs/a.md", "2\n", "main.go", "2\n"), coder, func(s *sketch) {
			s.claimed = with(tree0, "docs/a.md", "2\n")
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			root := w.commit(sketch{files: tree0, values: none, by: w.by(alice)})
			s := sketch{parents: []change.ID{root}, files: c.files, values: c.values, by: w.by(alice)}
			if c.alter != nil {
				c.alter(&s)
				s.parents = []change.ID{w.commit(sketch{parents: s.parents, files: with(tree0, "main.go", "2\n"), values: none, by: w.by(alice)})}
				s.onto = []change.ID{root}
			}
			v := w.push(rules(t, house(t, "")+kept), "refs/heads/main", w.commit(s))
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s%+v", diff, v)
			}
		})
	}
}

// A root commit changes all that it has; a merge what it takes from none of its parents.
func TestPathsOfRootsAndMerges(t *testing.T) {
	w := newWorld(t)
	p := rules(t, house(t, "")+kept)
	root := w.commit(sketch{files: tree0, values: coder, by: w.by(alice)})
	if got := names(w.push(p, "refs/heads/main", root)); !cmp.Equal(got, []string{PathRestricted}) {
		t.Errorf("a root: %q", got)
	}
	root = w.commit(sketch{files: tree0, values: none, by: w.by(alice)})
	mine := with(tree0, "main.go", "2\n")
	theirs := with(tree0, "main.go", "3\n", "crypto/x.go", "2\n")
	a := w.commit(sketch{parents: []change.ID{root}, files: mine, values: none, by: w.by(alice)})
	b := w.commit(sketch{parents: []change.ID{root}, files: theirs, values: none, by: w.by(alice)})
	for _, c := range []struct {
		name  string
		files map[string]string
		clean bool // git's own merge is what files holds
		want  []string
	}{
		{"a conflict elsewhere is resolved", with(theirs, "main.go", "4\n"), false, nil},
		{"the merge itself changes a path", with(theirs, "main.go", "4\n", "crypto/x.go", "3\n"), false, []string{PathRestricted}},
		{"git's own merge", theirs, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			delete(w.merges, [2]change.ID{a, b})
			if c.clean {
				w.merges[[2]change.ID{a, b}] = w.tree(c.files)
			}
			v := w.push(p, "refs/heads/main", w.commit(sketch{parents: []change.ID{a, b}, files: c.files, values: coder, by: w.by(alice)}))
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s", diff)
			}
		})
	}
}

// Trees are read for paths only where the policy has a rule about the model, no file is
// read for that, and no tree twice where a digest is made anyway.
func TestTreesAreReadForPathsOnlyWhereARuleAsks(t *testing.T) {
	l := &library{world: newWorld(t), plain: true}
	root := l.commit(sketch{files: tree0, values: none, by: l.by(alice)})
	line := func(values []string) change.ID {
		tip := root
		for i := range 20 {
			tip = l.commit(sketch{parents: []change.ID{tip}, files: with(tree0, "docs/a.md", fmt.Sprint(i)), values: values, by: l.by(alice)})
		}
		return tip
	}
	count := func(base, tip change.ID, policy string) (trees, files int) {
		if v := l.judge(t, policy, 2, base, tip); v.Verdict != Accepted {
			t.Fatalf("%+v", v)
		}
		for _, r := range l.readers {
			for _, id := range r.opened {
				if l.objects[id].kind == "tree" {
					trees++
				} else {
					files++
				}
			}
		}
		return trees, files
	}
	for _, c := range []struct {
		name   string
		policy string
		values []string
		trees  int
	}{
		{"no rule about paths", "[[model]]\nid = \"acme/coder\"\nstatus = \"approved\"\n", coder, 0},
		{"a rule about another model", kept, []string{good}, 0},
		{"a rule about this one", kept, coder, 20 * 4},
	} {
		if trees, files := count(root, line(c.values), c.policy); trees != c.trees || files != 0 {
			t.Errorf("%s: %d trees and %d files were read", c.name, trees, files)
		}
	}
	base, tip := l.rebased(20)
	without, filesWithout := count(base, tip, "")
	if trees, files := count(base, tip, kept); trees != without || files != filesWithout {
		t.Errorf("beside digests %d trees and %d files were read, want %d and %d", trees, files, without, filesWithout)
	}
}

// What a push makes the gate read for paths counts, and hostile trees are refused.
func TestPathsAreReadWithinLimits(t *testing.T) {
	w := newWorld(t)
	root := w.commit(sketch{files: tree0, values: none, by: w.by(alice)})
	files := maps.Clone(tree0)
	for i := range 100 {
		files[fmt.Sprintf("docs/%03d.md", i)] = "x"
	}
	many := w.commit(sketch{parents: []change.ID{root}, files: files, values: coder, by: w.by(alice)})
	for limit, want := range map[int]int{4*openCost + 100*(pathCost+11): 0, 4*openCost + 100*(pathCost+11) - 1: 1} {
		p := rules(t, house(t, "")+kept+fmt.Sprintf("\n[limits]\nread = \"%dB\"\n", limit))
		g := Gate{Policy: p, Source: w, Now: now}
		v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: root, New: many}}, KeepAll)
		if err != nil || len(names(v)) != want || want == 1 && names(v)[0] != PushTooLarge {
			t.Errorf("limit %d: %q, %v", limit, names(v), err)
		}
	}
	bad := w.put("tree", []byte("nonsense"))
	// Signed for no tree at all, so that nothing else is found that would be read.
	broken := w.commit(sketch{parents: []change.ID{root}, files: files, values: coder, by: w.by(alice), raw: func(o string) string {
		return strings.Replace(o, w.tree(files).String(), bad.String(), 1)
	}})
	p := rules(t, house(t, `evidence = "any"`)+kept)
	if got := names(w.push(p, "refs/heads/main", broken)); !cmp.Equal(got, []string{CommitMalformed}) {
		t.Errorf("a broken tree: %q", got)
	}
	w.mute = errors.New("the disk is gone")
	g := Gate{Policy: p, Source: w, Now: now}
	if v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: many}}, KeepAll); !errors.Is(err, w.mute) {
		t.Errorf("%+v, %v", v, err)
	}
}

// What an attestation beside a commit tells of is held against the commit's paths, too.
func TestPathsOfWhatStandsBeside(t *testing.T) {
	for _, merge := range []bool{false, true} {
		w := newWorld(t)
		p := rules(t, house(t, "")+kept)
		root := w.commit(sketch{files: tree0, values: none, by: w.by(alice)})
		s := sketch{parents: []change.ID{root}, files: with(tree0, "crypto/x.go", "2\n"), values: coder}
		if merge {
			s.parents = append(s.parents, w.commit(sketch{parents: []change.ID{root}, files: with(tree0, "crypto/x.go", "3\n"), values: none, by: w.by(alice)}))
		}
		silent := s
		silent.values = nil
		tip := w.commit(silent)
		g := Gate{Policy: p, Source: w, Records: shelf{w.detached(s, signer(t, alice))}, Now: now}
		v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(v); !cmp.Equal(got, []string{PathRestricted}) {
			t.Errorf("merge %v: %q", merge, got)
		}
	}
}

func TestMCPServersOfARecord(t *testing.T) {
	servers := `
[[mcp]]
server = "github"
command = ["npx", "-y", "@acme/mcp-github@1.4.2"]
status = "approved"
[[mcp]]
server = "docs-*"
tools = ["search"]
status = "approved"
[[mcp]]
server = "docs-evil"
status = "denied"
[[mcp]]
server = "github"
tools = ["delete_repository"]
status = "denied"
`
	for _, c := range []struct {
		name, mcp, policy string
		want              []string
	}{
		{"no server was used", "", servers, nil},
		{"servers are not judged", " mcp=anything", "", nil},
		{"approved by name, since a commit tells no more", " mcp=github", servers, nil},
		{"approved by a pattern", " mcp=docs-a,github", servers, nil},
		{"denied, in any case of letters", " mcp=docs-Evil", servers, []string{MCPNotApproved}},
		{"nobody approved it", " mcp=github,linear", servers, []string{MCPNotApproved}},
		{"two of them", " mcp=jira,linear", servers, []string{MCPNotApproved, MCPNotApproved}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			tip := w.commit(sketch{parents: []change.ID{w.root()}, files: after, values: []string{good + c.mcp}, by: w.by(alice)})
			v := w.push(rules(t, house(t, "")+c.policy), "refs/heads/main", tip)
			if diff := cmp.Diff(append([]string{}, c.want...), names(v)); diff != "" {
				t.Errorf("rules -want +got\n%s", diff)
			}
		})
	}
}

// Whatever is announced is opened, and so counted; in a merge, too, most of whose trees
// are as in one parent or the other.
func TestOnlyWhatPathsOpenIsReadAhead(t *testing.T) {
	l := &library{world: newWorld(t)}
	root := l.commit(sketch{files: tree0, values: none, by: l.by(alice)})
	mine, theirs := with(tree0, "main.go", "2\n"), with(tree0, "main.go", "3\n")
	for i := range 40 {
		mine[fmt.Sprintf("a/%02d/x", i)], theirs[fmt.Sprintf("b/%02d/x", i)] = "m", "t"
	}
	a := l.commit(sketch{parents: []change.ID{root}, files: mine, values: none, by: l.by(alice)})
	b := l.commit(sketch{parents: []change.ID{root}, files: theirs, values: none, by: l.by(alice)})
	both := maps.Clone(mine)
	maps.Copy(both, theirs)
	both["docs/a.md"] = "merged\n"
	tip := l.commit(sketch{parents: []change.ID{a, b}, files: both, values: coder, by: l.by(alice)})
	opened := map[change.ID]bool{} // and counted
	for _, plain := range []bool{true, false} {
		l.plain = plain
		if v := l.judge(t, kept, 2, root, tip); v.Verdict != Accepted {
			t.Fatalf("%+v", v)
		}
		for _, id := range l.readers[0].opened {
			opened[id] = opened[id] || plain
		}
	}
	for id := range l.readers[0].fetched {
		if !opened[id] {
			t.Errorf("a %s of %d bytes was read and not counted", l.objects[id].kind, len(l.objects[id].data))
		}
	}
	if l.readers[0].hints == 0 {
		t.Error("nothing was announced")
	}
}
