package trailer_test

import (
	"testing"

	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

func TestUntouchedIsWhatGitRefusesOfATemplate(t *testing.T) {
	const template = "Body\n# help\n"
	strip, keep := trailer.Buffer{Strip: true}, trailer.Buffer{}
	tests := []struct {
		name    string
		buffer  trailer.Buffer
		message string
		want    bool
	}{
		{"as it was", strip, template + "# Please enter\n", true},
		{"signed off, no more", strip, template + "\nSigned-off-by: A <a@example.com>\n", true},
		{"a subject above", strip, "Subject\n" + template, false},
		{"a line below", strip, template + "more\n", false},
		{"emptied is empty, not untouched", strip, "\n", false},
		{"comments are kept, as it was", keep, template, true},
		{"verbatim is never refused", trailer.Buffer{Verbatim: true}, template, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.buffer.Untouched(tt.buffer.Clean([]byte(template)), []byte(tt.message)); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
	if strip.Untouched(nil, []byte("Subject\n")) {
		t.Error("a message that began as no template counts as untouched")
	}
}
