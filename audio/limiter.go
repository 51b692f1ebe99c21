package audio

import (
	"math"
	"time"
)

// LimiterThreshold is the amplitude below which a Mixer leaves audio as it
// is, -1.5 dBFS.
const LimiterThreshold = 0.8413951416451951 // 10^(-1.5/20)

const (
	limiterDelay  = SampleRate / 1000 // look-ahead of 1 ms, in samples
	limiterWindow = limiterDelay + 1
	limiterGrain  = 1 << 30 // gains are multiples of 1/limiterGrain: sums of a window of them are exact in float64

	_ = uint(-(BlockSamples % limiterDelay)) // doesn't compile unless a block is a multiple of the delay
)

// limiterRelease is the share by which the gain comes nearer to 1 with each
// sample: a time constant of 150 ms, slow enough that the gain doesn't follow
// the waveform of a low voice.
var limiterRelease = 1 - math.Exp(-1/(SampleRate*0.150))

// MixLimiter does for a sum of one's own making what a Mixer does for its mix: it
// keeps stereo audio within -1..1, leaves what is below LimiterThreshold as it
// is, and delays all by 1 ms. The zero value is ready. It is not safe for
// concurrent use, and allocates nothing.
type MixLimiter struct{ l limiter }

// Process limits the next 10 ms in place.
func (l *MixLimiter) Process(b *StereoBlock) { l.l.Process(b) }

// limiter keeps stereo audio within -1..1 by turning it down where it is too
// loud, both sides alike. Audio comes out 1 ms later than it went in; that look
// into the future lets the gain sink in a slope that is over when the peak
// arrives, so the attack has no click and no sample is cut. Where the gain is 1
// samples pass bit by bit. The zero value is ready. It is not safe for
// concurrent use, and allocates nothing.
//
// Above LimiterThreshold T a peak p is brought to T + (1-T)·x/(1+x) with
// x = (p-T)/(1-T): slope 1 at T, never above 1. The gain that this needs is the
// minimum over the look-ahead, recovers with a time constant of 150 ms, and is
// smoothed by a mean over the look-ahead, which keeps it at or below what every
// peak needs.
type limiter struct {
	delay [2 * limiterDelay]float32 // audio that is held back; oldest first between blocks

	minima  [limiterWindow]gainAt // candidates for the minimum, growing gains; a ring
	first   int
	count   int
	now     uint64                 // number of the sample that comes in
	gain    float64                // minimum with release
	history [limiterWindow]float64 // 1 - gain of the last samples
	slot    int
	sum     float64 // of history
	active  bool    // some of the above isn't at rest
}

// gainAt is the gain that a sample needs.
type gainAt struct {
	gain float64
	at   uint64
}

// Process limits the next 10 ms in place.
func (l *limiter) Process(b *StereoBlock) {
	if !l.active {
		if peakOf(b) <= LimiterThreshold {
			l.pass(b)
			return
		}
		l.start()
	}
	at := 0
	for i := 0; i < len(b); i += 2 {
		left, right := b[i], b[i+1]
		g := 1 - l.reduction(requiredGain(left, right))/limiterWindow
		b[i], b[i+1] = limited(l.delay[at], g), limited(l.delay[at+1], g)
		l.delay[at], l.delay[at+1] = left, right
		if at += 2; at == len(l.delay) {
			at = 0
		}
	}
	l.active = l.gain != 1 || l.sum != 0
}

// pass only delays a block; the limiter is at rest. A block is a multiple of the
// delay, so the oldest sample is at the beginning of l.delay.
func (l *limiter) pass(b *StereoBlock) {
	held := l.delay
	copy(l.delay[:], b[len(b)-len(held):])
	copy(b[len(held):], b[:])
	copy(b[:], held[:])
}

// start leaves the state of rest.
func (l *limiter) start() {
	l.active = true
	l.gain = 1
	l.first, l.count = 0, 0
}

// reduction takes the gain that the newest sample needs and returns the sum of
// 1 - gain over the window for the sample that leaves the delay.
func (l *limiter) reduction(required float64) float64 {
	lowest := l.minimum(required)
	l.gain += (1 - l.gain) * limiterRelease
	if l.gain > 1-1e-4 {
		l.gain = 1
	}
	l.gain = min(l.gain, lowest)
	r := math.Ceil((1-l.gain)*limiterGrain) / limiterGrain
	l.sum += r - l.history[l.slot]
	l.history[l.slot] = r
	l.slot = (l.slot + 1) % limiterWindow
	return l.sum
}

// minimum is the lowest gain that any sample in the look-ahead needs.
func (l *limiter) minimum(required float64) float64 {
	l.now++
	for l.count > 0 && l.minima[(l.first+l.count-1)%limiterWindow].gain >= required {
		l.count--
	}
	if l.count > 0 && l.minima[l.first].at+limiterWindow <= l.now {
		l.first = (l.first + 1) % limiterWindow
		l.count--
	}
	l.minima[(l.first+l.count)%limiterWindow] = gainAt{required, l.now}
	l.count++
	return l.minima[l.first].gain
}

// requiredGain is the gain that brings a sample below 1.
func requiredGain(left, right float32) float64 {
	p := math.Abs(float64(left))
	if q := math.Abs(float64(right)); q > p {
		p = q
	}
	if p <= LimiterThreshold {
		return 1
	}
	const knee = 1 - LimiterThreshold
	x := (p - LimiterThreshold) / knee
	return (LimiterThreshold + knee*x/(1+x)) / p
}

// limited is x with a gain, within -1..1 whatever rounding does.
func limited(x float32, gain float64) float32 {
	if gain == 1 {
		return min(max(x, -1), 1)
	}
	return float32(min(max(float64(x)*gain, -1), 1))
}

// peakOf is the highest amplitude of a block.
func peakOf(b *StereoBlock) float32 {
	var peak float32
	for _, x := range b {
		if x < 0 {
			x = -x
		}
		if x > peak {
			peak = x
		}
	}
	return peak
}

// Limiter keeps mono audio within -1..1 as a Mixer does its mix. It is the last
// Processor of a chain that amplifies. The zero value is ready. It is not safe for
// concurrent use.
type Limiter struct {
	limiter limiter
	both    StereoBlock
}

// LimiterDelay is by how much later audio leaves a Limiter.
const LimiterDelay = limiterDelay * time.Second / SampleRate

// Process limits mic.
func (l *Limiter) Process(mic, _ *Block) {
	Repair(mic[:])
	Upmix(&l.both, mic)
	l.limiter.Process(&l.both)
	Downmix(mic, &l.both)
}

// Delay is LimiterDelay.
func (l *Limiter) Delay() time.Duration { return LimiterDelay }
