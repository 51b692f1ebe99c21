package linkem

import (
	"math/rand/v2"
	"time"
)

// fate is what becomes of a packet.
type fate uint8

const (
	delivered  fate = iota
	lost            // by chance
	overflowed      // the queue was full
)

// Model decides the fate of one direction's packets, on a real link or a
// simulated one. Times are since the link was up. It is not safe for concurrent use.
type Model struct {
	imp Impairment

	// Separate sources, so that turning jitter on doesn't change which
	// packets are lost.
	lossRand   *rand.Rand
	jitterRand *rand.Rand

	bad  bool          // the Gilbert channel's state
	free time.Duration // when the last packet has left the queue
	last time.Duration // the latest arrival so far
}

// NewModel makes the model of the direction that begins at from. The n-th packet
// meets the same fate with the same seed.
func NewModel(imp Impairment, seed uint64, from Side) *Model {
	return &Model{
		imp:        imp.withDefaults(),
		lossRand:   rand.New(rand.NewPCG(seed, 2*uint64(from))),
		jitterRand: rand.New(rand.NewPCG(seed, 2*uint64(from)+1)),
	}
}

// Fate returns after how long a packet of size bytes sent now arrives, or false
// if it never does.
func (m *Model) Fate(now time.Duration, size int) (after time.Duration, arrives bool) {
	at, what := m.schedule(now, size)
	return at - now, what == delivered
}

// Set changes what happens from now on; what is queued stays so.
func (m *Model) Set(imp Impairment) { m.imp = imp.withDefaults() }

// schedule returns what becomes of a packet of size bytes sent now, and when
// it arrives if it does.
func (m *Model) schedule(now time.Duration, size int) (time.Duration, fate) {
	if m.loses() {
		return 0, lost
	}
	at := now
	if m.imp.Rate > 0 {
		start := max(now, m.free)
		if start-now > m.imp.Queue {
			return 0, overflowed
		}
		m.free = start + time.Duration(float64(size*8)/m.imp.Rate*float64(time.Second))
		at = m.free
	}
	at += m.imp.Delay
	if m.imp.Jitter > 0 {
		at += time.Duration(m.jitterRand.ExpFloat64() * float64(m.imp.Jitter))
	}
	at = m.afterStall(at)
	if !m.imp.Reorder {
		at = max(at, m.last)
	}
	m.last = max(at, m.last)
	return at, delivered
}

// loses draws whether the next packet is lost. With bursts, the channel goes
// bad with a probability that makes Loss the stationary share, and good again
// with one that makes Burst the mean stay.
func (m *Model) loses() bool {
	loss, burst := m.imp.Loss, m.imp.Burst
	if loss <= 0 {
		return false
	}
	draw := m.lossRand.Float64()
	if burst <= 1 || loss >= 1 {
		return draw < loss
	}
	if m.bad {
		m.bad = draw >= 1/burst
	} else {
		m.bad = draw < loss/(burst*(1-loss))
	}
	return m.bad
}

// afterStall moves an arrival that falls into a stall to the stall's end.
func (m *Model) afterStall(at time.Duration) time.Duration {
	phase := at % m.imp.StallEvery
	if at < m.imp.StallEvery || phase >= m.imp.Stall {
		return at
	}
	return at - phase + m.imp.Stall
}
