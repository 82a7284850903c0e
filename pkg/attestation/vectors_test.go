package attestation_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/wire"
)

var update = flag.Bool("update", false, "make the vectors in testdata/vectors/attestation anew")

const vectorDir = "../../testdata/vectors/attestation"

// A vector is one file: lines of "name: value" as vectorDir's README describes.
type vector struct {
	expect      string
	why         string
	key         string
	provenance  []string
	attestation string
	statement   string
}

func (v vector) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "expect: %s\nwhy: %s\nkey: %s\n", v.expect, v.why, v.key)
	for _, p := range v.provenance {
		fmt.Fprintf(&b, "provenance: %s\n", p)
	}
	fmt.Fprintf(&b, "attestation: %s\n", v.attestation)
	if v.statement != "" {
		fmt.Fprintf(&b, "statement: %s\n", v.statement)
	}
	return b.String()
}

func readVector(t testing.TB, path string) vector {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "expect":
			v.expect = value
		case "why":
			v.why = value
		case "key":
			v.key = value
		case "provenance":
			v.provenance = append(v.provenance, value)
		case "attestation":
			v.attestation = value
		case "statement":
			v.statement = value
		default:
			t.Fatalf("%s: line %q", path, line)
		}
	}
	return v
}

// judge takes the steps of a verifier and says at which one it ends.
func (v vector) judge() (outcome string, err error) {
	a, err := attestation.Parse(v.attestation)
	if err != nil {
		return "malformed", err
	}
	key, err := pubkey.ParseAuthorizedKey(v.key)
	if err != nil {
		return "key refused", err
	}
	if err := attestation.Verify(v.provenance, a, key); err != nil {
		return "invalid", err
	}
	return "accepted", nil
}

func TestVectors(t *testing.T) {
	if *update {
		makeVectors(t)
	}
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			v := readVector(t, path)
			outcome, err := v.judge()
			if outcome != v.expect {
				t.Errorf("%s (%v), want %s: %s", outcome, err, v.expect, v.why)
			}
			if v.statement == "" {
				return
			}
			a, err := attestation.Parse(v.attestation)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(attestation.Statement(v.provenance, a)); got != v.statement {
				t.Errorf("statement\n%s\nwant\n%s", got, v.statement)
			}
		})
	}
}

// blobParts is an SSHSIG blob with every part free to be wrong.
type blobParts struct {
	version                   uint32
	key                       []byte
	namespace, reserved, hash string
	format                    string
	signature, tail, inside   []byte
}

func (p blobParts) bytes() []byte {
	b := binary.BigEndian.AppendUint32([]byte("SSHSIG"), p.version)
	b = wire.AppendString(b, p.key)
	b = wire.AppendString(b, p.namespace)
	b = wire.AppendString(b, p.reserved)
	b = wire.AppendString(b, p.hash)
	inner := wire.AppendString(wire.AppendString(nil, p.format), p.signature)
	b = wire.AppendString(b, append(inner, p.inside...))
	return append(b, p.tail...)
}

// takeApart reads what bytes writes, of a blob that is in order.
func takeApart(blob []byte) (p blobParts) {
	w := wire.Reader{Rest: blob[len("SSHSIG"):]}
	p.version, p.key = w.Uint32(), w.Bytes()
	p.namespace, p.reserved, p.hash = string(w.Bytes()), string(w.Bytes()), string(w.Bytes())
	inner := wire.Reader{Rest: w.Bytes()}
	p.format, p.signature = string(inner.Bytes()), inner.Bytes()
	return p
}

// signedData is what those parts would have an SSH key sign.
func (p blobParts) signedData(sum []byte) []byte {
	b := wire.AppendString([]byte("SSHSIG"), p.namespace)
	b = wire.AppendString(b, p.reserved)
	b = wire.AppendString(b, p.hash)
	return wire.AppendString(b, sum)
}

