package corpus

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
	"github.com/gatekeeper-git/gatekeeper/pkg/attestation/pubkey"
	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// crowd is n signers of no name, and their entries in a policy.
func crowd(c *pushCase, n int) (signers []attestation.Signer, text string) {
	for i := range n {
		s, err := pubkey.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)))
		if err != nil {
			c.t.Fatal(err)
		}
		signers = append(signers, s)
		text += "\n" + policy.SignerTOML(fmt.Sprintf("signer%d@example.com", i+1), "developer", s.PublicKey().AuthorizedKey())
	}
	return signers, text
}

// spelled is a signed commit whose message was changed afterwards.
func spelled(rewrite func(m string) string, outcome string, rules ...string) func(*pushCase) {
	return func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: rewrite}, outcome, rules...)
	}
}

// replaced changes the first of one text in a message to another.
func replaced(old, new string) func(string) string {
	return func(m string) string {
		if !strings.Contains(m, old) {
			panic(fmt.Sprintf("no %q in %q", old, m))
		}
		return strings.Replace(m, old, new, 1)
	}
}

// says is a commit with these records, signed by alice.
func says(defaults, entries, outcome, rule string, values ...string) func(*pushCase) {
	return signs("alice", defaults, entries, outcome, rule, values...)
}

// signs is says by somebody else.
func signs(who, defaults, entries, outcome, rule string, values ...string) func(*pushCase) {
	return func(c *pushCase) {
		c.policy = policyOf(c, defaults, entries)
		c.one(c.base(), sketch{values: values, by: c.by(who)}, outcome, rule)
	}
}

func policyOf(c *pushCase, defaults, entries string) string {
	return policyText(c.t, defaults, entries)
}

// hostile is a signed commit whose bytes were changed as no git writes them.
func hostile(change func(raw string) string) func(*pushCase) {
	return func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), object: change}, "refused unknown -", "commit-malformed")
	}
}

const (
	ambiguous = "trailer-ambiguous"
	malformed = "trailer-malformed"
	unread    = "refused unknown -" // nothing that such a commit says counts
)

