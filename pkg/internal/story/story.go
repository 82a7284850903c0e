// Package story gives test scripts (testscript, files in txtar) a home, servers
// and the words that stories about commits need, beside the ones that testscript
// itself has.
//
//	developer NAME             be NAME from here on, with a home and git identity of
//	                           their own; the story begins as alice
//	gitserver http|ssh [DIR]   serve the repositories below DIR ($WORK) on loopback;
//	                           $HTTP_URL or $SSH_URL, and $URL, are then its address:
//	                           $URL/server.git. Over http the pusher is the developer
//	meddler OLD [NEW]          stand between pushers and $HTTP_URL, at $MEDDLER_URL: what is
//	                           pushed has NEW in place of OLD, or lacks the lines with
//	                           OLD; $WORK/pushed is then the last push, as it was sent on
//	resend FILE REPOSITORY     send a push that a meddler has kept to $HTTP_URL once more,
//	                           and print the answer
//	sshkey FILE [KIND]         a key without passphrase at FILE and FILE.pub
//	sshagent FILE...           an ssh-agent that holds these keys, at $SSH_AUTH_SOCK
//	commits [FLAGS] N          N commits at once, by git fast-import; see below
//	capture VAR [FILE]         $VAR becomes what the last command printed, or FILE
//	                           holds, without the last newline
//	expand FILE...             replace $VAR and ${VAR} in these files
//	daysago N VAR              $VAR becomes the day N days ago, as 2006-01-02; N may
//	                           be negative
//	normalise [FILE...]        give ids, times, keys, ports and folders of files, or
//	                           of the last stdout and stderr, names that are the same
//	                           in every run: <id-1>, <time>, $WORK
//	sha FILE                   print the SHA-256 of FILE
//	snapshot DIR NAME [LEAVE]  remember DIR, byte for byte and mode for mode, without
//	                           what is called one of the comma-separated LEAVE
//	[!] same DIR NAME          DIR is (not) as it was remembered under NAME
//
// commits takes -C DIR, -branch B (main), -onto REV, -key FILE to sign as
// gatekeeper would, -tool TOOL/VERSION -model PROVIDER/MODEL to say what was used
// (nothing observed, without), -later DURATION to sign with a clock that is ahead or,
// below zero, behind, -files N to spread changes over N files. The work tree stays as
// it is.
//
// A story fails where something it needs is missing: nothing is ever skipped.
package story

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatekeeper-git/gatekeeper/pkg/internal/gittest"
	"github.com/gatekeeper-git/gatekeeper/pkg/internal/signed"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// Words are the commands above.
func Words() map[string]command {
	return map[string]command{
		"developer": plain(1, 1, "NAME", developer),
		"gitserver": plain(1, 2, "http|ssh [DIR]", gitserver),
		"meddler":   plain(1, 2, "OLD [NEW]", meddler),
		"resend":    plain(2, 2, "FILE REPOSITORY", resend),
		"sshkey":    plain(1, 2, "FILE [KIND]", sshkey),
		"sshagent":  plain(1, 99, "FILE...", sshagent),
		"commits":   plain(1, 99, "[FLAGS] N", commits),
		"capture":   plain(1, 2, "VAR [FILE]", capture),
		"expand":    plain(1, 99, "FILE...", expand),
		"daysago":   plain(2, 2, "N VAR", daysago),
		"normalise": plain(0, 99, "[FILE...]", normalise),
		"sha":       plain(1, 1, "FILE", sha),
		"snapshot":  plain(2, 3, "DIR NAME [LEAVE,...]", snapshot),
		"same":      same,
	}
}

// plain is a command that is not to be negated and takes from least to most
// arguments. An error of do ends the story.
func plain(least, most int, usage string, do func(ts *testscript.TestScript, args []string) error) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		if len(args) < least || len(args) > most {
			ts.Fatalf("arguments: want %s", usage)
		}
		ts.Check(do(ts, args))
	}
}

