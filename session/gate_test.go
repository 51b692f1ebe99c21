package session

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
)

// newGate is a gate in a mode, which in() goes with.
func newGate(mode Mode) gate { return gate{mode: mode} }

// in is what a gate is told with the defaults of Config.
func (g *gate) in(in gateInput) gateInput {
	in.Mode, in.Threshold, in.Margin = g.mode, defaultVoiceThreshold, defaultVoiceMargin
	return in
}

// openFor pushes blocks of one level and returns for how many the gate was
// open.
func openFor(g *gate, blocks int, in gateInput) (open int) {
	for range blocks {
		var b audio.Block
		if g.push(&b, g.in(in)) {
			open++
		}
	}
	return open
}

func TestOpenGateIsOpenUnlessMuted(t *testing.T) {
	g := newGate(Open)
	if got := openFor(&g, 10, gateInput{Level: -96}); got != 10 {
		t.Errorf("open for %d of 10 silent blocks, want 10", got)
	}
	if got := openFor(&g, 10, gateInput{Level: -10, Muted: true}); got != 0 {
		t.Errorf("open for %d of 10 muted blocks, want 0", got)
	}
}

func TestMutedBlockIsSilenced(t *testing.T) {
	for _, mode := range []Mode{Open, VoiceActivation, PushToTalk} {
		g := newGate(mode)
		loud := audio.Block{0: 1, 479: 1}
		openFor(&g, 5, gateInput{Level: 0, Talking: true})
		b := loud
		g.push(&b, g.in(gateInput{Level: 0, Muted: true, Talking: true}))
		if b != (audio.Block{}) {
			t.Errorf("%v: a muted block left the gate with sound in it", mode)
		}
		// Nor does what was said while muted come out after it.
		for range 2 * gatePreRoll {
			b = loud
			if g.push(&b, g.in(gateInput{Level: 0, Muted: true})); b != (audio.Block{}) {
				t.Errorf("%v: held sound left the gate while muted", mode)
			}
		}
	}
}

func TestVoiceActivationKeepsFirstSyllableAndLastBreath(t *testing.T) {
	g := newGate(VoiceActivation)
	if got := openFor(&g, 100, gateInput{Level: -60}); got != 0 {
		t.Fatalf("open for %d blocks of noise", got)
	}
	// Number the blocks to see which come out.
	out := make([]float32, 0, 100)
	for i := range 100 {
		level := -60.0
		if i >= 10 && i < 20 {
			level = -20
		}
		b := audio.Block{0: float32(i)}
		if g.push(&b, g.in(gateInput{Level: level})) {
			out = append(out, b[0])
		}
	}
	if out[0] != 10-gatePreRoll {
		t.Errorf("first block said is number %g, want %d: the pre-roll", out[0], 10-gatePreRoll)
	}
	last := out[len(out)-1]
	if hang := time.Duration(last-19) * audio.BlockDuration; hang < gateHangover || hang > gateHangover+50*time.Millisecond {
		t.Errorf("closed %v after the last loud block, want %v", hang, gateHangover)
	}
	for i := 1; i < len(out); i++ {
		if out[i] != out[i-1]+1 {
			t.Fatalf("block %g follows %g", out[i], out[i-1])
		}
	}
}

func TestVoiceActivationHasTwoThresholds(t *testing.T) {
	g := newGate(VoiceActivation)
	if got := openFor(&g, 100, gateInput{Level: -48}); got != 0 {
		t.Errorf("opened at -48 dBFS with a threshold of -45")
	}
	openFor(&g, 100, gateInput{Level: -60}) // the background
	openFor(&g, 1, gateInput{Level: -40})
	if got := openFor(&g, 200, gateInput{Level: -48}); got != 200 {
		t.Errorf("open gate closed at -48 dBFS, within the hysteresis: %d of 200", got)
	}
}

// A fan louder than the threshold doesn't keep the gate open, nor does it stay
// open when the voice over the fan has ended.
func TestVoiceActivationOpensForWhatIsLouderThanTheBackground(t *testing.T) {
	g := newGate(VoiceActivation)
	openFor(&g, 400, gateInput{Level: -38})
	if got := openFor(&g, 200, gateInput{Level: -38}); got != 0 {
		t.Errorf("open for %d of 200 blocks of noise", got)
	}
	if got := openFor(&g, 200, gateInput{Level: -38 + defaultVoiceMargin - 1}); got != 0 {
		t.Errorf("open for %d of 200 blocks that are not loud enough over the background", got)
	}
	openFor(&g, 20, gateInput{Level: -38 + defaultVoiceMargin + 1})
	if !g.open {
		t.Error("closed for a voice over the noise")
	}
	hold := int((gateHangover + gateDelay(VoiceActivation)) / audio.BlockDuration)
	if got := openFor(&g, 200, gateInput{Level: -38}); got != hold {
		t.Errorf("open for %d blocks after the voice, want %d", got, hold)
	}
}