// refusedForProvenance are commits that say too little, or are signed by the wrong people.
var refusedForProvenance = []entry{
	{name: "unsigned", about: "a commit as git makes it, which says nothing", build: func(c *pushCase) {
		c.one(c.base(), sketch{}, "refused unknown -", "attestation-missing")
	}},
	{name: "records-without-signature", about: "records that nobody signed are declared, which is less than this ref asks for", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}}, "refused declared -", "attestation-missing")
	}},
	{name: "one-of-three-unsigned", about: "each commit is judged, not the last alone", build: func(c *pushCase) {
		base := c.base()
		a := c.commit(sketch{parents: []*commit{base}, set: files{"a": "a\n"}, values: []string{sonnet}, by: c.by("alice")})
		b := c.commit(sketch{parents: []*commit{a}, set: files{"b": "b\n"}})
		d := c.commit(sketch{parents: []*commit{b}, set: files{"d": "d\n"}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", base, d, "refused")
		c.judged("refs/heads/main", a, "accepted attested exact")
		c.judged("refs/heads/main", b, "refused unknown -", "attestation-missing")
		c.judged("refs/heads/main", d, "accepted attested exact")
	}},
	{name: "signature-flipped", about: "one bit of the signature is another", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), forge: func(a attestation.Attestation) attestation.Attestation {
			a.Sig = slices.Clone(a.Sig)
			a.Sig[len(a.Sig)-1] ^= 1
			return a
		}}, "refused declared -", "attestation-invalid")
	}},
	{name: "model-changed-after-signing", about: "the record names an approved model, and the signature is over another", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{strings.Replace(sonnet, "anthropic/claude-sonnet-4-5", "example/withdrawn-2", 1)}, by: c.by("alice"),
			rewrite: replaced("example/withdrawn-2", "anthropic/claude-sonnet-4-5")}, "refused declared -", "attestation-invalid")
	}},
	{name: "signature-of-another-namespace", about: "signed for git itself and not for gatekeeper, by the same key", build: func(c *pushCase) {
		values := []string{strings.Replace(sonnet, "N/N", "1/1", 1)}
		c.one(c.base(), sketch{values: values, by: c.by("alice"), forge: func(a attestation.Attestation) attestation.Attestation {
			return forGit(c.t, "alice", values, a)
		}}, "refused declared -", "attestation-invalid")
	}},
	{name: "signer-unknown", about: "a valid signature by a key that the policy does not know", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("mallory")}, "refused declared -", "signer-unknown")
	}},
	{name: "signer-may-not-speak-for-the-model", about: "the signer's entry lists other models",
		build: signs("carol", "", "", "refused attested exact", "signer-not-allowed", sonnet)},
	{name: "signer-may-not-say-none", about: "who may speak for some models only cannot say that none was used",
		build: signs("carol", "", "", "refused none-observed exact", "signer-not-allowed", none)},
	{name: "signer-of-too-low-a-class", about: "the model asks for a gateway's signature, and a developer signed",
		build: says("", "[[model]]\nid        = \"local/llama\"\nstatus    = \"approved\"\nmin_class = \"gateway\"\n\n", "refused attested exact", "signer-not-allowed", aider)},
	{name: "key-expired", about: "the key's time was over before the push",
		build: signs("dave", "", "", "refused declared -", "signer-not-allowed", sonnet)},
	{name: "key-not-yet-valid", about: "the key's time has not come",
		build: signs("frank", "", "", "refused declared -", "signer-not-allowed", sonnet)},
	{name: "key-revoked", about: "the key is compromised, and nobody received this before it was",
		build: signs("erin", "", "", "refused declared -", "signer-revoked", sonnet)},
	{name: "key-revoked-and-backdated", about: "a signing time before the compromise proves nothing: whoever has the key writes it", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("erin"), at: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}, "refused declared -", "signer-revoked")
	}},
	{name: "signed-in-the-future", about: "a signing time that no clock has reached", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), at: time.Date(2999, 1, 2, 3, 4, 5, 0, time.UTC)}, "refused declared -", "time-skew")
	}},
	{name: "author-is-not-the-signer", about: "the ref asks that whoever wrote it signed it", build: func(c *pushCase) {
		c.policy = policyOf(c, "author = \"signer\"", "")
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("bob")}, "refused attested exact", "author-mismatch")
	}},
	{name: "author-like-the-signer", about: "the address has a letter of another alphabet", build: func(c *pushCase) {
		c.policy = policyOf(c, "author = \"signer\"", "")
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("bob"), author: "Bob <b\u043eb@example.com>"}, "refused attested exact", "author-mismatch")
	}},
	{name: "author-is-not-known-to-push", about: "the ref asks that whoever wrote it pushes it, and the server does not know who pushes", build: func(c *pushCase) {
		c.policy = policyOf(c, "author = \"pusher\"", "")
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "refused attested exact", "author-mismatch")
	}},
	{name: "observed-too-weakly", about: "what was only declared, where the ref asks for hooks",
		build: says("via = \"hook\"", "", "refused attested exact", "observation-too-weak", strings.Replace(sonnet, "via=hook", "via=declared", 1))},
	{name: "none-observed-too-weakly", about: "nothing observed by looking at processes, where the ref asks for hooks",
		build: says("via = \"hook\"", "", "refused none-observed exact", "observation-too-weak", none)},
	{name: "mark-of-an-undeclared-tool", about: "Aider's co-author line, and a record of another tool only", build: spelled(func(m string) string {
		return m + "Co-authored-by: aider (gpt-4o) <aider@aider.chat>\n"
	}, "refused attested exact", "undeclared-ai")},
	{name: "mark-beside-none", about: "a tool's mark, and a signature over none", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{none}, by: c.by("alice"), rewrite: func(m string) string {
			return m + "Co-authored-by: Cursor <cursoragent@cursor.com>\n"
		}}, "refused none-observed exact", "undeclared-ai")
	}},
	{name: "mark-as-author", about: "a bot's address as the author, and no word of its tool", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{none}, by: c.by("alice"), author: "Cursor <cursoragent@cursor.com>", committer: alice}, "refused none-observed exact", "undeclared-ai")
	}},
	{name: "mark-as-committer", about: "a bot's address as the committer", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{none}, by: c.by("alice"), committer: "Cursor <cursoragent@cursor.com>"}, "refused none-observed exact", "undeclared-ai")
	}},
	{name: "mark-and-nothing-else", about: "a tool's mark tells of AI and is no provenance: inferred", build: func(c *pushCase) {
		c.one(c.base(), sketch{message: "Add a retry loop\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"},
			"refused inferred -", "attestation-missing", "undeclared-ai")
	}},
}

