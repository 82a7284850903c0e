package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// A runner reads a command from a line that begins with "::". Where that is not one it
// knows, it looks for the older form "##[" anywhere in the line, so that is broken up too.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "# #[")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C", "##[", "# #[")
)

// GitHub writes a workflow command for each finding, a line each: ::error where it
// refuses, ::warning where it does not. They name no file, since a commit is none.
func GitHub(w io.Writer, v gate.Verdict) error {
	var b strings.Builder
	for _, f := range all(v) {
		fmt.Fprintf(&b, "::%s title=%s::%s\n", f.level(), property.Replace("gatekeeper: "+f.Rule), data.Replace(f.text()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
