package past

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Ways are ways in which commits come about.
var Ways = []How{
	{Evidence: "attested", Tool: "claude-code", Version: "2.1.330", Model: "anthropic/claude-sonnet-4-5", Via: "hook", Session: "9f2c1b7e0a44", MCP: "github", AI: 2},
	{Evidence: "attested", Tool: "cursor", Version: "1.7", Model: "openai/gpt-5", Via: "process", AI: -1},
	{Evidence: "attested", Tool: "codex", Version: "0.42", Model: "acme/rogue-1", Via: "hook", Session: "00112233aabb", MCP: "files,github", AI: 1},
	{Evidence: "none-observed"},
	{Evidence: "declared", Tool: "aider", Version: "0.86", Model: "anthropic/claude-opus-4-6", Via: "declared", AI: 3},
	{Evidence: "inferred", Tool: "claude-code", Model: "anthropic/claude-opus-4-6", Mark: "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>", AI: -1},
	{Evidence: "inferred", Tool: "cursor", Model: "unknown/unknown", Mark: "Co-authored-by: Cursor <cursoragent@cursor.com>", AI: -1},
	{Evidence: "unknown"},
	{Evidence: "unknown"},
}

// Random goes on with a history by some steps of every kind, on main and a branch beside
// it. The same seed makes the same history.
func (r *Repo) Random(seed uint64, steps int) {
	r.t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	person := func() Person { return People[rnd.IntN(len(People))] }
	way := func() How { return Ways[rnd.IntN(len(Ways))] }
	edit := func(branch string) *Commit {
		add := map[string]int{}
		for range 1 + rnd.IntN(3) {
			add[fmt.Sprintf("src/part%d/file%d.go", rnd.IntN(3), rnd.IntN(4))] = 1 + rnd.IntN(6)
		}
		return r.Edit(branch, Edit{Author: person(), How: way(), Add: add, After: time.Duration(rnd.IntN(200)) * time.Hour})
	}
	if r.Branches["main"] == nil {
		edit("main")
	}
	for n := range steps {
		side := fmt.Sprintf("side%d-%d", seed, n)
		main := r.Branches["main"]
		switch rnd.IntN(8) {
		case 0:
			r.Branch(side, main)
			edit(side)
			edit("main")
			r.Merge("main", side, person(), How{Evidence: "unknown"})
		case 1:
			r.Branch(side, main)
			edit(side)
			r.Merge("main", side, person(), Ways[0])
		case 2:
			r.Branch(side, main)
			of := edit(side)
			edit("main")
			r.Pick("main", of, person())
		case 3:
			r.Branch(side, main)
			of := []*Commit{edit(side), edit(side)}
			r.Squash("main", of, person(), way())
			if rnd.IntN(2) == 0 {
				r.Delete(side)
			}
		case 4:
			r.Branch(side, main)
			edit(side)
			edit("main")
			r.Rebase(side, "main", person())
		case 5:
			if main.Kind == "edit" {
				r.Revert("main", main, person(), How{Evidence: "unknown"})
			}
		default:
			edit("main")
		}
	}
}

// Reached are the commits that branches reach, in the order in which they were made.
func (r *Repo) Reached() (list []*Commit) {
	all := map[*Commit]bool{}
	for _, tip := range r.Branches {
		for c := range tip.Ancestors() {
			all[c] = true
		}
	}
	for _, c := range r.Commits {
		if all[c] {
			list = append(list, c)
		}
	}
	return slices.Clip(list)
}
