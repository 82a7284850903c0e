// Gatekeeper-agent is what the hooks of coding agents call.
//
//	gatekeeper-agent NAME
//
// The payload comes on standard input. NAME is a hint, not the truth. In this
// version the event is dropped and the agent goes on: see package agentevent.
package main

import (
	"os"

	"github.com/gatekeeper-git/gatekeeper/hooks/agentevent"
)

func main() { os.Exit(agentevent.Run(os.Stdin)) }
