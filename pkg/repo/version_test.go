package repo

import (
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for said, want := range map[string]string{
		"git version 2.30.0":                   "",
		"git version 2.39.5 (Apple Git-154)":   "",
		"git version 2.45.1.windows.1":         "",
		"git version 3.0.0-rc1":                "",
		"git version 2.100.1":                  "",
		"git version 2.29.3":                   "git 2.29 is too old",
		"git version 1.8.3.1":                  "git 1.8 is too old",
		"git version 2":                        "cannot read",
		"":                                     "cannot read",
		"hub version 2.40\ngit version 2.40.1": "cannot read",
	} {
		err := checkVersion(said)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", said, err, want)
		}
	}
}
