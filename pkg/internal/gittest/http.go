package gittest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An HTTPServer serves the repositories below a directory by git's own
// http-backend, as a web server would run it.
type HTTPServer struct {
	URL    string
	Stderr *Log // what git and the hooks wrote there, beside what the pusher saw
	server *httptest.Server
}

// StartHTTP serves root on loopback. env is the environment of the server's git
// and so of its hooks; user is who every request comes from, as REMOTE_USER.
func StartHTTP(root string, env []string, user string) (*HTTPServer, error) {
	backend, err := backendPath()
	if err != nil {
		return nil, err
	}
	s := &HTTPServer{Stderr: &Log{}}
	handler := &cgi.Handler{
		Path:   backend,
		Dir:    root,
		Stderr: s.Stderr,
		Env: append(ServerEnv(env),
			"GIT_PROJECT_ROOT="+root,
			"GIT_HTTP_EXPORT_ALL=1",
			"REMOTE_USER="+user), // http-backend takes pushes from a known user only
	}
	s.server = httptest.NewServer(measured{handler})
	s.URL = s.server.URL
	return s, nil
}

// Close stops the server when it has answered what it was asked.
func (s *HTTPServer) Close() { s.server.Close() }

// ServeHTTP is StartHTTP for the time of a test.
func ServeHTTP(t testing.TB, root string, env []string, user string) *HTTPServer {
	t.Helper()
	s, err := StartHTTP(root, env, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func backendPath() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("git --exec-path: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), nil
}

// measured gives every body a length: git sends what exceeds http.postBuffer in
// chunks, and net/http/cgi answers those with 400, since CGI has no word for them.
type measured struct{ http.Handler }

func (m measured) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	}
	m.Handler.ServeHTTP(w, r)
}
