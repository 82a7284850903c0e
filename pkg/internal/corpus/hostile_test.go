package corpus

import (
	"fmt"
	"strings"
)

// refusedForContent are signatures that were made for something else.
var refusedForContent = []entry{
	{name: "amended", about: "another line was changed after it was signed", build: func(c *pushCase) {
		c.one(c.base(), sketch{set: files{"retry.txt": strings.Replace(changed, "again", "never", 1)}, saw: files{"retry.txt": changed},
			values: []string{sonnet}, by: c.by("alice")}, "refused declared -", "attestation-stale")
	}},
	{name: "copied-to-another-commit", about: "the trailers of a commit that came in before, on a change of their thief's own", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{sonnet}, by: c.by("alice")})
		c.refs = nil
		c.has("refs/heads/main", signed)
		c.one(signed, sketch{message: signed.message}, "refused declared -", "attestation-stale")
	}},
	{name: "old-tree-over-a-fix", about: "the tree and the trailers of an earlier commit, put on top of the fix that came after it", build: func(c *pushCase) {
		base := c.base()
		old := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		fix := c.commit(sketch{parents: []*commit{old}, set: files{"retry.txt": strings.Replace(changed, "again", "twice", 1)}, values: []string{sonnet}, by: c.by("alice")})
		c.refs = nil
		c.has("refs/heads/main", fix)
		c.one(fix, sketch{set: files{"retry.txt": changed}, message: old.message}, "refused declared -", "attestation-stale")
	}},
	{name: "merge-with-one-parent", about: "an attested merge, made again with its tree and without its second parent", build: func(c *pushCase) {
		base := c.base()
		ours := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		theirs := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		merge := c.commit(sketch{subject: "Merge branch 'retry'", parents: []*commit{ours, theirs}, set: files{"retry.txt": changed}, values: []string{none}, by: c.by("alice")})
		c.refs = nil
		c.has("refs/heads/main", ours)
		c.one(ours, sketch{message: merge.message}, "refused declared -", "attestation-stale")
	}},
	{name: "evil-merge", about: "a silent merge with a file that is in neither parent", build: func(c *pushCase) {
		c.merge(sketch{set: files{"retry.txt": changed, "new.txt": "new\n"}}, "refused unknown -", "attestation-missing")
	}},
	{name: "evil-merge-of-parts", about: "a silent merge that leaves out what one parent changed", build: func(c *pushCase) {
		c.merge(sketch{set: files{}}, "refused unknown -", "attestation-missing")
	}},
	{name: "evil-merge-behind-a-signature", about: "signed as the clean merge, and with a file more", build: func(c *pushCase) {
		c.merge(sketch{set: files{"retry.txt": changed, "new.txt": "new\n"}, saw: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")},
			"refused declared -", "attestation-stale")
	}},
	{name: "merge-where-binding-is-exact", about: "where the ref asks for exact binding, no merge goes without an attestation", build: func(c *pushCase) {
		c.policy = policyOf(c, "binding = \"exact\"", "")
		c.merge(sketch{set: files{"retry.txt": changed}}, "refused unknown -", "attestation-missing")
	}},
	{name: "rebased-where-binding-is-exact", about: "the same change on another parent, where the ref asks for the same parent", build: func(c *pushCase) {
		c.policy = policyOf(c, "binding = \"exact\"", "")
		base := c.base()
		moved := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		c.refs = nil
		c.has("refs/heads/main", moved)
		c.one(moved, sketch{values: []string{sonnet}, by: c.by("alice"), sawParents: []*commit{base}}, "refused declared -", "attestation-stale")
	}},
	{name: "lines-moved-past-their-neighbours", about: "the same line is added, two lines further down", build: func(c *pushCase) {
		base := c.base()
		moved := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		c.refs = nil
		c.has("refs/heads/main", moved)
		c.one(moved, sketch{set: files{"retry.txt": "one\ntwo\nthree\nfour\nfive\nsix\nagain\nseven\n"}, values: []string{sonnet}, by: c.by("alice"),
			sawParents: []*commit{base}, saw: files{"retry.txt": changed}}, "refused declared -", "attestation-stale")
	}},
	{name: "hunks-in-another-file", about: "the same lines of the same text, in a file of another name", build: func(c *pushCase) {
		base := c.commit(sketch{subject: "Begin", set: files{"retry.txt": whole, "other.txt": whole}})
		c.has("refs/heads/main", base)
		c.one(base, sketch{set: files{"other.txt": changed}, saw: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")},
			"refused declared -", "attestation-stale")
	}},
	{name: "stale-second-signature", about: "one signature stands, and one beside it is for other content", build: func(c *pushCase) {
		base := c.base()
		other := c.commit(sketch{parents: []*commit{base}, set: files{"README": "Another\n"}, values: []string{strings.Replace(sonnet, "N/N", "1/1", 1)}, by: c.by("bob")})
		_, line, _ := strings.Cut(other.message, "AI-Attestation")
		c.one(base, sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: func(m string) string { return m + "AI-Attestation" + line }},
			"refused attested exact", "attestation-stale")
	}},
}

