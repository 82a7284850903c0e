package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/audit"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/past"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

// wroteHere is the commit that brought a line of a file to a tip: by way of the first parent
// that has it, as git blame goes.
func wroteHere(tip *past.Commit, path, text string) *past.Commit {
	for {
		i := slices.IndexFunc(tip.Parents, func(p *past.Commit) bool {
			return slices.ContainsFunc(p.Files[path], func(l past.Line) bool { return l.Text == text })
		})
		if i < 0 {
			return tip
		}
		tip = tip.Parents[i]
	}
}

func TestLiving(t *testing.T) {
	r := past.New(t, "a", "--bare")
	r.Random(3, 40)
	db := filepath.Join(t.TempDir(), "audit.db")
	index(t, db, now, law(t, ""), r)
	tip := r.Branches["main"]

	type lives struct{ known, most, of int64 }
	alive := map[*past.Commit]int{}
	for path, lines := range tip.Files {
		for _, l := range lines {
			alive[wroteHere(tip, path, l.Text)]++
		}
	}
	want, unknown, of := map[string]lives{}, int64(0), int64(0)
	for c, n := range alive {
		of += int64(n)
		if c.Tool == "" {
			if c.Evidence != "none-observed" {
				unknown += int64(n)
			}
			continue
		}
		l := want[c.Tool]
		switch ai, added := c.Claims[0], c.AddedLines(); {
		case len(c.Parents) > 1:
			l.most += int64(min(ai, n))
		case ai < 0:
			l.most += int64(n)
		default:
			l.known += int64(max(0, ai-(added-n)))
			l.most += int64(min(ai, n))
		}
		want[c.Tool] = l
	}
	for tool, l := range want {
		want[tool] = lives{l.known, l.most + unknown, of}
	}

	s := ask(t, db)
	v, err := audit.See(context.Background(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	q := audit.Question{By: []string{"tool"}, Living: &audit.Living{Ref: "refs/heads/main", Open: func(ctx context.Context, place string) (*repo.Repo, error) {
		opened++
		return repo.Open(ctx, place, r.Env)
	}}}
	for range 2 { // the second time from what the first one left
		u, err := v.Usage(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]lives{}
		for _, row := range u.Rows {
			if l := row.Living; l.Known+l.Unknown > unknown {
				got[row.Key[0]] = lives{l.Known, l.Known + l.Unknown, l.Of}
			}
		}
		if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
			t.Errorf("counted -, asked +\n%s", diff)
		}
	}
	var files int
	if err := s.QueryRow("SELECT count(*) FROM blamed").Scan(&files); err != nil || files != len(slices.DeleteFunc(values(tip.Files), func(l []past.Line) bool { return len(l) == 0 })) || opened != 2 {
		t.Errorf("%d blamed files for %d of the tip: %v", files, len(tip.Files), err)
	}
}

func values[K comparable, V any](m map[K]V) (list []V) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}
