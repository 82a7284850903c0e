// Package install puts gatekeeper in place and takes it out again: hooks, the
// signing key and a little git config in a developer's clone; hooks, policy and
// baseline in a server's repository. With a clone come the entries of the user's
// coding agents, which package agents writes: they serve all clones of the user, and
// go with the last one.
//
// It promises:
//
//   - No file of a working tree is touched, and no hook of anybody else is lost: a
//     hook that was there keeps running with its arguments, stdin, working
//     directory and exit code; before ours on a client, after ours on a server.
//     One that fails ends there with its code, except where git does not ask how
//     a hook ends (post-commit, post-rewrite): then ours still does its work.
//   - A second run changes no byte. It also mends: a hook that another tool has
//     replaced, or a core.hooksPath that was set anew, is taken in again.
//   - A run that fails leaves everything as it found it. An agent's file that cannot
//     be changed as it stands is refused alone, and named in the Result.
//   - Uninstall brings every file back byte for byte and mode for mode. What
//     somebody changed since is left, and named in the Result. Beyond that
//     remain: signing keys, receipts, records refs, and objects that no ref
//     holds any more, which git's own gc takes.
//
// # Two ways in
//
// Where git looks for hooks in the repository's own hooks directory, ours stand
// there, and a hook of the same name moves to NAME.before-gatekeeper.
//
// Where core.hooksPath (husky and others), or a symbolic link, leads git
// elsewhere, that directory is not written to: it may be tracked, regenerated,
// or shared with other repositories. A directory of ours below the common git
// directory takes its place in the local core.hooksPath; its hooks run those of
// the directory before.
//
// # What is written where
//
//	COMMON/hooks/*                       shims, six on a client, two on a server
//	COMMON/gatekeeper/hooks/*            shims, when git looked elsewhere
//	COMMON/gatekeeper/install            what a client's install did (its form: type record)
//	COMMON/gatekeeper/install-server     what a server's install did
//	COMMON/gatekeeper/config.before      the config file before us, for its exact bytes;
//	                                     config.before-server likewise
//	COMMON/gatekeeper/policy.toml        server: the policy, and beside it the files that it reads
//	COMMON/gatekeeper/certificates       server: names of push certificates that were used
//	COMMON/gatekeeper/baseline           server: commits never judged, one id a line, sorted
//	refs/gatekeeper/policy               server: the policy in force, published; client: as fetched
//	~/.config/gatekeeper/id_ed25519      client: a signing key, where none was found
//	~/.local/state/gatekeeper            client: what stands in agents' files, and which clones want it
//
// Shims name their binary by absolute path. A clone whose core.hooksPath had to
// be set and which is then moved needs a second install.
//
// Nothing is printed here; a Result says what was done.
package install
