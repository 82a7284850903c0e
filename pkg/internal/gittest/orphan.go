package gittest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stage is the variable that tells a test binary how far from home it is.
const stage = "GITTEST_STAGE"

// Orphan runs the tests in a process that is no descendant of whoever started
// them, and returns their exit code. gatekeeper looks for coding agents among
// its ancestors: without this, a test run started by an agent would record it.
//
// The test binary starts itself twice over; the one between ends at once, and
// its child falls to init. The first waits and passes on the exit code, and
// should it be killed, the tests end too.
func Orphan(m *testing.M) int {
	where, parent, _ := strings.Cut(os.Getenv(stage), ":")
	switch {
	case runtime.GOOS != "linux": // nowhere else are ancestors looked at
		return m.Run()
	case where == "":
		return passOn(sendOff())
	case where == "between":
		next := fmt.Sprintf("apart:%d", os.Getpid())
		return passOn(0, again(next, os.NewFile(3, "result"), os.NewFile(4, "life")).Start())
	}
	os.Unsetenv(stage)
	result, life := os.NewFile(3, "result"), os.NewFile(4, "life")
	go func() {
		io.Copy(io.Discard, life) // ends when the first process does
		os.Exit(2)
	}()
	for parent == strconv.Itoa(os.Getppid()) {
		time.Sleep(time.Millisecond)
	}
	code := m.Run()
	result.Write([]byte{byte(code)})
	return code
}

func passOn(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gittest: run tests apart:", err)
		return 2
	}
	return code
}

func sendOff() (int, error) {
	resultR, resultW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer lifeW.Close()
	if err := again("between", resultW, lifeR).Run(); err != nil {
		return 0, err
	}
	resultW.Close()
	lifeR.Close()
	answer, err := io.ReadAll(resultR)
	if err != nil {
		return 0, err
	}
	if len(answer) != 1 {
		return 0, errors.New("the tests ended without a result")
	}
	return int(answer[0]), nil
}

func again(where string, files ...*os.File) *exec.Cmd {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), stage+"="+where)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	return cmd
}
