// Package change says what a commit is and what it changed, in digests that
// do not depend on git's version, its configuration or the hash of the
// repository.
//
// ParseCommit and ParseTree read raw objects by a grammar stricter than git's,
// so that a message which git, this package and any other reader see
// differently is refused and not judged. Bind names a commit's content on top
// of its parents' content. Compute names what it changed, and stays the same
// when the change is rebased or picked cleanly.
//
// FORMAT.md beside this file specifies both digests to the byte; vectors are
// under testdata/vectors. A change of one bit there is a new version of the
// format.
//
// Objects come from the caller. Nothing here knows where they are stored, who
// signed what, or whether a change is welcome.
package change

import "errors"

// ErrMissing reports that an object is not in the store.
var ErrMissing = errors.New("object is missing")

// ErrTooLarge reports a change beyond the limits of FORMAT.md on trees: so
// deep, wide or repetitive that no digest is made of it.
var ErrTooLarge = errors.New("change is too large for a digest")
