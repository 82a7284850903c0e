-- Version 2. Rows are added and never changed or taken away. Times are seconds since
-- 1970 in UTC, ids of objects raw bytes, and "" or 0 in a text or a count is a known
-- one; what is not known is NULL. What a row says became known when its run ended.

CREATE TABLE run (
	id      INTEGER PRIMARY KEY,
	began   INTEGER NOT NULL,
	program TEXT NOT NULL             -- version of gatekeeper
);
CREATE TABLE run_end (
	run     INTEGER PRIMARY KEY,
	ended   INTEGER NOT NULL,
	killed  INTEGER NOT NULL          -- 1: it did not end by itself, and the next run says so
);
CREATE TABLE repository (
	id      INTEGER PRIMARY KEY,
	run     INTEGER NOT NULL,
	name    TEXT NOT NULL UNIQUE,     -- for people
	place   TEXT NOT NULL UNIQUE,     -- absolute path of the common git directory
	id_size INTEGER NOT NULL          -- 20 or 32
);

-- Words that many rows share.
CREATE TABLE person (
	id      INTEGER PRIMARY KEY,
	name    TEXT NOT NULL,
	email   TEXT NOT NULL,
	UNIQUE (email, name)
);
CREATE TABLE path (
	id      INTEGER PRIMARY KEY,
	repo    INTEGER NOT NULL,
	name    TEXT NOT NULL,
	UNIQUE (repo, name)
);
CREATE TABLE folder (                 -- cut at the depth of the ledger, with a slash at its end; '' is the top
	id      INTEGER PRIMARY KEY,
	repo    INTEGER NOT NULL,
	name    TEXT NOT NULL,
	UNIQUE (repo, name)
);
CREATE TABLE use (                    -- a tool with a model, and how that was told
	id       INTEGER PRIMARY KEY,
	source   TEXT NOT NULL,           -- record, git-ai, agent-trace, entire, qwen-code, mark
	tool     TEXT NOT NULL,           -- "unknown" where it is not known, likewise below
	version  TEXT NOT NULL,
	provider TEXT NOT NULL,
	model    TEXT NOT NULL,           -- without its provider
	via      TEXT NOT NULL,           -- hook, process, declared, import, unknown
	UNIQUE (tool, model, provider, version, via, source)
);

CREATE TABLE commits (
	id        INTEGER PRIMARY KEY,    -- parents before children within a repository
	repo      INTEGER NOT NULL,
	run       INTEGER NOT NULL,
	oid       BLOB NOT NULL,
	parents   BLOB NOT NULL,          -- their ids, one after the other
	author    INTEGER NOT NULL,       -- person
	committer INTEGER NOT NULL,       -- person
	authored  INTEGER NOT NULL,
	committed INTEGER NOT NULL,
	received  INTEGER,                -- by the server, as its receipts say
	own       INTEGER NOT NULL,       -- 0: a merge in which every file is as in one of its parents
	files     INTEGER NOT NULL,       -- that it touches; of a merge, those unlike all parents
	added     INTEGER,                -- lines, against the one parent; NULL for merges
	deleted   INTEGER,
	shape     INTEGER,                -- of what it touches: equal for equal changes; NULL when it touches nothing, and for merges
	change    BLOB,                   -- the change digest that it is signed for
	UNIQUE (oid, repo)
);
CREATE INDEX commit_shape ON commits (shape) WHERE shape IS NOT NULL;
CREATE INDEX commit_change ON commits (change) WHERE change IS NOT NULL;
CREATE TABLE digest (                 -- change digests computed since, of commits that are signed for none
	commit_id INTEGER PRIMARY KEY,
	run       INTEGER NOT NULL,
	change    BLOB NOT NULL
);
CREATE INDEX digest_change ON digest (change);
CREATE TABLE inverse (                -- digest of what takes a commit's change back
	commit_id INTEGER PRIMARY KEY,
	run       INTEGER NOT NULL,
	change    BLOB NOT NULL
);
CREATE TABLE touch (
	commit_id INTEGER NOT NULL,
	path      INTEGER NOT NULL,
	added     INTEGER,                -- NULL: not told by lines
	deleted   INTEGER,
	PRIMARY KEY (commit_id, path)
) WITHOUT ROWID;
CREATE INDEX touch_path ON touch (path, commit_id);
CREATE TABLE cite (                   -- what a message says of other commits
	commit_id INTEGER NOT NULL,
	run       INTEGER NOT NULL,
	kind      TEXT NOT NULL,          -- revert, pick
	oid       BLOB NOT NULL,
	PRIMARY KEY (oid, commit_id, kind)
) WITHOUT ROWID;

