// Package kms signs attestations with keys of tools, gateways and build systems:
// PEM private key files and key management services, by way of sigstore. They
// sign as DSSE, and Envelope gives such a signature the shape that other
// tools of the in-toto family read.
//
// No service is linked into gatekeeper. sigstore's plug-ins are programs called
// sigstore-kms-NAME, found in PATH, for keys NAME://…: see
// https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin.
//
// Verification needs none of this: it is in package attestation.
package kms

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// Names reports whether spec names a key that Open reads, and not one for package
// sshkey.
func Names(spec string) bool { return attestation.NamesDSSE(spec) }

// Open finds the key that spec names: the path of a private key in PEM ("~/" is
// the home directory), as openssl and cosign write it, or the URI of a key in
// a key management service. The password of an encrypted key is in the
// environment variable COSIGN_PASSWORD; nobody is asked.
func Open(ctx context.Context, spec string) (attestation.Signer, error) {
	load := loadFile
	if strings.Contains(spec, "://") {
		load = loadService
	}
	key, err := load(ctx, spec, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", spec, err)
	}
	raw, err := key.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: ask for its public half: %w", spec, err)
	}
	public, err := pubkey.New(raw)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", spec, err)
	}
	// sigstore fixes the hash before anybody has seen the key.
	if hash := pubkey.DSSEHash(public); hash == crypto.SHA384 {
		if key, err = load(ctx, spec, hash); err != nil {
			return nil, fmt.Errorf("signing key %s: %w", spec, err)
		}
	}
	return signer{public, key}, nil
}

func loadFile(_ context.Context, path string, hash crypto.Hash) (signature.Signer, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, rest)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, password)
	if err != nil {
		return nil, fmt.Errorf("not a PEM private key that can be read: %w", err)
	}
	return signature.LoadSigner(key, hash)
}

func password(bool) ([]byte, error) {
	if password, ok := os.LookupEnv("COSIGN_PASSWORD"); ok {
		return []byte(password), nil
	}
	return nil, errors.New("it is encrypted; set COSIGN_PASSWORD")
}

func loadService(ctx context.Context, uri string, hash crypto.Hash) (signature.Signer, error) {
	key, err := kms.Get(ctx, uri, hash)
	var missing *kms.ProviderNotFoundError
	if errors.As(err, &missing) {
		name, _, _ := strings.Cut(uri, "://")
		return nil, fmt.Errorf("the key service %q is not built in, and there is no program sigstore-kms-%s in PATH", name, name)
	}
	return key, err
}

type signer struct {
	public attestation.PublicKey
	key    signature.Signer
}

func (s signer) PublicKey() attestation.PublicKey { return s.public }

func (s signer) Sign(ctx context.Context, statement []byte) (attestation.Scheme, []byte, error) {
	pae := bytes.NewReader(attestation.PAE(statement))
	sig, err := s.key.SignMessage(pae, options.WithContext(ctx))
	return attestation.DSSE, sig, err
}

// Envelope is the DSSE envelope of a signature of scheme DSSE as JSON. Its keyid is
// the SSH fingerprint of the key, which is also sigstore's name for it.
func Envelope(provenanceValues []string, a attestation.Attestation) ([]byte, error) {
	if a.Scheme != attestation.DSSE {
		return nil, fmt.Errorf("an attestation signed as %s has no DSSE envelope; export it as sshsig", a.Scheme)
	}
	return Wrap(attestation.Statement(provenanceValues, a), a.Key, a.Sig)
}

// Seal signs an in-toto statement of any predicate type and returns its DSSE envelope. A
// key that does not sign as DSSE is an error.
func Seal(ctx context.Context, key attestation.Signer, statement []byte) ([]byte, error) {
	scheme, sig, err := key.Sign(ctx, statement)
	if err == nil && scheme != attestation.DSSE {
		err = fmt.Errorf("it signs as %s; a DSSE envelope takes a PEM file or the URI of a key service", scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", key.PublicKey().Fingerprint(), err)
	}
	return Wrap(statement, key.PublicKey().Fingerprint(), sig)
}

// Wrap puts a statement and its signature of scheme DSSE in an envelope. key is the
// fingerprint of the key that made it.
func Wrap(statement []byte, key string, sig []byte) ([]byte, error) {
	return json.Marshal(dsse.Envelope{
		PayloadType: attestation.PayloadType,
		Payload:     base64.StdEncoding.EncodeToString(statement),
		Signatures:  []dsse.Signature{{KeyID: key, Sig: base64.StdEncoding.EncodeToString(sig)}},
	})
}

// Unwrap gives the statement of a DSSE envelope of an in-toto statement, its signature, and
// the name of the key that the envelope claims. An envelope with several signatures is an
// error: it would be left open which of them counts.
func Unwrap(envelope []byte) (statement []byte, key string, sig []byte, err error) {
	e, err := opened(envelope)
	if err != nil {
		return nil, "", nil, err
	}
	if len(e.Signatures) != 1 {
		return nil, "", nil, fmt.Errorf("a DSSE envelope with %d signatures; want one", len(e.Signatures))
	}
	statement, sigs, err := Payload(envelope)
	if err != nil {
		return nil, "", nil, err
	}
	return statement, e.Signatures[0].KeyID, sigs[0], nil
}

// maxSignatures bounds those of an envelope.
const maxSignatures = 16

// Payload gives the in-toto statement of a DSSE envelope with all its signatures, whose keys
// it does not ask for.
func Payload(envelope []byte) (statement []byte, sigs [][]byte, err error) {
	e, err := opened(envelope)
	if err != nil {
		return nil, nil, err
	}
	if statement, err = base64.StdEncoding.Strict().DecodeString(e.Payload); err != nil {
		return nil, nil, fmt.Errorf("payload of a DSSE envelope: %w", err)
	}
	for _, s := range e.Signatures {
		sig, err := base64.StdEncoding.Strict().DecodeString(s.Sig)
		if err != nil {
			return nil, nil, fmt.Errorf("signature of a DSSE envelope: %w", err)
		}
		sigs = append(sigs, sig)
	}
	return statement, sigs, nil
}

func opened(envelope []byte) (e dsse.Envelope, err error) {
	if err := json.Unmarshal(envelope, &e); err != nil {
		return e, fmt.Errorf("not a DSSE envelope: %w", err)
	}
	if e.PayloadType != attestation.PayloadType {
		return e, fmt.Errorf("a DSSE envelope of %.80q; want %s", e.PayloadType, attestation.PayloadType)
	}
	if n := len(e.Signatures); n == 0 || n > maxSignatures {
		return e, fmt.Errorf("a DSSE envelope with %d signatures; want 1 to %d", n, maxSignatures)
	}
	return e, nil
}
