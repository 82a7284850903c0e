package commitmsg

import (
	"path/filepath"
	"strings"
)

// An invocation is what the command line of the git that commits says. git
// tells its hooks too little: not whether `commit -m` amends, nor whether
// commit-msg will run. Linux shows the command line of the parent process;
// elsewhere known is false.
type invocation struct {
	pid   int // 0 when not known
	known bool
	name  string // "commit", "merge", "rebase", "cherry-pick", "revert", …

	amend    bool
	noVerify bool
	verbose  bool
	cleanup  string // of --cleanup, "" when not given
	message  bool   // the message is given, so no editor by default
	edit     bool   // --edit
	noEdit   bool   // --no-edit
	signs    bool   // cherry-pick -s or -x
}

// commitMsgRuns reports whether git will run commit-msg after
// prepare-commit-msg. It does not for what rebase, cherry-pick and revert commit
// within their own process, nor after --no-verify.
func (i *invocation) commitMsgRuns() bool {
	if !i.known {
		return true
	}
	return !i.sequencer() && !i.noVerify
}

// sequencer reports whether git commits in the process of a rebase,
// cherry-pick or revert, not in a `git commit` that it started.
func (i *invocation) sequencer() bool {
	return i.name == "rebase" || i.name == "cherry-pick" || i.name == "revert"
}

// invocation finds the git that runs this hook. Between it and us may stand a
// shell, a hook manager, and a `git hook run`.
func (h *hook) invocation() *invocation {
	if h.git != nil {
		return h.git
	}
	h.git = &invocation{}
	for _, p := range h.ancestors() {
		if !p.IsGit() {
			continue
		}
		args := p.Arguments()
		if len(args) == 0 {
			break
		}
		if i := parseInvocation(args); i.name != "hook" {
			i.pid = p.PID
			h.git = i
			break
		}
	}
	return h.git
}

// parseInvocation reads git's arguments, the program's name included.
func parseInvocation(args []string) *invocation {
	i := &invocation{}
	i.name, args = subcommand(args)
	options, ok := grammars()[i.name]
	// Others commit in their own ways: git gui runs the hooks itself.
	i.known = ok || i.name == "rebase"
	options.each(args, i.take)
	return i
}

// subcommand passes over the options of git itself (git(1)).
func subcommand(args []string) (name string, rest []string) {
	if len(args) == 0 {
		return "", nil
	}
	if name, ok := strings.CutPrefix(filepath.Base(args[0]), "git-"); ok {
		return name, args[1:]
	}
	for n := 1; n < len(args); n++ {
		switch a := args[n]; a {
		case "-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env", "--attr-source":
			n++
		default:
			if !strings.HasPrefix(a, "-") {
				return a, args[n+1:]
			}
		}
	}
	return "", nil
}

func (i *invocation) take(option, value string) {
	switch option {
	case "amend":
		i.amend = true
	case "no-amend":
		i.amend = false
	case "no-verify":
		i.noVerify = true
	case "verify":
		i.noVerify = false
	case "verbose":
		i.verbose = true
	case "no-verbose":
		i.verbose = false
	case "cleanup":
		i.cleanup = value
	case "edit":
		i.edit, i.noEdit = true, false
	case "no-edit":
		i.edit, i.noEdit = false, true
	case "message", "file", "reuse-message":
		i.message = true
	case "fixup":
		if !strings.HasPrefix(value, "amend:") && !strings.HasPrefix(value, "reword:") {
			i.message = true
		}
	case "signoff", "x":
		i.signs = true
	}
}

// A grammar is the options of one subcommand, as far as their form matters.
type grammar struct {
	short    map[byte]string // letter → long name
	values   string          // letters with a value, attached or in the next argument
	attached string          // letters whose value is attached or absent
	long     map[string]bool // name → takes a value, which may be the next argument
}

// grammars are from git-commit(1), git-merge(1), git-cherry-pick(1) and
// git-revert(1). Every long option stands there, for git takes any prefix that
// only one of them has.
func grammars() map[string]grammar {
	pick := grammar{
		short:    map[byte]string{'e': "edit", 's': "signoff", 'x': "x"},
		values:   "mX",
		attached: "S",
		long: options("mainline strategy strategy-option cleanup",
			"abort allow-empty allow-empty-message commit continue edit empty ff gpg-sign keep-redundant-commits "+
				"no-commit no-edit quit reference rerere-autoupdate signoff skip"),
	}
	return map[string]grammar{
		"commit": {
			short: map[byte]string{'m': "message", 'F': "file", 'C': "reuse-message", 'c': "reedit-message",
				'n': "no-verify", 'v': "verbose", 'e': "edit", 's': "signoff"},
			values:   "mFCct",
			attached: "Su",
			long: options("author cleanup date file fixup message pathspec-from-file reedit-message reuse-message squash template trailer unified inter-hunk-context",
				"ahead-behind all allow-empty allow-empty-message amend branch dry-run edit gpg-sign include interactive long "+
					"no-amend no-edit no-gpg-sign no-post-rewrite no-signoff no-status no-verbose no-verify null only patch "+
					"pathspec-file-nul porcelain post-rewrite quiet reset-author short signoff status untracked-files verbose verify"),
		},
		"merge": {
			short:    map[byte]string{'m': "message", 'F': "file", 'e': "edit"},
			values:   "mFsX",
			attached: "S",
			long: options("cleanup file into-name message strategy strategy-option",
				"abort allow-unrelated-histories autostash commit compact-summary continue edit ff ff-only gpg-sign log no-commit no-edit "+
					"no-ff no-log no-signoff no-squash no-stat no-verify overwrite-ignore progress quiet quit rerere-autoupdate signoff "+
					"squash stat summary verbose verify verify-signatures"),
		},
		"cherry-pick": pick,
		"revert":      pick,
	}
}

func options(withValue, without string) map[string]bool {
	all := make(map[string]bool)
	for _, o := range strings.Fields(withValue) {
		all[o] = true
	}
	for _, o := range strings.Fields(without) {
		all[o] = false
	}
	return all
}

// each reports the options among args, by their long names.
func (g grammar) each(args []string, take func(option, value string)) {
	next := func() (value string) {
		if len(args) > 0 {
			value, args = args[0], args[1:]
		}
		return value
	}
	for len(args) > 0 {
		switch a := next(); {
		case a == "--":
			return
		case strings.HasPrefix(a, "--"):
			name, value, attached := strings.Cut(a[2:], "=")
			name, known := g.longName(name)
			if known && g.long[name] && !attached {
				value = next()
			}
			take(name, value)
		case strings.HasPrefix(a, "-"):
			g.cluster(a[1:], next, take)
		}
	}
}

// cluster reads short options behind one hyphen, as in -am MESSAGE.
func (g grammar) cluster(letters string, next func() string, take func(option, value string)) {
	for n := range len(letters) {
		c, rest := letters[n], letters[n+1:]
		switch {
		case strings.IndexByte(g.values, c) >= 0:
			if rest == "" {
				rest = next()
			}
			take(g.short[c], rest)
			return
		case strings.IndexByte(g.attached, c) >= 0:
			return
		}
		take(g.short[c], "")
	}
}

// longName completes a name that was cut short.
func (g grammar) longName(name string) (full string, known bool) {
	if _, ok := g.long[name]; ok {
		return name, true
	}
	for o := range g.long {
		if strings.HasPrefix(o, name) {
			if full != "" {
				return name, false
			}
			full = o
		}
	}
	return full, full != ""
}