-- What is known of a commit's provenance. The judgement that counts is the one that is
-- not superseded.
CREATE TABLE judgement (
	id        INTEGER PRIMARY KEY,
	commit_id INTEGER NOT NULL,
	run       INTEGER NOT NULL,
	evidence  TEXT NOT NULL,          -- attested, none-observed, declared, import, inferred, unknown
	class     TEXT NOT NULL,          -- of the best signer; "" without one
	binding   TEXT NOT NULL,          -- exact, change; "" when nothing binds
	none      TEXT NOT NULL,          -- the grade at which nothing was observed; "" else
	beside    INTEGER NOT NULL,       -- 1: it stands in a record beside the commit
	trace     TEXT NOT NULL,          -- digest of the trace of lines; "" for none
	problem   TEXT NOT NULL           -- rule that kept something from counting; "" for none
);
CREATE INDEX judgement_commit ON judgement (commit_id, run);
CREATE TABLE superseded (
	judgement INTEGER PRIMARY KEY,
	run       INTEGER NOT NULL
);
CREATE TABLE signer (
	judgement INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	key       TEXT NOT NULL,          -- SHA256:...
	principal TEXT NOT NULL,
	class     TEXT NOT NULL,
	signed    INTEGER,                -- time of signing, as the signer says
	PRIMARY KEY (judgement, n)
) WITHOUT ROWID;
CREATE INDEX signer_key ON signer (key, judgement);
CREATE TABLE claim (
	judgement INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	use       INTEGER NOT NULL,
	session   TEXT NOT NULL,          -- "" when it is not known
	ai        INTEGER,                -- added lines that came of it; NULL when not known
	total     INTEGER,                -- of so many, as the claim says
	PRIMARY KEY (judgement, n)
) WITHOUT ROWID;
CREATE INDEX claim_use ON claim (use, judgement);
CREATE INDEX claim_session ON claim (session, judgement) WHERE session <> '';
CREATE TABLE server (                 -- MCP servers of a claim
	judgement INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	name      TEXT NOT NULL,
	PRIMARY KEY (name, judgement, n)
) WITHOUT ROWID;

-- Where commits stand.
CREATE TABLE tip (                    -- the latest row of a ref counts
	repo    INTEGER NOT NULL,
	ref     TEXT NOT NULL,            -- HEAD, too
	run     INTEGER NOT NULL,
	oid     BLOB NOT NULL,            -- empty: it is gone, or unborn
	commit_oid BLOB NOT NULL,         -- the commit at its end; empty for none
	target  TEXT NOT NULL,            -- of a symbolic ref
	PRIMARY KEY (repo, ref, run)
) WITHOUT ROWID;
CREATE TABLE presence (               -- the latest row counts; without one a commit is there
	commit_id INTEGER NOT NULL,
	run       INTEGER NOT NULL,
	present   INTEGER NOT NULL,       -- 0: no ref reaches it any more
	PRIMARY KEY (commit_id, run)
) WITHOUT ROWID;
CREATE TABLE frontier (               -- commits that together reach all that is indexed; the latest row counts
	repo    INTEGER NOT NULL,
	n       INTEGER NOT NULL,
	run     INTEGER NOT NULL,
	heads   BLOB NOT NULL,
	PRIMARY KEY (repo, n)
) WITHOUT ROWID;
CREATE TABLE seen (                   -- how far other sources were read; the latest row counts
	repo    INTEGER NOT NULL,
	source  TEXT NOT NULL,            -- a ref of notes or records, "receipts", a file
	run     INTEGER NOT NULL,
	state   BLOB NOT NULL,
	PRIMARY KEY (repo, source, run)
) WITHOUT ROWID;

-- The ledger of package audit: what counts, in the order in which it became known.
CREATE TABLE strip (
	id      INTEGER PRIMARY KEY,
	repo    INTEGER NOT NULL,
	run     INTEGER NOT NULL,
	entries INTEGER NOT NULL,
	backs   INTEGER NOT NULL,         -- of these, entries that take others back
	facts   BLOB NOT NULL,
	places  BLOB NOT NULL             -- folders that the entries touch, in the same order
);

-- How commits hang together, of each transaction that added some, see span.go.
CREATE TABLE span (
	first   INTEGER PRIMARY KEY,      -- number of the first commit; those of the others follow
	repo    INTEGER NOT NULL,
	run     INTEGER NOT NULL,
	count   INTEGER NOT NULL,
	ids     BLOB NOT NULL,            -- commits.oid, one after the other
	parents BLOB NOT NULL,
	bonds   BLOB NOT NULL             -- which of them repeat or name which others
);

