package trailer

import (
	"slices"

	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
)

// StyleSetting is the git config key that chooses the public face of records.
const StyleSetting = "gatekeeper.publicTrailer"

// Styles are its values; the first is the default.
var Styles = []string{"assisted-by", "kernel", "none"}

// Public are the Assisted-by trailers of records in one of Styles.
func Public(p provenance.Provenance, style string) []Line {
	var lines []Line
	for _, r := range p.Records {
		v := r.AssistedBy(style)
		l := Line{Key: KeyAssistedBy, Value: v}
		if v != "" && !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	return lines
}

// PublicOf are the Assisted-by trailers of records in any style: what goes when
// records are written anew.
func PublicOf(old ...provenance.Provenance) []Line {
	var lines []Line
	for _, p := range old {
		for _, style := range Styles {
			lines = append(lines, Public(p, style)...)
		}
	}
	return lines
}
