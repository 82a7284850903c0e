package session

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatekeeper-git/gatekeeper/pkg/change"
	"github.com/gatekeeper-git/gatekeeper/pkg/provenance"
	"github.com/gatekeeper-git/gatekeeper/pkg/trailer"
)

func declaration(tool, model string) Declaration {
	return Declaration{
		Time:  time.Date(2026, 11, 23, 7, 12, 45, 0, time.UTC),
		Tool:  provenance.Tool{Name: tool},
		Model: provenance.Model{Provider: "acme", Name: model},
	}
}

func declare(t *testing.T, s *State, d Declaration) Declaration {
	t.Helper()
	d, err := s.Declare(d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pending(t *testing.T, s *State) []Declaration {
	t.Helper()
	got, broken, err := s.Pending()
	if err != nil || len(broken) > 0 {
		t.Fatal(err, broken)
	}
	return got
}

func TestDeclarations(t *testing.T) {
	t.Run("what was declared is pending until it is used", func(t *testing.T) {
		s := Open(t.TempDir())
		a := declare(t, s, declaration("a", "m 1/x%"))
		b := declaration("b", "")
		b.Paths = []string{"dir/with space", "ä"}
		b = declare(t, s, b)
		if diff := cmp.Diff([]Declaration{a, b}, pending(t, s)); diff != "" {
			t.Error(diff)
		}
		if err := s.Use(a.ID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Declaration{b}, pending(t, s)); diff != "" {
			t.Error(diff)
		}
		if err := s.Use(b.ID); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(s.path("*"))
		if len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
	})

	t.Run("nothing declared is no error and makes no file", func(t *testing.T) {
		s := Open(t.TempDir())
		if got := pending(t, s); got != nil {
			t.Errorf("got %v", got)
		}
		if _, err := os.Stat(s.dir); err == nil {
			t.Error("a directory was made")
		}
	})

	t.Run("a broken line is reported and the rest counts", func(t *testing.T) {
		s := Open(t.TempDir())
		a := declare(t, s, declaration("a", "m"))
		f, err := os.OpenFile(s.path(declaredFile), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("declared 00ff 2026-11-23T07:12:45Z cut/sho")
		f.Close()
		b := declare(t, s, declaration("b", "m"))
		got, broken, err := s.Pending()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Declaration{a, b}, got); diff != "" {
			t.Error(diff)
		}
		if len(broken) != 1 || !strings.Contains(broken[0].Error(), "declared:2: the line is cut short") {
			t.Errorf("got %v", broken)
		}
	})

	t.Run("a declaration too long for a trailer is refused", func(t *testing.T) {
		if _, err := Open(t.TempDir()).Declare(declaration("a", strings.Repeat("x", 3000))); err == nil {
			t.Error("it was taken")
		}
	})

	t.Run("many declare and use at once and nothing is lost", func(t *testing.T) {
		s := Open(t.TempDir())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					d, err := s.Declare(declaration("a", "m"))
					if err == nil {
						err = s.Use(d.ID)
					}
					if err == nil {
						_, err = s.Declare(declaration("kept", "m"))
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		kept := 0
		for _, d := range pending(t, s) {
			if d.Tool.Name == "kept" {
				kept++
			}
		}
		if kept != 160 {
			t.Errorf("%d of 160 kept", kept)
		}
	})
}

func prepared() Prepared {
	return Prepared{
		Git:         4711,
		Head:        change.ID(strings.Repeat("\x01", 20)),
		Bind:        provenance.Digest{1},
		Change:      provenance.Digest{2},
		Values:      []string{"none via=process"},
		Added:       12,
		Attestation: "v1 key=x",
		Add:         []trailer.Line{{Key: "Assisted-by", Value: "a:b"}},
		Remove:      []trailer.Line{{Key: "Assisted-by", Value: "x\ny"}},
		Declared:    []string{"00ff"},
		Buffer:      trailer.Buffer{Comment: "\"#", Strip: true, Cut: true},
		Certain:     true,
		Kept:        true,
	}
}

func TestPrepared(t *testing.T) {
	s := Open(t.TempDir())
	if _, ok, err := s.Prepared(); ok || err != nil {
		t.Errorf("nothing was left: got %v, %v", ok, err)
	}
	for _, want := range []Prepared{prepared(), {}} {
		if err := s.Prepare(want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Prepared()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := s.Drop(); err != nil {
		t.Error(err)
	}
	if err := s.Drop(); err != nil {
		t.Errorf("twice: %v", err)
	}
}

func TestStampTakesThePlaceOfPrepared(t *testing.T) {
	s := Open(t.TempDir())
	if err := s.Prepare(prepared()); err != nil {
		t.Fatal(err)
	}
	if err := s.Stamped(prepared()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Prepared(); ok || err != nil {
		t.Errorf("prepared is still there: %v, %v", ok, err)
	}
	got, ok, err := s.Stamp()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if diff := cmp.Diff(prepared(), got); diff != "" {
		t.Error(diff)
	}
	text, _ := os.ReadFile(s.path(stampedFile))
	if !strings.HasPrefix(string(text), "4711\n") {
		t.Errorf("the shim of commit-msg cannot read %q", text)
	}
	if err := s.Prepare(prepared()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Stamp(); ok || err != nil {
		t.Errorf("the stamp is still there: %v, %v", ok, err)
	}
}

func TestPreparedCutShortIsRefused(t *testing.T) {
	whole := prepared().String()
	for n := range len(whole) {
		if _, err := ParsePrepared(whole[:n]); err == nil {
			t.Errorf("the first %d bytes were taken", n)
		}
	}
}

func FuzzParsePrepared(f *testing.F) {
	f.Add(prepared().String())
	f.Add(Prepared{}.String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePrepared(text)
		if err == nil && p.String() != text {
			t.Errorf("read %q, wrote %q", text, p.String())
		}
	})
}

// Any declaration comes back, and whatever is read writes itself again.
func FuzzDeclared(f *testing.F) {
	f.Add("tool", "1.0", "acme", "m [1m]", "a b\nc", "declared 1 2 3 4 .")
	f.Add("", "unknown", "/", "%", "", "used 00ff .")
	f.Fuzz(func(t *testing.T, tool, version, provider, model, path, line string) {
		d := declaration(tool, model)
		d.ID, d.Tool.Version, d.Model.Provider, d.Paths = "00ff", version, provider, []string{path}
		e, err := parseEntry(entry{Declaration: d}.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, e.Declaration); diff != "" {
			t.Error(diff)
		}
		if e, err := parseEntry(line); err == nil && e.String() != line {
			t.Errorf("read %q, wrote %q", line, e.String())
		}
	})
}
