// Package gate decides whether commits may enter a ref: commits, their
// attestations, who is trusted and what the policy says go in, a Verdict comes out.
//
// The same judgement serves pre-receive, pre-push and verify, so what a laptop
// is told before the upload is what the server will say. Everything that a push
// brings is hostile: messages are read by one strict parser, ambiguity is a
// refusal, and what cannot be read is an error, never an approval.
//
// For each updated ref the gate judges every commit that is reachable from the
// new value and from neither the baseline nor the ref's own old value. That a
// commit is "on the server already" proves nothing: it may have been parked on
// a ref that nobody judges.
//
// The gate has no I/O of its own. It asks a Source for git objects, a
// policy.Policy for rules, and takes the time as a value. It does not know
// where policies are kept, who pushes, or how a hook is called.
package gate
