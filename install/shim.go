package install

import (
	"path/filepath"
	"slices"
	"strings"
)

// The hooks of a developer's clone. All but pre-push are gatekeeper-commit-msg's.
var clientHooks = []string{
	"prepare-commit-msg", "commit-msg", "applypatch-msg", "post-applypatch", "post-commit", "post-rewrite", "pre-push",
}

// The hooks of a server's repository.
var serverHooks = []string{"pre-receive", "post-receive"}

// passedOn are the other hooks that git runs, githooks(5). Where our directory
// stands in for another, each leads on to the one there.
var passedOn = []string{
	"pre-applypatch", "pre-commit", "pre-merge-commit", "pre-rebase", "post-checkout",
	"post-merge", "pre-auto-gc", "sendemail-validate", "pre-receive", "update", "post-receive", "post-update",
	"p4-changelist", "p4-prepare-changelist", "p4-post-changelist", "p4-pre-submit",
}

// passedOnIfThere are led on to only where the other directory has them when we
// install: the first two run several times in every command, and git does
// something else where one of the last two merely exists.
var passedOnIfThere = []string{
	"reference-transaction", "post-index-change", "push-to-checkout", "proc-receive",
}

// before is what a hook is called while ours runs in its place.
func before(name string) string { return name + ".before-gatekeeper" }

// A prev says where a shim finds the hook that was there before.
type prev struct {
	beside bool   // NAME.before-gatekeeper in the shim's own directory
	dir    string // else in this directory; a relative one starts where git runs the hook, as core.hooksPath does
}

// assign is the shell text that sets $prev. The shim's own path is not written
// down: a hook manager may rename the shim and run it from another name.
func (p prev) assign(name string) string {
	if p.beside {
		return "prev=${0%/*}/" + before(name)
	}
	dir := p.dir
	if strings.HasPrefix(dir, "-") {
		dir = "./" + dir
	}
	if dir == "" {
		return "prev=" // core.hooksPath was set to nothing: there were no hooks
	}
	return "prev=" + quote(strings.TrimSuffix(dir, "/")+"/"+name)
}

// marker stands in every shim and nowhere else.
const marker = "# Written by gatekeeper install"

