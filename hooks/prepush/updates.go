package prepush

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// parseUpdates reads pre-push's input (githooks(5)), one
//
//	local-ref SP local-oid SP remote-ref SP remote-oid LF
//
// a line. A deletion has (delete) and zeros on the local side; a push of a commit
// that is no ref has the expression that named it. A push with nothing to send
// has no lines.
func parseUpdates(input []byte) ([]gate.Update, error) {
	var updates []gate.Update
	for n, line := range bytes.Split(bytes.TrimSuffix(input, []byte("\n")), []byte("\n")) {
		if len(line) == 0 && n == 0 {
			return nil, nil
		}
		fields := strings.Split(string(line), " ")
		if len(fields) < 4 { // an expression such as ":/fix it" has spaces of its own
			return nil, fmt.Errorf("pre-push input line %d: want four fields, got %q", n+1, line)
		}
		fields = fields[len(fields)-3:]
		u := gate.Update{Ref: fields[1]}
		var err error
		if u.New, err = change.ParseID(fields[0]); err != nil {
			return nil, fmt.Errorf("pre-push input line %d: %w", n+1, err)
		}
		if u.Old, err = change.ParseID(fields[2]); err != nil {
			return nil, fmt.Errorf("pre-push input line %d: %w", n+1, err)
		}
		updates = append(updates, u)
	}
	return updates, nil
}
