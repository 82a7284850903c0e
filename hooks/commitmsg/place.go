package commitmsg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

// A place is where the commit under way will stand.
type place struct {
	head    change.ID   // HEAD now
	parents []change.ID // that the commit will have
	certain bool        // parents are known, not guessed
	squash  bool        // the message is made of several commits' messages

	amended change.ID   // the commit that this one replaces
	parts   []change.ID // the commits that a squash or fixup makes one of
	kept    []change.ID // those of parts that are not themselves made on the way
	moved   bool        // it moves what another commit did: a pick of a rebase or cherry-pick
	origin  change.ID   // that other commit, "" when git does not say

	objects     *repo.Objects
	parentTrees []change.ID
	tree        change.ID
	bind        provenance.Digest
}

// findPlace works out parents and tree. source and sha are the second and third
// argument of prepare-commit-msg.
func (h *hook) findPlace(ctx context.Context, source, sha string) (*place, error) {
	p := &place{certain: true}
	var err error
	if _, p.head, err = h.repo.Head(ctx); err != nil {
		return nil, err
	}
	p.objects = h.repo.Objects(ctx)
	if err := h.findParents(ctx, p, source, sha); err != nil {
		return nil, err
	}
	if err := p.readParents(); err != nil {
		return nil, err
	}
	if p.tree, err = h.findTree(ctx, p.objects); err != nil {
		return nil, err
	}
	p.bind = change.Bind(p.parentTrees, p.tree)
	return p, nil
}

// placeOf is where a commit stands that is there already.
func placeOf(objects *repo.Objects, c change.Commit) (*place, error) {
	p := &place{parents: c.Parents, objects: objects, tree: c.Tree}
	if err := p.readParents(); err != nil {
		return nil, err
	}
	p.bind = change.Bind(p.parentTrees, p.tree)
	return p, nil
}

func (p *place) readParents() error {
	for _, id := range p.parents {
		tree, err := repo.TreeOf(p.objects, id)
		if err != nil {
			return fmt.Errorf("read parent %.7s: %w", id, err)
		}
		p.parentTrees = append(p.parentTrees, tree)
	}
	return nil
}

// findTree names the tree of the index that git is about to commit. During
// `commit -a` and `commit -- path` that is not the index of the work tree.
func (h *hook) findTree(ctx context.Context, objects *repo.Objects) (change.ID, error) {
	tree, trees, _, err := h.repo.IndexTree(ctx, h.repo.IndexPath())
	if err != nil {
		return "", fmt.Errorf("read the index: %w", err)
	}
	objects.Add(trees)
	return tree, nil
}

func (h *hook) findParents(ctx context.Context, p *place, source, sha string) error {
	git := h.invocation()
	folded := h.folding(git)
	amends := git.amend || folded != "" && git.sequencer()
	if !git.known {
		// `commit -C HEAD` looks the same; and an `amend -m` looks like any
		// other commit. post-commit sees which it was.
		amends, p.certain = source == "commit" && sha == "HEAD", false
	}
	p.squash = source == "squash" || folded != "" || h.exists("SQUASH_MSG") && !amends
	if p.squash && folded == "" {
		p.parts = squashed(h.gitFile("SQUASH_MSG"))
		p.kept = p.parts
	}
	if p.moved = !amends && (git.sequencer() && git.name != "revert" || h.exists("CHERRY_PICK_HEAD")); p.moved {
		p.origin = h.origin(git)
	}
	switch {
	case p.head == "":
		return nil
	case amends:
		return h.findAmended(ctx, p, folded)
	case h.startsRoot(p.head):
		return nil
	}
	p.parents = []change.ID{p.head}
	merged, err := h.repo.MergeHeads()
	if err != nil || len(merged) == 0 || git.sequencer() {
		return err
	}
	p.parents = append(p.parents, merged...)
	if len(merged) > 1 && strings.TrimSpace(h.gitFile("MERGE_MODE")) != "no-ff" {
		return h.dropAncestors(ctx, p)
	}
	return nil
}

// findAmended takes the parents of HEAD, which the commit replaces.
func (h *hook) findAmended(ctx context.Context, p *place, folded string) error {
	raw, err := repo.ReadCommit(p.objects, p.head)
	if err != nil {
		return err
	}
	p.parents = raw.Parents
	p.amended = p.head
	if folded == "" {
		return nil
	}
	id, err := change.ParseID(folded)
	if err != nil {
		id, err = h.repo.Resolve(ctx, folded)
	}
	if err != nil {
		return fmt.Errorf("find the commit being folded in: %w", err)
	}
	p.parts, p.kept = []change.ID{p.head, id}, []change.ID{id}
	if h.firstFold() {
		p.kept = p.parts
	}
	return nil
}

// firstFold reports whether the commit that others are being folded into is still
// the one that was picked, and not made by an earlier fold.
func (h *hook) firstFold() bool {
	return strings.Count(strings.TrimSpace(h.gitFile("rebase-merge/current-fixups")), "\n") == 0
}

