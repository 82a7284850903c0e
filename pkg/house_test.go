package pkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gatekeeper-git/gatekeeper"

type tier struct {
	pkg    string
	may    []string
	reason string
}

// tiers says which packages of ours each package may import. A pattern is a path
// below the module; "/..." behind it takes in everything below, and itself. The
// first row that fits a package is its own; a package without a row fails.
var tiers = []tier{
	{"pkg", nil, "it is the map of the house and holds no code"},
	{"pkg/internal/...", []string{"pkg/..."}, "test help stands above what it helps to test and below what people run"},
	{"pkg/provenance", nil, "the vocabulary is what all others share, so it leans on none of them"},
	{"pkg/change", []string{"pkg/provenance"}, "a digest must come out the same whatever git, policy or repository is around"},
	{"pkg/trailer", []string{"pkg/provenance"}, "a message is bytes; who signs and who approves is for others"},
	{"pkg/attestation", []string{"pkg/provenance", "pkg/attestation/wire"}, "a signature is checked without asking whose key it is, nor of which kind"},
	{"pkg/attestation/wire", nil, "it spells, and does not know what"},
	{"pkg/attestation/pubkey", []string{"pkg/attestation", "pkg/attestation/wire"}, "a kind of key signs and verifies the same wherever a key is found"},
	{"pkg/attestation/...", []string{"pkg/provenance", "pkg/attestation", "pkg/attestation/pubkey"}, "a source of signatures knows the statement and no more"},
	{"pkg/trust", []string{"pkg/provenance", "pkg/attestation", "pkg/attestation/pubkey"}, "whose key counts does not depend on what is approved"},
	{"pkg/pusher", []string{"pkg/attestation", "pkg/attestation/pubkey"}, "who pushes is known before anybody asks what they may"},
	{"pkg/policy", []string{"pkg/provenance", "pkg/attestation", "pkg/trust"}, "what is approved is decided without seeing a commit or a repository"},
	{"pkg/policy/inforce", []string{"pkg/policy", "pkg/trust", "pkg/repo", "pkg/change", "pkg/provenance"}, "it finds the policy of a repository, and leaves to policy what that says"},
	{"pkg/policy/mcpcall", []string{"pkg/policy", "pkg/policy/inforce", "pkg/agent/...", "pkg/repo"}, "it asks the policy about what an agent is about to do, and leaves the answer to the hook"},
	{"pkg/agent", []string{"pkg/provenance", "pkg/agent/payload"}, "it is linked by binaries that run on every commit, and knows agents alone"},
	{"pkg/agent/payload", nil, "it knows the form of what agents write and no meaning"},
	{"pkg/agent/mark", []string{"pkg/trailer"}, "it reads trailers; what a mark is worth is for those who ask"},
	{"pkg/agent/mcp", []string{"pkg/agent/payload"}, "it reads what servers are configured; which are approved is for policy"},
	{"pkg/repo/...", []string{"pkg/provenance", "pkg/change", "pkg/repo/..."}, "the door to git knows no meaning of what passes through"},
	{"pkg/record", []string{"pkg/provenance", "pkg/change", "pkg/attestation", "pkg/repo"}, "it keeps what stands beside commits, and believes none of it"},
	{"pkg/session", []string{"pkg/provenance", "pkg/change", "pkg/trailer", "pkg/attestation", "pkg/agent/...", "pkg/repo"}, "the ledger of a clone judges nothing, so it needs neither policy nor trust"},
	{"pkg/receipt", []string{"pkg/provenance", "pkg/change", "pkg/attestation", "pkg/attestation/pubkey", "pkg/policy"}, "it keeps what was decided, and neither judges nor opens a repository"},
	{"pkg/gate", []string{"pkg/provenance", "pkg/change", "pkg/trailer", "pkg/attestation", "pkg/attestation/batch", "pkg/attestation/pubkey", "pkg/trust", "pkg/policy", "pkg/agent/mark", "pkg/pusher"}, "the decision must be the same on a server, in CI and in a test, so it sees no repository, record or receipt but through interfaces of its own"},
	{"pkg/gate/report", []string{"pkg/gate"}, "it spells what was judged, for programs that know no repository"},
	{"pkg/blame", []string{"pkg/provenance", "pkg/change", "pkg/gate", "pkg/record", "pkg/repo", "pkg/session"}, "it joins what was judged and recorded, and judges nothing"},
	{"pkg/audit", []string{"pkg/provenance", "pkg/change", "pkg/trailer", "pkg/attestation", "pkg/trust", "pkg/policy/...", "pkg/agent/...", "pkg/repo", "pkg/record", "pkg/receipt", "pkg/gate", "pkg/blame", "pkg/artifact", "pkg/audit/..."}, "it asks those who judge, keeps what they say, and judges nothing itself"},
	{"pkg/artifact", []string{"pkg/attestation/...", "pkg/change"}, "it reads what documents say of commits, and knows no commit"},
	{"pkg/report", []string{"pkg/attestation/...", "pkg/audit", "pkg/change", "pkg/policy", "pkg/repo", "pkg/trust"}, "it draws what the audit found, and counts nothing itself"},
	{"pkg/audit/store", []string{"pkg/repo"}, "a file of tables has no meaning; the door to git lends its lock"},
	{"pkg/repair", []string{"pkg/agent/...", "pkg/provenance", "pkg/change", "pkg/trailer", "pkg/attestation", "pkg/policy", "pkg/gate", "pkg/record", "pkg/repo"}, "it mends what the gate finds; what people see and type is for commands"},
	{"hooks/...", []string{"pkg/...", "install"}, "each hook is a door of its own, and none is a command"},
	{"install/agents", []string{"pkg/agent", "pkg/session"}, "the files of coding agents are the user's, and belong to no repository"},
	{"install", []string{"pkg/...", "install/agents"}, "putting things in place must not run what it puts there"},
	{"cmd/...", []string{"pkg/...", "hooks/...", "install/..."}, "commands are the top, and one command is not a library of another"},
}

