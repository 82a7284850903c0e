package receipt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// lines are one of each type, full and bare.
func lines(t testing.TB) []string {
	t.Helper()
	bodies := []Body{
		&Commits{Ref: "refs/heads/main", Ruling: attested, IDs: []change.ID{id(1), id(2)}, Statements: []StatementID{{1, 2}, {15: 255}}},
		&Commits{Ref: "refs/heads/\xff\\", Ruling: Ruling{Verdict: Refused, Evidence: "unknown", Rules: []string{"attestation-missing", "time-skew"}, Beside: true, Made: true},
			IDs: []change.ID{id(3)}},
		&Refs{Refs: []Ref{{Name: "refs/heads/a", Old: id(1), New: id(2)}}},
		&Decision{Time: received, Verdict: Refused, Findings: []Finding{{Rule: "policy-invalid", Detail: "no policy: \"x\"\n is not there"}}},
		&Decision{Time: received, Pusher: &Pusher{Source: "certificate", Name: "alice", Key: "SHA256:x"}, Override: "fire", Policy: "sha256:ab",
			Verdict: Accepted, Refs: []Ref{{Name: "refs/heads/main", New: id(1), Target: "refs/heads/trunk", Baseline: true, Mode: "enforce",
				Evidence: "attested", Via: "any", Binding: "change", Models: "a_b+c-", Verdict: Accepted, Judged: 3, Faulty: 1, Findings: []Finding{{Rule: "r", Detail: "d"}}}},
			Omitted: 4, Changes: []RefusedChange{{Change: ChangeID{1}, Said: "a b/c, d \"e\"/f"}}, Commits: 5, unit: unit{6, 700}, Cut: 8, Signed: true},
		&Decision{Time: received, Verdict: Unchecked, Reason: "git: \x1b[2K"},
		&Outcome{Time: received, Decision: 4, All: true},
		&Outcome{Time: received, Refs: []Ref{{Name: "refs/heads/a", Old: id(1)}}, unit: unit{1, 2}},
		&Signature{Of: 4, Key: signer(t, 1).PublicKey(), Scheme: attestation.DSSE, Sig: []byte("signature")},
	}
	var lines []string
	for i, b := range bodies {
		lines = append(lines, string(append(header(int64(i+1), Hash{31: byte(i)}, b.kind()), encodeBody(b)...)))
	}
	return lines
}

// equalBodies compares what lines say; an empty list is none.
var equalBodies = cmp.Options{cmp.AllowUnexported(Decision{}, Outcome{}), cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b attestation.PublicKey) bool { return a.Equal(b) })}

func TestLinesAreReadAsTheyWereWritten(t *testing.T) {
	for _, line := range lines(t) {
		l, err := decode([]byte(line))
		if err != nil {
			t.Errorf("%v: %s", err, line)
			continue
		}
		if again := string(append(header(l.Seq, l.Prev, l.Type), encodeBody(l.Body)...)); again != line {
			t.Errorf("read and written again\n%s is\n%s", line, again)
		}
	}
}

func TestFieldsThatAreNotKnownAreKept(t *testing.T) {
	for _, line := range lines(t) {
		newer := strings.Replace(line, "}\n", `,"later":{"a":[1.50, null]},"Also":"\u0041"}`+"\n", 1)
		newer = strings.Replace(newer, `"rule":"`, `"weight":2,"rule":"`, 1)
		l, err := decode([]byte(newer))
		if err != nil {
			t.Errorf("%v: %s", err, newer)
			continue
		}
		again := string(encodeBody(l.Body))
		for _, kept := range []string{`"later":{"a":[1.50, null]}`, `"Also":"\u0041"`} {
			if !strings.Contains(again, kept) {
				t.Errorf("%s is lost from %s", kept, again)
			}
		}
		if strings.Contains(newer, `"weight":2`) && !strings.Contains(again, `"weight":2`) {
			t.Errorf("the field of a finding is lost from %s", again)
		}
	}
}

