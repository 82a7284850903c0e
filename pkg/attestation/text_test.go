package attestation

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNoAllowedCharacterNeedsAnEscape(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@+,=%- "
	for i := range 256 {
		c := byte(i)
		if want := strings.IndexByte(alphabet, c) >= 0; allowed(c) != want {
			t.Errorf("%q allowed: %v, want %v", c, allowed(c), want)
		}
		if !allowed(c) {
			continue
		}
		text, err := json.Marshal(string(rune(c)))
		if want := `"` + string(rune(c)) + `"`; err != nil || string(text) != want {
			t.Errorf("%q is written %s in JSON", c, text)
		}
	}
}
