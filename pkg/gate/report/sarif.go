package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/gatekeeper-git/gatekeeper/pkg/gate"
)

// MaxResults bounds the results of one SARIF file: GitHub shows 5000 of a run, and takes
// none of a run with more than 25000. What is left out is counted in a notification.
const MaxResults = 5000

// Run is what a SARIF file says beside the verdict.
type Run struct {
	Version   string   // of gatekeeper
	Policy    string   // where a reader finds the policy: a path below the top of the repository, with slashes
	Remote    string   // address of the repository; told only as far as it is a URL, and without what it may hold of passwords
	NotJudged []string // the rules that only a server can judge
}

// The types below are the part of SARIF 2.1.0 that is written.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        tool         `json:"tool"`
		Invocations []invocation `json:"invocations"`
		Origin      []origin     `json:"versionControlProvenance,omitempty"`
		Results     []result     `json:"results"`
		Properties  properties   `json:"properties"`
	}
	tool struct {
		Driver driver `json:"driver"`
	}
	driver struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Rules   []rule `json:"rules"`
	}
	rule struct {
		ID    string  `json:"id"`
		Short message `json:"shortDescription"`
	}
	message struct {
		Text string `json:"text"`
	}
	invocation struct {
		Successful    bool           `json:"executionSuccessful"`
		Notifications []notification `json:"toolExecutionNotifications,omitempty"`
	}
	notification struct {
		Level   string  `json:"level"`
		Message message `json:"message"`
	}
	origin struct {
		Repository string `json:"repositoryUri"`
		Revision   string `json:"revisionId,omitempty"`
	}
	result struct {
		Rule         string            `json:"ruleId"`
		Index        int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      message           `json:"message"`
		Locations    []location        `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	location struct {
		Physical physical  `json:"physicalLocation"`
		Logical  []logical `json:"logicalLocations"`
		Message  message   `json:"message"`
	}
	physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   region   `json:"region"`
	}
	artifact struct {
		URI string `json:"uri"`
	}
	region struct {
		StartLine int `json:"startLine"`
	}
	logical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	properties struct {
		Policy    string       `json:"policy"` // digest, as in the verdict
		Ref       string       `json:"ref"`
		Verdict   gate.Outcome `json:"verdict"`
		NotJudged []string     `json:"notJudged"`
	}
)

// SARIF writes a verdict as a SARIF 2.1.0 file with one run. Each finding is a result
// whose logical location is the commit, or the ref, that it is about. GitHub takes no
// result without a file; a commit is none, so all point at the policy that they were
// judged by, and say so.
func SARIF(w io.Writer, v gate.Verdict, run Run) error {
	found := all(v)
	r := sarifRun{
		Tool:        tool{driver{"gatekeeper", run.Version, rules()}},
		Invocations: []invocation{{Successful: true}},
		Origin:      origins(v, run.Remote),
		Results:     []result{},
		Properties:  properties{Policy: v.Policy, Verdict: v.Verdict, NotJudged: append([]string{}, run.NotJudged...)},
	}
	if len(v.Refs) > 0 {
		r.Properties.Ref = v.Refs[0].Ref
	}
	if len(found) > MaxResults {
		r.Invocations[0].Notifications = []notification{{"warning", message{
			fmt.Sprintf("these are the first %d of %d findings; gatekeeper verify --format json tells them all", MaxResults, len(found))}}}
		found = found[:MaxResults]
	}
	seen := map[string]int{}
	for _, f := range found {
		key := f.object + "/" + f.Rule
		seen[key]++
		r.Results = append(r.Results, f.result(run.Policy, fingerprint(key, seen[key])))
	}
	return write(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{r}})
}

func rules() []rule {
	var rs []rule
	for _, r := range gate.Rules {
		rs = append(rs, rule{r.Name, message{r.Says}})
	}
	return rs
}

// origins says which repository and revision were judged. An address that is a path of
// this machine, or in scp's form, is no URI that others could follow.
func origins(v gate.Verdict, remote string) []origin {
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http", "ssh"}, u.Scheme) {
		return nil
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	o := origin{Repository: clean.String()}
	if len(v.Refs) > 0 {
		o.Revision = v.Refs[0].New
	}
	return []origin{o}
}

func (f finding) result(policy, print string) result {
	where := physical{artifact{(&url.URL{Path: policy}).String()}, region{1}}
	why := message{"the policy; no file is at fault, but a " + f.kind}
	return result{
		Rule:      f.Rule,
		Index:     slices.IndexFunc(gate.Rules, func(r gate.Rule) bool { return r.Name == f.Rule }),
		Level:     f.level(),
		Message:   message{unlinked(f.text())},
		Locations: []location{{where, []logical{{f.name, f.kind}}, why}},
		// GitHub goes by the second name alone and, where it is missing, by the line
		// pointed at, by which all results of a rule would be one.
		Fingerprints: map[string]string{"commitRule/v1": print, "primaryLocationLineHash": print},
	}
}

// fingerprint tells findings of one rule about one commit apart by their order.
func fingerprint(key string, nth int) string {
	return fmt.Sprintf("%.16x:%d", sha256.Sum256([]byte(key)), nth)
}

// unlinked takes apart what a viewer would show as a link: [text](address), section
// 3.11.6.
func unlinked(text string) string { return strings.ReplaceAll(text, "](", "] (") }

// write encodes the file so that a runner which shows it in a log finds none of its
// commands there: a line begins with a bracket or a quote, never with "::", and "##["
// is spelt otherwise, which is the same string in JSON.
func write(w io.Writer, l sarifLog) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return err
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("##["), []byte(`#\u0023[`)))
	return err
}
