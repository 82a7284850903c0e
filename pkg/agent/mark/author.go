package mark

import "strings"

// Author reads an author or committer as a commit names them, for inference: what OfAddress
// tells, and beyond that Aider puts its name behind that of
// the person it works for, and Codex in the cloud has an address that anybody might
// have, and counts by its name alone. A person who is called Claude or Devin has an
// address of their own.
func Author(name, address string) (Mark, bool) {
	if m, ok := OfAddress(name, address); ok {
		return m, true
	}
	switch {
	case strings.HasSuffix(name, " (aider)"):
		return Mark{Tool: "aider"}, true
	case address == "codex@example.com" && strings.EqualFold(name, "codex"):
		return Mark{Tool: "codex"}, true
	}
	return Mark{}, false
}
