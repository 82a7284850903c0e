package gate

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// forge is a Platform that says of some commits that it makes them.
type forge struct {
	makes map[change.ID]bool
	heads []change.ID
	noted map[change.ID]change.ID
}

func (f *forge) Makes(commit change.ID) bool { return f.makes[commit] }

func (f *forge) Heads(context.Context, change.ID, change.ID, []byte) ([]change.ID, error) {
	return f.heads, nil
}

func (f *forge) Made(commit, head change.ID) error {
	f.noted[commit] = head
	return nil
}

// request is a world with a base, a request of two commits on it, and main one
// commit further; squash is what a button would make of the request there.
type request struct {
	*world
	main, first, second, squash change.ID
}

const (
	another = "aider/0.9 local/llama lines=1/1 via=declared session=unknown"
	banned  = "claude-code/2.1.330 acme/banned lines=1/1 via=hook session=9f2c1b7e0a44"
)

func newRequest(t *testing.T, first, second sketch) *request {
	w := newWorld(t)
	a := signer(t, alice)
	root := w.commit(sketch{files: map[string]string{"a": "a\n"}, values: []string{good}, by: []attestation.Signer{a}})
	first.parents, first.files = []change.ID{root}, map[string]string{"a": "a\n", "b": "b\n"}
	r := &request{world: w}
	r.first = w.commit(first)
	second.parents, second.files = []change.ID{r.first}, map[string]string{"a": "a\n", "b": "b\n", "c": "c\n"}
	r.second = w.commit(second)
	r.main = w.commit(sketch{parents: []change.ID{root}, files: map[string]string{"a": "a\n", "m": "m\n"}, values: []string{good}, by: []attestation.Signer{a}})
	r.squash = w.commit(sketch{parents: []change.ID{r.main}, files: map[string]string{"a": "a\n", "b": "b\n", "c": "c\n", "m": "m\n"},
		message: "Both (#7)\n\n* One\n\nAI-Provenance: none via=hook\n\n* Two\n"})
	w.merges[[2]change.ID{r.main, r.second}] = w.treeOf(r.squash)
	return r
}

func stamped(t *testing.T, value string) sketch {
	return sketch{values: []string{value}, by: []attestation.Signer{signer(t, alice)}}
}

// judge judges a commit on main, under a platform that presses a button.
func (r *request) judge(commit change.ID, defaults string, f *forge) CommitVerdict {
	r.t.Helper()
	g := Gate{Policy: rules(r.t, house(r.t, defaults)), Source: r.world, Now: now}
	if f != nil {
		g.Platform = f
	}
	v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", Old: r.main, New: commit}}, KeepAll)
	if err != nil {
		r.t.Fatal(err)
	}
	return v.Commits[len(v.Commits)-1]
}

func (r *request) pressing() *forge {
	return &forge{makes: map[change.ID]bool{r.squash: true}, heads: []change.ID{r.main, r.first, r.second}, noted: map[change.ID]change.ID{}}
}

func rulesOf(v CommitVerdict) []string {
	list := []string{}
	for _, f := range v.Findings {
		list = append(list, f.Rule)
	}
	return list
}

