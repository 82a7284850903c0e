package policy

// Starter is a commented policy to begin with, in the given mode.
func Starter(mode Mode) []byte { return nil }

// SignerTOML is the [[signer]] block that an admin pastes into a policy.
func SignerTOML(principal, class, publicKey string) string { return "" }

// AllowedSignersLine is the same trust as a line of OpenSSH's allowed_signers.
func AllowedSignersLine(principal, publicKey string) string { return "" }
