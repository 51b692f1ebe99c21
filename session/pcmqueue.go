package session

import (
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/stretch"
)

// The queue between a session and a reader with a clock of its own, in samples.
const (
	pcmMost   = audio.SampleRate / 2       // room
	pcmLeast  = 3 * audio.BlockSamples / 2 // less than this left after a read is too little: a block may be late;
	pcmGood   = 2 * audio.BlockSamples     // this is aimed at;
	pcmSpare  = 3 * audio.BlockSamples     // more than this, each time, is too much;
	pcmLate   = 6 * audio.BlockSamples     // and this is dropped at once
	pcmWindow = 50                         // blocks over which that is looked at, half a second
	pcmEdge   = audio.SampleRate / 400     // 2.5 ms: the fades where something is missing
	pcmBegins = 2 * audio.BlockSamples     // queued before anything is given, at first and after something was missing
	pcmSteady = 3 * audio.BlockSamples / 2 // stretched is where so much is queued
)

// pcmQueue carries a voice from one clock to another: blocks are put at our pace, and
// samples taken at the reader's, in pieces of any size. It holds as little as the
// reader's pieces allow, which it learns: what was never needed over the last half
// second is too much, what was nearly all is too little, and the voice is shortened
// or lengthened by a pitch period. It is pure: its clock is the blocks that are put.
type pcmQueue struct {
	pcm    [pcmMost]float32
	queued int

	runs    bool             // something was given since something was missing
	begins  bool             // what comes next begins with a fade
	taken   int              // samples, since the last block was put
	need    int              // the most of them in this window,
	needed  int              // and in the one before
	left    int              // the fewest that were left by a read in this window
	reads   int              // in this window
	blocks  int              // of this window
	change  int              // samples by which the voice is to be longer, or, less than 0, shorter
	passage [pcmEdge]float32 // how what was given last would have gone on, if skipped
	skipped bool             // since something was given last

	stats PCMStats
}

// put appends a block.
func (q *pcmQueue) put(b *audio.Block) {
	q.need, q.taken = max(q.need, min(q.taken, pcmMost/2)), 0
	need := max(q.need, q.needed) + audio.BlockSamples
	if q.queued+audio.BlockSamples > min(pcmMost, need+pcmLate) {
		q.skip(q.queued + audio.BlockSamples - need - pcmGood)
	}
	q.queued += copy(q.pcm[q.queued:], b[:])
	if q.blocks++; q.blocks >= pcmWindow {
		q.judge()
	}
	if q.change != 0 && q.queued >= pcmSteady {
		q.stretch()
	}
}

// judge decides, after a window, whether there is too much or too little.
func (q *pcmQueue) judge() {
	switch {
	case q.reads == 0:
		q.blocks = 0
		return
	case q.left > pcmLate:
		q.skip(q.left - pcmGood)
		q.change = 0
	case q.left > pcmSpare:
		q.change = pcmGood - q.left
	case q.left < pcmLeast:
		q.change = pcmLeast
	default:
		q.change = 0
	}
	q.needed, q.need = q.need, 0
	q.blocks, q.reads, q.left = 0, 0, pcmMost
}

// stretch makes the voice longer or shorter by a pitch period, if it shows one now.
func (q *pcmQueue) stretch() {
	before := q.queued
	if q.change < 0 {
		q.queued = stretch.Accelerate(q.pcm[:q.queued], -q.change, false)
	} else if q.queued+stretch.MaxChange <= len(q.pcm) {
		q.queued = len(stretch.Expand(q.pcm[:q.queued], false))
	}
	if q.queued != before {
		q.change = 0
		q.stats.Stretched += uint64(max(q.queued-before, before-q.queued))
	}
}

// skip drops the n oldest samples, with a soft passage to what follows.
func (q *pcmQueue) skip(n int) {
	n = min(n, q.queued-pcmEdge)
	if n <= 0 {
		return
	}
	if !q.skipped { // else what was given last goes on as it would have before
		copy(q.passage[:], q.pcm[:])
		q.skipped = true
	}
	q.drop(n)
	audio.CrossFade(q.pcm[:pcmEdge], q.passage[:], q.pcm[:])
	q.stats.Skipped += uint64(n)
}

// take fills dst with the oldest samples, and with silence where there are none.
func (q *pcmQueue) take(dst []float32) {
	q.taken += len(dst)
	n := 0
	if !q.begins || q.queued >= pcmBegins {
		n = copy(dst, q.pcm[:q.queued])
		q.drop(n)
		q.skipped = q.skipped && n == 0
	}
	if q.begins && n > 0 {
		audio.FadeIn(dst[:min(n, pcmEdge)])
		q.begins, q.runs = false, true
	}
	if n < len(dst) {
		audio.FadeOut(dst[n-min(n, pcmEdge) : n])
		clear(dst[n:])
		q.begins = true
		if q.runs {
			q.stats.Missing += uint64(len(dst) - n)
			q.runs = false
		}
	}
	q.reads++
	q.left = min(q.left, q.queued)
}

func (q *pcmQueue) drop(n int) {
	copy(q.pcm[:], q.pcm[n:q.queued])
	q.queued -= n
}
