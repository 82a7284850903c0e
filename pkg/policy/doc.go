// Package policy reads the TOML file in which an organisation says which models
// and tools may write its code, who may vouch for them and how much proof a ref
// asks for; and it answers questions about that file.
//
// A policy loads whole or not at all: types, words, globs, dates, sizes, version
// ranges and keys are checked when it is read, a key that is not known is an
// error, and every error names file, line and column, and what to write instead.
// A typing error can therefore not switch a rule off.
//
// The answers are functions of the file and the question alone; no clock is read.
// Each answer names the entry that decided, as file:line.
//
// Patterns. In ids, refs and paths `*` stands for any run of characters but `/`,
// `**` for any run at all, and every other character for itself. A pattern covers
// the whole name and minds case. (Lists in [[signer]] follow package trust.)
//
// It does not look for the file, fetch it, or judge commits: see packages
// prereceive, prepush and gate.
package policy
