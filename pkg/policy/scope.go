package policy

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// alsoModels joins the digests of modelsFor where more than one list was asked.
const alsoModels = "+"

// noModels is a list that no ref has: of what was accepted under different ones.
const noModels = "-"

// modelsFor is a digest of those [[model]] entries that name refs, this one among
// them; "" when no entry of the policy names any, so that all refs are alike. What was
// welcome on a ref of another digest may not be so here.
//
// The patterns of refs do not go into it, nor do the lines where entries stand.
func (p *Policy) modelsFor(ref string) string {
	named := false
	digest := sha256.New()
	for i := range p.models {
		m := &p.models[i]
		if len(m.refs) == 0 {
			continue
		}
		named = true
		if matchAny(m.refs, ref) {
			fmt.Fprintf(digest, "%q %t %q %q %s %s %s\n", m.id.text, m.denied, texts(m.tools), texts(m.deny), m.from, m.until, m.minClass)
		}
	}
	if !named {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:12])
}

// includesModels reports whether what was judged by one list was judged by another,
// too. Under a policy whose entries named no refs everything was.
func includesModels(by, also string) bool {
	lists := strings.Split(by, alsoModels)
	return by == "" || also == noModels || !slices.ContainsFunc(strings.Split(also, alsoModels), func(list string) bool { return !slices.Contains(lists, list) })
}

// commonModels are the lists that both name.
func commonModels(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	other := strings.Split(b, alsoModels)
	both := slices.DeleteFunc(strings.Split(a, alsoModels), func(list string) bool { return !slices.Contains(other, list) })
	if len(both) == 0 {
		return noModels
	}
	return strings.Join(both, alsoModels)
}

// KnownModels reports whether a text has the form of Rule.Models.
func KnownModels(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"+alsoModels) == ""
}
