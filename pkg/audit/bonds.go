package audit

import (
	"cmp"
	"context"
	"slices"
)

// Bonds are all that join commits of the index.
type bonds struct {
	same, like     stars
	picks, reverts []bond           // by from, then to
	any            bitset           // commits that have a bond
	digests        map[int64]string // as far as bonds hold them
}

// Stars are bonds of commits that have something in common with the first that has it.
type stars struct {
	byTo, byFrom []bond
	open         map[int64]bool // by from: a bond is loose
}

// A bitset holds numbers of commits.
type bitset []uint64

func (b *bitset) add(id int64) {
	for int(id>>6) >= len(*b) {
		*b = append(*b, make([]uint64, max(64, len(*b)))...)
	}
	(*b)[id>>6] |= 1 << (id & 63)
}

func (b bitset) has(id int64) bool { return int(id>>6) < len(b) && b[id>>6]>>(id&63)&1 == 1 }

func (v *View) bonds(ctx context.Context) (*bonds, error) {
	all := &bonds{digests: map[int64]string{}}
	err := v.spans(ctx, "bonds", func(s *span) error {
		return s.eachBond(func(b bond) {
			all.any.add(b.from)
			all.any.add(b.to)
			if b.signed != 0 {
				all.digests[b.signed] = b.digest
				b.signed, b.digest = 0, ""
			}
			switch b.kind {
			case sameChange:
				all.same.byTo = append(all.same.byTo, b)
			case sameShape:
				all.like.byTo = append(all.like.byTo, b)
			case pickOf:
				all.picks = append(all.picks, b)
			case revertOf:
				all.reverts = append(all.reverts, b)
			}
		})
	})
	all.same.arrange()
	all.like.arrange()
	for _, list := range []*[]bond{&all.picks, &all.reverts} {
		slices.SortFunc(*list, byFrom)
		*list = slices.Compact(*list)
	}
	return all, err
}

func (b *bonds) bound(id int64) bool { return b.any.has(id) }

func byFrom(a, b bond) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) }

// arrange sorts the bonds for both ways to look them up.
func (s *stars) arrange() {
	s.open = map[int64]bool{}
	slices.SortFunc(s.byTo, func(a, b bond) int { return cmp.Compare(a.to, b.to) })
	s.byFrom = slices.Clone(s.byTo)
	slices.SortFunc(s.byFrom, byFrom)
	for _, b := range s.byTo {
		if b.loose {
			s.open[b.from] = true
		}
	}
}

// center is the commit in the middle of the star that a commit is part of; 0 for none.
func (s *stars) center(id int64) int64 {
	if i, ok := slices.BinarySearchFunc(s.byTo, id, func(b bond, id int64) int { return cmp.Compare(b.to, id) }); ok {
		return s.byTo[i].from
	}
	if len(from(s.byFrom, id)) > 0 {
		return id
	}
	return 0
}

// of are all commits of a star, in the order of their numbers.
func (s *stars) of(center int64) []int64 {
	ids := []int64{center}
	for _, b := range from(s.byFrom, center) {
		ids = append(ids, b.to)
	}
	return ids
}

// loose reports whether digests of a star have to be compared.
func (s *stars) loose(center int64) bool { return s.open[center] }

// from are the bonds from a commit.
func from(list []bond, id int64) []bond {
	at := func(id int64) int {
		i, _ := slices.BinarySearchFunc(list, id, func(b bond, id int64) int { return cmp.Compare(b.from, id) })
		return i
	}
	i := at(id)
	if i == len(list) || list[i].from != id {
		return nil
	}
	return list[i:at(id+1)]
}
