package agentevent

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnAgentIsNeverHeldUp(t *testing.T) {
	payload := strings.NewReader(`{"hook_event_name":"PreToolUse"`)
	if code := Run(payload); code != 0 || payload.Len() != 0 {
		t.Errorf("exit code %d with %d bytes unread, want 0 and none", code, payload.Len())
	}
	if code := Run(iotest.ErrReader(errors.New("gone"))); code != 0 {
		t.Errorf("exit code %d when the agent goes away, want 0", code)
	}
}