// Setup lays out the world of a story: the folders of bin first on PATH, alice
// as its developer, and nothing of the machine's configuration.
func Setup(bin string) func(*testscript.Env) error {
	return func(e *testscript.Env) error {
		vars, err := gittest.Home(homeOf(e.WorkDir, "alice"), "alice")
		if err != nil {
			return err
		}
		e.Values[shelf{}] = map[string]remembered{}
		tmp := e.Getenv("TMPDIR")
		e.Vars = append(e.Vars, vars...)
		e.Setenv("TMPDIR", tmp)
		e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
		e.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(e.WorkDir))
		e.Setenv("BIN", bin)
		return nil
	}
}

func homeOf(work, person string) string { return filepath.Join(work, ".home", person) }

// personal are the variables in which one developer differs from another.
var personal = []string{"HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"}

func developer(ts *testscript.TestScript, args []string) error {
	vars, err := gittest.Home(homeOf(ts.Getenv("WORK"), args[0]), args[0])
	if err != nil {
		return err
	}
	for _, kv := range vars {
		if name, value, _ := strings.Cut(kv, "="); slices.Contains(personal, name) {
			ts.Setenv(name, value)
		}
	}
	return nil
}

// environ is the environment of the script as its commands see it.
func environ(ts *testscript.TestScript) []string {
	names := []string{"PATH", "TMPDIR", "GIT_CONFIG_NOSYSTEM", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE",
		"GIT_TERMINAL_PROMPT", "GIT_CEILING_DIRECTORIES", "LC_ALL", "TZ", "TERM"}
	var env []string
	for _, name := range append(names, personal...) {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

func gitserver(ts *testscript.TestScript, args []string) error {
	root := ts.Getenv("WORK")
	if len(args) > 1 {
		root = ts.MkAbs(args[1])
	}
	switch args[0] {
	case "http":
		s, err := gittest.StartHTTP(root, environ(ts), ts.Getenv("USER"))
		if err != nil {
			return err
		}
		ts.Defer(s.Close)
		ts.Setenv("HTTP_URL", s.URL)
		ts.Setenv("URL", s.URL)
	case "ssh":
		s, err := gittest.StartSSH(filepath.Join(ts.Getenv("WORK"), ".sshd"), environ(ts))
		if err != nil {
			return err
		}
		ts.Defer(s.Close)
		ts.Setenv("GIT_SSH_COMMAND", s.Command)
		ts.Setenv("SSH_URL", s.URL+root)
		ts.Setenv("URL", s.URL+root)
	default:
		return fmt.Errorf("a server of %q: want http or ssh", args[0])
	}
	return nil
}

func meddler(ts *testscript.TestScript, args []string) error {
	m, err := gittest.StartMeddler(ts.Getenv("HTTP_URL"), filepath.Join(ts.Getenv("WORK"), "pushed"), args[0], args[1:]...)
	if err != nil {
		return err
	}
	ts.Defer(m.Close)
	ts.Setenv("MEDDLER_URL", m.URL)
	return nil
}

func resend(ts *testscript.TestScript, args []string) error {
	answer, err := gittest.Resend(ts.Getenv("HTTP_URL")+"/"+args[1], []byte(ts.ReadFile(args[0])))
	if err != nil {
		return err
	}
	fmt.Fprint(ts.Stdout(), answer)
	return nil
}

func sshkey(ts *testscript.TestScript, args []string) error {
	kind := "ed25519"
	if len(args) > 1 {
		kind = args[1]
	}
	return gittest.NewKey(ts.MkAbs(args[0]), kind)
}

func sshagent(ts *testscript.TestScript, args []string) error {
	var keys []string
	for _, key := range args {
		keys = append(keys, ts.MkAbs(key))
	}
	a, err := gittest.StartAgent(keys...)
	if err != nil {
		return err
	}
	ts.Defer(a.Close)
	ts.Setenv("SSH_AUTH_SOCK", a.Socket)
	return nil
}

func commits(ts *testscript.TestScript, args []string) error {
	var h gittest.History
	var dir, key, tool, model string
	flags := flag.NewFlagSet("commits", flag.ContinueOnError)
	flags.StringVar(&dir, "C", ".", "repository")
	flags.StringVar(&h.Branch, "branch", "main", "branch")
	flags.StringVar(&h.Onto, "onto", "", "revision to start from")
	flags.StringVar(&key, "key", "", "private key to sign with")
	flags.StringVar(&tool, "tool", "", "TOOL/VERSION")
	flags.StringVar(&model, "model", "unknown/unknown", "PROVIDER/MODEL")
	var later time.Duration
	flags.DurationVar(&later, "later", 0, "how far ahead the clock is that signs")
	flags.IntVar(&h.Files, "files", 0, "files to change")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if h.Commits, err = strconv.Atoi(flags.Arg(0)); err != nil || flags.NArg() != 1 {
		return fmt.Errorf("how many commits: %q", flags.Args())
	}
	if key != "" {
		w, err := signed.Open(ts.MkAbs(key), time.Now().Add(later))
		if err != nil {
			return err
		}
		w.Tool, w.Model = tool, model
		h.Message = w.Message
	}
	r := &gittest.Repo{Dir: ts.MkAbs(dir), Env: environ(ts)}
	tip, err := r.Generate(h)
	if err != nil {
		return err
	}
	fmt.Fprintln(ts.Stdout(), tip)
	return nil
}

func capture(ts *testscript.TestScript, args []string) error {
	from := "stdout"
	if len(args) > 1 {
		from = args[1]
	}
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile(from), "\n"))
	return nil
}

