package attestation

import "strings"

// AgentSpec names the first usable key that an ssh-agent holds.
const AgentSpec = "ssh-agent"

// A KeyName is the name of a signing key, and what gives it.
type KeyName struct {
	Spec   string // a path, "key::ssh-ed25519 AAAA…", AgentSpec, or the URI of a key service
	Source string // for people: "git config user.signingKey"
}

// KeyNames lists where a person's signing key is looked for, in this order:
// gatekeeper.signingKey, git's own when that is an SSH key, and whatever an
// ssh-agent holds. The first one signs. get reads a setting of git, "" when it is
// not set.
func KeyNames(get func(key string) string) []KeyName {
	names := []KeyName{{get("gatekeeper.signingKey"), "git config gatekeeper.signingKey"}}
	if get("gpg.format") == "ssh" {
		names = append(names, KeyName{get("user.signingKey"), "git config user.signingKey"})
	}
	var given []KeyName
	for _, n := range names {
		if n.Spec != "" {
			given = append(given, n)
		}
	}
	return append(given, KeyName{AgentSpec, "ssh-agent"})
}

// NamesDSSE reports whether spec names a key that signs as DSSE, by way of package kms: a
// URI, or a file called *.pem or *.key (cosign's own name for it).
func NamesDSSE(spec string) bool {
	return strings.Contains(spec, "://") || strings.HasSuffix(spec, ".pem") || strings.HasSuffix(spec, ".key")
}
