package gate

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// Among many commits by several keys in both envelopes, the forged ones are named, those
// alone, in their place, and in the words that each would hear by itself.
func TestForgeriesAmongMany(t *testing.T) {
	flip := func(a attestation.Attestation) attestation.Attestation {
		a.Sig = slices.Clone(a.Sig)
		a.Sig[len(a.Sig)-1] ^= 1 << 6
		return a
	}
	cut := func(a attestation.Attestation) attestation.Attestation {
		a.Sig = a.Sig[:len(a.Sig)-1]
		return a
	}
	another := func(a attestation.Attestation) attestation.Attestation {
		a.Change[0] ^= 1
		return a
	}
	forge := map[int]func(attestation.Attestation) attestation.Attestation{
		1: flip, 2: cut, 3: another, maxRow - 1: flip, maxRow: another, maxRow + 1: cut, 2*maxRow + 10: flip,
	}
	w := newWorld(t)
	var line []change.ID
	tip := w.root()
	for i := range 2*maxRow + 20 {
		by := [][]attestation.Signer{w.by(alice), w.by(gateway), {dsseSigner{newKey(alice)}}, w.by(alice, gateway), w.by(stranger)}[i%5]
		tip = w.commit(sketch{parents: []change.ID{tip}, files: map[string]string{"a.txt": fmt.Sprint(i)}, values: none, by: by, forge: forge[i]})
		line = append(line, tip)
	}
	p := rules(t, house(t, ""))
	for _, workers := range []int{1, 2, 5} {
		g := Gate{Policy: p, Source: w, Now: now, Workers: workers}
		v, err := g.Push(context.Background(), []Update{{Ref: "refs/heads/main", New: tip}}, KeepAll)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(v.Commits), 1+len(line); got != want {
			t.Fatalf("%d verdicts, want %d", got, want)
		}
		for i, got := range v.Commits[1:] {
			if got.ID != line[i].String() {
				t.Fatalf("%d workers: verdict %d is about %.7s", workers, i, got.ID)
			}
			alone, err := g.Check(context.Background(), Range{Ref: "refs/heads/main", Include: line[i : i+1], Exclude: w.parents(line[i])}, KeepAll)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alone.Commits, []CommitVerdict{got}); diff != "" {
				t.Errorf("%d workers, commit %d (-alone +among many):\n%s", workers, i, diff)
			}
			invalid := slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Rule == AttestationInvalid })
			if invalid != (forge[i] != nil) {
				t.Errorf("%d workers, commit %d: %v", workers, i, got.Findings)
			}
		}
	}
}

func (w *world) parents(commit change.ID) []change.ID {
	c, err := change.ParseCommit(w.objects[commit].data)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Parents
}