func TestLinesThatNobodyWritesAreErrors(t *testing.T) {
	all := lines(t)
	commits, decision, outcome, signature := all[0], all[4], all[6], all[8]
	swap := func(line, old, new string) string {
		t.Helper()
		if !strings.Contains(line, old) {
			t.Fatalf("%q is not in %s", old, line)
		}
		return strings.Replace(line, old, new, 1)
	}
	for _, c := range []struct{ line, want string }{
		{"", "does not begin"},
		{"\n", "does not begin"},
		{"{}\n", "does not begin"},
		{strings.TrimSuffix(commits, "\n"), "does not begin"},
		{swap(commits, `"seq":1`, `"seq":01`), "does not begin"},
		{swap(commits, `"seq":1`, `"seq":-1`), "does not begin"},
		{swap(commits, `"seq":1`, `"seq":0`), "does not begin"},
		{swap(commits, `"seq":1`, `"seq": 1`), "does not begin"},
		{swap(commits, `receipt/v1`, `receipt/v2`), "does not begin"},
		{swap(decision, `"prev":"0`, `"prev":"A`), "does not begin"},
		{swap(commits, `"type":"commits"`, `"type":"commit"`), `lines of type "commit" are not known`},
		{swap(commits, `"ref":`, `"ref":"refs/heads/x","ref":`), `"ref" comes twice`},
		{swap(commits, `"ref":`, `"REF":"refs/heads/x","ref":`), `"ref" comes twice`},
		{swap(commits, `"ref":`, `"Ref":`), `"ref" is spelt with other letters`},
		{swap(commits, `"verdict":`, `"ver\u0064ict":"x","verdict":`), `"verdict" comes twice`},
		{swap(commits, `"binding":"exact"`, `"\u017feq":3,"binding":"exact"`), `"seq" is spelt with other letters`},
		{swap(commits, `"binding":"exact"`, `"seq":3,"binding":"exact"`), `"seq" comes twice`},
		{swap(commits, `"ref":"refs/heads/main",`, ``), `"ref" is missing`},
		{swap(commits, `"ref":"refs/heads/main"`, `"ref":null`), `"ref" is not a string: null`},
		{swap(commits, `"ref":"refs/heads/main"`, `"ref":["refs/heads/main"]`), `"ref" is not a string`},
		{swap(commits, `"ref":"refs/heads/main"`, `"ref":"refs/heads/\\x6d"`), `"ref" has a \ in it`},
		{swap(commits, `"ref":"refs/heads/main"`, `"ref":"refs/heads/\\y"`), `"ref" has a \ in it`},
		{swap(commits, `"binding":"exact"`, `"binding":""`), `"binding" is empty`},
		{swap(commits, `"binding":"exact",`, ``), `"binding" is missing`},
		{swap(commits, `"ids":["`, `"ids":[null,"`), `"ids" is not an array of strings`},
		{swap(commits, `"ids":["`, `"ids":["main","`), `"ids" has "main"`},
		{swap(commits, `"ids":["`, `"ids":["0000000000000000000000000000000000000000","`), `not the id of a commit`},
		{swap(commits, "]}", "],}"), "not JSON"},
		{swap(commits, "]}", "]} {}"), "not JSON"},
		{swap(commits, "]}", "]"), "not JSON"},
		{swap(commits, "main", "m\xffin"), "not UTF-8"},
		{swap(decision, `"commits":5`, `"commits":5.0`), `"commits" is not a whole number: 5.0`},
		{swap(decision, `"commits":5`, `"commits":-5`), `"commits" is negative: -5`},
		{swap(decision, `"commits":5`, `"commits":"5"`), `"commits" is not a whole number`},
		{swap(decision, `"signed":true`, `"signed":1`), `"signed" is not true or false`},
		{swap(decision, `45Z"`, `45+00:00"`), `"time" is not a time`},
		{swap(decision, `45Z"`, `45.5Z"`), `"time" is not a time`},
		{swap(decision, `"pusher":{`, `"pusher":{"name":"bob",`), `"pusher" is wrong: "name" comes twice`},
		{swap(decision, `"pusher":{`, `"pusher":3,"was":{`), `"pusher" is wrong: not a JSON object`},
		{swap(decision, `"baseline":true`, `"baseline":null`), `"refs" number 1: "baseline" is not true or false`},
		{swap(decision, `"old":"0000`, `"old":"HEAD`), `"refs" number 1: "old" is not the id of an object`},
		{swap(decision, `"rule":"r"`, `"rule":1`), `"refs" number 1: "findings" number 1: "rule" is not a string`},
		{swap(decision, `"refs":[`, `"refs":[3,`), `"refs" number 1: not a JSON object`},
		{swap(decision, `"refs":[`, `"refs":{"a":[`), "not JSON"},
		{swap(outcome, `"decision":4`, `"decision":0`), `"decision" is 0`},
		{swap(outcome, `,"all":true`, ``), `"refs" is missing`},
		{swap(signature, `"sig":"`, `"sig":"=`), `"sig" is not base64`},
		{swap(signature, `ssh-ed25519 AAAA`, `ssh-ed25519  AAAA`), `"key" is wrong`},
		{swap(signature, `ssh-ed25519 AAAA`, `ssh-dss AAAA`), `"key" is wrong`},
	} {
		if _, err := decode([]byte(c.line)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngives %v, want %q", c.line, err, c.want)
		}
	}
}

