package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/trust"
)

func TestListsAreWhatTheFileSays(t *testing.T) {
	p, err := policy.Parse("p.toml", []byte(`schema = 1
[defaults]
mode = "enforce"
[[ref]]
match = "refs/heads/wip/**"
mode = "warn"
[[model]]
id = "acme/coder-*"
status = "approved"
tools = ["aider"]
refs = ["refs/heads/main"]
paths = { deny = ["crypto/**"] }
until = 2026-05-01
min_class = "gateway"
owner = "platform@example.com"
[[model]]
id = "**"
status = "denied"
reason = "not on the list"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []policy.ModelEntry
	for _, m := range p.Models() {
		if !m.Until.IsZero() && m.Until.Format("2006-01-02") != "2026-05-01" {
			t.Errorf("until %s", m.Until)
		}
		m.Until = m.From
		got = append(got, m)
	}
	want := []policy.ModelEntry{
		{Entry: "p.toml:7", Model: "acme/coder-*", Tools: []string{"aider"}, Refs: []string{"refs/heads/main"}, Paths: []string{"crypto/**"}, MinClass: trust.Gateway, Owner: "platform@example.com"},
		{Entry: "p.toml:16", Model: "**", Denied: true, Tools: []string{}, Refs: []string{}, Paths: []string{}, Reason: "not on the list"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	rules := p.Rules()
	if len(rules) != 2 || rules[0].Match != "refs/heads/wip/**" || rules[0].Mode != policy.Warn || rules[1].Match != policy.DefaultMatch || rules[1].Mode != policy.Enforce {
		t.Errorf("rules %+v", rules)
	}
}
