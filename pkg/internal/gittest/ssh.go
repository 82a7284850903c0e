package gittest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to come up on a busy machine. It
// bounds a failure and is never waited out by a success.
const patience = 30 * time.Second

// A Log collects what processes write. It may be written and read at once.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// ServerEnv is the environment of a git server: env without the dates, and
// without what belongs to a person at a terminal.
func ServerEnv(env []string) []string {
	var kept []string
	for _, kv := range env {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE", "GIT_TERMINAL_PROMPT",
			"GIT_SSH_COMMAND", "SSH_AUTH_SOCK", "TERM":
		default:
			kept = append(kept, kv)
		}
	}
	return kept
}

// An SSHServer is an OpenSSH daemon that lets the user of this process in with
// one key, and serves any repository of the machine.
type SSHServer struct {
	URL     string // ssh://user@127.0.0.1:port, to be followed by an absolute path
	Command string // GIT_SSH_COMMAND: the key, and nothing of the user's own ssh
	Stderr  *Log
	cmd     *exec.Cmd
}

// StartSSH runs sshd from dir, where its keys and configuration go. env is the
// environment of the sessions and so of the hooks.
func StartSSH(dir string, env []string) (*SSHServer, error) {
	sshd, err := findSSHD()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	if err := layOutSSH(dir); err != nil {
		return nil, err
	}
	// The port may be taken between asking for it and using it.
	for try := 0; ; try++ {
		s, err := startSSHD(sshd, dir, me.Username, env)
		if err == nil || try == 3 {
			return s, err
		}
	}
}

func findSSHD() (string, error) {
	for _, name := range []string{"sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path) // sshd re-executes itself and insists
		}
	}
	return "", errors.New("no sshd here: install Debian's openssh-server or its like")
}

// layOutSSH makes the keys of host and client, and what lets the one into the other.
func layOutSSH(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, key := range []string{"host", "client"} {
		if err := NewKey(filepath.Join(dir, key), "ed25519"); err != nil {
			return err
		}
	}
	public, err := os.ReadFile(filepath.Join(dir, "client.pub"))
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		// Debian's sshd drops its privileges into this folder, which only
		// the service's start makes.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "authorized_keys"), public, 0o600)
}

func startSSHD(sshd, dir, who string, env []string) (*SSHServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(conf, []byte(sshdConfig(dir, port, ServerEnv(env))), 0o600); err != nil {
		return nil, err
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return nil, err
	}
	known := filepath.Join(dir, "known_hosts")
	line := fmt.Sprintf("[127.0.0.1]:%d %s", port, host)
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		return nil, err
	}
	s := &SSHServer{
		URL: fmt.Sprintf("ssh://%s@127.0.0.1:%d", who, port),
		Command: fmt.Sprintf("ssh -F /dev/null -i '%s' -o IdentitiesOnly=yes -o IdentityAgent=none "+
			"-o UserKnownHostsFile='%s' -o GlobalKnownHostsFile=/dev/null "+
			"-o StrictHostKeyChecking=yes -o BatchMode=yes -o LogLevel=ERROR",
			filepath.Join(dir, "client"), known),
		Stderr: &Log{},
	}
	s.cmd = exec.Command(sshd, "-D", "-e", "-f", conf)
	s.cmd.Stderr = s.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitSSH(port); err != nil {
		s.Close()
		return nil, fmt.Errorf("sshd: %w\n%s", err, s.Stderr)
	}
	return s, nil
}

// sshdConfig gives the session its environment in one SetEnv: of several, sshd
// takes the first alone.
func sshdConfig(dir string, port int, env []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Port %d\nListenAddress 127.0.0.1\nHostKey %q\nAuthorizedKeysFile %q\n",
		port, filepath.Join(dir, "host"), filepath.Join(dir, "authorized_keys"))
	b.WriteString("PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n" +
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n" +
		"AcceptEnv GIT_PROTOCOL\nLogLevel ERROR\nSetEnv")
	for _, kv := range env {
		fmt.Fprintf(&b, " %q", kv)
	}
	b.WriteString("\n")
	return b.String()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// awaitSSH waits until somebody greets at the port as ssh does.
func awaitSSH(port int) error {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			last = err
			continue
		}
		conn.SetReadDeadline(end)
		greeting, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if strings.HasPrefix(greeting, "SSH-2.0-") {
			return nil
		}
		last = fmt.Errorf("greeted with %q: %w", greeting, err)
	}
	return fmt.Errorf("not up after %v: %w", patience, last)
}

// Close stops the daemon. Sessions that still run lose their connection.
func (s *SSHServer) Close() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// ServeSSH is StartSSH for the time of a test.
func ServeSSH(t testing.TB, env []string) *SSHServer {
	t.Helper()
	s, err := StartSSH(t.TempDir(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// NewKey has ssh-keygen make a key without passphrase at path, and its public
// half at path.pub, unless they are there. Kind is ed25519, ecdsa or rsa.
func NewKey(path, kind string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	args := []string{"-q", "-t", kind, "-N", "", "-C", filepath.Base(path), "-f", path}
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ssh-keygen %s: %w: %s", path, err, out)
	}
	return nil
}

// An SSHAgent is an ssh-agent that holds keys.
type SSHAgent struct {
	Socket string // for SSH_AUTH_SOCK
	dir    string
	cmd    *exec.Cmd
}

// StartAgent runs an ssh-agent and gives it the private keys of the paths.
func StartAgent(keys ...string) (*SSHAgent, error) {
	// Not in the test's own folder: a socket's path has about 100 bytes.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		return nil, err
	}
	a := &SSHAgent{Socket: filepath.Join(dir, "s"), dir: dir}
	a.cmd = exec.Command("ssh-agent", "-D", "-a", a.Socket)
	if err := a.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("ssh-agent: %w", err)
	}
	if err := a.add(keys); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *SSHAgent) add(keys []string) error {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", a.Socket); err == nil {
			conn.Close()
			break
		} else if time.Now().After(end) {
			return fmt.Errorf("ssh-agent: not up after %v: %w", patience, err)
		}
	}
	for _, key := range keys {
		cmd := exec.Command("ssh-add", "-q", key)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+a.Socket, "SSH_ASKPASS_REQUIRE=never")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-add %s: %w: %s", key, err, out)
		}
	}
	return nil
}

// Close stops the agent, and the keys are gone.
func (a *SSHAgent) Close() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
	os.RemoveAll(a.dir)
}

// ServeAgent is StartAgent for the time of a test.
func ServeAgent(t testing.TB, keys ...string) *SSHAgent {
	t.Helper()
	a, err := StartAgent(keys...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}
