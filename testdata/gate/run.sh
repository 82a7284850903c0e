#!/bin/sh
# Runs a pre-receive hook against the cases beside this script; see README.md.
#
#	run.sh [-c CASE] HOOK [ARGUMENT...]
#
# HOOK is started in a bare repository with GIT_DIR=. and ref updates on its input. Prints
# one line a case, and exits 1 when any of them came out differently.
set -u
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
corpus=$(cd "$(dirname "$0")" && pwd) || exit 2
only='*'
if [ "${1-}" = -c ]; then only=$2; shift 2; fi
[ $# -gt 0 ] || { echo "usage: run.sh [-c CASE] HOOK [ARGUMENT...]" >&2; exit 2; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# build makes the bare repository $1 of the case in the current folder.
build() {
	format=sha1
	[ ! -f object-format ] || format=$(cat object-format)
	git init -q --bare -b main --object-format="$format" "$1" || return 1
	for f in raw/*; do
		[ ! -f "$f" ] || git -C "$1" hash-object -w --literally -t "${f##*.}" --stdin <"$f" >/dev/null || return 1
	done
	git -C "$1" fast-import --quiet <objects || return 1
	git -C "$1" for-each-ref --format='delete %(refname)' refs/pushed | git -C "$1" update-ref --stdin || return 1
	lines refs | while read -r id name; do git -C "$1" update-ref "$name" "$id" || exit 1; done || return 1
	lines symrefs | while read -r name target; do git -C "$1" symbolic-ref "$name" "$target" || exit 1; done || return 1
	lines config | while read -r key value; do git -C "$1" config "$key" "$value" || exit 1; done || return 1
	mkdir -p "$1/gatekeeper" || return 1
	[ ! -d gatekeeper ] || cp -R gatekeeper/. "$1/gatekeeper"
}

lines() { [ ! -f "$1" ] || cat "$1"; }

# judge runs the hook in the repository $1 for the case in the current folder.
judge() {
	repo=$1 case=$PWD
	shift
	if [ -f env ]; then
		while IFS= read -r variable; do export "${variable%%=*}=${variable#*=}"; done <env
	fi
	cd "$repo" && GIT_DIR=. "$@" <"$case/updates"
}

# said is what a hook's words on stderr say: a line "rule REF COMMIT RULE" for each finding.
said() {
	awk '
	/^gatekeeper: (refused|warning for) the push/ { ref = "-"; commit = "-"; next }
	/^gatekeeper: refused /                       { ref = $3; commit = "-"; next }
	/^gatekeeper: warning for /                   { ref = $4; commit = "-"; next }
	/^  [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]($|  )/ { commit = $1; next }
	/\[[a-z-]+\]$/ { sub(/.*\[/, ""); sub(/\]$/, ""); print "rule", ref, commit, $0 }
	' "$1" | sort -u
}

wanted() { awk '$1 == "rule" { print "rule", $2, substr($3, 1, 7), $4 }' expected | sort -u; }

failed=0
for dir in "$corpus"/cases/$only/; do
	name=$(basename "$dir")
	cd "$dir" || exit 2
	build "$work/$name" || { echo "not ok $name: the repository could not be built"; failed=1; continue; }
	( judge "$work/$name" "$@" ) >/dev/null 2>"$work/stderr"
	echo "exit $?" >"$work/got"
	said "$work/stderr" >>"$work/got"
	{ grep '^exit ' expected; wanted; } >"$work/want"
	if cmp -s "$work/want" "$work/got"; then
		echo "ok $name"
	else
		echo "not ok $name: $(cat about)"
		diff "$work/want" "$work/got" | sed -n 's/^[<>]/	&/p'
		failed=1
	fi
	rm -rf "${work:?}/$name"
done
exit $failed
