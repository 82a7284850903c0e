package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A person in the demo, with a home and an identity of their own.
type person struct {
	name, mail string
	env        []string // on top of the stage's
}

var (
	admin = person{name: "admin", mail: "admin@example.com"}
	alice = person{name: "alice", mail: "alice@example.com"}
	bob   = person{name: "bob", mail: "bob@example.com"}
)

func (p person) with(env ...string) person {
	p.env = append(slices.Clone(p.env), env...)
	return p
}

// qwen is what Qwen Code puts into the environment of the commands that it runs.
func qwen(model string) []string {
	return []string{"QWEN_CODE=1", "QWEN_CODE_MODEL=" + model, "QWEN_CODE_SESSION_ID=demo"}
}

// stage is a throw-away folder in which commands are run and told. After the first
// one that does not end as expected, nothing more is done.
type stage struct {
	process
	ctx context.Context
	dir string
	bin string // folder of the binaries
	err error
}

func (p process) newStage(ctx context.Context) (*stage, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errors.New("the demo runs real git, and git is not in PATH")
	}
	dir, err := os.MkdirTemp("", "gatekeeper-demo-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	s := &stage{process: p, ctx: ctx, dir: dir}
	if s.bin, err = s.companions(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	for _, who := range []person{admin, alice, bob} {
		if err := os.MkdirAll(s.home(who), 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// companions is a folder that holds all the binaries. Where only this one was
// built, as by `go run`, it stands in for the small ones under their names.
func (s *stage) companions() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(s.dir, ".bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return "", err
	}
	suffix := filepath.Ext(self)
	for _, name := range append([]string{"gatekeeper"}, companionNames...) {
		real := filepath.Join(filepath.Dir(self), name+suffix)
		if _, err := os.Stat(real); err != nil {
			real = self
		}
		if err := double(real, filepath.Join(bin, name+suffix)); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// double gives a program a second name: a link that is no symbolic one, so that the
// program knows itself by it, or a copy where links do not reach.
func double(name, second string) error {
	if os.Link(name, second) == nil {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(second, data, 0o755)
}

func (s *stage) home(who person) string { return filepath.Join(s.dir, ".home", who.name) }

// environ is a world of its own: no setting, key or assistant of the person who
// watches gets in.
func (s *stage) environ(who person) []string {
	env := []string{
		"PATH=" + s.bin + string(os.PathListSeparator) + s.getenv("PATH"),
		"HOME=" + s.home(who),
		"XDG_CONFIG_HOME=" + filepath.Join(s.home(who), ".config"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + filepath.Join(s.home(who), ".gitconfig"),
		"GIT_AUTHOR_NAME=" + who.name, "GIT_AUTHOR_EMAIL=" + who.mail,
		"GIT_COMMITTER_NAME=" + who.name, "GIT_COMMITTER_EMAIL=" + who.mail,
		"GIT_CONFIG_COUNT=3",
		"GIT_CONFIG_KEY_0=user.email", "GIT_CONFIG_VALUE_0=" + who.mail,
		"GIT_CONFIG_KEY_1=advice.detachedHead", "GIT_CONFIG_VALUE_1=false",
		"GIT_CONFIG_KEY_2=init.defaultBranch", "GIT_CONFIG_VALUE_2=main",
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C.UTF-8",
	}
	for _, name := range []string{"TMPDIR", "SYSTEMROOT", "TEMP"} {
		if v := s.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return append(env, who.env...)
}

func (s *stage) tell(text string) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.Stdout, "\n%s\n", text)
	}
}

func (s *stage) write(name, text string) {
	if s.err == nil {
		s.err = os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644)
	}
}

// show runs a command that must succeed, and tells what was typed and answered.
func (s *stage) show(who person, dir string, args ...string) { s.act(who, dir, true, args) }

// refused runs a command that must be refused, and tells it.
func (s *stage) refused(who person, dir string, args ...string) { s.act(who, dir, false, args) }

// quietly runs a command that must succeed and returns its standard output.
func (s *stage) quietly(who person, dir string, args ...string) string {
	if s.err != nil {
		return ""
	}
	cmd := s.command(who, dir, args)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (s *stage) command(who person, dir string, args []string) *exec.Cmd {
	name := args[0]
	if name == "gatekeeper" {
		name = filepath.Join(s.bin, name)
	}
	cmd := exec.CommandContext(s.ctx, name, args[1:]...)
	cmd.Dir, cmd.Env = filepath.Join(s.dir, dir), s.environ(who)
	return cmd
}

func (s *stage) act(who person, dir string, succeeds bool, args []string) {
	if s.err != nil {
		return
	}
	fmt.Fprintf(s.Stdout, "\n  %s$ %s\n", who.name, typed(args))
	out, err := s.command(who, dir, args).CombinedOutput()
	text := strings.ReplaceAll(string(out), s.dir+string(filepath.Separator), "")
	for line := range strings.Lines(strings.TrimRight(text, "\n ") + "\n") {
		if line = strings.TrimRight(line, " \n"); line != "" || len(text) > 1 {
			fmt.Fprintf(s.Stdout, "  %s\n", line)
		}
	}
	if (err == nil) != succeeds {
		s.err = fmt.Errorf("%s: %v", typed(args), err)
	}
}

// typed is a command line as a person would type it.
func typed(args []string) string {
	words := make([]string, 0, len(args))
	for _, a := range args {
		if a == "--quiet" { // keeps the story short; nothing that matters
			continue
		}
		if strings.ContainsAny(a, " %()") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
