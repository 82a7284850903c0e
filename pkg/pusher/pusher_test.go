package pusher

import (
	"errors"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		name   string
		source Source
		env    map[string]string
		want   string
	}{
		{"GitLab, over ssh, http or by its button", GitLab, map[string]string{"GL_ID": "user-7", "GL_USERNAME": "alice", "GL_PROTOCOL": "web", "GL_REPOSITORY": "project-1"}, "alice"},
		{"GitLab, by a deploy key", GitLab, map[string]string{"GL_ID": "key-7", "GL_USERNAME": "", "GL_PROTOCOL": "ssh"}, ""},
		{"Gitea", Gitea, map[string]string{"GITEA_PUSHER_NAME": "alice", "GITEA_PUSHER_ID": "3", "GITEA_PUSHER_EMAIL": "release@example.com", "GITEA_DEPLOY_KEY_ID": "0", "GITEA_KEY_ID": "4"}, "alice"},
		{"Gitea, by a deploy key, which it calls the owner", Gitea, map[string]string{"GITEA_PUSHER_NAME": "owner", "GITEA_DEPLOY_KEY_ID": "9"}, ""},
		{"Forgejo", Forgejo, map[string]string{"GITEA_PUSHER_NAME": "alice"}, "alice"},
		{"Forgejo, by a deploy key", Forgejo, map[string]string{"GITEA_PUSHER_NAME": "owner", "GITEA_DEPLOY_KEY_ID": "1"}, ""},
		{"GitHub Enterprise Server", GitHub, map[string]string{"GITHUB_USER_LOGIN": "alice", "GITHUB_PULL_REQUEST_AUTHOR_LOGIN": "bob", "GITHUB_VIA": "pull request merge button"}, "alice"},
		{"Bitbucket", Bitbucket, map[string]string{"BB_USER_NAME": "alice", "BB_USER_DISPLAY_NAME": "Alice", "BB_HOOK_TRIGGER_ID": "push"}, "alice"},
		{"gitolite", Gitolite, map[string]string{"GL_USER": "alice", "GL_REPO": "testing", "GL_USERNAME": "bob"}, "alice"},
		{"gitolite, by somebody on the server itself", Gitolite, map[string]string{"USER": "git", "GL_BYPASS_ACCESS_CHECKS": "1"}, ""},
		{"a web server", HTTP, map[string]string{"REMOTE_USER": "alice", "HTTP_AUTHORIZATION": "Basic c2VjcmV0", "GIT_COMMITTER_NAME": "bob"}, "alice"},
		{"sshd", SSH, map[string]string{"GATEKEEPER_PUSHER": "alice@example.com", "USER": "git", "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 22"}, "alice@example.com"},
		{"an account", Account, map[string]string{"USER": "root", "LOGNAME": "root"}, "carol"},
		{"nobody", None, map[string]string{"GL_USERNAME": "alice", "REMOTE_USER": "alice", "GIT_PUSH_CERT": strings.Repeat("1", 40)}, ""},
		{"a certificate that is not there", Certificate, map[string]string{"GL_USERNAME": "alice", "GIT_PUSH_CERT_SIGNER": "alice@example.com"}, ""},
		{"the variable of another server", HTTP, map[string]string{"GL_USERNAME": "alice", "GITHUB_USER_LOGIN": "alice", "GITEA_PUSHER_NAME": "alice"}, ""},
		{"a name with an escape", GitLab, map[string]string{"GL_USERNAME": "alice\x1b[2K"}, ""},
		{"a name of two lines", HTTP, map[string]string{"REMOTE_USER": "alice\nbob"}, ""},
		{"a name that turns its direction", GitLab, map[string]string{"GL_USERNAME": "alice\u202e"}, ""},
		{"a name that is no text", GitLab, map[string]string{"GL_USERNAME": "alice\xff"}, ""},
		{"a name with a space behind it", GitLab, map[string]string{"GL_USERNAME": "alice "}, ""},
		{"a name that is a pattern", HTTP, map[string]string{"REMOTE_USER": "*@example.com"}, ""},
		{"a name that is a list", HTTP, map[string]string{"REMOTE_USER": "alice,bob"}, ""},
		{"a name that is too long", GitLab, map[string]string{"GL_USERNAME": strings.Repeat("a", MaxName+1)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Identify(t.Context(), c.source, Push{
				Getenv:  func(name string) string { return c.env[name] },
				Account: func() (string, error) { return "carol", nil },
			})
			want := Identity{Source: c.source, Name: c.want}
			if err != nil || got != want || got.Somebody() != (c.want != "") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestIdentifyFails(t *testing.T) {
	failing := errors.New("no such account")
	p := Push{Getenv: func(string) string { return "secret" }, Account: func() (string, error) { return "", failing }}
	if _, err := Identify(t.Context(), Account, p); !errors.Is(err, failing) {
		t.Errorf("an account that is not there: %v", err)
	}
	if _, err := Identify(t.Context(), "ldap", p); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an unknown source: %v", err)
	}
	for _, s := range Sources() {
		if !s.Known() || s.OfPlatform() && s.variable() == "" {
			t.Errorf("%s is none of its own", s)
		}
	}
}
