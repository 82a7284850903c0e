package prepush

import (
	"strings"
	"testing"
)

func TestAsksOverride(t *testing.T) {
	for _, c := range []struct {
		push string
		want bool
	}{
		{"push -o gatekeeper.override=fire origin main", true},
		{"push -ogatekeeper.override=fire origin main", true},
		{"push --push-option gatekeeper.override=fire", true},
		{"push --push-option=gatekeeper.override=fire", true},
		{"push origin gatekeeper.override=fire", false},
		{"push -o ci.skip origin main", false},
		{"push -o gatekeeper.overrides=fire origin", false},
		{"push origin -o", false},
	} {
		t.Run(c.push, func(t *testing.T) {
			if got := asksOverride(strings.Fields(c.push)); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