// owners are the only packages that may import a library; all others go through
// them. Tests may use any library that is in the module anyway.
var owners = []struct {
	library string
	may     []string
	reason  string
}{
	{"github.com/urfave/cli/v2", []string{"cmd/gatekeeper"}, "the grammar of the command line is no business of a package"},
	{"github.com/go-git", []string{"pkg/repo/..."}, "git is reached through one door"},
	{"github.com/sigstore", []string{"pkg/attestation/kms"}, "it costs every binary that links it 3 MB and milliseconds at each start"},
	{"crypto/ecdsa", []string{"pkg/attestation/pubkey"}, "one place knows the kinds of keys that count"},
	{"crypto/rsa", []string{"pkg/attestation/pubkey"}, "one place knows the kinds of keys that count"},
	{"filippo.io/edwards25519", []string{"pkg/attestation/batch"}, "points of the curve are added up in one place, and there only to accept sooner"},
	{"golang.org/x/crypto/ssh", []string{"pkg/attestation/sshkey", "pkg/trust"}, "the statement itself is signed and verified with the standard library"},
	{"github.com/BurntSushi/toml", []string{"pkg/policy", "install", "install/agents", "pkg/agent/mcp"}, "only these read files that people write in TOML"},
	{"github.com/tailscale/hujson", []string{"install/agents"}, "it keeps every byte of a JSON file that people write, which nothing else of ours has to"},
	{"github.com/CycloneDX/cyclonedx-go", []string{"pkg/artifact"}, "one package reads and writes documents of that form"},
	{"modernc.org/sqlite", []string{"pkg/audit/store"}, "how an index is kept is the business of one package, so that another engine can stand there"},
	{"github.com/rogpeppe/go-internal", []string{"pkg/internal/..."}, "it is for tests"},
	{"github.com/google/go-cmp", []string{"pkg/internal/..."}, "it is for tests"},
	{module + "/pkg/internal", []string{"pkg/internal/..."}, "test help must not ship"},
}

// light are the binaries that run on every commit or agent event, and what they
// must not link, be it through others.
var light = []string{"cmd/gatekeeper-commit-msg", "cmd/gatekeeper-agent"}

// lightSize is what a light binary may weigh, stripped, in bytes: the 4 MB that
// README promises.
const lightSize = 4_000_000

// serving are the binaries that stand in the way of every push; of what is heavy they may
// link all but what serverless names.
var serving = []string{"cmd/gatekeeper-pre-receive", "cmd/gatekeeper-pre-push"}