func TestMade(t *testing.T) {
	t.Run("a squash is what its parts are", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		f := r.pressing()
		v := r.judge(r.squash, "", f)
		if v.Verdict != Accepted || !v.Made || v.Evidence != Attested || *v.Binding != Replay {
			t.Errorf("got %+v", v)
		}
		var tools []string
		for _, rec := range v.Records {
			tools = append(tools, rec.Tool+" "+rec.Model)
			if rec.Lines != nil {
				t.Errorf("%s claims to know its lines", rec.Tool)
			}
		}
		if diff := cmp.Diff([]string{"claude-code anthropic/claude-sonnet-4-5", "aider local/llama"}, tools); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"alice@example.com"}, principals(v)); diff != "" {
			t.Error(diff)
		}
		if f.noted[r.squash] != r.second {
			t.Error("what it was made of is not noted")
		}
	})

	t.Run("without the platform's word it is judged by its own words", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		for name, f := range map[string]*forge{"no platform": nil, "a platform that made others": {makes: map[change.ID]bool{}, heads: []change.ID{r.second}}} {
			if diff := cmp.Diff([]string{TrailerAmbiguous}, rulesOf(r.judge(r.squash, "", f))); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})

	t.Run("a tree that no request gives is nobody's", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		evil := r.commit(sketch{parents: []change.ID{r.main}, files: map[string]string{"a": "a\n", "b": "b\n", "c": "evil\n", "m": "m\n"}, message: "Both\n"})
		f := r.pressing()
		f.makes[evil] = true
		v := r.judge(evil, "", f)
		if diff := cmp.Diff([]string{AttestationMissing}, rulesOf(v)); diff != "" || v.Made || len(f.noted) > 0 {
			t.Errorf("made %v, noted %v: %s", v.Made, f.noted, diff)
		}
	})

	t.Run("each part must be welcome, and the refusal names it", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, banned))
		v := r.judge(r.squash, "", r.pressing())
		if diff := cmp.Diff([]string{ModelDenied}, rulesOf(v)); diff != "" {
			t.Error(diff)
		}
		want := "made of " + r.second.String()[:7] + ": "
		if len(v.Findings) > 0 && v.Findings[0].Detail[:len(want)] != want {
			t.Errorf("got %q", v.Findings[0].Detail)
		}
	})

	t.Run("a part that says nothing weakens the whole", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), sketch{message: "Bare\n"})
		if diff := cmp.Diff([]string{AttestationMissing}, rulesOf(r.judge(r.squash, "", r.pressing()))); diff != "" {
			t.Error(diff)
		}
		v := r.judge(r.squash, `evidence = "any"`, r.pressing())
		if v.Verdict != Accepted || v.Evidence != Unknown {
			t.Errorf("got %s, %s", v.Verdict, v.Evidence)
		}
	})

	t.Run("parts are bound as the ref asks", func(t *testing.T) {
		second := stamped(t, another)
		second.onto = []change.ID{}
		r := newRequest(t, stamped(t, good), second)
		if diff := cmp.Diff([]string{AttestationStale}, rulesOf(r.judge(r.squash, `binding = "exact"`, r.pressing()))); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a rebased commit is the one that it was", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		rebased := r.commit(sketch{parents: []change.ID{r.main}, files: map[string]string{"a": "a\n", "c": "c\n", "m": "m\n"}, message: "Add retry loop\n"})
		f := r.pressing()
		f.makes[rebased] = true
		if v := r.judge(rebased, "", f); v.Made {
			t.Error("accepted though git would make another tree")
		}
		r.picks[[2]change.ID{r.main, r.second}] = r.treeOf(rebased)
		v := r.judge(rebased, "", f)
		if v.Verdict != Accepted || !v.Made || len(v.Records) != 1 || v.Records[0].Tool != "aider" {
			t.Errorf("got %+v", v)
		}
	})

	t.Run("a request of more commits than a push may have is too large", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		v := r.judge(r.squash, "[limits]\ncommits = 1", r.pressing())
		if diff := cmp.Diff([]string{PushTooLarge}, rulesOf(v)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a git that cannot merge by itself makes nothing again", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		r.noMerge = true
		if diff := cmp.Diff([]string{TrailerAmbiguous}, rulesOf(r.judge(r.squash, "", r.pressing()))); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("where binding is exact a merge is exempt only from the platform", func(t *testing.T) {
		r := newRequest(t, stamped(t, good), stamped(t, another))
		merge := r.commit(sketch{parents: []change.ID{r.main, r.second}, files: map[string]string{"a": "a\n", "b": "b\n", "c": "c\n", "m": "m\n"}, message: "Merge\n"})
		if v := r.judge(merge, `binding = "exact"`, nil); v.Verdict != Refused {
			t.Errorf("got %s", v.Verdict)
		}
		f := r.pressing()
		f.makes[merge] = true
		if v := r.judge(merge, `binding = "exact"`, f); v.Verdict != Exempt {
			t.Errorf("got %s %v", v.Verdict, rulesOf(v))
		}
	})
}

func principals(v CommitVerdict) (list []string) {
	for _, s := range v.Signers {
		list = append(list, s.Principal)
	}
	return list
}
