// Package audit is the index over history and receipts, and the questions asked of it.
//
// An index holds any number of repositories. Each run of Index reads what came since
// the one before: commits in git's own order, receipts, notes of other recorders. Rows
// are added and never changed, and each knows the run that brought it; so every
// question can be asked as of a time: what did we know then. A run that is killed leaves
// whole batches, and the next one goes on behind them.
//
// Every commit has one evidence, the best that there is:
//
//	attested       a valid signature of a signer known at the time, over records
//	none-observed  such a signature over "none". It does not say "human"
//	declared       provenance lines without such a signature
//	import         what another recorder wrote: git-ai, Agent Trace, Entire, Qwen Code
//	inferred       marks that agents leave: co-author lines, addresses of bots, footers
//	unknown        nothing. It does not say "human" either
//
// Package gate decides the first three; this package asks it without its policy, and
// holds the answer against the policies that were in force, at the time of each commit.
// A merge in which every file is as in one of its parents brings nothing of its own; it
// is counted apart while nothing is claimed of it.
//
// It reads repositories and never writes to one. How SQLite is spoken to is for package
// store; what a figure looks like for commands and package report.
package audit