var serverless = []struct{ library, reason string }{
	{"modernc.org/sqlite", "a push is judged without the auditor's index, and must not pay for it"},
}

var heavy = []struct{ library, reason string }{
	{"github.com/go-git", "it would be more than the rest of the binary"},
	{"github.com/sigstore", "it would be more than the rest of the binary"},
	{"github.com/urfave/cli/v2", "two words of arguments need no framework"},
	{"github.com/BurntSushi/toml", "a hook on every commit has no policy to read"},
	{"github.com/tailscale/hujson", "an agent's configuration is read when something is installed, not when it calls"},
	{"modernc.org/sqlite", "a database has no place on the way of a commit"},
	{"filippo.io/edwards25519", "a commit has one signature, which the standard library checks"},
	{"golang.org/x/crypto/ssh", "the key is read and used with the standard library"},
	{"crypto/ecdsa", "its tables of curves stay in the binary, used or not"},
	{"crypto/rsa", "its self-test and its numbers stay in the binary, used or not"},
	{"net/http", "a commit must not wait for a network, and its tables cost start-up"},
	{"text/template", "it keeps the linker from dropping unused methods"},
}

// top is what may stand at the top of the repository, beside dot-files.
var top = []string{"cmd", "hooks", "pkg", "install", "testdata", "go.mod", "go.sum", "README.md", "LICENSE"}

// nameless are file names under which an idea hides that has not been named.
var nameless = []string{"common.go", "util.go", "utils.go", "helper.go", "helpers.go", "misc.go", "shared.go", "types.go"}

// A unit is a package as the go command sees it.
type unit struct {
	ImportPath, Doc   string
	GoFiles, CgoFiles []string
	Imports, Deps     []string
}

// name is the path below the module: pkg/gate.
func (u unit) name() string { return strings.TrimPrefix(u.ImportPath, module+"/") }

func TestHouse(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		t.Run("imports run one way on "+system, func(t *testing.T) {
			t.Parallel()
			units := list(t, system)
			report(t, slices.Concat(checkTiers(units), checkOwners(units), checkLight(units)))
		})
	}
	t.Run("every package says what it is for", func(t *testing.T) {
		report(t, checkDocs(list(t, "linux")))
	})
	t.Run("files are named for what they hold", func(t *testing.T) {
		report(t, checkNames(tracked(t)))
	})
	t.Run("the top level holds what the map says", func(t *testing.T) {
		report(t, checkTop(tracked(t)))
	})
	t.Run("no test or story can be skipped", func(t *testing.T) {
		report(t, checkSkips(t, tracked(t)))
	})
	t.Run("what runs on every commit is small", func(t *testing.T) {
		for _, binary := range light {
			report(t, checkSize(binary, stripped(t, binary)))
		}
	})
	t.Run("go.mod lists what is used", func(t *testing.T) {
		if out, err := goCommand("mod", "tidy", "-diff").CombinedOutput(); err != nil {
			t.Errorf("go mod tidy would change go.mod or go.sum: %v\n%s", err, out)
		}
	})
}

