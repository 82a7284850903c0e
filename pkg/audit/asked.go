package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Asked writes down that somebody looks at people, before they see anything: who, at what,
// and for what purpose.
func (v *View) Asked(ctx context.Context, at time.Time, who, question, purpose string) error {
	if strings.TrimSpace(purpose) == "" {
		return errors.New("looking at people needs a purpose")
	}
	if _, err := v.Store.ExecContext(ctx, "INSERT INTO asked (at, who, question, purpose) VALUES (?, ?, ?, ?)",
		at.Unix(), text(who), text(question), text(purpose)); err != nil {
		return fmt.Errorf("log the purpose: %w", err)
	}
	return nil
}
