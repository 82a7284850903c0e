package repair_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
)

// TestAnyHistory damages random commits of random histories in random ways. What
// is repaired is accepted, says all that was said, and is otherwise the same
// (world.repair); what was whole is not signed again.
func TestAnyHistory(t *testing.T) {
	const commits = 40
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			format := []string{"sha1", "sha256"}[seed%2]
			ref := []string{"refs/heads/main", "refs/heads/exact"}[seed/2%2]
			l := loom{world: newWorld(t, "--object-format="+format), rand: rand.New(rand.NewPCG(seed, 7))}
			l.weave(commits)
			l.damage()
			l.main(l.made[len(l.made)-1].id)
			if seed%3 == 0 {
				l.attestBeside()
			}
			rule := func(o *repair.Options) { o.Ref = ref }
			options := []option{rule}
			if l.rand.IntN(2) == 0 {
				options = append(options, named("aider/0.50 openai/gpt-5 lines=0/0 via=declared session=unknown"))
			}
			plan := l.repair(options...)
			l.accepted(ref)
			for _, s := range plan.Steps {
				l.judge(s)
			}
			l.Git(t, "fsck", "--strict", "--no-dangling")
		})
	}
}

// A thread is a commit of a loom.
type thread struct {
	id      change.ID
	parents []int // by their places in the loom
	files   map[string]bool
	headers string
	message string
	grown   bool     // it was given another tree
	whole   bool     // it was signed, and nothing happened to it
	tools   []string // TOOL/VERSION PROVIDER/MODEL that its message legibly names
}

// A loom makes histories in memory and writes them at once. Each commit adds a file,
// so that a clean merge is the union of its parents.
type loom struct {
	*world
	rand *rand.Rand
	made []*thread
}

func (l *loom) weave(n int) {
	l.t.Helper()
	for i := range n {
		th := &thread{files: map[string]bool{}, message: fmt.Sprintf("Commit %d\n\nWhy it was made.\n", i)}
		for range []int{1, 1, 1, 1, 1, 1, 2, 2, 3, 0}[l.rand.IntN(10)] {
			if p := max(0, i-1-l.rand.IntN(4)); i > 0 && !slices.Contains(th.parents, p) {
				th.parents = append(th.parents, p)
			}
		}
		if i == n-1 { // the last joins what is left
			th.parents = l.heads()
		}
		for _, p := range th.parents {
			for name := range l.made[p].files {
				th.files[name] = true
			}
		}
		if len(th.parents) != 2 || l.rand.IntN(2) == 0 {
			th.files[fmt.Sprintf("file%d", i)] = true
		}
		l.made = append(l.made, th)
	}
	l.write()
	for _, th := range l.made {
		if l.rand.IntN(8) > 0 && (len(th.parents) != 2 || l.rand.IntN(2) == 0) {
			l.sign(th)
		}
	}
	l.write()
}

// heads are the threads that none stands on yet.
func (l *loom) heads() (heads []int) {
	for i := range l.made {
		if !slices.ContainsFunc(l.made, func(th *thread) bool { return slices.Contains(th.parents, i) }) {
			heads = append(heads, i)
		}
	}
	return heads
}

// write stores all commits as they are now.
func (l *loom) write() {
	l.t.Helper()
	var names []string
	var blobs, trees, commits [][]byte
	for _, th := range l.made {
		for name := range th.files {
			if !slices.Contains(names, name) {
				names = append(names, name)
				blobs = append(blobs, []byte("content of "+name+"\n"))
			}
		}
	}
	l.store("blob", blobs)
	for _, th := range l.made {
		var tree []byte
		for _, name := range slices.Sorted(maps.Keys(th.files)) {
			tree = fmt.Appendf(tree, "100644 %s\x00%s", name, string(l.repo.ObjectID("blob", []byte("content of "+name+"\n"))))
		}
		trees = append(trees, tree)
		raw := fmt.Appendf(nil, "tree %s\n", l.repo.ObjectID("tree", tree))
		for _, p := range th.parents {
			raw = fmt.Appendf(raw, "parent %s\n", l.made[p].id)
		}
		raw = fmt.Appendf(raw, "%s%s\n%s", people, th.headers, th.message)
		th.id = l.repo.ObjectID("commit", raw)
		commits = append(commits, raw)
	}
	l.store("tree", trees)
	l.store("commit", commits)
}

func (l *loom) store(kind string, list [][]byte) {
	l.t.Helper()
	if _, err := l.repo.WriteObjects(l.t.Context(), kind, list); err != nil {
		l.t.Fatal(err)
	}
}

// sign puts provenance and its signature into a message; both stay true when the
// parents are written anew with the same trees.
func (l *loom) sign(th *thread) {
	l.t.Helper()
	said := []string{
		"claude-code/2.1 anthropic/claude-sonnet-4-5 lines=unknown/1 via=hook session=9f2c1b7e0a44",
		"cursor/1 openai/gpt-5 lines=unknown/1 via=process session=unknown",
		"none via=hook",
		"aider/unknown unknown/unknown lines=unknown/1 via=process session=unknown",
	}[l.rand.IntN(4)]
	by := []attestation.Signer{l.alice, l.gateway}[l.rand.IntN(2)]
	a := l.attested(by, th.id, said).Attestation
	th.message += "\nAI-Provenance: " + said + "\nAI-Attestation: " + a.String() + "\n"
	th.whole = true
	th.tools = toolsOf(said)
}