// TestGuard breaks each rule once: a check that cannot fail is none.
func TestGuard(t *testing.T) {
	at := func(name string, imports ...string) unit {
		return unit{ImportPath: module + "/" + name, Imports: imports, Deps: imports}
	}
	tests := []struct {
		name  string
		check func([]unit) []string
		unit  unit
		want  string // part of the only complaint; "" wants none
	}{
		{"a package may import what its tier says", checkTiers, at("pkg/gate", module+"/pkg/trust"), ""},
		{"a package may import the standard library", checkTiers, at("pkg/provenance", "strings"), ""},
		{"gate must not import repo", checkTiers, at("pkg/gate", module+"/pkg/repo"), "sees no repository"},
		{"nor a part of it", checkTiers, at("pkg/gate", module+"/pkg/repo/goget"), "pkg/gate imports pkg/repo/goget"},
		{"provenance imports nothing of ours", checkTiers, at("pkg/provenance", module+"/pkg/change"), "vocabulary"},
		{"a package must not import a hook", checkTiers, at("pkg/session", module+"/hooks/commitmsg"), "pkg/session imports hooks/commitmsg"},
		{"the row of a package is not that of a longer name", checkTiers, at("pkg/policyx"), "has no row"},
		{"a package must have a row", checkTiers, at("pkg/new"), "has no row"},
		{"a library has owners", checkOwners, at("pkg/gate", "github.com/BurntSushi/toml"), "in TOML"},
		{"a part of it, too", checkOwners, at("pkg/gate", "github.com/sigstore/sigstore/pkg/signature"), "3 MB"},
		{"of the standard library, too", checkOwners, at("pkg/trust", "crypto/ecdsa"), "one place knows"},
		{"an owner may import it", checkOwners, at("pkg/policy", "github.com/BurntSushi/toml"), ""},
		{"another library of like name is not it", checkOwners, at("pkg/gate", "github.com/go-gitty/x"), ""},
		{"test help does not ship", checkOwners, at("hooks/commitmsg", module+"/pkg/internal/gittest"), "must not ship"},
		{"a light binary links nothing heavy, through others either", checkLight, at("cmd/gatekeeper-agent", "net/http"), "wait for a network"},
		{"a server's hook links no database", checkLight, at("cmd/gatekeeper-pre-receive", "modernc.org/sqlite"), "without the auditor's index"},
		{"nor kinds of keys that it does not know", checkLight, at("cmd/gatekeeper-commit-msg", "crypto/rsa"), "used or not"},
		{"a heavy binary may", checkLight, at("cmd/gatekeeper", "net/http"), ""},
		{"a package needs a comment", checkDocs, unit{ImportPath: module + "/pkg/x", GoFiles: []string{"x.go"}}, "no package comment"},
		{"a package of tests alone needs none", checkDocs, at("pkg/x"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, tt.check([]unit{tt.unit}), tt.want)
		})
	}
	t.Run("nothing else comes to the top level", func(t *testing.T) {
		expect(t, checkTop([]string{"docs/x.md", "cmd/x.go", ".ci/run"}), "docs")
	})
	t.Run("common.go has no place", func(t *testing.T) {
		expect(t, checkNames([]string{"pkg/gate/common.go", "pkg/gate/gate.go"}), "pkg/gate/common.go")
	})
	t.Run("a large binary is found", func(t *testing.T) {
		expect(t, checkSize("cmd/gatekeeper-agent", lightSize+1), "cmd/gatekeeper-agent")
		expect(t, checkSize("cmd/gatekeeper-agent", lightSize), "")
	})
	t.Run("a skipped test is found", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a_test.go"), "package a\nfunc f(t T) { t.Skipf(``) }\n")
		expect(t, checkSkips(t, []string{filepath.Join(dir, "a_test.go")}), "a_test.go:2")
	})
	t.Run("a skipped story is found", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.txtar"), "exec git\n[windows] skip 'no'\n")
		expect(t, checkSkips(t, []string{filepath.Join(dir, "a.txtar")}), "a.txtar:2")
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("complains without cause: %q", got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
		t.Errorf("got %q, want one complaint with %q in it", got, want)
	}
}

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

func checkTiers(units []unit) (complaints []string) {
	for _, u := range units {
		row := slices.IndexFunc(tiers, func(r tier) bool { return fits(r.pkg, u.name()) })
		if row < 0 {
			complaints = append(complaints, u.name()+" has no row in tiers: say what it may import, and why")
			continue
		}
		for _, imported := range u.Imports {
			name, ours := strings.CutPrefix(imported, module+"/")
			if ours && !fitsAny(tiers[row].may, name) {
				complaints = append(complaints, fmt.Sprintf("%s imports %s: %s", u.name(), name, tiers[row].reason))
			}
		}
	}
	return complaints
}

func checkOwners(units []unit) (complaints []string) {
	for _, u := range units {
		for _, imported := range u.Imports {
			for _, o := range owners {
				if fits(o.library+"/...", imported) && !fitsAny(o.may, u.name()) {
					complaints = append(complaints, fmt.Sprintf("%s imports %s, which is for %s: %s",
						u.name(), imported, strings.Join(o.may, " and "), o.reason))
				}
			}
		}
	}
	return complaints
}

