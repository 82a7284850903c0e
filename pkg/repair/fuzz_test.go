package repair

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// FuzzRebuilt holds that a commit made anew reads as the old one does, but for what
// was meant to change, and that nothing changes where nothing was meant to.
func FuzzRebuilt(f *testing.F) {
	const (
		a      = "1111111111111111111111111111111111111111"
		b      = "2222222222222222222222222222222222222222"
		people = "author A <a@example.com> 1 +0000\ncommitter B <b@example.com> 2 -0730\n"
	)
	f.Add("tree "+a+"\nparent "+a+"\nparent "+b+"\nparent "+a+"\n"+people+"\nSubject\n", "New\n")
	f.Add("tree "+a+"\n"+people+"encoding latin1\ngpgsig -----BEGIN\n \n parent "+a+"\n -----END\nx y\n gpgsig z\n\nparent "+a+"\n", "")
	f.Add("tree "+a+"\nparent "+b+"\n"+people+"mergetag object "+b+"\n type commit\n gpgsig x\ngpgsig-sha256 y\n z\n\n\n", "gpgsig x\n")
	f.Fuzz(func(t *testing.T, raw, message string) {
		c, err := change.ParseCommit([]byte(raw))
		if err != nil || strings.Contains(message, "\x00") {
			return
		}
		same, dropped := rebuilt([]byte(raw), c, nil, c.Message)
		if !dropped && string(same) != raw || dropped && len(same) >= len(raw) {
			t.Errorf("with nothing to change, it became\n%q\nwas\n%q", same, raw)
		}
		moved := map[change.ID]change.ID{}
		want := c
		want.Message, want.Parents = []byte(message), nil
		for i, p := range c.Parents {
			if i%2 == 0 {
				moved[p] = change.ID(bytes.Repeat([]byte{byte(i + 1)}, len(p)))
			}
		}
		for _, p := range c.Parents {
			if to, ok := moved[p]; ok {
				p = to
			}
			want.Parents = append(want.Parents, p)
		}
		out, _ := rebuilt([]byte(raw), c, moved, []byte(message))
		got, err := change.ParseCommit(out)
		if err != nil {
			t.Fatalf("%v\n%q", err, out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if again, dropped := rebuilt(out, got, nil, got.Message); dropped || !bytes.Equal(again, out) {
			t.Errorf("a signature of git's own stayed:\n%q", out)
		}
	})
}

// FuzzWords holds that whatever a commit says, what it is to say can be signed, is
// never none, never better observed than by word of mouth, and loses nobody whom the
// message names.
func FuzzWords(f *testing.F) {
	for _, m := range []string{
		"Subject\n\nAI-Provenance: a/1 b/c lines=1/2 via=hook session=9f2c1b7e0a44 mcp=x,y k=v\n",
		"Subject\n\nAI-Provenance: a/1 b/c lines=9/2 via=x\nAI-Provenance: none via=hook\nAI-Provenance: a/1 b/c lines=1/2 via=import session=unknown\n",
		"S\n\n  AI-Provenance: unknown/unknown unknown/unknown lines=unknown/1 via=unknown session=unknown\n\n---\nAI-Provenance: \u0430/1 b/c\n",
		"AI-Provenance: a/unknown unknown/unknown lines=unknown/1 via=process session=unknown\n",
	} {
		f.Add(m, true)
		f.Add(m, false)
	}
	aider := provenance.Record{Tool: provenance.Tool{Name: "aider"}, Model: provenance.Model{Provider: "openai", Name: "gpt-5"}, Via: provenance.ViaDeclared}
	f.Fuzz(func(t *testing.T, message string, named bool) {
		var o Options
		if named {
			o.Named = &aider
		}
		said := said([]byte(message))
		values, err := o.values(7, said.Records)
		if err != nil { // too long, when joined
			return
		}
		p, err := provenance.Parse(values)
		if err != nil || len(p.Records) == 0 || p.None != "" {
			t.Fatalf("%q: %v", values, err)
		}
		for _, r := range p.Records {
			if r.Via.Stronger(provenance.ViaDeclared) || r.Lines.Known || r.Lines.Total != 7 || named && o.fills(r) {
				t.Errorf("of %q it would say %q", message, values)
			}
		}
		for _, r := range said.Records {
			if r.Tool.Name != "" && r.Model.Name != "" && !names(p.Records, r) {
				t.Errorf("of %q it forgets %s", message, r)
			}
		}
		if len(said.Records) == 0 && named && p.Records[0].Tool != aider.Tool {
			t.Errorf("of %q it would say %q", message, values)
		}
		again, err := o.values(7, p.Records)
		if diff := cmp.Diff(values, again); err != nil || diff != "" {
			t.Errorf("said again, it is something else: %v\n%s", err, diff)
		}
	})
}

func names(records []provenance.Record, r provenance.Record) bool {
	for _, other := range records {
		if other.Tool.Name == r.Tool.Name && other.Model == r.Model {
			return true
		}
	}
	return false
}
