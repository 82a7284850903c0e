package repo

import (
	"context"
	"errors"
	"io"
	"os/exec"
)

var errClosed = errors.New("already closed")

// A process is a running git whose output is read as it comes. wait or stop must
// be called, so that no zombie is left; ctx's end kills it.
type process struct {
	ctx  context.Context
	cmd  *exec.Cmd
	out  io.ReadCloser
	errs *notes
	done bool
}

// start runs cmd, which was made with ctx, with stdin as its input unless cmd
// already has one.
func start(ctx context.Context, cmd *exec.Cmd, stdin io.Reader) (*process, error) {
	p := &process{ctx: ctx, cmd: cmd, errs: &notes{}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = out
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.Stderr = p.errs
	if err := cmd.Start(); err != nil {
		return nil, p.explain(err)
	}
	return p, nil
}

// wait takes the exit status, after all output has been read.
func (p *process) wait() error {
	if p.done {
		return nil
	}
	p.done = true
	return p.explain(p.cmd.Wait())
}

// explain prefers the reason for which the caller gave up over what that did to
// the child.
func (p *process) explain(err error) error {
	if err != nil && p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	return commandError(p.cmd, err, p.errs)
}

// reason is why a process that stopped answering did so, nil if it ended well.
func (p *process) reason() error {
	_ = p.out.Close()
	return p.wait()
}

// stop ends the process, whatever it was doing.
func (p *process) stop() {
	if p.done {
		return
	}
	p.done = true
	_ = p.cmd.Process.Kill()
	_ = p.out.Close()
	_ = p.cmd.Wait()
}
