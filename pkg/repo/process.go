package repo

import (
	"context"
	"errors"
	"io"
	"os/exec"
)

// A process is a running git whose output is read as it comes.
type process struct {
	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	out    io.ReadCloser
	errs   *notes
	done   bool
}

// start runs cmd, which must have been made with a context that ends when ctx
// does. The process lasts until wait or stop.
func start(ctx context.Context, cmd *exec.Cmd, stdin io.Reader) (*process, error) {
	p := &process{ctx: ctx, cmd: cmd, errs: &notes{}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = out
	cmd.Stdin, cmd.Stderr = stdin, p.errs
	if err := cmd.Start(); err != nil {
		return nil, commandError(cmd, err, p.errs)
	}
	return p, nil
}

// wait takes the exit status after all output has been read.
func (p *process) wait() error {
	if p.done {
		return nil
	}
	p.done = true
	err := commandError(p.cmd, p.cmd.Wait(), p.errs)
	if err != nil && p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	return err
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

var errClosed = errors.New("already closed")
