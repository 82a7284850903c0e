package prepush

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

const (
	one  = "1111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222"
	zero = "0000000000000000000000000000000000000000"
)

func id(t testing.TB, hex string) change.ID {
	t.Helper()
	id, err := change.ParseID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLinesOfAPush(t *testing.T) {
	for _, c := range []struct {
		name, input string
		want        []gate.Update
	}{
		{"nothing to send", "", nil},
		{"a branch", "refs/heads/main " + one + " refs/heads/main " + two + "\n", []gate.Update{{Ref: "refs/heads/main", Old: id(t, two), New: id(t, one)}}},
		{"a new branch", "HEAD " + one + " refs/heads/new " + zero + "\n", []gate.Update{{Ref: "refs/heads/new", New: id(t, one)}}},
		{"a deletion", "(delete) " + zero + " refs/heads/old " + two + "\n", []gate.Update{{Ref: "refs/heads/old", Old: id(t, two)}}},
		{"a commit found by its words", ":/fix the bug " + one + " refs/heads/main " + zero + "\n", []gate.Update{{Ref: "refs/heads/main", New: id(t, one)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseUpdates([]byte(c.input))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLinesThatGitWouldNotWrite(t *testing.T) {
	for _, input := range []string{"x\n", "a b c\n", "a " + one[1:] + " b " + two + "\n", "a " + one + " b rubbish\n", "refs/heads/main " + one + " refs/heads/main " + two + "\n\n"} {
		if got, err := parseUpdates([]byte(input)); err == nil {
			t.Errorf("%q is read as %v", input, got)
		}
	}
}

// Each line that is read gives one update, with the ref and ids it ends in.
func FuzzLines(f *testing.F) {
	f.Add("refs/heads/main " + one + " refs/heads/main " + two + "\n")
	f.Add("(delete) " + zero + " refs/heads/old " + two + "\n")
	f.Fuzz(func(t *testing.T, input string) {
		updates, err := parseUpdates([]byte(input))
		if err != nil || len(updates) == 0 {
			return
		}
		lines := strings.Split(strings.TrimSuffix(input, "\n"), "\n")
		if len(lines) != len(updates) {
			t.Fatalf("%q: %d updates", input, len(updates))
		}
		for i, u := range updates {
			if !strings.Contains(lines[i], " "+u.Ref+" ") || u.New != "" && !strings.Contains(lines[i], " "+u.New.String()+" ") {
				t.Fatalf("%q is read as %+v", lines[i], u)
			}
		}
	})
}
