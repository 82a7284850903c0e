package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The ledger holds what counts of every commit, in the order in which it became known,
// in strips of some thousand entries: a question that counts goes through a million
// commits in the time in which SQLite would fetch some ten thousand rows. What a later
// run found out otherwise is an entry that takes the earlier one back, and another, so
// that sums over the strips up to a run are what was known after it.

// An Entry is one commit in the ledger.
type Entry struct {
	Back      bool // it takes back those of the commit before it; never seen by questions
	Commit    int64
	Repo      int64
	Author    int64 // person
	Committed int64 // seconds since 1970
	At        int64 // by which it is judged: of receipt, else Committed
	Evidence  Evidence
	Class     string
	Merge     bool
	Own       bool // see Commit.Own
	Added     int  // lines; -1 when not known
	Uses      []EntryUse
	Places    []EntryPlace // only where they were asked for
}

// Counts is Commit.Counts.
func (e *Entry) Counts() bool { return e.Own || e.Evidence != Unknown }

// An EntryUse is a claim.
type EntryUse struct {
	Use int64
	AI  int // lines; -1 when not known
}

// An EntryPlace is a folder that a commit touches, and the lines it adds in it.
type EntryPlace struct {
	Place int64
	Added int
}

// classes are the signers' classes as the ledger numbers them.
var classes = []string{"", "unknown", "developer", "tool", "gateway", "platform"}

const (
	flagBack = 1 << iota
	flagMerge
	flagOwn
	flagReceived
)

// A strip is made of entries of one repository.
type strip struct {
	entries, backs int
	facts, places  []byte
	last           Entry
}

func (s *strip) add(e Entry) {
	flags := byte(0)
	for _, f := range []struct {
		set bool
		bit byte
	}{{e.Back, flagBack}, {e.Merge, flagMerge}, {e.Own, flagOwn}, {e.At != e.Committed, flagReceived}} {
		if f.set {
			flags |= f.bit
		}
	}
	b := append(s.facts, flags, number(tiers, e.Evidence)<<4|number(classes, e.Class))
	b = binary.AppendVarint(b, e.Commit-s.last.Commit)
	b = binary.AppendUvarint(b, uint64(e.Author))
	b = binary.AppendVarint(b, e.Committed-s.last.Committed)
	if flags&flagReceived != 0 {
		b = binary.AppendVarint(b, e.At-e.Committed)
	}
	b = binary.AppendUvarint(b, uint64(e.Added+1))
	b = binary.AppendUvarint(b, uint64(len(e.Uses)))
	for _, u := range e.Uses {
		b = binary.AppendUvarint(b, uint64(u.Use))
		b = binary.AppendUvarint(b, uint64(u.AI+1))
	}
	s.facts = b
	p := binary.AppendUvarint(s.places, uint64(len(e.Places)))
	for _, place := range e.Places {
		p = binary.AppendUvarint(p, uint64(place.Place))
		p = binary.AppendUvarint(p, uint64(place.Added))
	}
	s.places = p
	s.entries, s.last = s.entries+1, e
	if e.Back {
		s.backs++
	}
}

// number is the place of a value in a list, that of the last for one that is not there.
func number[T comparable](list []T, value T) byte {
	for i, v := range list {
		if v == value {
			return byte(i)
		}
	}
	return byte(len(list) - 1)
}

var errStrip = errors.New("the ledger is damaged: index anew into another file")

// readStrip calls visit with each entry, which is valid during the call only. places is
// nil when they are not asked for.
func readStrip(repo int64, facts, places []byte, visit func(*Entry)) error {
	d := decoder{b: facts}
	p := decoder{b: places}
	e := Entry{Repo: repo}
	for len(d.b) > 0 && d.err == nil && p.err == nil {
		flags, kind := d.byte(), d.byte()
		if int(kind>>4) >= len(tiers) || int(kind&15) >= len(classes) {
			return errStrip
		}
		e.Back, e.Merge, e.Own = flags&flagBack != 0, flags&flagMerge != 0, flags&flagOwn != 0
		e.Evidence, e.Class = tiers[kind>>4], classes[kind&15]
		e.Commit += d.varint()
		e.Author = int64(d.uvarint())
		e.Committed += d.varint()
		e.At = e.Committed
		if flags&flagReceived != 0 {
			e.At += d.varint()
		}
		e.Added = int(d.uvarint()) - 1
		e.Uses = e.Uses[:0]
		for range d.uvarint() {
			e.Uses = append(e.Uses, EntryUse{int64(d.uvarint()), int(d.uvarint()) - 1})
			if d.err != nil {
				break
			}
		}
		e.Places = e.Places[:0]
		if places != nil {
			for range p.uvarint() {
				e.Places = append(e.Places, EntryPlace{int64(p.uvarint()), int(p.uvarint())})
				if p.err != nil {
					break
				}
			}
		}
		if d.err == nil && p.err == nil {
			visit(&e)
		}
	}
	if err := errors.Join(d.err, p.err); err != nil {
		return fmt.Errorf("read strip: %w", err)
	}
	return nil
}

// A decoder takes numbers off bytes, and remembers that they ran out.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.err = errStrip
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 { // most are
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errStrip
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}
