package prereceive

import (
	"fmt"
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

func TestUpdatesAreReadAsGitWritesThem(t *testing.T) {
	got, err := parseUpdates([]byte(one + " " + two + " refs/heads/main\n" + zero + " " + one + " refs/tags/v1\n" + one + " " + zero + " refs/heads/ü\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []gate.Update{
		{Ref: "refs/heads/main", Old: id(t, one), New: id(t, two)},
		{Ref: "refs/tags/v1", New: id(t, one)},
		{Ref: "refs/heads/ü", Old: id(t, one)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestUpdatesThatGitWouldNotWriteAreErrors(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{one + " " + two + " refs/heads/main", "ref update 1: no newline at its end"},
		{one + " " + two + "\n", "ref update 1: want `old new ref`"},
		{one + " " + two + " \n", "not the name of a ref"},
		{one + " " + two + " refs/heads/a b\n", "not the name of a ref"},
		{one + " " + two + " refs/heads/a\x00b\n", "not the name of a ref"},
		{one + " " + two + strings.Repeat("2", 24) + " refs/heads/main\n", "object ids of two lengths"},
		{"--all " + one[:5] + " refs/heads/main\n", ""},
		{strings.ToUpper("a"+one[1:]) + " " + two + " refs/heads/main\n", ""},
		{"\n", "want `old new ref`"},
		{one + " " + two + " refs/heads/main\nrubbish\n", "ref update 2"},
	} {
		if _, err := parseUpdates([]byte(c.input)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.input, err, c.want)
		}
	}
}

// What is read is all that was written: put together again it is the input.
func FuzzUpdates(f *testing.F) {
	f.Add([]byte(one + " " + two + " refs/heads/main\n"))
	f.Add([]byte(zero + " " + one + " refs/tags/v1\n" + one + " " + zero + " refs/heads/x\n"))
	f.Add([]byte(strings.Repeat("0", 64) + " " + strings.Repeat("a", 64) + " refs/heads/main\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		updates, err := parseUpdates(input)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, u := range updates {
			width := max(len(u.Old), len(u.New), 20)
			fmt.Fprintf(&again, "%s %s %s\n", hex(u.Old, width), hex(u.New, width), u.Ref)
		}
		if strings.ReplaceAll(again.String(), zero+strings.Repeat("0", 24), zero) != strings.ReplaceAll(string(input), zero+strings.Repeat("0", 24), zero) {
			t.Fatalf("%q is read as %q", input, again.String())
		}
	})
}

func hex(id change.ID, width int) string {
	if id == "" {
		return strings.Repeat("00", width)
	}
	return id.String()
}
