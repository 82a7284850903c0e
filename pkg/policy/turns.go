package policy

import (
	"slices"
	"time"
)

// Turns are the times at which an approval or denial of a model begins or ends, in
// order. Between two of them, with no Signed time, the same question has the same
// answer.
func (p *Policy) Turns() (turns []time.Time) {
	for i := range p.models {
		for _, t := range []time.Time{p.models[i].from, p.models[i].until} {
			if !t.IsZero() {
				turns = append(turns, t)
			}
		}
	}
	slices.SortFunc(turns, time.Time.Compare)
	return slices.CompactFunc(turns, time.Time.Equal)
}
