// Package agentevent answers the hooks of coding agents themselves.
//
// This version takes nothing from them: agents are seen by their environment and
// ancestry when a commit is made (package agent). The payload is read and dropped,
// nothing is answered and the code is 0, which every agent takes for "go on".
// An agent must never be held up or broken by its recorder.
package agentevent

import "io"

// Run reads the payload of one event to its end and lets the agent go on.
func Run(payload io.Reader) int {
	_, _ = io.Copy(io.Discard, payload) // an agent that goes away early is no fault
	return 0
}
