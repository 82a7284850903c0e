package policy

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed starter.toml
var starter string

// Starter is a commented policy to begin with. In mode Warn it refuses nothing
// and shows what would be; no model and no signer is listed yet.
func Starter(mode Mode) []byte {
	return []byte(strings.Replace(starter, `"warn"   `, fmt.Sprintf("%-9q", string(mode)), 1))
}

// SignerTOML is the [[signer]] block that an admin pastes at the end of a policy.
// publicKey is an authorized_keys line.
func SignerTOML(principal, class, publicKey string) string {
	return fmt.Sprintf("[[signer]]\nprincipal = %s\nclass     = %s\nkey       = %s\n",
		tomlString(principal), tomlString(class), tomlString(strings.TrimSpace(publicKey)))
}

// AllowedSignersLine is the same trust as a line, without its end, of OpenSSH's
// allowed_signers, where every signer is a developer. publicKey is an authorized_keys line.
func AllowedSignersLine(principal, publicKey string) string {
	if strings.ContainsAny(principal, " \t") || strings.HasPrefix(principal, "#") {
		principal = `"` + principal + `"`
	}
	return fmt.Sprintf("%s namespaces=\"gatekeeper\" %s", principal, strings.TrimSpace(publicKey))
}

// tomlString writes s as a basic string (toml.io/en/v1.0.0#string).
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
