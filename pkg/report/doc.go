// Package report is what an audit leaves behind: a folder with one page for people, the
// same figures as JSON and CSV, and a manifest that ties them to the repositories.
//
// Gather asks package audit its questions as of a time, and Files draws the answers. No clock
// is read and no order is left to chance, so the same index and the same questions give
// the same bytes. That is what Check is built on: it holds a folder against its manifest,
// the manifest against who signed it, and both against the index they came from.
//
// The page needs nothing but itself: no script, no font, no address outside. What strangers
// wrote, names of models, branches and servers, is text in it, in the cells of the tables and
// in the JSON, and nothing else.
//
// It counts nothing itself, and opens no repository but to compare commits with git's own
// count of them.
package report