-- What was allowed, and decided.
CREATE TABLE policy (                 -- of those of a repository, the latest since before a time was in force then
	id      INTEGER PRIMARY KEY,
	repo    INTEGER NOT NULL,
	run     INTEGER NOT NULL,
	since   INTEGER NOT NULL,
	digest  TEXT NOT NULL,
	place   TEXT NOT NULL,            -- for people
	files   BLOB NOT NULL             -- JSON: name to content in base64
);
CREATE TABLE decision (               -- a receipt
	id       INTEGER PRIMARY KEY,
	repo     INTEGER NOT NULL,
	run      INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	hash     TEXT NOT NULL,
	time     INTEGER NOT NULL,
	verdict  TEXT NOT NULL,           -- accepted, warned, refused, unchecked
	policy   TEXT NOT NULL,           -- digest
	pusher   TEXT NOT NULL,
	override TEXT NOT NULL,
	commits  INTEGER NOT NULL,
	UNIQUE (repo, seq)
);
CREATE TABLE decided_ref (
	decision INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	ref      TEXT NOT NULL,
	old      BLOB NOT NULL,
	new      BLOB NOT NULL,
	mode     TEXT NOT NULL,
	verdict  TEXT NOT NULL,
	PRIMARY KEY (decision, n)
) WITHOUT ROWID;
CREATE TABLE outcome (                -- the updates of a decision that happened
	decision INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	run      INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	ref      TEXT NOT NULL,
	PRIMARY KEY (decision, n)
) WITHOUT ROWID;
CREATE TABLE ruling (                 -- what a commit came to
	oid      BLOB NOT NULL,
	decision INTEGER NOT NULL,
	ref      TEXT NOT NULL,
	verdict  TEXT NOT NULL,
	evidence TEXT NOT NULL,
	binding  TEXT NOT NULL,
	rules    TEXT NOT NULL,           -- of its findings, with commas between
	PRIMARY KEY (oid, decision, ref)
) WITHOUT ROWID;

CREATE TABLE mcp_file (               -- MCP configuration in the tree of a ref; the latest row of a file counts
	repo    INTEGER NOT NULL,
	ref     TEXT NOT NULL,
	file    TEXT NOT NULL,
	run     INTEGER NOT NULL,
	oid     BLOB NOT NULL,            -- of the blob; empty: it is gone
	problem TEXT NOT NULL,            -- why it could not be read whole; "" for none
	servers BLOB NOT NULL,            -- JSON
	PRIMARY KEY (repo, ref, file, run)
) WITHOUT ROWID;
CREATE TABLE told (                   -- what another recorder says of a commit; the latest row counts
	repo    INTEGER NOT NULL,
	oid     BLOB NOT NULL,            -- of an Agent Trace the commit before
	source  TEXT NOT NULL,
	run     INTEGER NOT NULL,
	claims  BLOB NOT NULL,            -- JSON
	PRIMARY KEY (repo, oid, source, run)
) WITHOUT ROWID;
CREATE TABLE mcp_seen (               -- files that commits touched and that configure MCP servers
	repo    INTEGER NOT NULL,
	file    TEXT NOT NULL,
	run     INTEGER NOT NULL,
	PRIMARY KEY (repo, file)
) WITHOUT ROWID;
CREATE TABLE blamed (                 -- lines of a file as a commit has it, by the commit that wrote them
	repo    INTEGER NOT NULL,
	oid     BLOB NOT NULL,            -- commit
	path    TEXT NOT NULL,
	lines   BLOB NOT NULL,
	PRIMARY KEY (repo, oid, path)
) WITHOUT ROWID;
CREATE TABLE asked (                  -- who looked at people, and why
	id      INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL,
	who     TEXT NOT NULL,
	question TEXT NOT NULL,
	purpose TEXT NOT NULL
);
CREATE TABLE artifact (               -- a binary or image that somebody told of; known from then on
	id     INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	sha256 TEXT NOT NULL UNIQUE,      -- in hexadecimal
	name   TEXT NOT NULL,
	size   INTEGER                    -- bytes; NULL when only its digest was told
);
CREATE TABLE artifact_link (          -- a commit that it was built from
	artifact INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	oid      BLOB NOT NULL,
	strength TEXT NOT NULL,           -- signed-provenance, build-info, document, declared
	source   TEXT NOT NULL,           -- what says so
	teller   TEXT NOT NULL,           -- who says so; "" for nobody
	uri      TEXT NOT NULL,           -- of the repository, as it is told; "" for not
	PRIMARY KEY (artifact, oid, strength, source, teller)
) WITHOUT ROWID;
