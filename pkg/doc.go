// Package pkg is the map of the house: what each package says, and what it
// refuses to know. It holds no code.
//
//	provenance   the words: tool, model, record. Knows no package of ours
//	trailer      the trailers of a message. Knows neither keys nor policy
//	change       what a commit changed, as one digest. Knows no repository
//	attestation  the signed statement and its two envelopes, SSHSIG and DSSE.
//	             Knows keys, never whose they are
//	  pubkey     the kinds of keys that count. Knows how they are spelt, sign and
//	             verify; finds none
//	  wire       the data types of SSH. Knows no key
//	  batch      many Ed25519 signatures at once. Knows nothing of what was signed
//	  sshkey     keys from files, ssh-agent and ssh-keygen. Only signs
//	  kms        PEM keys and key services, through sigstore. Only signs
//	trust        whose key counts, for what, and when. Knows no approval
//	pusher       who pushes, by the one source that the server goes by. Knows no
//	             policy, and nothing that they may do
//	policy       what is approved: models, tools, refs, limits. Reads no commit
//	  inforce    which policy a repository is under. Decides nothing
//	gate         the decision: commits, attestations, trust and policy make a
//	             verdict. Opens no file, starts no process, sees no repository
//	  report     a verdict as SARIF and as annotations. Judges nothing
//	repair       gives commits the provenance that they lack. Claims no more than
//	             is known
//	agent        the coding agents: their marks in environment and ancestry, what
//	             their hooks tell and want to hear. Knows no commit
//	  payload    the JSON that agents write. Knows its form alone
//	  mark       the trailers that agents write of themselves. Believes none of them
//	  mcp        the MCP servers that an agent is configured to use. Approves none
//	session      what was declared and observed in this clone until a commit
//	             has carried it away. Judges nothing
//	record       what stands beside commits: attestations in refs of their own.
//	             Believes none of it
//	receipt      what a server decided, line by line, in a chain. Judges nothing,
//	             and opens no repository
//	audit        the index over history and receipts, and the questions asked of
//	             it. Judges nothing, and writes to no repository
//	  store      the file that the index is. Knows tables, and no meaning
//	artifact     what binaries and documents say of the commits they were built from. Knows
//	             no commit
//	report       what an audit leaves behind: a page, figures, a signed manifest. Counts
//	             nothing itself
//	repo         the one door to git. Knows objects, refs and settings, and no
//	             meaning of any of them
//	internal     help for tests, the stories, the benchmarks. Nothing that ships
//	             imports it
//
// Imports run one way: cmd, then hooks, install and repair, then gate, session, record
// and receipt, then repo, agent, trailer, attestation, change, trust and policy, then
// provenance. The test beside this file holds the house to that, to the owners of each
// outside library, and to what the binaries that run on every commit may link.
//
// A new package gets a line here and a row in that test.
package pkg