const (
	headClient = "#!/bin/sh\n" + marker + "; gatekeeper uninstall takes it out again.\n"
	headServer = "#!/bin/sh\n" + marker + " --server; gatekeeper uninstall --server takes it out again.\n"

	// Message hooks: what was there may refuse; without our binary the commit goes through.
	messageShim = headClient + `PREV
bin=BIN
if [ -x "$prev" ]; then
	"$prev" "$@" || exit
fi
if [ ! -x "$bin" ]; then
	printf '%s\n' "gatekeeper: nothing recorded: no $bin; run gatekeeper install" >&2
	exit 0
fi
exec "$bin" NAME "$@"
`

	// commit-msg has nothing to do where prepare-commit-msg of the same git has
	// stamped the message already and no other hook or person came between; the file
	// then names that git, and no process is started.
	commitMsgShim = headClient + `PREV
bin=BIN
if [ -x "$prev" ]; then
	"$prev" "$@" || exit
else
	stamped=${GIT_DIR:-.git}/gatekeeper/stamped
	if [ -e "$stamped" ] && read -r git <"$stamped" && [ "$git" = "$PPID" ]; then
		exit 0
	fi
fi
if [ ! -x "$bin" ]; then
	printf '%s\n' "gatekeeper: nothing recorded: no $bin; run gatekeeper install" >&2
	exit 0
fi
exec "$bin" NAME "$@"
`

	// git ignores how post hooks end, so one that fails does not keep ours from
	// its bookkeeping. Most commits leave post-commit nothing to do; then no
	// process is started for it.
	postCommitShim = headClient + `PREV
bin=BIN
status=0
if [ -x "$prev" ]; then
	"$prev" "$@"
	status=$?
fi
state=${GIT_DIR:-.git}/gatekeeper
if [ -e "$state/prepared" ] || [ -e "$state/declared" ]; then
	if [ -x "$bin" ]; then
		"$bin" NAME "$@"
	else
		printf '%s\n' "gatekeeper: nothing recorded: no $bin; run gatekeeper install" >&2
	fi
fi
exit $status
`

	// post-applypatch looks at each commit that git am makes.
	postApplypatchShim = headClient + `PREV
bin=BIN
status=0
if [ -x "$prev" ]; then
	"$prev" "$@"
	status=$?
fi
if [ -x "$bin" ]; then
	"$bin" NAME "$@"
else
	printf '%s\n' "gatekeeper: nothing recorded: no $bin; run gatekeeper install" >&2
fi
exit $status
`

	// post-rewrite is told on stdin what became of which commit; both hooks want it.
	postRewriteShim = headClient + `PREV
bin=BIN
status=0
if [ -x "$prev" ]; then
	lines=$(cat)
	printf '%s\n' "$lines" | "$prev" "$@"
	status=$?
	if [ -x "$bin" ]; then
		printf '%s\n' "$lines" | "$bin" NAME "$@"
		exit $status
	fi
elif [ -x "$bin" ]; then
	exec "$bin" NAME "$@"
fi
printf '%s\n' "gatekeeper: nothing recorded: no $bin; run gatekeeper install" >&2
exit $status
`

	// pre-push is told on stdin what is pushed; the binary hands it on.
	prePushShim = headClient + `PREV
bin=BIN
if [ ! -x "$bin" ]; then
	printf '%s\n' "gatekeeper: push not checked: no $bin; run gatekeeper install" >&2
	[ -x "$prev" ] || exit 0
	exec "$prev" "$@"
fi
if [ -x "$prev" ]; then
	exec "$bin" --chain "$prev" "$@"
fi
exec "$bin" "$@"
`

	passOnShim = headClient + `PREV
[ -x "$prev" ] || exit 0
exec "$prev" "$@"
`

	// A server that cannot check refuses.
	preReceiveShim = headServer + `PREV
bin=BIN
if [ ! -x "$bin" ]; then
	printf '%s\n' "gatekeeper: cannot check: binary missing at $bin" \
		"gatekeeper: nothing was stored; tell the admin of this server" >&2
	exit 3
fi
if [ -x "$prev" ]; then
	exec "$bin" --chain "$prev" NAME
fi
exec "$bin" NAME
`

	postReceiveShim = headServer + `PREV
bin=BIN
if [ ! -x "$bin" ]; then
	printf '%s\n' "gatekeeper: no receipt finished: binary missing at $bin" >&2
	[ -x "$prev" ] || exit 0
	exec "$prev" "$@"
fi
if [ -x "$prev" ]; then
	exec "$bin" --chain "$prev" NAME
fi
exec "$bin" NAME
`
)

// shim is the text of the hook NAME.
func shim(name string, p prev, bins binaries) []byte {
	text, bin := messageShim, bins.commitMsg
	switch name {
	case "commit-msg":
		text = commitMsgShim
	case "post-commit":
		text = postCommitShim
	case "post-applypatch":
		text = postApplypatchShim
	case "post-rewrite":
		text = postRewriteShim
	case "pre-push":
		text, bin = prePushShim, bins.prePush
	case "pre-receive":
		text, bin = preReceiveShim, bins.preReceive
	case "post-receive":
		text, bin = postReceiveShim, bins.preReceive
	}
	return fill(text, name, p, bin)
}

// passOn is the text of a hook that only leads on.
func passOn(name string, p prev) []byte { return fill(passOnShim, name, p, "") }

func fill(text, name string, p prev, bin string) []byte {
	return []byte(strings.NewReplacer("PREV", p.assign(name), "BIN", quote(bin), "NAME", name).Replace(text))
}

// quote makes s one word of a POSIX shell, whatever bytes it holds. git for
// Windows runs hooks with its own sh, which takes C:/path.
func quote(s string) string {
	return "'" + strings.ReplaceAll(filepath.ToSlash(s), "'", `'\''`) + "'"
}

func isClientHook(name string) bool { return slices.Contains(clientHooks, name) }
