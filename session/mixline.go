package session

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
)

// The mix on its way to the capture chain.
const (
	mixSamples = audio.SampleRate / 2 // kept: more than a speaker and a microphone are late together

	clockShare = 64                    // of blocks over which the time of a stream is smoothed
	clockJump  = 20 * time.Millisecond // what is further off ...
	clockAway  = 20                    // ... for so many blocks isn't jitter
)

// mixLine carries what was played to the capture chain: for each block of the
// microphone what was heard when that was spoken. Two devices have two clocks,
// so a sample is left out or said twice now and then, one in a block at most.
type mixLine struct {
	mu      sync.Mutex // guards what follows
	epoch   time.Time
	ring    [mixSamples]float32
	played  int64 // samples put
	read    int64 // the next one to take
	running bool  // read is valid
	spoken  int64 // samples of the microphone
	speaker clock
	mic     clock
}

// put appends a block whose first sample is heard at a time.
func (m *mixLine) put(b *audio.Block, heard time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speaker.observe(m.since(heard) - sampleTime(m.played))
	for i, x := range b {
		m.ring[(m.played+int64(i))%mixSamples] = x
	}
	m.played += audio.BlockSamples
}

// take fills b with what was heard when the first sample of a microphone's block
// was spoken, and after. What isn't known is silence.
func (m *mixLine) take(b *audio.Block, spoken time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*b = audio.Block{}
	m.mic.observe(m.since(spoken) - sampleTime(m.spoken))
	at := m.mic.offset + sampleTime(m.spoken) - m.speaker.offset
	m.spoken += audio.BlockSamples
	if m.played == 0 {
		return
	}
	step := m.advance(samplesIn(at))
	for i := range b {
		from := m.read + min(int64(i), step-1)
		if from >= 0 && from < m.played && from >= m.played-mixSamples {
			b[i] = m.ring[from%mixSamples]
		}
	}
	m.read += step
}

// advance moves read to want if that is far away, and returns by how many samples
// this block takes it forward, of which the last may be said twice, or left out.
func (m *mixLine) advance(want int64) int64 {
	off := want - m.read
	switch {
	case !m.running || max(off, -off) > samplesIn(clockJump):
		m.read, m.running = want, true
	case off > 1:
		return audio.BlockSamples + 1
	case off < -1:
		return audio.BlockSamples - 1
	}
	return audio.BlockSamples
}

// since is the time since the first block.
func (m *mixLine) since(at time.Time) time.Duration {
	if m.epoch.IsZero() {
		m.epoch = at
	}
	return at.Sub(m.epoch)
}

// sampleTime is how long so many samples last.
func sampleTime(n int64) time.Duration {
	return time.Duration(n/audio.SampleRate)*time.Second + time.Duration(n%audio.SampleRate)*time.Second/audio.SampleRate
}

// samplesIn is how many samples last so long.
func samplesIn(d time.Duration) int64 {
	return int64(d/time.Second)*audio.SampleRate + int64(d%time.Second)*audio.SampleRate/int64(time.Second)
}

// clock is when sample 0 of a stream was heard or spoken, as it seems from its
// last blocks, whose times are those of goroutines that wake up late now and
// then.
type clock struct {
	known  bool
	offset time.Duration
	away   int // blocks in a row that don't fit
}

func (c *clock) observe(offset time.Duration) {
	d := offset - c.offset
	switch {
	case !c.known:
		c.known, c.offset = true, offset
	case d.Abs() <= clockJump:
		c.away = 0
		c.offset += d / clockShare
	default:
		if c.away++; c.away >= clockAway {
			c.away, c.offset = 0, offset
		}
	}
}

// mixLead is by how much the mix is ahead of the microphone. What isn't heard
// through a device, or not by one, makes no echo; and of what is heard later than
// the latency of both from now nothing is known yet.
func (c *conversation) mixLead() time.Duration {
	if c.mic.device == nil || c.speaker.device == nil {
		return 0
	}
	return max(0, min(audio.MixLead, c.mic.latency()+c.speaker.latency()))
}