// refusedForPolicy are commits that say whole and signed what the policy does not want.
var refusedForPolicy = []entry{
	{name: "model-denied", about: "the policy denies the model",
		build: says("", "", "refused attested exact", "model-denied", strings.Replace(sonnet, "anthropic/claude-sonnet-4-5", "example/withdrawn-2", 1))},
	{name: "model-denied-in-capitals", about: "in a denial, case does not count",
		build: says("", "", "refused attested exact", "model-denied", strings.Replace(sonnet, "anthropic/claude-sonnet-4-5", "Example/Withdrawn-2", 1))},
	{name: "model-not-approved", about: "no entry speaks of the model",
		build: says("", "", "refused attested exact", "model-not-approved", strings.Replace(sonnet, "sonnet-4-5", "opus-4-6", 1))},
	{name: "model-approved-in-other-case", about: "in an approval, case counts",
		build: says("", "", "refused attested exact", "model-not-approved", strings.Replace(sonnet, "claude-sonnet", "Claude-Sonnet", 1))},
	{name: "model-approved-for-another-tool", about: "the approval is for one tool, and another used the model",
		build: says("", "[[model]]\nid     = \"local/llama\"\nstatus = \"approved\"\ntools  = [\"cursor\"]\n\n", "refused attested exact", "model-not-approved", aider)},
	{name: "model-approved-for-another-ref", about: "the approval is for other branches",
		build: says("", "[[model]]\nid     = \"local/llama\"\nstatus = \"approved\"\nrefs   = [\"refs/heads/lab/**\"]\n\n", "refused attested exact", "model-not-approved", aider)},
	{name: "model-approval-ended", about: "the approval ended long ago, and so did its grace; the commit was signed after it",
		build: says("", "[[model]]\nid     = \"local/llama\"\nstatus = \"approved\"\nuntil  = 2025-01-01\n\n", "refused attested exact", "model-not-approved", aider)},
	{name: "model-approval-to-come", about: "the approval has not begun",
		build: says("", "[[model]]\nid     = \"local/llama\"\nstatus = \"approved\"\nfrom   = 2999-01-01\n\n", "refused attested exact", "model-not-approved", aider)},
	{name: "model-unknown", about: "an agent was seen, and not its model; a star in an approval is for known names only",
		build: says("", "[[model]]\nid     = \"*/*\"\nstatus = \"approved\"\n\n", "refused attested exact", "model-unknown",
			"cursor/1.7 unknown/unknown lines=unknown/1 via=process session=unknown")},
	{name: "model-look-alike", about: "a Cyrillic letter in the name, percent-encoded as any byte must be",
		build: says("", "", "refused attested exact", "model-not-approved", strings.Replace(sonnet, "sonnet", "s%D0%BEnnet", 1))},
	{name: "model-with-zero-width-space", about: "a space of no width behind the name, percent-encoded",
		build: says("", "", "refused attested exact", "model-not-approved", strings.Replace(sonnet, "sonnet-4-5", "sonnet-4-5%E2%80%8B", 1))},
	{name: "model-with-bidi-override", about: "characters that turn the direction of text, percent-encoded; shown as what they are",
		build: says("", "", "refused attested exact", "model-not-approved", strings.Replace(sonnet, "claude-sonnet-4-5", "%E2%80%AE5-4-tennos-edualc", 1))},
	{name: "model-with-a-slash-in-its-provider", about: "anthropic%2Fclaude-sonnet-4-5 is the name of a provider",
		build: says("", "", "refused attested exact", "model-unknown", strings.Replace(sonnet, "anthropic/claude-sonnet-4-5", "anthropic%2Fclaude-sonnet-4-5/unknown", 1))},
	{name: "second-record-denied", about: "one of two models is denied", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{"aider/0.86.1 example/withdrawn-1 lines=unknown/1 via=process session=unknown", sonnet}, by: c.by("alice")},
			"refused attested exact", "model-denied")
	}},
	{name: "tool-out-of-range", about: "the tool is approved in later versions",
		build: says("", "[[tool]]\nid       = \"claude-code\"\nversions = \">=2.2\"\nstatus   = \"approved\"\n\n", "refused attested exact", "tool-not-approved", sonnet)},
	{name: "tool-of-unknown-version", about: "some versions are approved, and which this is nobody knows",
		build: says("", "[[tool]]\nid       = \"claude-code\"\nversions = \">=2.0\"\nstatus   = \"approved\"\n\n", "refused attested exact", "tool-not-approved",
			strings.Replace(sonnet, "2.1.330", "unknown", 1))},
	{name: "tool-denied", about: "the policy denies the tool",
		build: says("", "[[tool]]\nid     = \"claude-code\"\nstatus = \"denied\"\n\n", "refused attested exact", "tool-not-approved", sonnet)},
	{name: "mcp-server-not-approved", about: "one of two MCP servers is not on the list",
		build: says("", "[[mcp]]\nserver = \"github\"\nstatus = \"approved\"\n\n", "refused attested exact", "mcp-not-approved", sonnet+" mcp=github,shell")},
	{name: "path-restricted", about: "a model that is kept from crypto/** changes a file there", build: func(c *pushCase) {
		c.policy = policyOf(c, "", guarded)
		c.one(c.base(), sketch{set: files{"crypto/key.go": "package crypto\n"}, values: []string{"aider/0.86.1 local/guarded lines=N/N via=process session=unknown"}, by: c.by("alice")},
			"refused attested exact", "path-restricted")
	}},
	{name: "path-restricted-deleted", about: "to delete a file is to change it", build: func(c *pushCase) {
		c.policy = policyOf(c, "", guarded)
		base := c.commit(sketch{subject: "Begin", set: files{"crypto/key.go": "package crypto\n", "README": "A project\n"}})
		c.has("refs/heads/main", base)
		c.one(base, sketch{set: files{"crypto/key.go": ""}, values: []string{"aider/0.86.1 local/guarded lines=N/N via=process session=unknown"}, by: c.by("alice")},
			"refused attested exact", "path-restricted")
	}},
	{name: "two-rules-at-once", about: "both the tool and the model are unwelcome, and both are said",
		build: func(c *pushCase) {
			c.policy = policyOf(c, "", "[[tool]]\nid     = \"cursor\"\nstatus = \"approved\"\n\n")
			c.one(c.base(), sketch{values: []string{aider}, by: c.by("alice")}, "refused attested exact", "model-not-approved", "tool-not-approved")
		}},
}
