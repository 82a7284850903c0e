// Package repo is the one door to git.
//
// It reads a repository in two ways. The light way opens git's files itself and
// starts no process: it serves the hooks that run on every commit, where a child
// costs more than all their other work. Whatever it does not know for certain
// (another ref backend, an unknown extension, a split index, a missing pack
// index) it hands to native git, so it may be slower but is never wrong. The
// native way starts git for everything: it serves the server, where quarantined
// objects, forks and object formats must be seen exactly as git sees them.
//
// Children run hardened: no replace refs or grafts, no lazy fetch, no hooks, no
// file system monitor, no network; object ids go in on stdin or after
// --end-of-options. See Repo.Command and Repo.Server.
//
// It knows objects, refs, the index and settings, and the meaning of none of
// them. It links only a lean part of the standard library.
package repo
