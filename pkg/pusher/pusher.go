// Package pusher says who pushes, by the one source that the admin chose when the
// server was installed.
//
// A variable of the environment counts only where that source sets it: on another
// server it may be anybody's. Nothing of the environment is ever in an error, as one
// variable may be a password; only a name that passes for one comes out.
//
// It knows no policy: which signer a key or a name belongs to, and what they may do,
// is for package gate. Nor does it know a repository; whoever asks reads the push
// certificate.
package pusher

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Source is what a server goes by to know who pushes.
type Source string

// The sources. Those of platforms have the names of the platforms.
const (
	None        Source = "none"        // nobody is known
	GitLab      Source = "gitlab"      // GL_USERNAME
	GitHub      Source = "github"      // GITHUB_USER_LOGIN, of GitHub Enterprise Server
	Gitea       Source = "gitea"       // GITEA_PUSHER_NAME
	Forgejo     Source = "forgejo"     // the same
	Bitbucket   Source = "bitbucket"   // BB_USER_NAME
	Gitolite    Source = "gitolite"    // GL_USER
	HTTP        Source = "http"        // REMOTE_USER, of the web server around git http-backend
	SSH         Source = "ssh"         // GATEKEEPER_PUSHER, which sshd sets for each key
	Account     Source = "account"     // the account of the server that the push runs as
	Certificate Source = "certificate" // a signed push certificate
)

// Sources lists all of them.
func Sources() []Source {
	return []Source{None, GitLab, GitHub, Gitea, Forgejo, Bitbucket, Gitolite, HTTP, SSH, Account, Certificate}
}

// Known reports whether there is such a source.
func (s Source) Known() bool { return slices.Contains(Sources(), s) }

// OfPlatform reports whether the source is the word of a platform, which nobody should
// believe elsewhere.
func (s Source) OfPlatform() bool {
	return slices.Contains([]Source{GitLab, GitHub, Gitea, Forgejo, Bitbucket}, s)
}

// variable is where a source has its name; "" when it has none.
func (s Source) variable() string {
	switch s {
	case GitLab:
		return "GL_USERNAME"
	case GitHub:
		return "GITHUB_USER_LOGIN"
	case Gitea, Forgejo:
		return "GITEA_PUSHER_NAME"
	case Bitbucket:
		return "BB_USER_NAME"
	case Gitolite:
		return "GL_USER"
	case HTTP:
		return "REMOTE_USER"
	case SSH:
		return "GATEKEEPER_PUSHER"
	}
	return ""
}

// An Identity is who pushes: a name that the server gave, or the key that signed the
// push certificate. It has neither when the source did not say.
type Identity struct {
	Source Source
	Name   string // printable, at most MaxName bytes
	Key    string // "SHA256:…"
	Ticket string // digest of what the key signed, for whoever keeps it from being used twice
}

// Somebody reports whether the source said who pushes.
func (i Identity) Somebody() bool { return i.Name != "" || i.Key != "" }

// MaxName bounds a name, in bytes. What is longer is none.
const MaxName = 200

// A Push is the push that is asked about, as its hook sees it.
type Push struct {
	Getenv  func(name string) string
	Updates []byte   // the ref updates, as git hands them to pre-receive
	Pushees []string // addresses that a certificate may name as where it is pushed to; none = any

	Account func() (string, error)                                        // the name of the account that the hook runs as
	Object  func(ctx context.Context, id string) (data []byte, err error) // a blob of the repository, of up to MaxCertificate bytes
}

// Identify asks a source who pushes. When it does not say, that is Nobody and no
// error. A push certificate that does not hold is a *CertificateError; any other error
// says that the source could not be asked.
func Identify(ctx context.Context, s Source, p Push) (Identity, error) {
	i := Identity{Source: s}
	var err error
	switch {
	case s == None:
	case s == Account:
		i.Name, err = p.Account()
	case s == Certificate:
		i.Key, i.Ticket, err = p.certified(ctx)
	case s.variable() == "":
		return Identity{}, fmt.Errorf("no source of identity is called %.40q", string(s))
	case !p.deployed(s):
		i.Name = p.Getenv(s.variable())
	}
	if !isName(i.Name) {
		i.Name = ""
	}
	return i, err
}

// deployed reports whether a deploy key pushes, behind which there is no person: then
// Gitea names the owner of the repository, whoever has the key.
func (p Push) deployed(s Source) bool {
	key := p.Getenv("GITEA_DEPLOY_KEY_ID")
	return (s == Gitea || s == Forgejo) && key != "" && key != "0"
}

// isName reports whether a string may be a name: what cannot be shown as it is, could
// pass for somebody else, and so could a pattern or a list.
func isName(s string) bool {
	return len(s) <= MaxName && !strings.ContainsAny(s, "*?!,") && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
