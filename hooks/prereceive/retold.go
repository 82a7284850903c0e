package prereceive

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/receipt"
)

// retellings are changes that were refused, in this push or before, for which tools and
// models the commit named; and those that come again and name others.
type retellings struct {
	before  func() map[receipt.ChangeID]receipt.RefusedChange
	refused []receipt.RefusedChange
	retold  []gate.Finding
	marked  [2]int
}

// maxRetold bounds what one push is told, maxSaid what is compared, in bytes.
const (
	maxRetold = 10
	maxSaid   = 500
)

func (t *retellings) mark() { t.marked = [2]int{len(t.refused), len(t.retold)} }

func (t *retellings) back() {
	t.refused, t.retold = t.refused[:t.marked[0]], t.retold[:t.marked[1]]
}

// hear compares what a commit says with what was said of its change.
func (t *retellings) hear(c gate.CommitVerdict) {
	if c.Change.IsZero() {
		return
	}
	id := receipt.ChangeOf(c.Change)
	if c.Verdict == gate.Refused {
		if said, known := said(c); known && len(t.refused) < receipt.MaxChanges {
			t.refused = append(t.refused, receipt.RefusedChange{Change: id, Said: said})
		}
		return
	}
	was, ok := t.before()[id]
	if !ok || len(t.retold) == maxRetold {
		return
	}
	if said, _ := said(c); said != was.Said {
		t.retold = append(t.retold, gate.Finding{Rule: gate.RecordChanged,
			Detail: fmt.Sprintf("%.7s says %s; its change was refused saying %s (receipt %d)", c.ID, said, was.Said, was.Decision)})
	}
}

// said are the tools and models that a commit names. What was not known may become
// known later, and nothing may become something: that is no retelling.
func said(c gate.CommitVerdict) (text string, known bool) {
	var list []string
	for _, r := range c.Records {
		list = append(list, gate.Plain(r.Tool+" "+r.Model))
		known = known || !strings.Contains(r.Tool+"/"+r.Model, provenance.Unknown)
	}
	if len(list) == 0 {
		return "that none was used", false
	}
	slices.Sort(list)
	text = strings.Join(slices.Compact(list), ", ")
	return text[:min(len(text), maxSaid)], known
}

// tell warns the pusher.
func (t retellings) tell(w io.Writer) {
	for _, f := range t.retold {
		fmt.Fprintf(w, "gatekeeper: warning: a refused change comes again [%s]\n%s", f.Rule, gate.Fold(f.Detail, "  "))
	}
}
