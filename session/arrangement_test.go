package session

import (
	"testing"

	"github.com/parley-voice/parley/session/wire"
)

// arranged is a packet that carries so many frames before its own, and copies of those
// offsets.
func arranged(twins int, offsets ...int) *wire.Voice {
	v := &wire.Voice{Twins: twins}
	for o := twins; o > 0; o-- {
		v.Copies[v.NumCopies] = wire.Copy{Offset: o}
		v.NumCopies++
	}
	for _, o := range offsets {
		v.Copies[v.NumCopies] = wire.Copy{Offset: o}
		v.NumCopies++
	}
	return v
}

func TestArrangementChanges(t *testing.T) {
	single, near, far, pair := arranged(0), arranged(0, 1), arranged(0, 4), arranged(1, 3, 2)
	many := func(v *wire.Voice, n int) (list []*wire.Voice) {
		for range n {
			list = append(list, v)
		}
		return list
	}
	join := func(lists ...[]*wire.Voice) (all []*wire.Voice) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	cases := map[string]struct {
		packets []*wire.Voice
		changes int
	}{
		"none":                             {many(single, 100), 0},
		"copies begin":                     {join(many(single, 20), many(near, 20)), 1},
		"they reach farther":               {join(many(near, 20), many(far, 20)), 2},
		"and nearer again":                 {join(many(far, 20), many(near, 50)), 1},
		"and farther, after that":          {join(many(far, 20), many(near, 50), many(far, 20)), 2},
		"a spurt begins without any":       {join(many(far, 20), many(single, 4), many(far, 20), many(single, 4), many(far, 20)), 1},
		"pairs begin":                      {join(many(single, 20), many(arranged(1), 20)), 0},
		"with copies":                      {join(many(single, 20), many(pair, 20)), 1},
		"pairs end":                        {join(many(pair, 20), many(single, 20)), 2},
		"threes begin":                     {join(many(arranged(1), 20), many(arranged(2), 20)), 0},
		"threes end, pairs go on":          {join(many(arranged(2), 20), many(arranged(1), 20)), 1},
		"two are left over from three":     {join(many(arranged(2), 20), many(arranged(1), 1), many(arranged(2), 20)), 0},
		"pairs end, copies go on":          {join(many(pair, 20), many(near, 20)), 2},
		"a frame is left over from a pair": {join(many(pair, 20), many(single, 1), many(pair, 20), many(near, 1), many(pair, 20)), 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var a arrangement
			changes := 0
			for _, v := range c.packets {
				if a.look(v) {
					changes++
				}
			}
			if changes != c.changes {
				t.Errorf("%d changes, want %d", changes, c.changes)
			}
		})
	}
}
