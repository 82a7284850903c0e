package gittest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// A Meddler passes on what git sends to an HTTP server, and changes what is pushed on
// the way: who controls the network, or a mirror, can do no more.
type Meddler struct {
	URL    string
	server *httptest.Server
}

// StartMeddler stands before the server at to. Each line (pkt-line) of a push that holds
// old has new in its place, or is left out when there is none. keep is a file for the
// last push, as it was sent on.
func StartMeddler(to, keep, old string, new ...string) (*Meddler, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	m := &Meddler{server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			body, err := meddled(r.Body, old, new...)
			if err == nil {
				err = os.WriteFile(keep, body, 0o600)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		proxy.ServeHTTP(w, r)
	}))}
	m.URL = m.server.URL
	return m, nil
}

// Close stops the meddler.
func (m *Meddler) Close() { m.server.Close() }

// meddled changes the pkt-lines up to the pack, which is left alone.
func meddled(body io.Reader, old string, new ...string) ([]byte, error) {
	rest, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for len(rest) >= 4 && !bytes.HasPrefix(rest, []byte("PACK")) {
		size, err := strconv.ParseUint(string(rest[:4]), 16, 16)
		if err != nil || int(size) > len(rest) {
			return nil, fmt.Errorf("not a pkt-line: %.8q", rest)
		}
		if size < 4 { // a flush
			out.Write(rest[:4])
			rest = rest[4:]
			continue
		}
		line := string(rest[4:size])
		rest = rest[size:]
		if strings.Contains(line, old) {
			if len(new) == 0 {
				continue
			}
			line = strings.ReplaceAll(line, old, new[0])
		}
		fmt.Fprintf(&out, "%04x%s", 4+len(line), line)
	}
	out.Write(rest)
	return out.Bytes(), nil
}

// Resend sends a push that a Meddler kept to the repository at an address once more,
// and returns what the server answers.
func Resend(repository string, push []byte) (answer string, err error) {
	resp, err := http.Post(repository+"/git-receive-pack", "application/x-git-receive-pack-request", bytes.NewReader(push))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, data)
	}
	return string(data), err
}
