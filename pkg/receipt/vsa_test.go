package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

func TestASummaryClaimsWhatTheWeakestRuleAskedFor(t *testing.T) {
	for _, c := range []struct {
		evidence policy.Evidence
		via      provenance.Via
		binding  policy.Binding
		want     string
	}{
		{policy.Attested, "hook", policy.Exact, "MODELS_APPROVED PROVENANCE_ATTESTED PROVENANCE_BOUND_TO_EXACT PROVENANCE_VIA_HOOK"},
		{policy.Attested, "any", policy.Change, "MODELS_APPROVED PROVENANCE_ATTESTED PROVENANCE_BOUND_TO_CHANGE"},
		{policy.Declared, "process", policy.Exact, "MODELS_APPROVED PROVENANCE_DECLARED PROVENANCE_VIA_PROCESS"},
		{policy.AnyEvidence, "any", policy.Exact, ""},
	} {
		s := Summary{Standing: Standing{Evidence: c.evidence, Via: c.via, Binding: c.binding}}
		want := []string{"SLSA_SOURCE_LEVEL_UNEVALUATED"}
		for word := range strings.FieldsSeq(c.want) {
			want = append(want, "ORG_SOURCE_AI_"+word)
		}
		if diff := cmp.Diff(want, s.Levels()); diff != "" {
			t.Errorf("%+v: -want +got\n%s", c, diff)
		}
	}
}

func TestASummaryIsAboutTheDecisionOnTheValue(t *testing.T) {
	l, dir := newLog(t)
	decide(t, l, onto("refs/heads/other", 0, 9, 1))
	seq := decide(t, l, onto("refs/heads/main", 0, 1, 1))
	a, err := l.Accepted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, ok := a.Of("refs/heads/main", id(1))
	if !ok || s.Decision != seq {
		t.Fatalf("%+v", s)
	}
	summary, err := l.Summarize(t.Context(), "git+https://git.example.com/x", "refs/heads/main", id(1), s)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := summary.Statement()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Subject []struct {
			Digest      map[string]string
			Annotations map[string][]string
		}
		Predicate map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got.Subject[0].Digest["gitCommit"] != id(1).String() || got.Subject[0].Annotations["sourceRefs"][0] != "refs/heads/main" {
		t.Errorf("%s", raw)
	}
	hash := decided(t, l, seq).Hash
	if ext := string(got.Predicate[PredicateType]); !strings.Contains(ext, hash.String()) {
		t.Errorf("the receipt is %s, want %s in it", ext, hash)
	}
	s.Decision = 99
	if _, err := l.Summarize(t.Context(), "", "refs/heads/main", id(1), s); !errors.As(err, new(*BrokenError)) {
		t.Errorf("a decision that is not there: %v", err)
	}
	write(t, bytes.Replace(read(t, first(dir)), []byte("accepted"), []byte("refused!"), 1), first(dir))
	s.Decision = seq
	if _, err := l.Summarize(t.Context(), "", "refs/heads/main", id(1), s); !errors.As(err, new(*BrokenError)) {
		t.Errorf("receipts that were changed: %v", err)
	}
}
