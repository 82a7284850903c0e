package audit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/repo"
)

func TestTouchesAreBounded(t *testing.T) {
	left := touchBytes
	kept := 0
	for n := range 100 {
		c := Commit{Added: 0}
		for i := range maxTouches + 5 {
			c.touch(repo.Touch{Path: fmt.Sprintf("%0900d", i), Added: 1}, &left)
		}
		if c.Files != maxTouches+5 || c.Added != maxTouches+5 {
			t.Fatalf("commit %d counts %d files and %d lines", n, c.Files, c.Added)
		}
		kept += len(c.Touches)
	}
	if kept*900 > touchBytes || kept == 0 || left < 0 {
		t.Errorf("%d files are kept, %d bytes left", kept, left)
	}
}

func TestCites(t *testing.T) {
	id := strings.Repeat("ab", 20)
	for message, want := range map[string]string{
		"Revert \"x\"\n\nThis reverts commit " + id + ".\n":                  "revert",
		"Revert \"x\"\n\nThis reverts commit " + id + ", reversing\nchanges": "revert",
		"Fix\n\n(cherry picked from commit " + id + ")\n":                    "pick",
		"Fix\n\n> This reverts commit " + id + ".\n":                         "",
		"Fix\n\nThis reverts commit abc.\n":                                  "",
		"Fix\n\nThis reverts commit " + id + "ab.\n":                         "",
		"(cherry picked from commit " + id:                                   "",
	} {
		got := ""
		for _, c := range cites([]byte(message), 20) {
			got += c.Kind
			if c.ID.String() != id {
				t.Errorf("%q cites %s", message, c.ID)
			}
		}
		if got != want {
			t.Errorf("%q cites %q, want %q", message, got, want)
		}
	}
	many := strings.Repeat("(cherry picked from commit "+id+")\n", 3*maxCites)
	if got := cites([]byte("x\n"+many), 20); len(got) > maxCites {
		t.Errorf("%d cites", len(got))
	}
}