// merge is a merge of two signed branches, pushed to main with them.
func (c *pushCase) merge(s sketch, outcome string, rules ...string) {
	base := c.base()
	ours := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
	theirs := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
	s.subject, s.parents = "Merge branch 'retry'", []*commit{ours, theirs}
	merge := c.commit(s)
	verdict, _, _ := strings.Cut(outcome, " ")
	c.push("refs/heads/main", base, merge, verdict)
	c.judged("refs/heads/main", ours, "accepted none-observed exact")
	c.judged("refs/heads/main", theirs, "accepted attested exact")
	c.judged("refs/heads/main", merge, outcome, rules...)
}

// refusedForForm are commits that two readers could see differently.
var refusedForForm = []entry{
	{name: "two-tree-headers", about: "some readers take the first, some the last", build: hostile(func(raw string) string {
		return strings.Replace(raw, "\nauthor", "\ntree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor", 1)
	})},
	{name: "two-author-lines", about: "Bob and Alice both wrote it", build: hostile(func(raw string) string {
		return strings.Replace(raw, "author", "author Bob <bob@example.com> 1741064400 +0000\nauthor", 1)
	})},
	{name: "author-header-in-capitals", about: "a second author that readers take who do not look at case", build: hostile(func(raw string) string {
		return strings.Replace(raw, "\n\n", "\nAuthor Bob <bob@example.com> 1741064400 +0000\n\n", 1)
	})},
	{name: "two-gpgsig-headers", about: "two signatures of git's own", build: hostile(func(raw string) string {
		return strings.Replace(raw, "\n\n", "\ngpgsig a\ngpgsig b\n\n", 1)
	})},
	{name: "no-author", about: "a commit that nobody wrote", build: hostile(func(raw string) string {
		_, after, _ := strings.Cut(raw, "\nauthor")
		before, _, _ := strings.Cut(raw, "\nauthor")
		_, rest, _ := strings.Cut(after, "\n")
		return before + "\n" + rest
	})},
	{name: "author-without-address", about: "an author line that git fsck refuses and git takes", build: hostile(func(raw string) string {
		return strings.Replace(raw, "author Alice <alice@example.com>", "author Alice", 1)
	})},
	{name: "nul-in-message", about: "git ends the message at the NUL, and what it shows is not what stands behind", build: hostile(func(raw string) string {
		return strings.Replace(raw, "Add a retry loop\n\n", "Add a retry loop\n\nAI-Provenance: none via=hook\n\x00\n", 1)
	})},
	{name: "nul-in-header", about: "a NUL in the name of the author", build: hostile(func(raw string) string {
		return strings.Replace(raw, "author Alice", "author Ali\x00ce", 1)
	})},
	{name: "no-blank-line", about: "headers and no message", build: hostile(func(raw string) string {
		before, _, _ := strings.Cut(raw, "\n\n")
		return before + "\n"
	})},
	{name: "file-twice-in-a-tree", about: "a tree with two files of one name, whose change cannot be told", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		entry := treeEntry("100644", "retry.txt", c.put("blob", []byte(changed)))
		readme := treeEntry("100644", "README", c.put("blob", []byte("A project\n")))
		twice := c.keep("tree", readme+entry+entry)
		raw := &commit{id: c.keep("commit", fmt.Sprintf("tree %s\nparent %s\nauthor Alice <alice@example.com> 1741064400 +0000\ncommitter Alice <alice@example.com> 1741064400 +0000\n\n%s",
			twice, base.id, signed.message))}
		c.push("refs/heads/main", base, raw, "refused")
		c.judged("refs/heads/main", raw, "refused declared -", "commit-malformed")
	}},
	{name: "encoding-unknown", about: "in UTF-7, git log finds trailers that other readers do not", build: func(c *pushCase) {
		c.one(c.base(), sketch{charset: "UTF-7", values: []string{sonnet}, by: c.by("alice")}, unread, ambiguous)
	}},
	{name: "encoding-latin-1", about: "a message that carries provenance is in UTF-8", build: func(c *pushCase) {
		c.one(c.base(), sketch{charset: "ISO-8859-1", values: []string{sonnet}, by: c.by("alice")}, unread, "commit-malformed")
	}},
	{name: "trailer-folded", about: "a record that goes on in a second line", build: spelled(replaced(" lines=", "\n lines="), unread, ambiguous)},
	{name: "trailer-continued", about: "a line behind the record that git takes as a part of it", build: spelled(replaced("\nAI-Attestation", "\n and more\nAI-Attestation"), unread, ambiguous)},
	{name: "trailer-with-a-tab", about: "a tab behind the colon", build: spelled(replaced("AI-Provenance: ", "AI-Provenance:\t"), unread, ambiguous)},
	{name: "trailer-with-two-spaces", about: "two spaces behind the colon", build: spelled(replaced("AI-Provenance: ", "AI-Provenance:  "), unread, ambiguous)},
	{name: "trailer-with-space-before-colon", about: "git takes a key with a space behind it", build: spelled(replaced("AI-Provenance:", "AI-Provenance :"), unread, ambiguous)},
	{name: "trailer-indented", about: "a space before the key", build: spelled(replaced("AI-Provenance", " AI-Provenance"), unread, ambiguous)},
	{name: "trailer-in-lower-case", about: "git does not look at the case of keys", build: spelled(replaced("AI-Provenance", "ai-provenance"), unread, ambiguous)},
	{name: "trailer-behind-zero-width-space", about: "a character before the key that nobody sees", build: spelled(replaced("AI-Provenance", "\u200bAI-Provenance"), unread, ambiguous)},
	{name: "trailer-behind-a-carriage-return", about: "some readers break a line there, and find a second record", build: spelled(replaced("Add a retry loop", "Add a retry loop\rAI-Provenance: none via=hook"), unread, ambiguous)},
	{name: "trailer-with-crlf", about: "a line that ends as on Windows", build: spelled(replaced("\nAI-Attestation", "\r\nAI-Attestation"), unread, ambiguous)},
	{name: "trailer-in-the-body", about: "a record in an earlier paragraph, which people read and git does not", build: spelled(replaced("\n\n", "\n\nAI-Provenance: none via=hook\n\n"), unread, ambiguous)},
	{name: "trailer-as-the-subject", about: "a record that is the subject", build: spelled(replaced("Add a retry loop", "AI-Provenance: none via=hook"), unread, ambiguous)},
	{name: "trailer-behind-dashes", about: "git interpret-trailers takes --- for the end of the message, git log does not", build: spelled(replaced("\n\nAI-", "\n\n---\n\nAI-"), unread, ambiguous)},
	{name: "trailer-behind-scissors", about: "a record behind the line that git commit cuts at", build: spelled(func(m string) string {
		return m + "# ------------------------ >8 ------------------------\nAI-Provenance: none via=hook\n"
	}, unread, ambiguous)},
	{name: "trailer-block-not-last", about: "a paragraph behind the block, so that git sees none", build: spelled(func(m string) string { return m + "\nThat was all.\n" }, unread, ambiguous)},
	{name: "trailer-with-equals-sign", about: "where trailer.separators says so, git takes = for the colon", build: spelled(replaced("\nAI-Attestation", "\nAI-Provenance= none via=hook\nAI-Attestation"), unread, ambiguous)},
	{name: "key-with-zero-width-space", about: "a space of no width inside of the key: to no reader is it ours, so nothing is said",
		build: func(c *pushCase) {
			c.one(c.base(), sketch{message: "Add a retry loop\n\nAI-Prov\u200benance: none via=hook\n"}, "refused unknown -", "attestation-missing")
		}},
	{name: "key-look-alike", about: "a Cyrillic A in the key, likewise", build: func(c *pushCase) {
		c.one(c.base(), sketch{message: "Add a retry loop\n\n\u0410I-Provenance: none via=hook\n"}, "refused unknown -", "attestation-missing")
	}},
	{name: "value-look-alike", about: "a Cyrillic letter in the model, as it is: no byte of a value may be", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{strings.Replace(sonnet, "sonnet", "s\u043ennet", 1)}}, unread, malformed)
	}},
	{name: "value-with-bidi-override", about: "characters that turn the direction of text, as they are", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{strings.Replace(sonnet, "claude-sonnet-4-5", "\u202e5-4-tennos-edualc\u202c", 1)}}, unread, malformed)
	}},
	{name: "value-with-terminal-escape", about: "what would clear a line of the terminal", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{strings.Replace(sonnet, "claude-sonnet", "\x1b[2Kclaude-sonnet", 1)}}, unread, malformed)
	}},
	{name: "value-escaped-needlessly", about: "a letter percent-encoded that stands for itself: one model has one spelling", build: says("", "", unread, malformed,
		strings.Replace(sonnet, "sonnet", "s%6Fnnet", 1))},
	{name: "value-too-long", about: "a value of more than 2,048 bytes", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet + " mcp=" + strings.Repeat("a", 2048)}}, unread, malformed)
	}},
	{name: "record-twice", about: "the same record twice", build: says("", "", unread, malformed, sonnet, sonnet)},
	{name: "records-unsorted", about: "two records against the order of their bytes", build: says("", localModel, unread, malformed,
		sonnet, "aider/0.86.1 local/llama lines=unknown/1 via=process session=unknown")},
	{name: "none-beside-a-record", about: "that nothing was observed, and a record", build: says("", "", unread, malformed, sonnet, none)},
	{name: "more-lines-than-there-are", about: "two lines of one", build: says("", "", unread, malformed, strings.Replace(sonnet, "N/N", "2/1", 1))},
	{name: "lines-that-add-up-to-more", about: "two records of one line each, and one line in all", build: says("", localModel, unread, malformed,
		"aider/0.86.1 local/llama lines=1/1 via=process session=unknown", strings.Replace(sonnet, "N/N", "1/1", 1))},
	{name: "part-left-out", about: "a record without its session; what is not known is the word unknown", build: says("", "", unread, malformed,
		strings.Replace(sonnet, " session=9f2c1b7e0a44", "", 1))},
	{name: "two-attestations-of-one-key", about: "one signer signs once", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice", "alice")}, unread, malformed)
	}},
	{name: "attestation-without-provenance", about: "a signature over nothing", build: spelled(func(m string) string {
		before, rest, _ := strings.Cut(m, "AI-Provenance")
		_, rest, _ = strings.Cut(rest, "\n")
		return before + rest
	}, unread, malformed)},
	{name: "attestation-of-version-2", about: "a version that this reader does not know", build: spelled(replaced("AI-Attestation: v1", "AI-Attestation: v2"), unread, malformed)},
	{name: "nine-attestations", about: "one more than there may be, all valid", build: func(c *pushCase) {
		signers, text := crowd(c, 9)
		c.policy += text
		c.one(c.base(), sketch{values: []string{sonnet}, by: signers}, unread, malformed)
	}},
	{name: "too-many-records", about: "65 lines of ours, where 64 may be", build: func(c *pushCase) {
		var values []string
		for i := range 65 {
			values = append(values, fmt.Sprintf("a%02d/1 a/b lines=0/1 via=hook session=unknown", i))
		}
		c.one(c.base(), sketch{values: values}, unread, malformed)
	}},
	{name: "message-too-large", about: "a commit object above limits.message, here 2 KiB, is not read", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[limits]\nmessage = \"2KiB\"\n\n")
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice"), rewrite: func(m string) string {
			return strings.Replace(m, "\n\n", "\n\n"+strings.Repeat("On and on and on.\n", 200)+"\n", 1)
		}}, unread, "message-too-large")
	}},
	{name: "terminal-escapes-in-the-subject", about: "the answer shows no byte of them", build: func(c *pushCase) {
		c.one(c.base(), sketch{subject: "Add \x1b[2K\x1b]0;owned\x07\u202egnp\u009b1A loop"}, "refused unknown -", "attestation-missing")
	}},
	{name: "subject-that-looks-like-a-rule", about: "a subject that ends in the name of a rule, in brackets", build: func(c *pushCase) {
		c.one(c.base(), sketch{subject: "Add a loop   [model-denied]"}, "refused unknown -", "attestation-missing")
	}},
}

