package corpus

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/attestation"
)

const (
	whole   = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"        // retry.txt, as it begins
	changed = "one\ntwo\nthree\nfour\nagain\nfive\nsix\nseven\n" // and as most cases leave it

	aider = "aider/0.86.1 local/llama lines=N/N via=process session=unknown"
	none  = "none via=process"
)

// accepted are pushes that come in.
var accepted = []entry{
	{name: "exact-binding", about: "a signed commit, on the parent that it was signed on", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "accepted attested exact")
	}},
	{name: "nothing-observed", about: "it is signed that no tool was observed, which is as good as records", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{none}, by: c.by("alice")}, "accepted none-observed exact")
	}},
	{name: "sha256-repository", sha256: true, about: "as exact-binding, in a repository of the other object format", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "accepted attested exact")
	}},
	{name: "root-commit", about: "the first commit of all, signed over no parent", build: func(c *pushCase) {
		first := c.commit(sketch{set: files{"README": "A project\n"}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", nil, first, "accepted")
		c.judged("refs/heads/main", first, "accepted attested exact")
	}},
	{name: "two-tools", about: "two records, in the order of their bytes", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", localModel)
		c.one(c.base(), sketch{values: []string{"aider/0.86.1 local/llama lines=unknown/1 via=process session=unknown", sonnet}, by: c.by("alice")},
			"accepted attested exact")
	}},
	{name: "two-signers", about: "two people attest the same, and both signatures stand", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice", "gateway")}, "accepted attested exact")
	}},
	{name: "ecdsa-key", about: "signed with an ECDSA P-256 key", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("bob")}, "accepted attested exact")
	}},
	{name: "rsa-key", about: "signed with an RSA key of 3072 bits, whose holder may speak for this model", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", localModel)
		c.one(c.base(), sketch{values: []string{aider}, by: c.by("carol")}, "accepted attested exact")
	}},
	{name: "dsse-envelope", about: "signed by DSSE, as tools and key services do, instead of SSHSIG", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: []attestation.Signer{dsse{key(c.t, "gateway"), private(c.t, "gateway")}}}, "accepted attested exact")
	}},
	{name: "fields-of-a-later-version", about: "fields that nobody knows yet, behind the known ones, are signed as written", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet + " mcp=github effort=high"}, by: c.by("alice")}, "accepted attested exact")
	}},
	{name: "other-trailers-around", about: "trailers of others stand among ours, in one block that ends without a newline", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: func(m string) string {
			return strings.Replace(m, "AI-Provenance", "Reviewed-by: Bob <bob@example.com>\nAI-Provenance", 1) + "Signed-off-by: Alice <alice@example.com>"
		}}, "accepted attested exact")
	}},
	{name: "prose-about-trailers", about: "a quoted key, and one inside of a line, are prose to every reader", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: func(m string) string {
			return strings.Replace(m, "\n\n", "\n\nA line such as\n\n> AI-Provenance: none via=hook\n\nsays AI-Attestation: in the middle, and is no trailer.\n\n", 1)
		}}, "accepted attested exact")
	}},
	{name: "subject-and-author-changed", about: "subject, body and author are not signed, and may change", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), author: "Bob <bob@example.com>", rewrite: func(m string) string {
			return strings.Replace(m, "Add a retry loop", "Try again", 1)
		}}, "accepted attested exact")
	}},
	{name: "rebased", about: "the same change on another parent, as a clean rebase leaves it: bind differs, change is the same", build: func(c *pushCase) {
		base := c.base()
		moved := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		rebased := c.commit(sketch{parents: []*commit{moved}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice"), sawParents: []*commit{base}})
		c.push("refs/heads/main", base, rebased, "accepted")
		c.judged("refs/heads/main", moved, "accepted none-observed exact")
		c.judged("refs/heads/main", rebased, "accepted attested change")
	}},
	{name: "rebased-below-other-lines", about: "the same change where lines were added above: line numbers do not count, neighbours do", build: func(c *pushCase) {
		base := c.base()
		above := "zero\n" + whole
		moved := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": above}, values: []string{none}, by: c.by("alice")})
		rebased := c.commit(sketch{parents: []*commit{moved}, set: files{"retry.txt": "zero\n" + changed}, values: []string{sonnet}, by: c.by("alice"),
			sawParents: []*commit{base}, saw: files{"retry.txt": changed}})
		c.push("refs/heads/main", base, rebased, "accepted")
		c.judged("refs/heads/main", moved, "accepted none-observed exact")
		c.judged("refs/heads/main", rebased, "accepted attested change")
	}},
	{name: "cherry-picked", about: "git cherry-pick -x onto an old release adds a line to the block; the change is the same", build: func(c *pushCase) {
		base := c.base()
		fix := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		c.has("refs/heads/fix", fix)
		old := c.commit(sketch{subject: "Release", parents: []*commit{base}, set: files{"README": "Release 1\n"}})
		c.has("refs/heads/release", old)
		pick := c.commit(sketch{parents: []*commit{old}, set: files{"retry.txt": changed}, message: fix.message + "(cherry picked from commit " + fix.id + ")\n"})
		c.push("refs/heads/release", old, pick, "accepted")
		c.judged("refs/heads/release", pick, "accepted attested change")
	}},
	{name: "silent-merge", about: "a merge that git makes by itself brings nothing of its own, and need not say anything", build: func(c *pushCase) {
		base := c.base()
		ours := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		theirs := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		merge := c.commit(sketch{subject: "Merge branch 'retry'", parents: []*commit{ours, theirs}, set: files{"retry.txt": changed}})
		c.push("refs/heads/main", base, merge, "accepted")
		c.judged("refs/heads/main", ours, "accepted none-observed exact")
		c.judged("refs/heads/main", theirs, "accepted attested exact")
		c.judged("refs/heads/main", merge, "exempt unknown -")
	}},
	{name: "evil-merge-that-is-attested", about: "a merge with a file that is in neither parent, and a signature over just that", build: func(c *pushCase) {
		base := c.base()
		ours := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		theirs := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		merge := c.commit(sketch{subject: "Merge branch 'retry'", parents: []*commit{ours, theirs}, set: files{"retry.txt": changed, "new.txt": "new\n"},
			values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", base, merge, "accepted")
		c.judged("refs/heads/main", ours, "accepted none-observed exact")
		c.judged("refs/heads/main", theirs, "accepted attested exact")
		c.judged("refs/heads/main", merge, "accepted attested exact")
	}},
	{name: "branch-at-the-baseline", about: "a new branch at a commit from before the installation brings nothing to judge", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		c.push("refs/heads/next", nil, base, "accepted")
	}},
	{name: "branch-from-the-baseline", about: "a new branch from there: what comes on top is judged alone", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/next", nil, next, "accepted")
		c.judged("refs/heads/next", next, "accepted attested exact")
	}},
	{name: "branch-deleted", about: "a deletion brings nothing", build: func(c *pushCase) {
		base := c.base()
		c.has("refs/heads/old", base)
		c.push("refs/heads/old", base, nil, "accepted")
	}},
	{name: "forced-update", about: "main goes back by one unsigned commit and on by another, signed one: only that is judged", build: func(c *pushCase) {
		base := c.base()
		wrong := c.commit(sketch{subject: "Wrong", parents: []*commit{base}, set: files{"retry.txt": "wrong\n"}})
		c.refs = nil
		c.has("refs/heads/main", wrong)
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", wrong, next, "accepted")
		c.judged("refs/heads/main", next, "accepted attested exact")
	}},
	{name: "annotated-tag", about: "a tag of a tag of a commit is judged by that commit", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		tag := c.tag("inner", "commit", next.id)
		tag = c.tag("v1", "tag", tag)
		c.pushIDs("refs/tags/v1", c.zero(), tag, "accepted")
		c.judged("refs/tags/v1", next, "accepted attested exact")
	}},
	{name: "alias-of-an-approved-model", about: "a spelling that the policy knows stands for the approved id", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", "[[alias]]\nmatch = \"claude-4.5-sonnet*\"\nid    = \"anthropic/claude-sonnet-4-5\"\n\n")
		c.one(c.base(), sketch{values: []string{"cursor/1.7 unknown/claude-4.5-sonnet-thinking lines=N/N via=hook session=unknown"}, by: c.by("alice")}, "accepted attested exact")
	}},
	{name: "model-unknown-and-approved-by-that-word", about: "an agent whose model nobody knows, which this policy approves by the very words", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", "[[model]]\nid     = \"unknown/unknown\"\nstatus = \"approved\"\n\n")
		c.one(c.base(), sketch{values: []string{"cursor/1.7 unknown/unknown lines=unknown/1 via=process session=unknown"}, by: c.by("alice")}, "accepted attested exact")
	}},
	{name: "declared-where-that-is-enough", about: "unsigned records, on a ref that asks for no more than declared ones", build: func(c *pushCase) {
		c.policy = policyText(c.t, "evidence = \"declared\"", "")
		c.one(c.base(), sketch{values: []string{sonnet}}, "accepted declared -")
	}},
	{name: "silence-where-nothing-is-asked", about: "a commit that says nothing, on a ref that asks for nothing: still unknown, never human", build: func(c *pushCase) {
		c.policy = policyText(c.t, "evidence = \"any\"", "")
		c.one(c.base(), sketch{}, "accepted unknown -")
	}},
	{name: "warning-only", about: "the rule for the ref warns: the push comes in, and the pusher sees the rule", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", "[[ref]]\nmatch = \"refs/heads/wip/*\"\nmode  = \"warn\"\n\n")
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.push("refs/heads/wip/retry", nil, next, "warned")
		c.judged("refs/heads/wip/retry", next, "warned unknown -", "attestation-missing")
	}},
	{name: "mode-off", about: "the rule for the ref judges nothing, so no commit is looked at", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", "[[ref]]\nmatch = \"refs/heads/free/**\"\nmode  = \"off\"\n\n")
		next := c.commit(sketch{parents: []*commit{c.base()}, set: files{"retry.txt": changed}})
		c.push("refs/heads/free/a/b", nil, next, "accepted")
	}},
	{name: "path-elsewhere", about: "a model that is kept from crypto/** changes other files", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", guarded)
		c.one(c.base(), sketch{set: files{"crypto.txt": "not the folder\n"}, values: []string{"aider/0.86.1 local/guarded lines=N/N via=process session=unknown"}, by: c.by("alice")},
			"accepted attested exact")
	}},
	{name: "signer-from-allowed-signers", about: "the signer stands in a file in OpenSSH's own format beside the policy", build: func(c *pushCase) {
		c.policy = policyText(c.t, "", "[signers]\nallowed_signers = \"allowed_signers\"\n\n")
		c.server = map[string]string{"allowed_signers": "# people\nmallory@example.com namespaces=\"git,gatekeeper\" " + strings.TrimSpace(key(c.t, "mallory").PublicKey().AuthorizedKey()) + "\n"}
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("mallory")}, "accepted attested exact")
	}},
	{name: "author-is-the-signer", about: "the ref asks that whoever wrote it signed it, and so it is", build: func(c *pushCase) {
		c.policy = policyText(c.t, "author = \"signer\"", "")
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("bob"), author: "Bob <bob@example.com>"}, "accepted attested exact")
	}},
	{name: "mark-that-a-record-tells-of", about: "the tool's own co-author line beside a record of that tool", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: func(m string) string {
			return m + "Co-Authored-By: Claude <noreply@anthropic.com>\n"
		}}, "accepted attested exact")
	}},
	{name: "eight-attestations", about: "as many as there may be; those who sign are eight different keys", build: func(c *pushCase) {
		signers, text := crowd(c, 8)
		c.policy = policyText(c.t, "", "") + text
		c.one(c.base(), sketch{values: []string{sonnet}, by: signers}, "accepted attested exact")
	}},
	{name: "attestation-beside-the-commit", about: "an unsigned commit, and in the same push a record that attests its change", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{subject: "Is not pushed", parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		silent := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		ref, records := c.records(signed)
		c.push("refs/heads/main", base, silent, "accepted")
		c.judged("refs/heads/main", silent, "accepted attested exact")
		c.push(ref, nil, records, "accepted")
	}},
	{name: "attestation-beside-a-merge", about: "a merge with a file of its own, attested beside it; the change that a merge carries is its own kind of digest", build: func(c *pushCase) {
		base := c.base()
		ours := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		theirs := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		merge := sketch{subject: "Merge branch 'retry'", parents: []*commit{ours, theirs}, set: files{"retry.txt": changed, "new.txt": "new\n"}}
		silent := c.commit(merge)
		merge.values, merge.by = []string{sonnet}, c.by("alice")
		ref, records := c.records(c.commit(merge))
		c.push("refs/heads/main", base, silent, "accepted")
		c.judged("refs/heads/main", ours, "accepted none-observed exact")
		c.judged("refs/heads/main", theirs, "accepted attested exact")
		c.judged("refs/heads/main", silent, "accepted attested exact")
		c.push(ref, nil, records, "accepted")
	}},
}

const (
	localModel = "[[model]]\nid     = \"local/llama\"\nstatus = \"approved\"\n\n"
	guarded    = "[[model]]\nid     = \"local/guarded\"\nstatus = \"approved\"\npaths  = { deny = [\"crypto/**\"] }\n\n"
)

// tag puts an annotated tag beside the stream and returns its id.
func (c *pushCase) tag(name, kind, id string) string {
	return c.keep("tag", fmt.Sprintf("object %s\ntype %s\ntag %s\ntagger Alice <alice@example.com> %d +0000\n\n%[3]s\n", id, kind, name, signing.Unix()))
}

// records is a ref of records that holds what a commit says, and its commit.
func (c *pushCase) records(of *commit) (ref string, records *commit) {
	var d attestation.Detached
	for line := range strings.SplitSeq(of.message, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "AI-Provenance":
			d.Provenance = append(d.Provenance, value)
		case "AI-Attestation":
			a, err := attestation.Parse(value)
			if err != nil {
				c.t.Fatal(err)
			}
			d.Attestation = a
		}
	}
	records = c.commit(sketch{subject: "Records", set: files{d.Path(): d.String()}})
	return "refs/gatekeeper/records/" + attestation.KeyID(d.Attestation.Key), records
}
