package pusher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
)

// MaxCertificate bounds a push certificate, in bytes: some hundred thousand refs.
const MaxCertificate = 33 << 20

// MaxSlop is how old the nonce of a certificate may be that came over HTTP, where the
// server that gives it and the one that gets it back are two processes. Within it a
// certificate could be sent again, as far as its updates still fit. Where git itself was
// given receive.certNonceSlop, that counts instead. See Identity.Ticket.
const MaxSlop = 5 * time.Minute

// namespace is the one under which git signs.
const namespace = "git"

// A CertificateError says why a push certificate proves nothing.
type CertificateError struct{ Reason string }

func (e *CertificateError) Error() string { return "push certificate: " + e.Reason }

func refuted(format string, args ...any) error {
	return &CertificateError{fmt.Sprintf(format, args...)}
}

// A Certified is what a push certificate says, before anything of it is checked.
type Certified struct {
	Pusher  string // who the pusher's git says that it is, and when; proves nothing
	Pushee  string // where it was pushed to, without password; "" when it does not say
	Nonce   string // what the server asked to be signed; "" for nothing
	Options []string
	Updates []byte // as pre-receive is told them: `old SP new SP ref LF`, any number

	signed    []byte // all of the above, as it was signed
	signature []byte
}

const (
	version = "certificate version 0.1\n"
	armor   = "-----BEGIN SSH SIGNATURE-----\n"
)

// ParseCertificate reads a push certificate by this grammar, that of git's
// gitprotocol-pack(5) without what git never writes:
//
//	certificate = "certificate version 0.1" LF
//	              "pusher " text LF
//	              [ "pushee " text LF ]
//	              [ "nonce " text LF ]
//	              *( "push-option " [ text ] LF )
//	              LF
//	              *( line LF )
//	              SSH signature file
//
// The signature begins at the first line that could begin it. Nothing in it is NUL.
func ParseCertificate(data []byte) (Certified, error) {
	var c Certified
	rest, ok := bytes.CutPrefix(data, []byte(version))
	if !ok {
		return c, refuted("it does not begin with %q", strings.TrimSpace(version))
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return c, refuted("a NUL in it")
	}
	for _, h := range []struct {
		name string
		to   *string
	}{{"pusher ", &c.Pusher}, {"pushee ", &c.Pushee}, {"nonce ", &c.Nonce}} {
		line, after, ok := cutHeader(rest, h.name)
		if !ok {
			continue
		}
		if line == "" {
			return c, refuted("its %sis empty", h.name)
		}
		*h.to, rest = line, after
	}
	for {
		line, after, ok := cutHeader(rest, "push-option ")
		if !ok {
			break
		}
		c.Options, rest = append(c.Options, line), after
	}
	if c.Pusher == "" {
		return c, refuted("no pusher in it")
	}
	if len(rest) == 0 || rest[0] != '\n' {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		return c, refuted("a header that is unknown, or not in its place: %.40q", line)
	}
	c.Updates, c.signature, ok = cutArmor(rest[1:])
	if !ok {
		return c, refuted("no SSH signature in it; set gpg.format=ssh where it is made")
	}
	c.signed = data[:len(data)-len(c.signature)]
	return c, nil
}

// cutHeader takes one header off, when it is the next.
func cutHeader(data []byte, name string) (value string, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(data, []byte(name))
	if !ok {
		return "", data, false
	}
	line, rest, whole := bytes.Cut(rest, []byte("\n"))
	if !whole {
		return "", data, false
	}
	return string(line), rest, true
}

// cutArmor parts the updates from the signature that follows.
func cutArmor(data []byte) (before, file []byte, ok bool) {
	at := 0
	if !bytes.HasPrefix(data, []byte(armor)) {
		at = bytes.Index(data, []byte("\n"+armor)) + 1
		if at == 0 {
			return nil, nil, false
		}
	}
	return data[:at], data[at:], true
}

// Verify checks the signature, and returns the fingerprint of the key that made it.
func (c Certified) Verify() (fingerprint string, err error) {
	key, err := attestation.VerifyFile(c.signature, namespace, c.signed, pubkey.Parse)
	if err != nil {
		return "", refuted("%v", err)
	}
	return key.Fingerprint(), nil
}

// certified is the key that signed a push, and the digest of what it signed; "" when
// nobody signed it. git has made the
// certificate an object, and says of the nonce whether it is the one that this server
// gave for this push; all else is checked here.
func (p Push) certified(ctx context.Context) (fingerprint, ticket string, err error) {
	id := p.Getenv("GIT_PUSH_CERT")
	if id == "" {
		return "", "", nil
	}
	if strings.Trim(id, "0") == "" {
		return "", "", errors.New("read the push certificate: git could not store it")
	}
	data, err := p.Object(ctx, id)
	if err != nil {
		return "", "", fmt.Errorf("read the push certificate: %w", err)
	}
	c, err := ParseCertificate(data)
	if err != nil {
		return "", "", err
	}
	if err := p.fits(c); err != nil {
		return "", "", err
	}
	if fingerprint, err = c.Verify(); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(c.signed)
	return fingerprint, hex.EncodeToString(sum[:]), nil
}

// fits holds a certificate against the push that it came with.
func (p Push) fits(c Certified) error {
	if err := p.fresh(c); err != nil {
		return err
	}
	options, err := Options(p.Getenv)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(c.Updates, p.Updates):
		return refuted("it was signed for other ref updates than these")
	case !slices.Equal(c.Options, options):
		return refuted("it was signed for other push options than these")
	case len(p.Pushees) > 0 && !slices.Contains(p.Pushees, c.Pushee):
		return refuted("it was signed for %.100q, which is not this repository", c.Pushee)
	}
	return nil
}

// fresh checks that the certificate was made for this push and no other.
func (p Push) fresh(c Certified) error {
	switch status := p.Getenv("GIT_PUSH_CERT_NONCE_STATUS"); status {
	case "OK":
		if c.Nonce == "" || c.Nonce != p.Getenv("GIT_PUSH_CERT_NONCE") {
			return refuted("its nonce is not the one that git looked at")
		}
		return nil
	case "SLOP":
		seconds, err := strconv.ParseInt(p.Getenv("GIT_PUSH_CERT_NONCE_SLOP"), 10, 64)
		most := int64(MaxSlop / time.Second)
		if err != nil || seconds < -most || seconds > most {
			return refuted("its nonce was given out more than %s ago", MaxSlop)
		}
		return nil
	case "MISSING":
		return refuted("it answers no nonce")
	case "UNSOLICITED":
		return refuted("it answers a nonce that nobody asked for; the server needs receive.certNonceSeed")
	}
	return refuted("its nonce was not given out by this repository, or for another push")
}

// Options are the push options, which are the pusher's own words.
func Options(getenv func(string) string) ([]string, error) {
	count := getenv("GIT_PUSH_OPTION_COUNT")
	if count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxOptions {
		return nil, fmt.Errorf("push options: more than %d, or no number", maxOptions)
	}
	var options []string
	for i := range n {
		options = append(options, getenv(fmt.Sprintf("GIT_PUSH_OPTION_%d", i)))
	}
	return options, nil
}

// maxOptions bounds the push options of one push; looking each up takes a walk
// through the environment.
const maxOptions = 1000
