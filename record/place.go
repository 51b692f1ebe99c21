package record

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/oggopus"
)

// Time on a recording is counted in samples since it began.
const (
	second      = audio.SampleRate
	millisecond = audio.SampleRate / 1000
)

func samplesOf(d time.Duration) int64 {
	return int64(d/time.Second)*second + int64(d%time.Second)*second/int64(time.Second)
}

// blockLine puts blocks that one clock counts on the time line. They lie beside
// each other: what they are late or early by is the jitter of a goroutine, as
// long as it doesn't last. A clock that goes wrong for good is followed, a block
// at a time, in silence.
type blockLine struct {
	known bool
	next  int64   // number of the block that would follow
	off   float64 // by how many blocks time is ahead of next, smoothed
}

const (
	lineShare = 64  // of blocks over which off is smoothed
	lineSlack = 1.5 // blocks that off may be before silence is cut or grows
	lineJump  = 30  // blocks from which on nothing is waited for
)

// place returns the number of a block that was there at a time, in samples. It
// reports false for one that is to be left out.
func (l *blockLine) place(at int64, silent bool) (int64, bool) {
	now := float64(at) / audio.BlockSamples
	ahead := now - float64(l.next)
	switch {
	case !l.known || ahead > lineJump:
		l.known, l.off = true, 0
		l.next = max(l.next, int64(math.Round(now)))
	case ahead < -lineJump:
		return 0, false
	default:
		l.off += (ahead - l.off) / lineShare
	}
	switch {
	case silent && l.off >= lineSlack:
		l.off--
		l.next++
	case silent && l.off <= -lineSlack:
		l.off++
		return 0, false
	}
	l.next++
	return l.next - 1, true
}

// packetLine puts the packets of one participant on the time line: as its own
// clock says, from when the fastest of its packets arrived. Between talk spurts
// it follows the clocks and the network, within them only what is far off.
type packetLine struct {
	known  bool
	stream uint64
	spurt  int64
	base   int64 // what is added to a timestamp
	low    lowest
}

const (
	spurtSlack = 40 * millisecond  // by how much spurts may be off
	spurtJump  = 500 * millisecond // by how much anything may
	mostAhead  = second            // by how much a participant may have said more than there was time for
	lowSpan    = 5 * second
)

// place returns where a packet begins, at written or later, which is where those
// before it ended. It reports false for one that there is no time for.
func (l *packetLine) place(p *packet, written int64) (int64, bool) {
	arrived := p.at - int64(p.samples)
	fresh := !l.known || p.stream != l.stream
	if fresh {
		*l = packetLine{known: true, stream: p.stream}
	}
	l.low.add(arrived-p.timestamp, p.at)
	base := l.low.value() / oggopus.Grain * oggopus.Grain
	off := max(base-l.base, l.base-base)
	if fresh || off > spurtJump || p.spurt != l.spurt && off > spurtSlack {
		l.base = base
	}
	l.spurt = p.spurt
	if early := written - (p.timestamp + l.base); early > 0 {
		l.base += early
	}
	at := p.timestamp + l.base
	return at, at <= arrived+mostAhead
}

// lowest is the smallest value of the last 5 to 10 s in which there were any.
type lowest struct {
	known       bool
	since       int64
	now, before int64
}

func (l *lowest) add(value, at int64) {
	switch {
	case !l.known:
		*l = lowest{known: true, since: at, now: value, before: value}
	case at-l.since > lowSpan:
		l.since, l.before, l.now = at, l.now, value
	default:
		l.now = min(l.now, value)
	}
}

func (l *lowest) value() int64 { return min(l.now, l.before) }