// squashed lists the commits that git merge --squash named in its message.
func squashed(message string) (ids []change.ID) {
	for line := range strings.Lines(message) {
		hex, ok := strings.CutPrefix(strings.TrimSpace(line), "commit ")
		if id, err := change.ParseID(hex); ok && err == nil && id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// origin names the commit that a pick moves. A clean cherry-pick does not tell.
func (h *hook) origin(git *invocation) change.ID {
	hex := strings.TrimSpace(h.gitFile("CHERRY_PICK_HEAD"))
	if git.name == "rebase" {
		if words := h.lastDone(); len(words) > 1 {
			hex = words[1]
		}
	}
	id, err := change.ParseID(hex)
	if err != nil {
		return ""
	}
	return id
}

// lastDone is the command that a rebase is at, in words: done lists the commands
// so far, the current one last.
func (h *hook) lastDone() []string {
	lines := strings.Split(strings.TrimSpace(h.gitFile("rebase-merge/done")), "\n")
	return strings.Fields(lines[len(lines)-1])
}

// folding names the commit that a rebase under way melts into HEAD (squash,
// fixup), or is empty.
func (h *hook) folding(git *invocation) string {
	if git.known && git.name != "rebase" && !git.amend {
		return ""
	}
	words := h.lastDone()
	if len(words) < 2 || !slices.Contains([]string{"squash", "s", "fixup", "f"}, words[0]) {
		return ""
	}
	if len(words) > 2 && (words[1] == "-C" || words[1] == "-c") {
		return words[2]
	}
	return words[1]
}

// startsRoot reports whether HEAD is the empty commit that `rebase --root`
// makes to put the first commit in the place of; it will be no parent.
func (h *hook) startsRoot(head change.ID) bool {
	return strings.TrimSpace(h.gitFile("rebase-merge/squash-onto")) == head.String()
}

// dropAncestors leaves out parents that others have for ancestors, as a merge of
// several branches does that HEAD itself could be forwarded to.
func (h *hook) dropAncestors(ctx context.Context, p *place) error {
	args := []string{"merge-base", "--independent"}
	for _, id := range p.parents {
		args = append(args, id.String())
	}
	out, err := h.repo.Command(ctx, args...).Output()
	if err != nil {
		return fmt.Errorf("find the parents of the merge: %w", err)
	}
	kept := strings.Fields(string(out))
	p.parents = slices.DeleteFunc(p.parents, func(id change.ID) bool { return !slices.Contains(kept, id.String()) })
	return nil
}

func (h *hook) gitFile(name string) string {
	data, _ := os.ReadFile(filepath.Join(h.repo.GitDir, filepath.FromSlash(name)))
	return string(data)
}

func (h *hook) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(h.repo.GitDir, name))
	return err == nil
}

// buffer says how git will clean the message after the hooks.
func (h *hook) buffer(ctx context.Context, p *place, message []byte) trailer.Buffer {
	git := h.invocation()
	config := h.settings(ctx)
	b := trailer.Buffer{Comment: h.commentChar(ctx, message)}
	mode := git.cleanup
	if mode == "" {
		mode, _ = config.Get("commit.cleanup")
	}
	if git.sequencer() {
		mode = sequencerCleanup(mode, git.signs)
	} else if h.editorUsed(git) {
		if mode == "" || mode == "default" {
			mode = "strip"
		}
	} else if mode == "" || mode == "default" || mode == "scissors" {
		mode = "whitespace"
	}
	b.Strip = mode == "strip"
	b.Verbatim = mode == "verbatim"
	b.Cut = mode == "scissors" || git.verbose
	if git.name == "commit" || !git.known {
		v, set := config.Get("commit.verbose") // a boolean, or a level
		on, isBool := config.Bool("commit.verbose")
		b.Cut = b.Cut || on || set && !isBool && v != "0"
	}
	return b
}

// sequencerCleanup is what rebase, cherry-pick and revert do to a message that no
// editor saw: nothing, unless told to (sequencer.c, try_to_commit).
func sequencerCleanup(mode string, signs bool) string {
	switch {
	case mode != "" && mode != "default":
		return mode
	case signs:
		return "whitespace"
	}
	return "verbatim"
}

// editorUsed reports whether git takes the message for one that a person
// edited, and so takes comment lines out. With GIT_EDITOR=: set by the user that is
// so although none opens; only the command line tells.
func (h *hook) editorUsed(git *invocation) bool {
	switch {
	case h.editorOpens():
		return true
	case !git.known:
		return false
	case git.name == "commit":
		return git.edit || !git.noEdit && !git.message
	}
	return git.edit
}

func (h *hook) commentChar(ctx context.Context, message []byte) string {
	char := h.setting(ctx, "core.commentString")
	if char == "" {
		char = h.setting(ctx, "core.commentChar")
	}
	return trailer.Comment(char, message)
}
