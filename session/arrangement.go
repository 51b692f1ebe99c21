package session

import "github.com/parley-voice/parley/session/wire"

// arrangement is how a talker lays its frames out in packets: how many
// in each, and how far back its copies reach. When they become fewer or copies reach
// farther, frames come sooner that had to wait for their packet or were lost in their first one.
type arrangement struct {
	twins  int // frames that travel with the next
	reach  int // frames
	others int // packets in a row that are arranged less
}

// arrangedLess is how many packets in a row show that a talker went back to
// single frames or nearer copies: the first packets of a talk spurt have no
// frames to copy, and its last frames may be left over from more.
const arrangedLess = 10

// look takes note of a packet with audio, and reports whether what was learnt of
// delays before is worth little from now on.
func (a *arrangement) look(v *wire.Voice) bool {
	reach := 0
	for _, c := range v.Copies[v.Twins:v.NumCopies] {
		reach = max(reach, c.Offset)
	}
	a.twins = max(a.twins, v.Twins)
	switch {
	case reach > a.reach:
		a.reach, a.others = reach, 0
		return true
	case v.Twins == a.twins && (reach == a.reach || reach == 0):
		a.others = 0
		return false
	}
	if a.others++; a.others < arrangedLess {
		return false
	}
	ended := v.Twins < a.twins
	a.twins, a.reach, a.others = v.Twins, reach, 0
	return ended
}