// refusedForRefs are pushes that are wrong as such, or bring commits where they may not be.
var refusedForRefs = []entry{
	{name: "replace-ref", about: "replacement objects would show other bytes than were judged", build: func(c *pushCase) {
		base := c.base()
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/replace/"+base.id, nil, next, "refused", "ref-forbidden")
	}},
	{name: "replaced-on-the-server", about: "the server has a replacement for the commit that is pushed, which would be accepted; what is pushed is judged", build: func(c *pushCase) {
		base := c.base()
		good := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": "nothing of this\n"}})
		c.has("refs/replace/"+bad.id, good)
		c.push("refs/heads/main", base, bad, "refused")
		c.judged("refs/heads/main", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "ref-of-the-server", about: "where the server publishes its policy", build: func(c *pushCase) {
		c.push("refs/gatekeeper/policy", nil, c.base(), "refused", "ref-forbidden")
	}},
	{name: "ref-of-the-server-deleted", about: "nor may it be deleted", build: func(c *pushCase) {
		base := c.base()
		c.has("refs/gatekeeper/state", base)
		c.push("refs/gatekeeper/state", base, nil, "refused", "ref-forbidden")
	}},
	{name: "ref-in-a-namespace", about: "refs/namespaces/a/refs/heads/main is another repository's main", build: func(c *pushCase) {
		c.push("refs/namespaces/a/refs/heads/main", nil, c.base(), "refused", "ref-forbidden")
	}},
	{name: "ref-outside-of-refs", about: "HEAD is not a name to push to", build: func(c *pushCase) {
		base := c.base()
		c.push("HEAD", base, base, "refused", "ref-forbidden")
	}},
	{name: "tag-of-a-tree", about: "an annotated tag that ends in a tree", build: func(c *pushCase) {
		c.pushIDs("refs/tags/v1", c.zero(), c.tag("v1", "tree", c.base().tree), "refused", "ref-forbidden")
	}},
	{name: "branch-of-a-blob", about: "a ref that holds a file", build: func(c *pushCase) {
		c.base()
		c.pushIDs("refs/heads/odd", c.zero(), c.put("blob", []byte(whole)), "refused", "ref-forbidden")
	}},
	{name: "tag-of-a-bad-commit", about: "an annotated tag is judged by its commit", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.pushIDs("refs/tags/v1", c.zero(), c.tag("v1", "commit", bad.id), "refused")
		c.judged("refs/tags/v1", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "symbolic-ref", about: "a ref whose own rule judges nothing points at main, whose rule does", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[[ref]]\nmatch = \"refs/heads/free/*\"\nmode  = \"off\"\n\n")
		base := c.base()
		c.symrefs = []string{"refs/heads/free/door refs/heads/main"}
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.push("refs/heads/free/door", base, bad, "refused")
		c.judged("refs/heads/free/door", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "branch-from-unjudged-history", about: "without a baseline and receipts, a new branch brings all that it reaches", build: func(c *pushCase) {
		base := c.base()
		next := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/next", nil, next, "refused")
		c.judged("refs/heads/next", base, "refused unknown -", "attestation-missing")
		c.judged("refs/heads/next", next, "accepted attested exact")
	}},
	{name: "parked-commits", about: "what waits on a ref that is not judged is judged on its way into main", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[[ref]]\nmatch = \"refs/heads/free/*\"\nmode  = \"off\"\n\n")
		base := c.base()
		parked := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.has("refs/heads/free/lot", parked)
		c.push("refs/heads/main", base, parked, "refused")
		c.judged("refs/heads/main", parked, "refused unknown -", "attestation-missing")
	}},
	{name: "forced-update-to-unsigned", about: "main is put on another line of commits, an unsigned one", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		was := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{sonnet}, by: c.by("alice")})
		c.refs = nil
		c.has("refs/heads/main", was)
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.push("refs/heads/main", was, bad, "refused")
		c.judged("refs/heads/main", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "two-refs-one-bad", about: "each ref has its verdict, and one that is refused refuses all", build: func(c *pushCase) {
		base := c.base()
		c.has("refs/heads/next", base)
		good := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.push("refs/heads/main", base, good, "accepted")
		c.judged("refs/heads/main", good, "accepted attested exact")
		c.push("refs/heads/next", base, bad, "refused")
		c.judged("refs/heads/next", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "two-new-branches-of-one-bad-commit", about: "both are told what is wrong, though they are judged alike", build: func(c *pushCase) {
		base := c.base()
		c.server = map[string]string{"baseline": base.id + "\n"}
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		for _, ref := range []string{"refs/heads/a", "refs/heads/b"} {
			c.push(ref, nil, bad, "refused")
			c.judged(ref, bad, "refused unknown -", "attestation-missing")
		}
	}},
	{name: "by-way-of-another-ref", about: "one push to a ref that is not judged and to main: the first does not excuse the second", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[[ref]]\nmatch = \"refs/heads/free/*\"\nmode  = \"off\"\n\n")
		base := c.base()
		bad := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}})
		c.push("refs/heads/free/lot", nil, bad, "accepted")
		c.push("refs/heads/main", base, bad, "refused")
		c.judged("refs/heads/main", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "policy-in-the-push", about: "the policy is kept in the repository, and the push would change it; the old one judges", build: func(c *pushCase) {
		c.config = []string{"gatekeeper.policy repo"}
		base := c.commit(sketch{subject: "Begin", set: files{".gatekeeper/policy.toml": c.policy}})
		c.has("refs/heads/main", base)
		c.policy = ""
		next := c.commit(sketch{parents: []*commit{base}, set: files{".gatekeeper/policy.toml": policyOf(c, "evidence = \"any\"", "")}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", base, next, "refused", "policy-protected")
		c.judged("refs/heads/main", next, "accepted attested exact")
	}},
	{name: "policy-loosened-for-the-same-push", about: "two commits, the first of which would let in the second", build: func(c *pushCase) {
		c.config = []string{"gatekeeper.policy repo"}
		base := c.commit(sketch{subject: "Begin", set: files{".gatekeeper/policy.toml": c.policy}})
		c.has("refs/heads/main", base)
		c.policy = ""
		loose := c.commit(sketch{parents: []*commit{base}, set: files{".gatekeeper/policy.toml": policyOf(c, "evidence = \"any\"", "")}, values: []string{sonnet}, by: c.by("alice")})
		bad := c.commit(sketch{parents: []*commit{loose}, set: files{"retry.txt": changed}})
		c.push("refs/heads/main", base, bad, "refused", "policy-protected")
		c.judged("refs/heads/main", loose, "accepted attested exact")
		c.judged("refs/heads/main", bad, "refused unknown -", "attestation-missing")
	}},
	{name: "no-policy", about: "without a policy nothing can be judged", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "refused attested exact")
		c.policy = ""
		c.whole(2, "policy-invalid")
	}},
	{name: "policy-with-an-unknown-key", about: "a key that a policy does not have may be a rule that is misspelt", build: func(c *pushCase) {
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "refused attested exact")
		c.policy = policyOf(c, "binding_ = \"exact\"", "")
		c.whole(2, "policy-invalid")
	}},
	{name: "too-many-commits", about: "two commits, where limits.commits is one", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[limits]\ncommits = 1\n\n")
		base := c.base()
		a := c.commit(sketch{parents: []*commit{base}, set: files{"a": "a\n"}, values: []string{sonnet}, by: c.by("alice")})
		b := c.commit(sketch{parents: []*commit{a}, set: files{"b": "b\n"}, values: []string{sonnet}, by: c.by("alice")})
		c.push("refs/heads/main", base, b, "refused", "push-too-large")
		c.judged("refs/heads/main", a, "accepted attested exact")
	}},
	{name: "too-many-refs", about: "two refs, where limits.refs is one", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[limits]\nrefs = 1\n\n")
		base := c.base()
		c.push("refs/heads/a", nil, base, "refused")
		c.push("refs/heads/b", nil, base, "refused")
		c.whole(1, "push-too-large")
	}},
	{name: "too-much-to-read", about: "a rebased commit of a file above limits.read, here 64 KiB: its change cannot be told", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[limits]\nread = \"64KiB\"\n\n")
		large := strings.Repeat("a line as long as another\n", 4000)
		base := c.commit(sketch{subject: "Begin", set: files{"README": "A project\n", "large.txt": large}})
		moved := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{none}, by: c.by("bob")})
		c.has("refs/heads/main", moved)
		c.one(moved, sketch{set: files{"large.txt": large + "and one more\n"}, values: []string{sonnet}, by: c.by("alice"), sawParents: []*commit{base}},
			"refused declared -", "push-too-large")
	}},
	{name: "override-by-nobody", about: "a push option asks for an override, and the server does not know who pushes", build: func(c *pushCase) {
		c.policy = policyOf(c, "", "[override]\nprincipals = [\"alice@example.com\"]\n\n")
		c.one(c.base(), sketch{}, "refused unknown -")
		c.env = []string{"GIT_PUSH_OPTION_COUNT=1", "GIT_PUSH_OPTION_0=gatekeeper.override=it cannot wait"}
		c.whole(1, "override-not-allowed")
	}},
	{name: "records-deleted", about: "refs of records only grow", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		ref, records := c.records(signed)
		c.has(ref, records)
		c.push(ref, records, nil, "refused", "records-rewrite")
	}},
	{name: "records-rewritten", about: "nor may they be put back to a commit that lacks some", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		ref, records := c.records(signed)
		c.has(ref, records)
		other := c.commit(sketch{parents: []*commit{base}, set: files{"README": "A project of ours\n"}, values: []string{sonnet}, by: c.by("alice")})
		_, rewritten := c.records(other)
		c.push(ref, records, rewritten, "refused", "records-rewrite")
	}},
	{name: "records-of-a-stranger", about: "a ref of records for a key that no signer has", build: func(c *pushCase) {
		signed := c.commit(sketch{parents: []*commit{c.base()}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("mallory")})
		ref, records := c.records(signed)
		c.push(ref, nil, records, "refused", "signer-unknown")
	}},
	{name: "records-that-are-none", about: "another file among records", build: func(c *pushCase) {
		signed := c.commit(sketch{parents: []*commit{c.base()}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		ref, _ := c.records(signed)
		c.push(ref, nil, c.commit(sketch{subject: "Records", set: files{"notes.txt": "hidden\n"}}), "refused", "ref-forbidden")
	}},
	{name: "certificate-of-another-push", about: "a push certificate whose nonce this server has not given for this push", build: func(c *pushCase) {
		c.config = []string{"gatekeeper.pusher certificate"}
		c.one(c.base(), sketch{values: []string{sonnet}, by: c.by("alice")}, "refused attested exact")
		cert := c.keep("blob", "certificate version 0.1\npusher alice 1741064400 +0000\nnonce 1-a\n\n"+c.updates[0]+"\n-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")
		c.env = []string{"GIT_PUSH_CERT=" + cert, "GIT_PUSH_CERT_NONCE=1-a", "GIT_PUSH_CERT_NONCE_STATUS=BAD"}
		c.whole(1, "certificate-invalid")
	}},
	{name: "tree-that-is-missing", about: "a commit whose tree nobody has, and which binds by its change alone: it cannot be checked", build: func(c *pushCase) {
		base := c.base()
		signed := c.commit(sketch{parents: []*commit{base}, set: files{"retry.txt": changed}, values: []string{sonnet}, by: c.by("alice")})
		raw := &commit{id: c.keep("commit", fmt.Sprintf("tree %s\nparent %s\nauthor Alice <alice@example.com> 1741064400 +0000\ncommitter Alice <alice@example.com> 1741064400 +0000\n\n%s",
			strings.Repeat("ab", 20), base.id, signed.message))}
		c.push("refs/heads/main", base, raw, "refused")
		c.whole(3)
	}},
}