func expand(ts *testscript.TestScript, args []string) error {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		if err := rewrite(ts.MkAbs(file), text); err != nil {
			return err
		}
	}
	return nil
}

func rewrite(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), info.Mode())
}

func daysago(ts *testscript.TestScript, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	ts.Setenv(args[1], time.Now().UTC().AddDate(0, 0, -n).Format(time.DateOnly))
	return nil
}

func normalise(ts *testscript.TestScript, args []string) error {
	folders := map[string]string{ts.Getenv("WORK"): "$WORK", ts.Getenv("BIN"): "$BIN"}
	for _, file := range args {
		if file == "stdout" || file == "stderr" {
			return fmt.Errorf("%s needs no naming: normalise alone takes both", file)
		}
		if err := rewrite(ts.MkAbs(file), gittest.Normal(ts.ReadFile(file), folders)); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
		fmt.Fprint(ts.Stdout(), gittest.Normal(stdout, folders))
		fmt.Fprint(ts.Stderr(), gittest.Normal(stderr, folders))
	}
	return nil
}

func sha(ts *testscript.TestScript, args []string) error {
	fmt.Fprintf(ts.Stdout(), "%x\n", sha256.Sum256([]byte(ts.ReadFile(args[0]))))
	return nil
}

// remembered is a snapshot and what it leaves out.
type remembered struct {
	state gittest.Snapshot
	leave []string
}

// shelf is the key under which Setup leaves a story a place for its snapshots.
type shelf struct{}

func shelfOf(ts *testscript.TestScript) map[string]remembered {
	return ts.Value(shelf{}).(map[string]remembered)
}

func snapshot(ts *testscript.TestScript, args []string) error {
	var r remembered
	var err error
	if len(args) > 2 {
		r.leave = strings.Split(args[2], ",")
	}
	if r.state, err = gittest.Take(ts.MkAbs(args[0]), r.leave...); err != nil {
		return err
	}
	shelfOf(ts)[args[1]] = r
	return nil
}

func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("arguments: want DIR NAME")
	}
	r, ok := shelfOf(ts)[args[1]]
	if !ok {
		ts.Fatalf("no snapshot is called %s", args[1])
	}
	now, err := gittest.Take(ts.MkAbs(args[0]), r.leave...)
	ts.Check(err)
	diff := r.state.Diff(now)
	switch {
	case neg && len(diff) == 0:
		ts.Fatalf("%s is as it was", args[0])
	case !neg && len(diff) > 0:
		ts.Fatalf("%s is not as it was:\n%s", args[0], strings.Join(diff, "\n"))
	}
}
