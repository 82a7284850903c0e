package prereceive

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

func TestAReceiptSaysWhatTheGateSaid(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC)
	updates := []gate.Update{{Ref: "refs/heads/main", Old: id(t, one), New: id(t, two)}, {Ref: "refs/heads/x", New: id(t, two)}}
	rule := policy.Rule{Mode: policy.Enforce, Evidence: policy.Attested, Via: "hook", Binding: policy.Exact}
	late := gate.Finding{Rule: gate.TimeSkew, Detail: "late", Hint: "wait"}
	many := make([]gate.Update, maxUnjudged+1)
	for i := range many {
		many[i] = gate.Update{Ref: fmt.Sprint("refs/heads/", i), New: id(t, one)}
	}
	nameless := gate.Verdict{Policy: "sha256:12", Verdict: gate.Refused, Refs: []gate.RefVerdict{{Verdict: gate.Refused, Findings: []gate.Finding{late}}}}
	for _, c := range []struct {
		name string
		give ruling
		want receipt.Decision
	}{
		{"a push that was judged", ruling{at: at, updates: updates, baseline: []change.ID{id(t, one)}, verdict: gate.Verdict{Policy: "sha256:12", Verdict: gate.Refused, Refs: []gate.RefVerdict{
			{Ref: "refs/heads/main", Mode: "enforce", Verdict: gate.Refused, Judged: 3, Faulty: 1, Findings: []gate.Finding{late}, Rule: rule, Target: "refs/heads/trunk"},
			{Ref: "refs/heads/x", Mode: "off", Verdict: gate.Accepted}}}},
			receipt.Decision{Time: at, Policy: "sha256:12", Verdict: "refused", Refs: []receipt.Ref{
				{Name: "refs/heads/main", Old: id(t, one), New: id(t, two), Target: "refs/heads/trunk", Baseline: true, Mode: "enforce", Evidence: "attested",
					Via: "hook", Binding: "exact", Verdict: "refused", Judged: 3, Faulty: 1, Findings: []receipt.Finding{{Rule: "time-skew", Detail: "late"}}},
				{Name: "refs/heads/x", New: id(t, two), Mode: "off", Verdict: "accepted"}}}},
		{"one ref, and no policy", ruling{at: at, updates: updates[1:], verdict: nameless},
			receipt.Decision{Time: at, Policy: "sha256:12", Verdict: "refused", Findings: []receipt.Finding{{Rule: "time-skew", Detail: "late"}},
				Refs: []receipt.Ref{{Name: "refs/heads/x", New: id(t, two)}}}},
		{"a push that could not be judged", ruling{at: at, updates: updates[1:], err: errors.New("git: \x1b[2K is away")},
			receipt.Decision{Time: at, Verdict: "unchecked", Reason: `git: \x1b[2K is away`, Refs: []receipt.Ref{{Name: "refs/heads/x", New: id(t, two)}}}},
		{"more refs than anybody looks at", ruling{at: at, updates: many, verdict: nameless},
			receipt.Decision{Time: at, Policy: "sha256:12", Verdict: "refused", Findings: []receipt.Finding{{Rule: "time-skew", Detail: "late"}}, Omitted: maxUnjudged + 1}},
		{"nothing that could be read", ruling{at: at, err: errors.New("no newline")}, receipt.Decision{Time: at, Verdict: "unchecked", Reason: "no newline"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.give.decision(), cmpopts.IgnoreUnexported(receipt.Decision{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
