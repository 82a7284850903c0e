package prepush

import (
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// asksOverride reports whether a push asks the server to let it in past refusals. git
// does not tell pre-push of push options, so its arguments must; whether the pusher may
// ask is for the server, which knows who it is.
func asksOverride(args []string) bool {
	for i, arg := range args {
		attached, ok := strings.CutPrefix(arg, "--push-option=")
		if !ok {
			attached, ok = strings.CutPrefix(arg, "-o")
		}
		if (arg == "-o" || arg == "--push-option") && i+1 < len(args) {
			attached, ok = args[i+1], true
		}
		if name, _, _ := strings.Cut(attached, "="); ok && name == "gatekeeper.override" {
			return true
		}
	}
	return false
}

// tellUnjudged says what the policy asks for that only the server can judge.
func (p push) tellUnjudged(pol *policy.Policy) {
	for _, u := range p.updates {
		if rule := pol.Rule(u.Ref); u.New != "" && rule.Mode != policy.Off && rule.Author == policy.AuthorPusher {
			p.hook.say("%s: only the server knows who pushes", gate.AuthorMismatch)
			return
		}
	}
}
