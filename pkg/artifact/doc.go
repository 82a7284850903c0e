// Package artifact reads what binaries and documents say of the commits that an artifact
// was built from, and writes the bill of what models and tools had a part in it.
//
// An artifact is known by the SHA-256 of its bytes, and an image by that of its manifest. What links it to commits has a strength,
// the best first:
//
//	signed-provenance  SLSA provenance in a DSSE envelope, by a key that the auditor named
//	build-info         what the Go tool writes into a binary when it is built
//	document           SLSA provenance that is not signed, or by nobody whom the auditor
//	                   named; a CycloneDX document; the labels of an image
//	declared           the word of whoever typed it
//
// Documents come from anywhere, so their size and depth are bounded, no key may stand twice
// in an object, and one that is about another artifact is an error. Which of the commits an
// index knows, and what they hold, it does not ask; see package audit.
package artifact
