// Package attestation signs and verifies what a commit says of its provenance.
//
// An Attestation is the value of one AI-Attestation trailer. It holds a
// signature and what the signer fixed (who, when, on what content), but not the
// signed bytes: a verifier renders the Statement again from the lines that stand
// in the commit, so text and signature cannot disagree and no JSON is parsed.
//
// Parse accepts exactly what String writes, and every decoder of this package
// accepts one encoding of each thing: a signature that could be spelt twice
// could be counted twice.
//
// The package is linked into programs that run at every commit: it uses a lean
// part of the standard library only, and makes no other signatures than those of
// plain Ed25519 keys. All kinds of keys are known to package pubkey, whose keys Verify
// takes. Keys in agents and behind passphrases are found by package sshkey, PEM keys
// and key management services by package kms. Whose signature counts is the question
// of package trust.
//
// # The value
//
//	v1 key=SHA256:… time=2026-11-23T07:12:45Z bind=… change=…[ trace=…][ deleg=…][ NAME=…] sig=SCHEME:…
//
// At most 2048 bytes of [A-Za-z0-9._:/@+,=%-] and single spaces. The fields
// stand in this order:
//
//   - key: fingerprint of the signing key as ssh-keygen prints it, the unpadded
//     base64 of the SHA-256 of the SSH public key blob;
//   - time: of signing, UTC, in seconds, years 2000 to 2999;
//   - bind, change: 43 characters of unpadded base64url, SHA-256;
//   - trace, deleg: reserved. Then any NAME=VALUE that this version does not
//     know: NAME is a lower-case letter and then lower-case letters, digits and
//     "-", no NAME comes twice, no VALUE is empty. All are signed as written;
//   - sig: the scheme, a colon, and padded standard base64 (RFC 4648 section 4)
//     whose unused bits are zero.
//
// # The statement
//
// An in-toto Statement v1 (https://in-toto.io/Statement/v1) as JSON with no
// white space and no final newline, shown here over several lines:
//
//	{"_type":"https://in-toto.io/Statement/v1",
//	"subject":[{"name":"change","digest":{"sha256":"HEX"}}],
//	"predicateType":"https://github.com/gatekeeper-git/gatekeeper/ai-provenance/v1",
//	"predicate":{"provenance":["VALUE","VALUE"],"attestation":"VALUE UP TO sig"}}
//
// HEX is the digest of the field change in lower-case hexadecimal. provenance
// holds the values of the AI-Provenance trailers in their order; attestation is
// the value of the AI-Attestation trailer up to, and without, " sig=". The
// characters of both need no escape in JSON.
//
// # Schemes
//
// sshsig: the SSH signature blob of OpenSSH's PROTOCOL.sshsig, version 1, with
// the public key, namespace "gatekeeper", empty reserved field, hash sha512, over
// the statement. RSA signs with rsa-sha2-512. Armored gives the file that
// ssh-keygen -Y verify reads.
//
// dsse: the raw signature over the DSSE pre-authentication encoding
// (https://github.com/secure-systems-lab/dsse) of the statement with payload type
// application/vnd.in-toto+json. Ed25519 signs the encoding itself, ECDSA its
// SHA-256 (P-256) or SHA-384 (P-384) as ASN.1, RSA its SHA-256 by PKCS #1 v1.5:
// what sigstore's pkg/signature makes by default for such keys. The key is not
// in the value, its SSH fingerprint is.
//
// Keys are Ed25519, ECDSA P-256 and P-384, and RSA of 3072 to 8192 bits. Vectors
// for other implementations are in testdata/vectors/attestation.
package attestation
