// Package receipt keeps a server's receipts: what was decided about each push, and what
// became of it, in a log that is only appended to and whose every line holds the hash
// of the line before. Audits are made from receipts.
//
// It promises that a decision which Decide returned without an error is on the disk,
// whole, whatever happens to the process or the machine afterwards; that what was not
// finished is never taken for a decision; that pushes may be decided at once; and that
// whoever changes, removes, adds or reorders lines is found out by Verify, except at
// the end of the chain: there only a head that is kept elsewhere, or a signature, tells.
//
// It judges nothing, opens no repository, and knows no process but by what it is told.
// Of the environment of a push it is told nothing.
//
// # Where
//
// Receipts stand outside the object store, in gatekeeper/receipts below the common git
// directory:
//
//	000001.jsonl, 000002.jsonl, …   the chain; a new file begins after 64 MiB
//	lock                            held (flock) while one writes; empty
//	accepted                        a cache, see Coverage; may be deleted at any time
//
// Files have the permissions of the directory, which installing gives those of
// core.sharedRepository. The files of receipts are never written to but at the end.
//
// # Lines
//
// A line is a JSON object in UTF-8 without line breaks, ended by LF, at most 1 MiB. It
// begins with these four fields in this order and form, without white space:
//
//	{"schema":"gatekeeper/receipt/v1","seq":N,"prev":"HASH","type":"TYPE"
//
// N is 1 for the first line of all and counts on through all files. HASH is the SHA-256
// of the line before, its LF included, in lower-case hexadecimal; 64 zeros for the
// first. More fields follow. A reader keeps those that it does not know; a field that
// comes twice, is missing, or has a value of another type is an error. Times are UTC in
// whole seconds, and no receipt is written with an earlier one than that before it; ids
// are as git prints them, all zeros for none.
//
// Names of refs are text; of a name that is not UTF-8, each byte that is not is written
// \xHH, and a backslash as \\, before JSON's own escapes.
//
// Lines form units, which are written and taken away whole: any number of commits
// and refs lines, then one decision, and its signature if it is signed; or refs lines,
// then one outcome.
//
//	commits    ref, verdict, evidence, binding (null when nothing binds), ids: commits
//	           judged for one ref of the push that came to the same, in no order of
//	           interest; statements, of which a signature is valid: of each the first 16
//	           bytes of the SHA-256 of its bytes, in base64url without padding;
//	           rules, of the findings, when there are any; beside, made: true
//	           when all of it stands beside the commits, or the platform made them of
//	           others. Of refs that were judged together, the first has all commits
//	refs       refs, as in a decision or outcome, for which the last line has no room
//	decision   time of receipt; pusher: null, or source, name and perhaps key; override,
//	           the reason that was given; policy, its digest, "" for none; verdict:
//	           accepted, warned, refused, or unchecked with its reason; findings on the
//	           push (rule, detail); refs: each ref, old, new, target of a symbolic ref,
//	           baseline (true when old is one of the baseline's commits), what the rule
//	           asked for (mode, evidence, via, binding; models, a digest of the [[model]]
//	           entries for some refs only that spoke for this one, when the policy has
//	           any), verdict, how many commits were judged and faulty, findings on the
//	           ref; omitted, refs left out since they
//	           were too many; changes, of commits that were refused: change, the first
//	           16 bytes of its digest in base64url, and said, the tools and models that
//	           the commit named, at most 100; commits, the number of ids in this unit; lines and
//	           bytes of the unit before this line; cut, the bytes of an unfinished unit
//	           that stood here; signed: true when a signature follows
//	outcome    by post-receive: time; decision, the seq of the decision's line, null
//	           when there is none; all: true when every update of it happened, else
//	           refs: ref, old and new of those that did; lines and bytes. A decision
//	           without outcome never happened, or its server died
//	signature  of, the seq of the decision in the line before; key, in one line as in
//	           authorized_keys; scheme, sig as in an AI-Attestation, over the statement
//
//	{"_type":"https://in-toto.io/Statement/v1",
//	"subject":[{"name":"receipt","digest":{"sha256":"HASH OF THE DECISION'S LINE"}}],
//	"predicateType":"https://github.com/gatekeeper-git/gatekeeper/receipt/v1",
//	"predicate":{"seq":N}}
//
// shown here over several lines.
//
// # Writing
//
// Pushes are judged without a lock; what is to be said waits in memory or in a file
// without a name. Then, under the lock: the end of the newest file is read back to the
// last whole unit, what stands behind it is cut off, for nobody was told of it, the unit
// is written and synced, and the lock let go. A process that is killed holds no lock. If
// anything fails, the file is made as long as before, and the push is refused.
//
// Only what a crash can leave is cut off: a line without end, a unit without its last
// line, and zeros where the power failed. Any other damage at the end is refused, so
// that no push covers it up.
package receipt
