package prereceive

import (
	"testing"

	"github.com/gatekeeper-git/gatekeeper/install"
)

func TestButtons(t *testing.T) {
	for _, c := range []struct {
		name, platform string
		env            map[string]string
		want           bool
	}{
		{"GitLab's web interface, API and merge trains", install.GitLab, map[string]string{"GL_PROTOCOL": "web"}, true},
		{"a push to GitLab over ssh", install.GitLab, map[string]string{"GL_PROTOCOL": "ssh", "GITEA_PUSH_TRIGGER": "pr-merge-to-base"}, false},
		{"GitHub's merge button", install.GitHub, map[string]string{"GITHUB_VIA": "pull request merge button"}, true},
		{"GitHub's editor of files", install.GitHub, map[string]string{"GITHUB_VIA": "blob#save"}, false},
		{"a push to GitHub", install.GitHub, map[string]string{}, false},
		{"Gitea's merge button", install.Gitea, map[string]string{"GITEA_PUSH_TRIGGER": "pr-merge-to-base", "GITEA_PR_ID": "12"}, true},
		{"Forgejo, which names the request alone", install.Forgejo, map[string]string{"GITEA_PR_ID": "12"}, true},
		{"a push to Forgejo", install.Forgejo, map[string]string{"GITEA_PR_ID": "0"}, false},
		{"a push to Gitea", install.Gitea, map[string]string{"GITEA_PR_ID": ""}, false},
		{"Bitbucket's merge button", install.Bitbucket, map[string]string{"BB_HOOK_TRIGGER_ID": "pull-request-merge"}, true},
		{"a push to Bitbucket", install.Bitbucket, map[string]string{"BB_HOOK_TRIGGER_ID": "push"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, ok := buttonOf(c.platform)
			if !ok {
				t.Fatalf("%s has no button", c.platform)
			}
			if got := b.pressed(func(key string) string { return c.env[key] }); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("every platform that can be installed on has a button, but git alone", func(t *testing.T) {
		for _, name := range install.Platforms() {
			if _, ok := buttonOf(name); ok == (name == install.Plain) {
				t.Errorf("%s: %v", name, ok)
			}
		}
	})
}

func TestRequestNumbers(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"Add retries (#12)", "12"},
		{"Add retries\n\nSee merge request group/project!34", "34"},
		{"Merge pull request 'Add retries' (#56) from fix into main", "56"},
		{"Colour #fff and #1234567890 are none", ""},
	} {
		got := ""
		if m := requestNumber.FindStringSubmatch(c.message); m != nil {
			got = m[1]
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.message, got, c.want)
		}
	}
}
