package wire

import (
	"bytes"
	"testing"
)

// What is read is spelt in the one way in which it is written.
func FuzzReader(f *testing.F) {
	f.Add(AppendMpint(AppendString(nil, "ssh-rsa"), []byte{1, 0, 1}))
	f.Add(AppendMpint(AppendString(nil, ""), []byte{0x80}))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 2, 0, 0x7f}) // a needless zero
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Reader{Rest: data}
		text, number := r.Bytes(), r.Positive()
		if r.Offset+len(r.Rest) != len(data) {
			t.Fatalf("%d bytes read and %d left of %d", r.Offset, len(r.Rest), len(data))
		}
		if r.Bad {
			if r.Done() || r.Bytes() != nil || r.Uint32() != 0 {
				t.Fatal("it goes on after something was missing")
			}
			return
		}
		written := AppendMpint(AppendString(nil, text), number)
		if !bytes.Equal(written, data[:r.Offset]) {
			t.Fatalf("read %x, writes %x", data[:r.Offset], written)
		}
	})
}

func TestAppendMpint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		n      []byte
		number []byte
	}{
		{"zero is nothing", []byte{0, 0}, nil},
		{"leading zeros are dropped", []byte{0, 0, 0x7f}, []byte{0x7f}},
		{"a high bit takes a zero", []byte{0x80}, []byte{0, 0x80}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := AppendMpint(nil, tt.n), AppendString(nil, tt.number); !bytes.Equal(got, want) {
				t.Errorf("%x, want %x", got, want)
			}
		})
	}
}