// toolsOf names the tool and model of a value, where they are known.
func toolsOf(value string) []string {
	r, err := provenance.ParseRecord(value)
	if err != nil || r.Tool.Name == "" || r.Model.Name == "" {
		return nil
	}
	return []string{strings.Join(strings.Fields(value)[:2], " ")}
}

// damage does to a third of the commits what tools and people do to commits.
func (l *loom) damage() {
	l.t.Helper()
	for i, th := range l.made {
		if l.rand.IntN(3) > 0 {
			continue
		}
		body, lines, _ := strings.Cut(th.message, "\nAI-Provenance: ")
		if lines != "" {
			lines = "\nAI-Provenance: " + lines
		}
		other := l.made[l.rand.IntN(len(l.made))]
		_, copied, _ := strings.Cut(other.message, "\n\nAI-Provenance: ")
		switch th.whole = false; l.rand.IntN(15) {
		case 0: // stripped
			th.message, th.tools = body, nil
		case 1: // the message edited, which no signature covers
			th.message = strings.Replace(th.message, "Why", "How", 1)
			th.whole = lines != ""
		case 2: // another tree
			th.files[fmt.Sprintf("other%d", i)], th.grown = true, true
		case 3: // the lines of another commit
			if copied != "" && other != th {
				th.message, th.tools = body+"\nAI-Provenance: "+copied, other.tools
			}
		case 4: // a squash, with lines in its body
			th.message = "Squash\n\n" + th.message + "\nand more of it\n"
		case 5: // the same, indented
			th.message = "Squash\n\n    " + strings.ReplaceAll(th.message, "\n", "\n    ") + "\n"
		case 6: // unsigned
			th.message, _, _ = strings.Cut(th.message, "AI-Attestation")
		case 7: // signed by nobody
			th.message = strings.Replace(th.message, "sig=sshsig:U", "sig=sshsig:V", 1)
			th.message = strings.Replace(th.message, "sig=dsse:", "sig=dsse:AAAA", 1)
		case 8: // another order
			if lines != "" {
				th.message = body + "\nAI-Provenance: zed/1 z/z lines=unknown/1 via=hook session=unknown" + lines
				th.tools = append(slices.Clone(th.tools), "zed/1 z/z")
			}
		case 9: // no place for trailers
			th.message, th.tools = "Subject\n\n---\n"+body, nil
		case 10: // no place, and lines where none can be
			th.message = "Subject\n\n---\n" + th.message
		case 11: // another encoding
			th.message, th.headers, th.tools = "Caf\xe9\n", "encoding ISO-8859-1\n", nil
		case 12: // signed by git
			th.headers, th.message, th.tools = armour+strange, strings.TrimSuffix(body, "\n"), nil
		case 13: // nothing to say
			th.message, th.tools = "", nil
		case 14: // CRLF
			th.message, th.tools = strings.ReplaceAll(body, "\n", "\r\n"), nil
		}
	}
	for _, th := range l.made {
		// What it changed is another thing now.
		th.whole = th.whole && !slices.ContainsFunc(th.parents, func(p int) bool { return l.made[p].grown })
	}
	l.write()
}

// attestBeside puts a record beside some commits that say nothing of themselves.
func (l *loom) attestBeside() {
	l.t.Helper()
	var list []attestation.Detached
	for _, th := range l.made {
		if th.tools == nil && !strings.Contains(th.message, "AI-") && l.rand.IntN(2) == 0 {
			th.tools = []string{"gemini/1 google/gemini-3"}
			list = append(list, l.attested(l.gateway, th.id, "gemini/1 google/gemini-3 lines=unknown/1 via=hook session=unknown"))
		}
	}
	l.keep(l.gateway, list...)
}

// judge holds a step against what was done to its commit.
func (l *loom) judge(s repair.Step) {
	l.t.Helper()
	i := slices.IndexFunc(l.made, func(th *thread) bool { return th.id == s.ID })
	if i < 0 || s.Action == repair.Leave {
		l.t.Fatalf("%s of %.10s: %s", s.Action, s.ID, s.Why)
	}
	th := l.made[i]
	if th.whole && len(s.Values) > 0 && s.Why != "its model is unknown" {
		l.t.Errorf("%.10s was whole, and is signed again: %s", s.ID, s.Why)
	}
	for _, tool := range th.tools {
		if len(s.Values) > 0 && !slices.ContainsFunc(s.Values, func(v string) bool { return strings.HasPrefix(v, tool) }) {
			l.t.Errorf("%.10s said %s, and says %q", s.ID, tool, s.Values)
		}
	}
}