// What is read says what another reader of JSON sees, and written and read again it
// says the same, fields of newer versions included.
func FuzzLine(f *testing.F) {
	for _, line := range lines(f) {
		f.Add([]byte(line))
		f.Add([]byte(strings.Replace(line, "}\n", `,"x":1}`+"\n", 1)))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := decode(line)
		if err != nil {
			return
		}
		again := append(header(l.Seq, l.Prev, l.Type), encodeBody(l.Body)...)
		l2, err := decode(again)
		if err != nil {
			t.Fatalf("%v:\n%q\nwas read from\n%q", err, again, line)
		}
		if diff := cmp.Diff(l.Body, l2.Body, equalBodies); diff != "" || l.Seq != l2.Seq || l.Prev != l2.Prev {
			t.Fatalf("%q read, written and read again:\n%s", line, diff)
		}
		var seen, written any
		if err := json.Unmarshal(line, &seen); err != nil {
			t.Fatalf("%q is no JSON: %v", line, err)
		}
		if err := json.Unmarshal(again, &written); err != nil {
			t.Fatalf("%q is no JSON: %v", again, err)
		}
		lost(t, "", seen, written)
	})
}

// lost fails where a value of one JSON document is not in another. What stands for
// nothing may be left out: an empty string or list, false, 0.
func lost(t *testing.T, path string, from, to any) {
	t.Helper()
	switch v := from.(type) {
	case map[string]any:
		m, _ := to.(map[string]any)
		for name, value := range v {
			lost(t, path+"."+name, value, m[name])
		}
		return
	case []any:
		list, _ := to.([]any)
		if len(list) == len(v) {
			for i := range v {
				lost(t, fmt.Sprintf("%s[%d]", path, i), v[i], list[i])
			}
			return
		}
	case string:
		if zeros := strings.Trim(v, "0") == "" && len(v) >= 40; zeros { // no object, in any length
			if s, _ := to.(string); strings.Trim(s, "0") == "" {
				return
			}
		}
	}
	empty := from == nil || reflect.ValueOf(from).IsZero() || reflect.DeepEqual(from, []any{})
	if !reflect.DeepEqual(from, to) && !(empty && to == nil) {
		t.Fatalf("%s was %#v and is %#v", path, from, to)
	}
}

// No two names are written alike, and all can be told apart from text.
func FuzzName(f *testing.F) {
	for _, name := range []string{"", "refs/heads/main", "refs/heads/\xff", `refs/heads/\xff`, "a\\", "\uFFFD\x80\u2028"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		written := escapeName(name)
		if again, err := unescapeName(written); err != nil || again != name {
			t.Fatalf("%q is written %q and read %q: %v", name, written, again, err)
		}
		if !utf8.ValidString(written) {
			t.Fatalf("%q is written as no text: %q", name, written)
		}
		// And what is read as a name is how that name is written.
		if read, err := unescapeName(name); err == nil && utf8.ValidString(name) && escapeName(read) != name {
			t.Fatalf("%q is read as %q, which is written %q", name, read, escapeName(read))
		}
	})
}

func TestLinesStayShort(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t)
	long := strings.Repeat("\x01\xff\\", 21<<10)
	p := onto("refs/heads/"+long, 0, 1, 700)
	for n := range 40 {
		p.refs = append(p.refs, Ref{Name: fmt.Sprintf("refs/heads/%d/%s", n, long[:n*500]), New: id(n), Mode: "enforce", Verdict: Accepted,
			Findings: []Finding{{Rule: "r", Detail: long}}})
	}
	decide(t, l, p)
	if v := intact(t, l, dir); v.Decisions != 1 || v.Commits != 700 {
		t.Errorf("got %+v", v)
	}
	longest := 0
	for line := range bytes.Lines(read(t, first(dir))) {
		longest = max(longest, len(line))
	}
	if longest > MaxLine {
		t.Errorf("a line has %d bytes", longest)
	}
	for d, err := range l.Decisions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Refs) != len(p.refs) {
			t.Fatalf("%d of %d refs are found again", len(d.Refs), len(p.refs))
		}
		for i, r := range d.Refs {
			if r.Name != p.refs[i].Name || r.New != p.refs[i].New {
				t.Fatalf("ref %d is another", i)
			}
		}
	}
}
