package repair_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/repair"
)

const (
	armour   = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n"
	mergeTag = "mergetag object %s\n type commit\n tag v1\n tagger T <t@example.com> 1700000000 +0000\n \n A tag\n gpgsig is no header here\n -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n"
	strange  = "x-odd one\n parent 1234\n two\nHG:rename a:b\n"
)

func TestHeadersStay(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, "--object-format="+format)
			tips := w.fork("Left\n", "Right\n")
			tag := fmt.Sprintf(mergeTag, tips[1])
			signedToo := strings.Replace(armour, "gpgsig", "gpgsig-sha256", 1)
			merge := w.commit(draft{name: "merge", parents: tips, headers: tag + "encoding UTF-8\n" + armour + strange, message: "Merge\n"})
			last := w.commit(draft{name: "last", parents: []change.ID{merge}, headers: strange + signedToo, message: "Last\n\nno newline"})
			w.main(last)
			plan := w.repair(of([]change.ID{merge}, append(tips, w.id(tips[0].String()+"^"))...))
			wantActions(t, plan, "stamp Merge, follow Last")
			if n := plan.Signatures(); n != 2 {
				t.Errorf("%d signatures of git's own, want 2", n)
			}
			head, _, _ := strings.Cut(w.raw(merge), "\n\n")
			want := strings.Replace(w.raw(merge)[:len(head)+2], armour, "", 1)
			got := w.raw(w.id("HEAD^"))
			if got[:len(want)] != want {
				t.Errorf("headers (-want +got):\n%s", cmp.Diff(want, got[:len(want)]))
			}
			want = strings.Replace(w.raw(last), signedToo, "", 1)
			want = strings.Replace(want, "parent "+merge.String(), "parent "+w.id("HEAD^").String(), 1)
			if diff := cmp.Diff(want, w.raw(w.id("HEAD"))); diff != "" {
				t.Errorf("what follows (-want +got):\n%s", diff)
			}
		})
	}
}

// hostile are objects that a strict reader takes for no commit, by the reason that
// it gives. TREE and PARENT stand for ids.
var hostile = map[string]string{
	"NUL byte":                          "tree TREE\nPARENT" + people + "\nTip\x00\n\nAI-Provenance: x\n",
	"line 3: committer: want":           "tree TREE\nPARENTauthor Ann Other <ann@example.com> 1700000000 -0730\ncommitter Carl carl@example.com 1 +0000\n\nTip\n",
	`repeated header \"author\"`:        "tree TREE\nPARENT" + people + "author B <b@example.com> 1 +0000\n\nTip\n",
	"no blank line behind the headers":  "tree TREE\nPARENT" + people,
	"header line does not end":          "tree TREE\nPARENT" + people + "x",
	"want a header: name, space, value": "tree TREE\nPARENT" + people + "\x01 y\n\nTip\n",
}

func TestHostileObjects(t *testing.T) {
	for reason, text := range hostile {
		reason = strings.ReplaceAll(reason, `\"`, `"`)
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			base, tip := w.pair("Tip\n")
			make := func(parent change.ID) change.ID {
				raw := strings.Replace(text, "TREE", w.Git(t, "rev-parse", tip.String()+"^{tree}"), 1)
				return w.put(strings.Replace(raw, "PARENT", "parent "+parent.String()+"\n", 1))
			}
			bad := make(base)
			w.main(bad)
			plan := w.repair()
			if len(plan.Steps) != 1 || plan.Steps[0].Action != repair.Leave || !strings.Contains(plan.Steps[0].Why, reason[max(0, strings.Index(reason, ": ")):]) || plan.Steps[0].Hint == "" {
				t.Errorf("steps: %+v", plan.Steps)
			}
			wantActions(t, w.repair(beside), "leave ")

			bad = make(tip)
			w.main(w.commit(draft{name: "last", parents: []change.ID{bad}, tree: tip.String(), message: "Last\n"}))
			_, err := repair.Find(t.Context(), w.options())
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("commit %.10s stands on commits to repair, and cannot be rewritten: ", bad)) {
				t.Errorf("error is %v", err)
			}

			other := w.commit(draft{name: "other", parents: []change.ID{base}, message: "Other\n"})
			w.main(w.commit(draft{name: "join", parents: []change.ID{other, make(base)}, message: "Join\n"}))
			join := w.repair().Steps[2]
			if want := fmt.Sprintf("mend its parent %.10s first", make(base)); join.Action != repair.Leave || join.Hint != want || !join.Moves {
				t.Errorf("%s: %s; want %s", join.Action, join.Hint, want)
			}
		})
	}

	t.Run("a message larger than the policy takes", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n\n" + strings.Repeat("x", 2<<20) + "\n")
		plan := w.repair()
		if s := plan.Steps[0]; s.Action != repair.Leave || s.Hint == "" || w.id("HEAD") != tip {
			t.Errorf("%s: %s", s.Action, s.Why)
		}
	})

	t.Run("a commit of many megabytes follows, one larger still is told", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		for size, want := range map[int]string{
			15 << 20: "",
			17 << 20: "it has 178259",
		} {
			w.main(w.commit(draft{name: "last", parents: []change.ID{tip}, message: "Last\n\n" + strings.Repeat("x", size)}))
			plan, err := repair.Find(t.Context(), w.options())
			switch {
			case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%.10s", w.id("HEAD")))):
				t.Errorf("%d bytes: error is %v", size, err)
			case want == "" && (err != nil || actions(plan) != "stamp Tip, leave Last"):
				t.Errorf("%d bytes: %v, %s", size, err, actions(plan))
			}
		}
	})

	t.Run("trees that no reader agrees on", func(t *testing.T) {
		w := newWorld(t)
		_, tip := w.pair("Tip\n")
		out, stderr, err := w.Run("100644 \x00"+strings.Repeat("x", 20), "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		bad := w.put(strings.Replace(w.raw(tip), w.Git(t, "rev-parse", tip.String()+"^{tree}"), strings.TrimSpace(out), 1))
		w.main(bad)
		plan := w.repair()
		if s := plan.Steps[0]; s.Action != repair.Leave || !strings.Contains(s.Why, "tree") || !strings.Contains(s.Hint, "git itself") || w.id("HEAD") != bad {
			t.Errorf("%s: %s", s.Action, s.Why)
		}
	})
}
