package audit

import (
	"sync"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
)

// trees remembers the trees of commits read lately, some 10 MiB of them: the parents of
// a commit stand mostly not long before it.
type trees struct {
	mu         sync.Mutex
	young, old map[change.ID]change.ID
}

const maxYoung = 1 << 15

func (t *trees) put(commit, tree change.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.young == nil || len(t.young) == maxYoung {
		t.young, t.old = make(map[change.ID]change.ID), t.young
	}
	t.young[commit] = tree
}

func (t *trees) get(commit change.ID) (change.ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tree, ok := t.young[commit]; ok {
		return tree, true
	}
	tree, ok := t.old[commit]
	return tree, ok
}
