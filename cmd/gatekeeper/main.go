// Gatekeeper is the command people type: it installs the hooks, shows what
// commits say of themselves, and proves it.
//
//	gatekeeper demo        the whole story on a throw-away server and clone
//	gatekeeper install     inside a clone; with --server DIR, on a server
//	gatekeeper help        everything else
//
// Results go to standard output, words to people to standard error. It exits with
// 0 when all is well, 1 when something is refused, 2 on wrong use or a bad policy,
// and 3 when something could not be checked.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	p := process{Environ: os.Environ(), Dir: dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now}
	code, is := p.companion(ctx, os.Args[0], os.Args[1:])
	if !is {
		code = run(ctx, os.Args[1:], p)
	}
	stop()
	os.Exit(code)
}

// process is what the command gets from the one it runs in.
type process struct {
	Environ        []string
	Dir            string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time
}

func (p process) getenv(key string) string {
	for i := len(p.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(p.Environ[i], key+"="); ok {
			return v
		}
	}
	return ""
}

func (p process) say(format string, args ...any) {
	fmt.Fprintf(p.Stderr, "gatekeeper: "+format+"\n", args...)
}

// Exit codes.
const (
	exitOK = iota
	exitRefused
	exitUsage
	exitUnchecked
)

// exit is an error that has been told already and only carries its code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError says that the command was called wrongly.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func run(ctx context.Context, args []string, p process) int {
	app := newApp(p)
	return p.code(app.RunContext(ctx, append([]string{"gatekeeper"}, flagsFirst(app, args)...)))
}

// code tells an error, once, and gives its exit code.
func (p process) code(err error) int {
	var told exit
	var wrong usageError
	var bad *policy.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	}
	for line := range strings.Lines(err.Error()) {
		p.say("%s", strings.TrimSuffix(line, "\n"))
	}
	if errors.As(err, &wrong) || errors.As(err, &bad) {
		return exitUsage
	}
	if refused := (refusal{}); errors.As(err, &refused) {
		return exitRefused
	}
	return exitUnchecked
}

func newApp(p process) *cli.App {
	return &cli.App{
		Name:            "gatekeeper",
		Usage:           "which coding assistant and model wrote which code, signed",
		UsageText:       "gatekeeper COMMAND [OPTIONS] [ARGS]",
		HideHelpCommand: true,
		HideVersion:     true,
		Writer:          p.Stdout,
		ErrWriter:       p.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // codes are decided in one place
		OnUsageError:    wrongUse,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("no command %q; see: gatekeeper help", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: p.commands(),
	}
}

func wrongUse(c *cli.Context, err error, _ bool) error {
	return usage("%v; see: %s", err, manual(c))
}

// manual is how to ask for help about the command that was called.
func manual(c *cli.Context) string {
	name := "gatekeeper"
	if c.Command != nil && c.Command.HelpName != "" {
		name = c.Command.HelpName
	}
	return name + " --help"
}

func (p process) commands() []*cli.Command {
	commands := []*cli.Command{
		p.demoCommand(), p.installCommand(), p.uninstallCommand(), p.statusCommand(), p.showCommand(), p.verifyCommand(),
		p.blameCommand(), p.recordCommand(), p.repairCommand(), p.keyCommand(), p.policyCommand(), p.exportCommand(), p.receiptsCommand(), p.auditCommand(), p.versionCommand(), p.hookCommand(), p.helpCommand(),
	}
	onWrongUse(commands)
	return commands
}

// onWrongUse gives commands, and those below them, one way to tell of wrong use.
func onWrongUse(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = wrongUse
		onWrongUse(c.Subcommands)
	}
}

func (p process) helpCommand() *cli.Command {
	return &cli.Command{Name: "help", Usage: "show the commands, or one of them", ArgsUsage: "[COMMAND]",
		Action: func(c *cli.Context) error {
			names := c.Args().Slice()
			if len(names) == 0 {
				return cli.ShowAppHelp(c)
			}
			app := newApp(p)
			for n, command := 1, app.Command(names[0]); n <= len(names); n++ {
				if command == nil {
					return usage("no command %q; see: gatekeeper help", strings.Join(names[:n], " "))
				}
				if n < len(names) {
					command = subcommand(command, names[n])
				}
			}
			return app.RunContext(c.Context, concat([]string{"gatekeeper"}, names, []string{"--help"}))
		}}
}

// flagsFirst lets options stand after arguments, as people type them: the library
// stops looking for options at the first argument. What follows `--`, and every
// argument of `hook`, stays as it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) == 0 || args[0] == "hook" {
		return args
	}
	command, head := called(app, args)
	if command == nil {
		return args
	}
	var flags, rest []string
	for i := head; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return concat(args[:head], flags, []string{"--"}, rest, args[i+1:])
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
		default:
			flags = append(flags, arg)
			if takesValue(command, arg) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return concat(args[:head], flags, rest)
}

// called finds the command that args name, and how many of them name it.
func called(app *cli.App, args []string) (command *cli.Command, head int) {
	command, head = app.Command(args[0]), 1
	for command != nil && head < len(args) {
		sub := subcommand(command, args[head])
		if sub == nil {
			break
		}
		command, head = sub, head+1
	}
	return command, head
}

func subcommand(c *cli.Command, name string) *cli.Command {
	for _, sub := range c.Subcommands {
		if sub.HasName(name) {
			return sub
		}
	}
	return nil
}

func takesValue(c *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}

func concat(parts ...[]string) []string {
	var all []string
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
