package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/agent"
)

// apartVariable tells a demo process how far it is from whoever started it.
const apartVariable = "GATEKEEPER_DEMO_APART"

// demoApart keeps a coding assistant that runs the demo out of its commits: the
// hooks would see it among their ancestors and record it, as they should. The demo
// then runs in a process that has fallen to init, two starts away; the first one
// waits and passes on the exit code, and takes the demo with it when it ends.
//
// apart is false in the process that is to tell the story.
func (p process) demoApart(ctx context.Context) (code int, apart bool, err error) {
	stage, parent, _ := strings.Cut(p.getenv(apartVariable), ":")
	switch {
	case stage == "between":
		next := p.again(context.WithoutCancel(ctx), "apart:"+strconv.Itoa(os.Getpid()), os.NewFile(3, "result"), os.NewFile(4, "life"))
		return 0, true, next.Start()
	case stage == "apart":
		go func() {
			_, _ = io.Copy(io.Discard, os.NewFile(4, "life")) // ends when the first process does
			os.Exit(exitUnchecked)
		}()
		for parent == strconv.Itoa(os.Getppid()) {
			time.Sleep(time.Millisecond)
		}
		err := p.demo(ctx)
		_, _ = os.NewFile(3, "result").Write([]byte{byte(p.code(err))})
		return 0, true, nil
	case runtime.GOOS != "linux" || len(agent.Detect(nil, agent.Ancestors())) == 0:
		return 0, false, nil
	}
	code, err = p.sendOff(ctx)
	return code, true, err
}

func (p process) sendOff(ctx context.Context) (int, error) {
	resultR, resultW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer resultR.Close()
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer lifeW.Close()
	err = p.again(ctx, "between", resultW, lifeR).Run()
	resultW.Close()
	lifeR.Close()
	if err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(resultR)
	if err == nil && len(answer) != 1 {
		err = errors.New("the demo ended without a result")
	}
	if err != nil {
		return 0, err
	}
	return int(answer[0]), nil
}

func (p process) again(ctx context.Context, stage string, files ...*os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "demo")
	if self, err := os.Executable(); err == nil {
		cmd.Path = self
	}
	cmd.Env = append(p.Environ, apartVariable+"="+stage)
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	cmd.ExtraFiles = files
	return cmd
}
