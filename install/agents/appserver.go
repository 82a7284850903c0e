package agents

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// An appServer is `codex app-server`: JSON-RPC 2.0 without its version member, a
// message a line, as Codex 0.169 speaks it. It sends notifications between answers.
type appServer struct {
	in  io.WriteCloser
	out *bufio.Reader
	ctx context.Context
	end func()
	id  int
}

// maxAnswer bounds one message, in bytes.
const maxAnswer = 4 << 20

// startCodex starts it and says who calls. It ends when ctx does.
func (w World) startCodex(ctx context.Context) (*appServer, error) {
	program := w.lookPath("codex")
	if program == "" {
		return nil, errors.New("there is no codex on PATH")
	}
	cmd := exec.CommandContext(ctx, program, "app-server")
	cmd.Env, cmd.Dir = w.Environ, w.home()
	// What runs may be a script around the real one, which then outlives it.
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { in.Close(); out.Close() })
	s := &appServer{in: in, out: bufio.NewReaderSize(out, maxAnswer), ctx: ctx}
	s.end = func() {
		stop()
		in.Close()
		out.Close()
		_ = cmd.Wait() // it has said what we wanted to know
	}
	who := map[string]any{"clientInfo": map[string]string{"name": "gatekeeper", "title": "gatekeeper", "version": "1"}}
	if err := s.call("initialize", who, nil); err != nil {
		s.end()
		return nil, err
	}
	return s, s.send(message{Method: "initialized"})
}

type message struct {
	Method string          `json:"method,omitempty"`
	ID     int             `json:"id,omitempty"`
	Params any             `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

func (s *appServer) send(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err = s.in.Write(append(line, '\n')); err != nil {
		return s.why(err)
	}
	return nil
}

// call asks, and waits for the answer to that.
func (s *appServer) call(method string, params, result any) error {
	s.id++
	if err := s.send(message{Method: method, ID: s.id, Params: params}); err != nil {
		return err
	}
	for {
		line, err := s.out.ReadSlice('\n')
		if err != nil {
			return s.why(err)
		}
		var m message
		if json.Unmarshal(line, &m) != nil || m.Method != "" || m.ID != s.id {
			continue
		}
		if m.Error != nil {
			return fmt.Errorf("codex app-server: %s: %.200q", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("codex app-server: %s: %w", method, err)
		}
		return nil
	}
}

func (s *appServer) why(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("codex app-server did not answer in time: %w", s.ctx.Err())
	case errors.Is(err, io.EOF):
		return errors.New("codex app-server ended without an answer")
	}
	return fmt.Errorf("codex app-server: %w", err)
}
