package session

import "github.com/parley-voice/parley/session/wire"

// arrangement is how a talker lays its frames out in packets: in pairs or not,
// and how far back its copies reach. When pairs end or copies reach farther, frames
// come sooner that had to wait for their packet or were lost in their first one.
type arrangement struct {
	paired bool
	reach  int // frames
	others int // packets in a row that are arranged less
}

// arrangedLess is how many packets in a row show that a talker went back to
// single frames or nearer copies: the first packets of a talk spurt have no
// frames to copy, and its last frame may be left over from a pair.
const arrangedLess = 10

// look takes note of a packet with audio, and reports whether what was learnt of
// delays before is worth little from now on.
func (a *arrangement) look(v *wire.Voice) bool {
	copies := v.Copies[:v.NumCopies]
	if v.Twin {
		copies = copies[1:]
	}
	reach := 0
	for _, c := range copies {
		reach = max(reach, c.Offset)
	}
	a.paired = a.paired || v.Twin
	switch {
	case reach > a.reach:
		a.reach, a.others = reach, 0
		return true
	case v.Twin == a.paired && (reach == a.reach || reach == 0):
		a.others = 0
		return false
	}
	if a.others++; a.others < arrangedLess {
		return false
	}
	ended := a.paired && !v.Twin
	a.paired, a.reach, a.others = v.Twin, reach, 0
	return ended
}