// Of no recorded phrase, spoken loudly or quietly, more than 10 ms of what is within
// 35 dB of its loudest sound is cut off. Without pre-roll up to 90 ms would be.
func TestPreRollKeepsTheFirstSyllable(t *testing.T) {
	worst := 0
	for _, p := range audiotest.Speech(t) {
		for _, rms := range []float64{-20, -24, -28, -32, -36} {
			late, cut := onset(p.PCM, rms)
			worst = max(worst, late)
			if cut > 1 {
				t.Errorf("%s at %.0f dBFS: %d blocks of its beginning are cut off", p.Name, rms, cut)
			}
		}
	}
	t.Logf("the threshold is reached up to %d blocks after the beginning, pre-roll is %d", worst, gatePreRoll)
	if worst < 4 {
		t.Errorf("the threshold is reached %d blocks after the beginning at worst: these phrases show nothing", worst)
	}
}

// onset says a phrase at a level, and returns how many blocks after its beginning
// the threshold is reached, and how many of its beginning aren't said.
func onset(pcm []float32, rms float64) (late, cut int) {
	const silence = 50 // blocks before it
	levels := []float64{}
	loudest, power, speech := audio.FloorDBFS, 0.0, 0
	for at := 0; at+audio.BlockSamples <= len(pcm); at += audio.BlockSamples {
		levels = append(levels, audio.Measure(pcm[at:][:audio.BlockSamples]).RMS)
		loudest = max(loudest, levels[len(levels)-1])
	}
	for _, l := range levels {
		if a := audio.Amplitude(l); l > loudest-25 {
			power += a * a
			speech++
		}
	}
	gain := rms - audio.DBFS(math.Sqrt(power/float64(speech)))
	begins := slices.IndexFunc(levels, func(l float64) bool { return l > loudest-35 })
	late = slices.IndexFunc(levels, func(l float64) bool { return l+gain >= defaultVoiceThreshold }) - begins
	g := newGate(VoiceActivation)
	openFor(&g, silence, gateInput{Level: -75})
	for i, l := range levels {
		b := audio.Block{0: float32(i + 1)}
		if g.push(&b, g.in(gateInput{Level: max(l+gain, -75)})) {
			return late, int(b[0]) - 1 - begins
		}
	}
	return late, len(levels)
}

// Whatever the mode was and will be, sound fades out and in again.
func TestChangeOfModeMakesNoClick(t *testing.T) {
	for _, from := range []Mode{Open, VoiceActivation, PushToTalk} {
		for _, to := range []Mode{Open, VoiceActivation, PushToTalk} {
			if from == to {
				continue
			}
			t.Run(fmt.Sprintf("%v to %v", from, to), func(t *testing.T) {
				g := newGate(from)
				var fader audio.Fader
				var out []float32
				for i := range 60 {
					var b audio.Block
					for k := range b {
						b[k] = float32(0.5 * math.Sin(2*math.Pi*220*float64(i*len(b)+k)/audio.SampleRate))
					}
					in := g.in(gateInput{Level: -9, Talking: true})
					if i == 0 {
						g.noise.Push(-75)
					}
					if i >= 30 {
						in.Mode = to
					}
					fader.Set(g.push(&b, in))
					fader.Apply(b[:])
					out = append(out, b[:]...)
				}
				worst := 0.0
				for i := 1; i < len(out); i++ {
					worst = max(worst, math.Abs(float64(out[i]-out[i-1])))
				}
				// The tone's steepest, and the edge's on top.
				if most := 0.5*2*math.Pi*220/audio.SampleRate + 0.5*math.Pi/2/audio.FadeSamples; worst > most {
					t.Errorf("a step of %.4f, want %.4f at most", worst, most)
				}
				if l := audio.Measure(out[28*audio.BlockSamples:][:audio.BlockSamples]).RMS; l < -12 {
					t.Errorf("before the change %.0f dBFS are said", l)
				}
				if l := audio.Measure(out[58*audio.BlockSamples:]).RMS; l < -12 {
					t.Errorf("after the change %.0f dBFS are said", l)
				}
			})
		}
	}
}

func TestTalkingWhileMutedIsNoticed(t *testing.T) {
	said := func(g *gagged, blocks int, muted, voiced bool) (times int) {
		for range blocks {
			if g.push(muted, voiced) {
				times++
			}
		}
		return times
	}
	var g gagged
	if n := said(&g, 1000, false, true); n != 0 {
		t.Errorf("said %d times of who isn't muted", n)
	}
	if n := said(&g, 29, true, true); n != 0 {
		t.Errorf("said after 290 ms")
	}
	if n := said(&g, 1, true, true); n != 1 {
		t.Errorf("not said after 300 ms")
	}
	if n := said(&g, 999, true, true); n != 0 {
		t.Errorf("said %d times more in 10 s", n)
	}
	if n := said(&g, 1, true, true); n != 1 {
		t.Errorf("not said after 10 s more of it")
	}
	said(&g, 1, false, true)
	if n := said(&g, 30, true, true); n != 1 {
		t.Errorf("not said after the microphone was muted anew")
	}
	g = gagged{}
	for range 100 { // a cough, keys
		if n := said(&g, 15, true, true) + said(&g, 20, true, false); n != 0 {
			t.Fatal("said of what is no speech")
		}
	}
}

func TestPushToTalkHasATail(t *testing.T) {
	g := newGate(PushToTalk)
	if got := openFor(&g, 10, gateInput{Level: 0}); got != 0 {
		t.Errorf("open for %d blocks without the key", got)
	}
	openFor(&g, 10, gateInput{Talking: true})
	want := int(releaseTail / audio.BlockDuration)
	if got := openFor(&g, 100, gateInput{}); got != want {
		t.Errorf("open for %d blocks after the key, want %d", got, want)
	}
}