func checkLight(units []unit) (complaints []string) {
	for _, u := range units {
		banned := heavy
		switch {
		case slices.Contains(serving, u.name()):
			banned = serverless
		case !slices.Contains(light, u.name()):
			continue
		}
		for _, h := range banned {
			i := slices.IndexFunc(u.Deps, func(dep string) bool { return fits(h.library+"/...", dep) })
			if i >= 0 {
				complaints = append(complaints, fmt.Sprintf("%s links %s: %s", u.name(), u.Deps[i], h.reason))
			}
		}
	}
	return complaints
}

func checkSize(binary string, size int64) (complaints []string) {
	if size > lightSize {
		complaints = append(complaints, fmt.Sprintf("%s has %d bytes, more than %d: it starts twice on every commit", binary, size, lightSize))
	}
	return complaints
}

// stripped is the size of a binary as it is released.
func stripped(t *testing.T, binary string) int64 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "binary")
	cmd := goCommand("build", "-trimpath", "-ldflags=-s -w", "-o", out, "./"+binary)
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", binary, err, output)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func checkDocs(units []unit) (complaints []string) {
	for _, u := range units {
		if len(u.GoFiles)+len(u.CgoFiles) > 0 && u.Doc == "" {
			complaints = append(complaints, u.name()+" has no package comment: say what it is for, what it promises and what it leaves to others")
		}
	}
	return complaints
}

func checkNames(files []string) (complaints []string) {
	for _, file := range files {
		if slices.Contains(nameless, path.Base(file)) {
			complaints = append(complaints, file+": the idea in it has not been named yet")
		}
	}
	return complaints
}

func checkTop(files []string) (complaints []string) {
	seen := map[string]bool{}
	for _, file := range files {
		first, _, _ := strings.Cut(file, "/")
		if seen[first] || strings.HasPrefix(first, ".") || slices.Contains(top, first) {
			continue
		}
		seen[first] = true
		complaints = append(complaints, first+" stands at the top level: what is not one of "+strings.Join(top, " ")+" goes below one of them")
	}
	return complaints
}

// checkSkips finds what would let a test pass without having run. Files that
// are gone from the work tree are passed over.
func checkSkips(t *testing.T, files []string) (complaints []string) {
	t.Helper()
	for _, file := range files {
		var found []string
		var err error
		switch {
		case strings.HasSuffix(file, "_test.go"):
			found, err = skipsInGo(file)
		case strings.HasSuffix(file, ".txtar"):
			found, err = skipsInStory(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		complaints = append(complaints, found...)
	}
	return complaints
}

func skipsInGo(file string) (found []string, err error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			found = append(found, fset.Position(call.Pos()).String()+": a test that can be skipped proves nothing where it is")
		}
		return true
	})
	return found, nil
}

func skipsInStory(file string) (found []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "-- ") {
			break
		}
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "[") || word == "!" {
				continue
			}
			if word == "skip" || word == "stop" {
				found = append(found, fmt.Sprintf("%s:%d: a story that can be skipped proves nothing where it is", file, i+1))
			}
			break
		}
	}
	return found, nil
}

// fits reports whether name is what pattern says.
func fits(pattern, name string) bool {
	below, wide := strings.CutSuffix(pattern, "/...")
	return name == below || wide && strings.HasPrefix(name, below+"/")
}

func fitsAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, name) })
}

// goCommand is a go command at the top of the repository, without the flags that
// the caller has set for those of their own.
func goCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	return cmd
}

// list asks the go command for all packages as they are built for a system.
func list(t *testing.T, system string) (units []unit) {
	t.Helper()
	cmd := goCommand("list", "-e", "-json=ImportPath,Doc,GoFiles,CgoFiles,Imports,Deps", "./...")
	cmd.Env = append(cmd.Env, "GOOS="+system, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var u unit
		if err := d.Decode(&u); errors.Is(err, io.EOF) {
			return units
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		units = append(units, u)
	}
}

// tracked lists the files of the repository, with slashes, from its top. Outside
// of a git checkout it lists what is there.
func tracked(t *testing.T) (files []string) {
	t.Helper()
	t.Chdir("..")
	git := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	git.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") }) // a hook may run this
	out, err := git.Output()
	if err == nil && len(out) > 0 {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	err = filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
