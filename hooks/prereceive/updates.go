package prereceive

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// maxInput bounds what git may hand over: some hundred thousand refs. The policy's
// limits.refs is far below; this only keeps memory small before there is a policy.
const maxInput = 32 << 20

// parseUpdates reads pre-receive's input, one `old SP new SP ref LF` a line; all
// zeros is "no object" (githooks(5)).
func parseUpdates(input []byte) ([]gate.Update, error) {
	var updates []gate.Update
	for n := 1; len(input) > 0; n++ {
		line, rest, whole := bytes.Cut(input, []byte("\n"))
		if !whole {
			return nil, fmt.Errorf("ref update %d: no newline at its end", n)
		}
		u, err := parseUpdate(string(line))
		if err != nil {
			return nil, fmt.Errorf("ref update %d: %w", n, err)
		}
		updates = append(updates, u)
		input = rest
	}
	return updates, nil
}

func parseUpdate(line string) (gate.Update, error) {
	old, rest, ok1 := strings.Cut(line, " ")
	new, ref, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 {
		return gate.Update{}, fmt.Errorf("want `old new ref`, got %q", line)
	}
	if len(old) != len(new) {
		return gate.Update{}, fmt.Errorf("object ids of two lengths: %q", line)
	}
	if ref == "" || strings.ContainsAny(ref, " \x00") {
		return gate.Update{}, fmt.Errorf("not the name of a ref: %q", ref)
	}
	u := gate.Update{Ref: ref}
	var err error
	if u.Old, err = change.ParseID(old); err != nil {
		return gate.Update{}, err
	}
	u.New, err = change.ParseID(new)
	return u, err
}
