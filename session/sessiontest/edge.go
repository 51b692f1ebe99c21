package sessiontest

import (
	"math/rand/v2"
	"time"

	"github.com/parley-voice/parley/identity"
)

// Traffic counts what one direction between two peers did to voice.
type Traffic struct {
	Sent       uint64 // voice messages given to it
	Lost       uint64 // of which lost, to the loss of the link or to a cut
	Late       uint64 // of which lost once, and sent again
	Duplicated uint64 // of which sent twice
	Reordered  uint64 // of which held back, so that later ones overtook them
	Bytes      uint64 // of voice and control given to it
}

// edge is one direction between two peers. Voice is scheduled message by
// message. Everything else is reliable: it waits in fifo, in order, until the
// head's time has come.
type edge struct {
	from, to identity.PeerID
	cfg      LinkConfig
	traffic  Traffic

	voiceRand, controlRand *rand.Rand // apart, so that control doesn't change which voice is lost
	bad                    bool       // state of the Gilbert model
	lastVoice, busy        time.Time  // last arrival that kept the order; when the bandwidth is free again
	lastControl            time.Time

	isCut      bool
	cutAt      time.Time
	stallUntil time.Time
	fifo       []*packet
	pumping    bool // an event is under way that looks at the fifo
}

func newEdge(seed uint64, from, to identity.PeerID, cfg LinkConfig) *edge {
	a, b := hash(string(from)+">"+string(to)), hash(string(to)+"|"+string(from))
	return &edge{
		from: from, to: to, cfg: cfg.withDefaults(),
		voiceRand:   rand.New(rand.NewPCG(seed, a)),
		controlRand: rand.New(rand.NewPCG(seed, b)),
	}
}

// hash is FNV-1a, 64 bits.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// fate is what happens to one voice message.
type fate struct {
	lost, twice bool
	delay       time.Duration
	keepsOrder  bool
}

// drawVoice decides on the next voice message. It draws the same number of
// times whatever the outcome, so that fates don't depend on settings that
// concern something else.
func (e *edge) drawVoice() fate {
	loss, jitter := e.voiceRand.Float64(), e.voiceRand.ExpFloat64()
	twice, reorder := e.voiceRand.Float64(), e.voiceRand.Float64()

	f := fate{keepsOrder: true, delay: e.cfg.Delay + time.Duration(jitter*float64(e.cfg.Jitter))}
	if e.drawLoss(loss) {
		if !e.cfg.RetransmitVoice {
			return fate{lost: true}
		}
		f.delay += e.cfg.Retransmit
		f.keepsOrder = false // its lane is late, not the others
		e.traffic.Late++
	}
	if reorder < e.cfg.Reorder {
		f.delay += e.cfg.ReorderDelay
		f.keepsOrder = false
		e.traffic.Reordered++
	}
	if twice < e.cfg.Duplicate {
		f.twice = true
		e.traffic.Duplicated++
	}
	return f
}

// drawLoss is a Gilbert model: bursts of mean length Burst, and Loss in the
// long run.
func (e *edge) drawLoss(draw float64) bool {
	switch {
	case e.cfg.Loss >= 1:
		return true
	case e.cfg.Burst <= 1:
		return draw < e.cfg.Loss
	case e.bad:
		e.bad = draw < 1-1/e.cfg.Burst
	default:
		e.bad = draw < e.cfg.Loss/(e.cfg.Burst*(1-e.cfg.Loss))
	}
	return e.bad
}

// drawControl is the delay of the next control message.
func (e *edge) drawControl() time.Duration {
	d := e.cfg.Delay + time.Duration(e.controlRand.ExpFloat64()*float64(e.cfg.Jitter))
	for i := 0; i < maxResends && e.controlRand.Float64() < e.cfg.Loss; i++ {
		d += e.cfg.Retransmit
	}
	return d
}

// serialize lets a voice message of that many bytes queue for the bandwidth.
// ok is false if the queue is full.
func (e *edge) serialize(now time.Time, bytes int) (wait time.Duration, ok bool) {
	if e.cfg.Bandwidth <= 0 {
		return 0, true
	}
	if e.busy.Before(now) {
		e.busy = now
	}
	if e.busy.Sub(now) > bandwidthQueue {
		return 0, false
	}
	e.busy = e.busy.Add(time.Duration(float64(bytes) * 8 / float64(e.cfg.Bandwidth) * float64(time.Second)))
	return e.busy.Sub(now), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
