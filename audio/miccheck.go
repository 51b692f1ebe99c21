package audio

import (
	"fmt"
	"math"
	"time"
)

// Verdict is what is to be said of a microphone.
type Verdict uint8

// The verdicts, the first that holds.
const (
	TooShort Verdict = iota // less than a second was recorded
	Dead                    // nothing at all is recorded: digital silence
	Unspoken                // nobody spoke
	TooLoud                 // what is said is clipped
	TooQuiet                // what is said can't be made loud enough
	TooNoisy                // what is said is little louder than the noise
	Good
)

// What a MicrophoneCheck goes by.
const (
	checkLeast    = time.Second            // of audio
	checkSpoken   = 500 * time.Millisecond // of voice
	checkSettles  = 20                     // blocks in which a device that just began may be quieter than it is
	checkAbove    = 10.0                   // dB over the noise that a voice is, as for clean.AutoGain
	checkQuiet    = -40.0                  // dBFS of speech: clean.AutoGain raises it by 20 dB, to -20
	checkNoisy    = 15.0                   // dB of speech over noise
	checkClipped  = 0.01                   // share of what is said that may be clipped
	clipAmplitude = 0.99                   // from which on a sample may be
	clipRun       = 3                      // so many in a row are: a sine that just reaches full scale has fewer
)

// MicrophoneCheck judges a microphone by some seconds in which somebody speaks into
// it, with pauses. The zero value is ready. It is not safe for concurrent use, takes
// no more memory for more audio, and allocates nothing.
type MicrophoneCheck struct {
	floor   NoiseFloor
	noise   float64
	peak    float64 // amplitude
	blocks  int
	silent  int // of them, of nothing but zeros
	run     float32
	inRow   int // samples at clipAmplitude, of the same sign
	levels  [levelBins]int
	power   [levelBins]float64 // sum of mean squares
	clipped [levelBins]int     // blocks
}

// levelBins are of 1 dB, from FloorDBFS to 0 and above.
const levelBins = int(-FloorDBFS) + 1

func levelBin(dbfs float64) int { return min(int(math.Round(dbfs-FloorDBFS)), levelBins-1) }

// Push takes the next block that the microphone recorded.
func (c *MicrophoneCheck) Push(b *Block) {
	c.blocks++
	peak, power := measure(b[:])
	if peak == 0 {
		c.silent++ // a device that just began, or one that is off: no noise that could be measured
		return
	}
	level := DBFS(math.Sqrt(power))
	if noise := c.floor.Push(level); c.blocks-c.silent <= checkSettles {
		c.noise = noise
	} else {
		c.noise = min(c.noise, noise)
	}
	c.peak = max(c.peak, peak)
	bin := levelBin(level)
	c.levels[bin]++
	c.power[bin] += power
	if c.clips(b) {
		c.clipped[bin]++
	}
}

// clips says whether a run of samples at the limit is completed in b.
func (c *MicrophoneCheck) clips(b *Block) (found bool) {
	for _, x := range b {
		switch {
		case x < clipAmplitude && x > -clipAmplitude || x != x:
			c.inRow = 0
			continue
		case x > 0 != (c.run > 0):
			c.inRow = 0
		}
		c.run = x
		c.inRow++
		found = found || c.inRow >= clipRun
	}
	return found
}

// MicrophoneReport is what a MicrophoneCheck found.
type MicrophoneReport struct {
	Verdict  Verdict
	Duration time.Duration // of what was recorded
	Spoken   time.Duration // of it, somebody spoke
	Peak     float64       // dBFS; the loudest sample
	Speech   float64       // dBFS (RMS) of what was spoken, without pauses; FloorDBFS if nobody spoke
	Noise    float64       // dBFS (RMS) of what is there when nobody speaks: the lowest of NoiseFloor
	Clipped  float64       // share of what was spoken, 0 to 1, that is too loud for the device
}

// Report judges what was pushed so far.
func (c *MicrophoneCheck) Report() MicrophoneReport {
	r := MicrophoneReport{
		Duration: time.Duration(c.blocks) * BlockDuration,
		Peak:     DBFS(c.peak),
		Speech:   FloorDBFS,
		Noise:    FloorDBFS,
	}
	if c.blocks > c.silent {
		r.Noise = c.noise
	}
	blocks, clipped, power := 0, 0, 0.0
	for bin := levelBin(max(r.Noise+checkAbove, FloorDBFS)); bin < levelBins; bin++ {
		blocks += c.levels[bin]
		clipped += c.clipped[bin]
		power += c.power[bin]
	}
	r.Spoken = time.Duration(blocks) * BlockDuration
	if blocks > 0 {
		r.Speech = DBFS(math.Sqrt(power / float64(blocks)))
		r.Clipped = float64(clipped) / float64(blocks)
	}
	r.Verdict = r.judge(c.silent == c.blocks)
	return r
}

func (r MicrophoneReport) judge(dead bool) Verdict {
	switch {
	case r.Duration < checkLeast:
		return TooShort
	case dead:
		return Dead
	case r.Spoken < checkSpoken:
		return Unspoken
	case r.Clipped > checkClipped:
		return TooLoud
	case r.Speech < checkQuiet:
		return TooQuiet
	case r.Speech-r.Noise < checkNoisy:
		return TooNoisy
	}
	return Good
}

// String says in a sentence or two what is wrong, and what to do about it.
func (r MicrophoneReport) String() string {
	switch r.Verdict {
	case TooShort:
		return fmt.Sprintf("too short: %v is not enough to judge", r.Duration)
	case Dead:
		return "dead: nothing at all comes from it. Is it switched off or muted, or is it another one?"
	case Unspoken:
		return fmt.Sprintf("no voice: there is only a background of %.0f dBFS. Is it another one, or too far away?", r.Noise)
	case TooLoud:
		return fmt.Sprintf("too loud: %.0f %% of what was said is clipped. Turn the microphone down, or move away from it.", 100*r.Clipped)
	case TooQuiet:
		return fmt.Sprintf("too quiet: speech is at %.0f dBFS, and should be at %.0f at least. Turn the microphone up, or move closer.", r.Speech, checkQuiet)
	case TooNoisy:
		return fmt.Sprintf("too noisy: speech is at %.0f dBFS, only %.0f dB over the noise. Move closer, or turn off what makes the noise.", r.Speech, r.Speech-r.Noise)
	case Good:
	}
	return fmt.Sprintf("good: speech is at %.0f dBFS, %.0f dB over the noise.", r.Speech, r.Speech-r.Noise)
}
