package opus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

// noisy adds white noise of the given RMS.
func noisy(pcm []float32, rms float64) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]float32, len(pcm))
	for i, s := range pcm {
		out[i] = s + float32(rms*random.NormFloat64())
	}
	return out
}

// A phrase, three seconds of pause, and the phrase again, which begins softly
// (an f): nothing is sent in the pause but its beginning, no comfort noise
// either, and all of the second phrase that rises 6 dB out of the noise.
func TestSilenceCostsNothing(t *testing.T) {
	phrase := speech(t)[:codec.SampleRate]
	var pcm []float32
	pcm = append(append(append(pcm, phrase...), make([]float32, 3*codec.SampleRate)...), phrase...)
	tests := []struct {
		noise      float64 // RMS; 0.001 is -60 dBFS
		lowDelay   bool
		complexity int
	}{
		{0, false, 9},
		{0, false, 3},
		{0, true, 9},
		{0, true, 3}, // libopus has no DTX here
		{0.0003, false, 9},
		{0.0003, false, 3},
		{0.0003, true, 9},
		{0.003, false, 9},
		{0.003, true, 9},
	}
	for _, test := range tests {
		for _, constant := range []bool{false, true} {
			for _, d := range durations {
				if constant && (test.lowDelay || test.complexity < 9) {
					continue // it makes a difference in one mode as in the other
				}
				t.Run(fmt.Sprintf("noise %v, low delay %v, complexity %d, constant %v, %v", test.noise, test.lowDelay, test.complexity, constant, d), func(t *testing.T) {
					x := noisy(pcm, test.noise)
					e := newEncoder(t, codec.Config{FrameDuration: d, LowDelay: test.lowDelay, Complexity: test.complexity, Constant: constant})
					n := e.FrameSamples()
					for i, p := range encodeAll(t, e, x) {
						at := time.Duration(i) * d
						loud := power(pcm[i*n:(i+1)*n]) > max(onsetFloor, 4*test.noise*test.noise)
						switch {
						case at >= time.Second+500*time.Millisecond && at+d <= 4*time.Second && len(p) > 0:
							t.Fatalf("%d bytes are sent at %v, in the pause", len(p), at)
						case at >= 4*time.Second && at < 4*time.Second+300*time.Millisecond && loud && len(p) == 0:
							t.Errorf("nothing is sent at %v, when the second phrase begins", at)
						}
					}
				})
			}
		}
	}
}

// What follows a pause of which the decoder heard nothing sounds as it does
// without a pause.
func TestSpeechAfterAPauseIsWhole(t *testing.T) {
	phrase := speech(t)[:codec.SampleRate]
	var pcm []float32
	pcm = append(append(append(pcm, phrase...), make([]float32, 3*codec.SampleRate)...), phrase...)
	for _, lowDelay := range []bool{false, true} {
		var distance [2]float64
		for i, noDTX := range []bool{false, true} {
			c := codec.Config{LowDelay: lowDelay, NoDTX: noDTX}
			out := decodeAll(t, newDecoder(t), encodeAll(t, newEncoder(t, c), pcm), 960)
			delay := int(math.Round((Codec{}).Delay(c).Seconds() * codec.SampleRate))
			distance[i] = spectralDistance(phrase[:codec.SampleRate/2], out[4*codec.SampleRate+delay:])
		}
		t.Logf("low delay %v: spectral distance %.2f dB after a pause, %.2f without DTX", lowDelay, distance[0], distance[1])
		if distance[0] > distance[1]+0.5 {
			t.Errorf("low delay %v: spectral distance %.2f dB after a pause, %.2f without DTX", lowDelay, distance[0], distance[1])
		}
	}
}

// Who says nothing costs nothing, from the first frame on, and what is said at
// last is sent from its first frame on.
func TestSilenceBeforeTheFirstWordIsNotSent(t *testing.T) {
	word := speech(t)
	word = word[slices.IndexFunc(word, func(x float32) bool { return x > 0.05 }):][:codec.SampleRate]
	for _, lowDelay := range []bool{false, true} {
		for _, d := range durations {
			e := newEncoder(t, codec.Config{FrameDuration: d, LowDelay: lowDelay})
			const silent = 10
			packets := encodeAll(t, e, append(make([]float32, silent*e.FrameSamples()), word...))
			for i, p := range packets[:silent] {
				if len(p) > 0 {
					t.Errorf("low delay %v, %v: %d bytes are sent in frame %d", lowDelay, d, len(p), i)
				}
			}
			if len(packets[silent]) == 0 {
				t.Errorf("low delay %v, %v: the first word's first frame isn't sent", lowDelay, d)
			}
		}
	}
}

func TestWithoutDTXEveryFrameIsSent(t *testing.T) {
	for _, lowDelay := range []bool{false, true} {
		for i, p := range encodeAll(t, newEncoder(t, codec.Config{NoDTX: true, LowDelay: lowDelay}), make([]float32, 3*codec.SampleRate)) {
			if len(p) == 0 {
				t.Fatalf("low delay %v: nothing is sent in frame %d", lowDelay, i)
			}
		}
	}
}

// Noise that sets in and stays is sent at first, and then a pause like any,
// though libopus, which heard nothing else yet, takes it for speech.
func TestSteadyNoiseBecomesAPause(t *testing.T) {
	pcm := make([]float32, 10*codec.SampleRate)
	copy(pcm[2*codec.SampleRate:], noisy(pcm[2*codec.SampleRate:], 0.001))
	for _, lowDelay := range []bool{false, true} {
		for _, complexity := range []int{3, 9} {
			packets := encodeAll(t, newEncoder(t, codec.Config{LowDelay: lowDelay, Complexity: complexity}), pcm)
			if len(packets[100]) == 0 {
				t.Error("nothing is sent when the noise sets in")
			}
			for i, p := range packets[180:] {
				if len(p) > 0 {
					t.Fatalf("low delay %v, complexity %d: %d bytes are sent at %v", lowDelay, complexity, len(p), time.Duration(180+i)*20*time.Millisecond)
				}
			}
		}
	}
}

// Speech 30 dB below the usual level is no noise: nothing of it is left out.
func TestQuietSpeechIsSent(t *testing.T) {
	quiet := speech(t)
	for i := range quiet {
		quiet[i] /= 30
	}
	for i, p := range encodeAll(t, newEncoder(t, codec.Config{}), quiet) {
		if at := i * 960; len(p) == 0 && power(quiet[at:at+960]) > onsetFloor {
			t.Errorf("nothing is sent at %v", time.Duration(i)*20*time.Millisecond)
		}
	}
}

// A steady sound that somebody plays is no noise.
func TestSteadyToneIsSent(t *testing.T) {
	tone := make([]float32, 4*codec.SampleRate)
	for i := range tone {
		tone[i] = float32(0.1 * math.Sin(2*math.Pi*440*float64(i)/codec.SampleRate))
	}
	for i, p := range encodeAll(t, newEncoder(t, codec.Config{}), tone) {
		if len(p) == 0 {
			t.Fatalf("nothing is sent at %v", time.Duration(i)*20*time.Millisecond)
		}
	}
}
