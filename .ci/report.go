// Report reads the output of `go test -json`, prints it as go test prints it
// without -json, and fails when a test failed, was skipped, or none ran.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// An event is what test2json and go build write of it, one to a line.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

type tally struct {
	passed, failed int
	skipped        []string
	said           map[string][]string // output of tests that still run
}

func main() {
	t := tally{said: map[string][]string{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	for _, name := range t.skipped {
		fmt.Println("skipped:", name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, len(t.skipped))
	if t.failed > 0 || len(t.skipped) > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

func (t *tally) read(in io.Reader) error {
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadString('\n')
		var e event
		switch {
		case err != nil && line == "":
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case json.Unmarshal([]byte(line), &e) != nil:
			fmt.Print(line) // of the go command itself
		default:
			t.take(e)
		}
	}
}

func (t *tally) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "build-fail":
		t.failed++
	case "output":
		if e.Test != "" {
			t.said[key] = append(t.said[key], e.Output)
		} else if e.Output != "PASS\n" {
			fmt.Print(e.Output)
		}
	case "pass":
		if e.Test != "" {
			t.passed++
		}
		delete(t.said, key)
	case "skip": // of a whole package: it has no tests
		if e.Test != "" {
			t.skipped = append(t.skipped, strings.TrimPrefix(key, " "))
		}
		delete(t.said, key)
	case "fail":
		t.failed++ // a package, too: it may have failed outside of any test
		fmt.Print(strings.Join(t.said[key], ""))
		delete(t.said, key)
	}
}
