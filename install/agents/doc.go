// Package agents puts gatekeeper's entries into the configuration of the coding
// agents of one user, and takes them out again.
//
// It promises:
//
//   - Of a file that people and agents write, too, every byte that is not ours stays:
//     comments, order, unknown keys, white space, a byte order mark. Taking the
//     entries out brings the file back as it was.
//   - A second run changes no byte, and one with the binary elsewhere changes our
//     entries alone.
//   - A file that cannot be read, or has something else where our entry belongs, is
//     refused with its line and column before anything is written.
//   - A file is replaced whole or not at all, keeps its mode, and is written where a
//     link leads. As it was before us it waits beside as NAME.before-gatekeeper.
//   - Only files of the user are touched, never those of a repository.
//
// An entry is known by its command: the path of a program called gatekeeper-agent,
// and the name of the agent. The command is the same in every entry of an agent and
// in every run.
//
// It does not know what an event says (package agent) nor whether it was heard
// (package session), and prints nothing.
package agents
