package audit_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy/inforce"
)

// TestSigners holds one signed commit, made early on 2 January 2026, against policies that
// know its signer in different ways.
func TestSigners(t *testing.T) {
	r := past.New(t, "a", "--bare")
	alice, bob := past.People[0], past.People[1]
	c := r.Edit("main", past.Edit{Author: alice, How: past.Ways[0], Add: map[string]int{"a": 3}})
	none := r.Edit("main", past.Edit{Author: alice, How: past.How{Evidence: "none-observed"}, Add: map[string]int{"a": 1}})
	entry := past.Signers(alice)
	for _, tt := range []struct{ what, signers, want, problem string }{
		{"one who is known", entry, "attested developer exact", ""},
		{"a stranger", past.Signers(bob), "declared  ", "signer-unknown"},
		{"one who counted then and no longer does", entry + "valid_before = 2026-02-01\n", "attested developer exact", ""},
		{"one who counts only since", entry + "valid_after = 2026-02-01\n", "declared  ", "signer-not-allowed"},
		{"a key that was compromised later, and nobody saw the commit before", entry + "compromised_since = 2026-06-01T00:00:00Z\n", "declared  ", "signer-revoked"},
		{"a higher class", strings.Replace(entry, `"developer"`, `"gateway"`, 1), "attested gateway exact", ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			text := "schema = 1\n" + tt.signers
			p, err := policy.Parse("policy.toml", []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			db := filepath.Join(t.TempDir(), "audit.db")
			index(t, db, now, &inforce.Policy{Policy: p, Where: "policy.toml", Files: map[string][]byte{inforce.File: []byte(text)}}, r)
			var evidence, class, binding, problem string
			if err := ask(t, db).QueryRow("SELECT evidence, class, binding, problem FROM judgement j JOIN commits c ON c.id = j.commit_id WHERE lower(hex(oid)) = ?", c.ID).
				Scan(&evidence, &class, &binding, &problem); err != nil {
				t.Fatal(err)
			}
			if got := evidence + " " + class + " " + binding; got != tt.want || problem != tt.problem {
				t.Errorf("got %q with problem %q, want %q with %q", got, problem, tt.want, tt.problem)
			}
		})
	}
	t.Run("without any policy a signature is one of an unknown class", func(t *testing.T) {
		db := filepath.Join(t.TempDir(), "audit.db")
		index(t, db, now, nil, r)
		if got := indexed(t, ask(t, db)); got[0].Class != "unknown" || got[1].Class != "unknown" || got[0].Binding != "exact" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("none of a stranger says nothing, and is not called known", func(t *testing.T) {
		db := filepath.Join(t.TempDir(), "audit.db")
		text := "schema = 1\n" + past.Signers(bob)
		p, err := policy.Parse("policy.toml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		index(t, db, now, &inforce.Policy{Policy: p, Where: "policy.toml", Files: map[string][]byte{inforce.File: []byte(text)}}, r)
		if got := evidenceOf(t, db, none.ID, nil); got != "declared" {
			t.Errorf("evidence %s", got)
		}
		rows := usageBy(t, db, "tool")
		if row := rows["claude-code"]; row.Commits != 1 || row.Unknown != 1 || row.Of != 2 {
			t.Errorf("the share of claude-code is %+v: the unsigned none must be in what may be its", row)
		}
	})
}

// TestPolicyChanges lets the policy change between two runs: commits stand under the one
// of their time.
func TestPolicyChanges(t *testing.T) {
	r := past.New(t, "a", "--bare")
	edit := func() {
		r.Edit("main", past.Edit{Author: past.People[0], How: past.Ways[1], Add: map[string]int{"a": 1}})
	}
	edit()
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, "[[model]]\nid = \"openai/*\"\nstatus = \"approved\"\n"), r)
	index(t, db, now.AddDate(0, 1, 0), law(t, "[[model]]\nid = \"openai/*\"\nstatus = \"denied\"\n"), r)
	edit() // by its date still before the change
	index(t, db, now.AddDate(0, 2, 0), law(t, "[[model]]\nid = \"openai/*\"\nstatus = \"denied\"\n"), r)
	r.Edit("main", past.Edit{Author: past.People[0], How: past.Ways[1], Add: map[string]int{"a": 1}, After: 10 * 365 * 24 * 3600 * 1e9})
	index(t, db, now.AddDate(10, 0, 0), law(t, "[[model]]\nid = \"openai/*\"\nstatus = \"denied\"\n"), r)
	if row := usageBy(t, db, "tool")["cursor"]; row.Approved != 2 || row.Unsanctioned != 1 {
		t.Errorf("%+v, want 2 approved and 1 unsanctioned", row)
	}
}

// TestPublishedPolicies reads the history of a server's policy, which says what was in force
// when, also for commits that came long before the first run.
func TestPublishedPolicies(t *testing.T) {
	r := past.New(t, "a", "--bare")
	parent := ""
	publish := func(day, status string) {
		text := "schema = 1\n[[model]]\nid = \"openai/*\"\nstatus = \"" + status + "\"\n" + past.Signers(past.People...)
		run := func(stdin string, args ...string) string {
			out, stderr, err := r.Run(stdin, args...)
			if err != nil {
				t.Fatal(stderr)
			}
			return strings.TrimSpace(out)
		}
		blob := run(text, "hash-object", "-w", "--stdin")
		tree := run("100644 blob "+blob+"\tpolicy.toml\n", "mktree")
		message := "tree " + tree + "\n" + parent + "author a <a@example.com> " + day + " +0000\ncommitter a <a@example.com> " + day + " +0000\n\nPolicy\n"
		commit := run(message, "hash-object", "-t", "commit", "-w", "--stdin")
		parent = "parent " + commit + "\n"
		r.Git(t, "update-ref", inforce.Ref, commit)
	}
	const day = 24 * 3600
	publish("1768000000", "approved") // 9 January 2026
	publish("1769000000", "denied")   // 21 January
	edit := func(after int) {
		r.Edit("main", past.Edit{Author: past.People[0], How: past.Ways[1], Add: map[string]int{"a": 1}, After: time.Duration(after) * day * time.Second})
	}
	edit(0)  // 2 January: before the first, which counts for that, too
	edit(10) // 12 January
	edit(10) // 22 January
	edit(10) // 1 February
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, nil, r)
	if row := usageBy(t, db, "tool")["cursor"]; row.Approved != 2 || row.Unsanctioned != 2 {
		t.Errorf("%+v, want 2 approved and 2 unsanctioned", row)
	}
	publish("1769900000", "approved") // 31 January, and known only later
	index(t, db, now.AddDate(0, 0, 1), nil, r)
	if row := usageBy(t, db, "tool")["cursor"]; row.Approved != 3 || row.Unsanctioned != 1 {
		t.Errorf("%+v, want 3 approved and 1 unsanctioned", row)
	}
}