// makeVectors writes the vectors anew, with new ECDSA and RSA keys.
func makeVectors(t *testing.T) {
	ed := keys()["ed25519"].(ed25519.PrivateKey)
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	p256 := keys()["ecdsa P-256"].(*ecdsa.PrivateKey)
	p384 := keys()["ecdsa P-384"].(*ecdsa.PrivateKey)
	rsa3072 := keys()["rsa 3072"].(*rsa.PrivateKey)
	rsa4096, err1 := rsa.GenerateKey(rand.Reader, 4096)
	rsa2048, err2 := rsa.GenerateKey(rand.Reader, 2048)
	p521, err3 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err := errors.Join(err1, err2, err3, os.MkdirAll(vectorDir, 0o755)); err != nil {
		t.Fatal(err)
	}

	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public := func(key crypto.Signer) attestation.PublicKey {
		k, err := pubkey.New(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	put := func(expect, name, why string, v vector) {
		v.expect, v.why = expect, why
		if expect != "malformed" {
			a, err := attestation.Parse(v.attestation)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v.statement = string(attestation.Statement(v.provenance, a))
		}
		file := strings.ReplaceAll(expect, " ", "-") + "-" + name + ".txt"
		if err := os.WriteFile(filepath.Join(vectorDir, file), []byte(v.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	of := func(key string, a attestation.Attestation) vector {
		return vector{key: key, provenance: values, attestation: a.String()}
	}
	good := func(key crypto.Signer) (attestation.Attestation, vector) {
		a, pub := signed(t, key)
		return a, of(pub.AuthorizedKey(), a)
	}

	// What is accepted.
	for name, key := range map[string]crypto.Signer{
		"sshsig-ed25519": ed, "sshsig-ecdsa-p256": p256, "sshsig-ecdsa-p384": p384, "sshsig-rsa-3072": rsa3072, "sshsig-rsa-4096": rsa4096,
	} {
		_, v := good(key)
		put("accepted", name, "an SSH signature", v)
	}
	dsseOver := func(key crypto.Signer, data func(statement []byte) []byte, hash crypto.Hash) attestation.Attestation {
		a := claim()
		a.Key, a.Scheme = public(key).Fingerprint(), attestation.DSSE
		message := data(attestation.Statement(values, a))
		if hash != 0 {
			h := hash.New()
			h.Write(message)
			message = h.Sum(nil)
		}
		a.Sig = must(key.Sign(rand.Reader, message, hash))
		return a
	}
	for name, key := range map[string]crypto.Signer{"dsse-ed25519": ed, "dsse-ecdsa-p256": p256, "dsse-ecdsa-p384": p384, "dsse-rsa-3072": rsa3072} {
		a := dsseOver(key, attestation.PAE, pubkey.DSSEHash(public(key)))
		put("accepted", name, "a DSSE signature", of(public(key).AuthorizedKey(), a))
	}
	sshOver := func(values []string, a attestation.Attestation) vector {
		a.Key, a.Scheme = public(ed).Fingerprint(), attestation.SSHSIG
		a.Sig = must(attestation.SSHBlob(public(ed), attestation.TypeEd25519, ed25519.Sign(ed, attestation.SSHData(attestation.Statement(values, a)))))
		return vector{key: public(ed).AuthorizedKey(), provenance: values, attestation: a.String()}
	}
	withExtra := claim()
	withExtra.Extra = []string{"trace=AAAA", "deleg=x", "later=a,b=c"}
	put("accepted", "reserved-and-unknown-fields", "fields after change are signed as written", sshOver(values, withExtra))
	put("accepted", "none", "a commit in which nothing was observed", sshOver([]string{"none via=process"}, claim()))

	// What was not signed.
	a, v := good(ed)
	change := func(name, why string, edit func(*vector)) {
		w := v
		w.provenance = slices.Clone(v.provenance)
		edit(&w)
		put("invalid", name, why, w)
	}
	change("other-model", "a record differs from the signed one", func(v *vector) { v.provenance[0] = strings.Replace(v.provenance[0], "sonnet", "opus", 1) })
	change("records-reordered", "the order of records is signed", func(v *vector) { slices.Reverse(v.provenance) })
	change("record-removed", "every record is signed", func(v *vector) { v.provenance = v.provenance[:1] })
	change("record-with-a-quote", "a record that would end a string of the statement is refused before anything is rendered",
		func(v *vector) {
			v.provenance = []string{v.provenance[0] + `","` + v.provenance[1]}
		})
	change("other-time", "the time is signed", func(v *vector) { v.attestation = strings.Replace(v.attestation, "07:12:45Z", "07:12:46Z", 1) })
	change("field-added", "fields between change and sig are signed", func(v *vector) { v.attestation = strings.Replace(v.attestation, " sig=", " trace=x sig=", 1) })
	change("key-named-is-another", "key names another key than the trusted one", func(v *vector) { v.key = public(other).AuthorizedKey() })

	// SSH signatures in another form.
	edBlob := func() blobParts {
		return blobParts{version: 1, key: public(ed).Blob(), namespace: attestation.Namespace, hash: "sha512", format: attestation.TypeEd25519,
			signature: ed25519.Sign(ed, attestation.SSHData(attestation.Statement(values, a)))}
	}
	blob := func(name, why string, edit func(*blobParts)) {
		p := edBlob()
		edit(&p)
		b := a
		b.Sig = p.bytes()
		put("invalid", "sshsig-"+name, why, of(v.key, b))
	}
	sum := func(hash crypto.Hash) []byte {
		h := hash.New()
		h.Write(attestation.Statement(values, a))
		return h.Sum(nil)
	}
	blob("bit-flipped", "the signature is another", func(p *blobParts) { p.signature[0] ^= 1 })
	blob("namespace", "a good signature for another purpose", func(p *blobParts) {
		p.namespace = "git"
		p.signature = ed25519.Sign(ed, p.signedData(sum(crypto.SHA512)))
	})
	blob("namespace-relabelled", "made for git, and said to be for gatekeeper", func(p *blobParts) {
		p.namespace = "git"
		p.signature = ed25519.Sign(ed, p.signedData(sum(crypto.SHA512)))
		p.namespace = attestation.Namespace
	})
	blob("sha256", "a good signature over SHA-256", func(p *blobParts) {
		p.hash = "sha256"
		p.signature = ed25519.Sign(ed, p.signedData(sum(crypto.SHA256)))
	})
	blob("reserved", "a good signature with something in the reserved field", func(p *blobParts) {
		p.reserved = "x"
		p.signature = ed25519.Sign(ed, p.signedData(sum(crypto.SHA512)))
	})
	blob("version-2", "a version to come", func(p *blobParts) { p.version = 2 })
	blob("trailing-byte", "a byte after the blob", func(p *blobParts) { p.tail = []byte{0} })
	blob("trailing-byte-inside", "a byte after the innermost signature", func(p *blobParts) { p.inside = []byte{0} })
	blob("other-key", "the blob carries another key than the one that signed", func(p *blobParts) { p.key = public(other).Blob() })
	blob("other-format", "the signature is labelled with another algorithm", func(p *blobParts) { p.format = "ssh-ed448" })
	blob("statement-signed-bare", "Ed25519 over the statement itself", func(p *blobParts) { p.signature = ed25519.Sign(ed, attestation.Statement(values, a)) })
	blob("short", "63 bytes of an Ed25519 signature", func(p *blobParts) { p.signature = p.signature[:63] })
	blob("s-not-reduced", "S + L is not a second spelling of S (RFC 8032 section 5.1.7)", func(p *blobParts) {
		order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
		s := slices.Clone(p.signature[32:])
		slices.Reverse(s)
		n := new(big.Int).SetBytes(s)
		s = n.Add(n, order).FillBytes(make([]byte, 32))
		slices.Reverse(s)
		p.signature = append(p.signature[:32:32], s...)
	})

	// ECDSA and RSA have ways of their own to be wrong.
	ecA, ecV := good(p256)
	ecdsaNumbers := func(name, why string, edit func(r, s []byte) (r2, s2 []byte)) {
		p := takeApart(ecA.Sig)
		w := wire.Reader{Rest: p.signature}
		r, s := edit(w.Positive(), w.Positive())
		p.signature = wire.AppendString(wire.AppendString(nil, r), s)
		b := ecA
		b.Sig = p.bytes()
		put("invalid", "sshsig-ecdsa-"+name, why, of(ecV.key, b))
	}
	ecdsaNumbers("leading-zero", "r with a needless zero byte", func(r, s []byte) ([]byte, []byte) { return append([]byte{0}, r...), s })
	ecdsaNumbers("zero", "r = 0, which an mpint spells as nothing", func(_, s []byte) ([]byte, []byte) { return nil, s })
	ecdsaNumbers("negative", "s is negative", func(r, s []byte) ([]byte, []byte) { return r, append([]byte{0x80}, s...) })
	ecdsaNumbers("r-plus-order", "r + N is not a second spelling of r", func(r, s []byte) ([]byte, []byte) {
		n := new(big.Int).SetBytes(r)
		n.Add(n, elliptic.P256().Params().N)
		return wire.AppendMpint(nil, n.Bytes())[4:], s
	})
	rsaA, rsaV := good(rsa3072)
	for name, hash := range map[string]crypto.Hash{"rsa-sha2-256": crypto.SHA256, "ssh-rsa": crypto.SHA1} {
		h := hash.New()
		h.Write(attestation.SSHData(attestation.Statement(values, rsaA)))
		b := rsaA
		b.Sig = blobParts{version: 1, key: public(rsa3072).Blob(), namespace: attestation.Namespace, hash: "sha512", format: name,
			signature: must(rsa3072.Sign(rand.Reader, h.Sum(nil), hash))}.bytes()
		put("invalid", "sshsig-"+name, "RSA signs with rsa-sha2-512", of(rsaV.key, b))
	}

	// DSSE over something else.
	typed := func(statement []byte) []byte {
		return fmt.Appendf(nil, "DSSEv1 16 application/json %d %s", len(statement), statement)
	}
	bare := func(statement []byte) []byte { return statement }
	put("invalid", "dsse-payload-type", "signed as application/json", of(v.key, dsseOver(ed, typed, 0)))
	put("invalid", "dsse-statement-signed-bare", "Ed25519 over the statement itself", of(v.key, dsseOver(ed, bare, 0)))
	put("invalid", "dsse-ecdsa-p384-sha256", "P-384 signs SHA-384", of(public(p384).AuthorizedKey(), dsseOver(p384, attestation.PAE, crypto.SHA256)))
	put("invalid", "dsse-rsa-sha512", "RSA signs SHA-256", of(public(rsa3072).AuthorizedKey(), dsseOver(rsa3072, attestation.PAE, crypto.SHA512)))
	swapped := a
	swapped.Scheme = attestation.DSSE
	put("invalid", "dsse-with-ssh-blob", "the scheme is not what the signature is", of(v.key, swapped))

	// Keys that do not count, whatever they signed.
	refused := func(name, why, typ string, keyBlob []byte, format string, signature func(data []byte) []byte) {
		digest := sha256.Sum256(keyBlob)
		b := claim()
		b.Key, b.Scheme = "SHA256:"+base64.RawStdEncoding.EncodeToString(digest[:]), attestation.SSHSIG
		b.Sig = blobParts{version: 1, key: keyBlob, namespace: attestation.Namespace, hash: "sha512", format: format,
			signature: signature(attestation.SSHData(attestation.Statement(values, b)))}.bytes()
		put("key refused", name, why, of(typ+" "+base64.StdEncoding.EncodeToString(keyBlob), b))
	}
	short := wire.AppendMpint(wire.AppendMpint(wire.AppendString(nil, "ssh-rsa"), big.NewInt(int64(rsa2048.E)).Bytes()), rsa2048.N.Bytes())
	refused("rsa-2048", "a good signature by a key that is too short", "ssh-rsa", short, "rsa-sha2-512", func(data []byte) []byte {
		h := crypto.SHA512.New()
		h.Write(data)
		return must(rsa2048.Sign(rand.Reader, h.Sum(nil), crypto.SHA512))
	})
	point521 := must(p521.PublicKey.Bytes())
	blob521 := wire.AppendString(wire.AppendString(wire.AppendString(nil, "ecdsa-sha2-nistp521"), "nistp521"), point521)
	refused("ecdsa-p521", "a good signature by a key of a kind that does not count", "ecdsa-sha2-nistp521", blob521, "ecdsa-sha2-nistp521", func(data []byte) []byte {
		h := crypto.SHA512.New()
		h.Write(data)
		r, s, err := ecdsa.Sign(rand.Reader, p521, h.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		return wire.AppendMpint(wire.AppendMpint(nil, r.Bytes()), s.Bytes())
	})
	forged := func([]byte) []byte { return append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...) }
	refused("ed25519-neutral-point", "the signature R = 1, S = 0 fits every statement", attestation.TypeEd25519,
		wire.AppendString(wire.AppendString(nil, attestation.TypeEd25519), append([]byte{1}, make([]byte, 31)...)), attestation.TypeEd25519, forged)
	refused("ed25519-not-canonical", "y = p + 1 is another spelling of the neutral point", attestation.TypeEd25519,
		wire.AppendString(wire.AppendString(nil, attestation.TypeEd25519), append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), attestation.TypeEd25519, forged)

	// Values in another form.
	padded := of(v.key, dsseOver(ed, attestation.PAE, 0)) // 64 bytes are not a multiple of three
	spell := func(name, why, old, new string) {
		w := padded
		w.attestation = strings.Replace(w.attestation, old, new, 1)
		if w.attestation == padded.attestation {
			t.Fatalf("%s changes nothing", name)
		}
		put("malformed", name, why, w)
	}
	spell("version-2", "a version to come", "v1 ", "v2 ")
	spell("time-with-fraction", "times are whole seconds", "45Z", "45.0Z")
	spell("time-with-offset", "times end in Z", "45Z", "45+00:00")
	spell("two-spaces", "fields are one space apart", " bind=", "  bind=")
	spell("trailing-space", "nothing stands after sig", padded.attestation, padded.attestation+" ")
	spell("fields-swapped", "fields have an order", " bind=", " zbind=")
	spell("signature-unpadded", "the base64 of sig is padded", "==", "")
	spell("signature-base64url", "the base64 of sig is the standard one", "sig=dsse:", "sig=dsse:AA-_")
	spell("signature-stray-bits", "unused bits of base64 are zero", padded.attestation, stray(padded.attestation))
	spell("scheme", "no such scheme", "sig=dsse:", "sig=pgp:")
	spell("key-md5", "fingerprints are of SHA-256", "key=SHA256:", "key=MD5:")
	spell("digest-padded", "digests are not padded", " change=", "= change=")
}

// stray sets a bit that the final character of padded base64 does not use.
func stray(value string) string {
	body := strings.TrimRight(value, "=")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(alphabet, body[len(body)-1])
	return body[:len(body)-1] + string(alphabet[last|1]) + value[len(body):]
}
