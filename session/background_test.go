package session

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session/sessiontest"
)

// hiss is noise at a level in dBFS.
func hiss(n int, dBFS float64) []float32 {
	random := rand.New(rand.NewPCG(1, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(audio.Amplitude(dBFS) * random.NormFloat64())
	}
	return out
}

// talked is a second and a half of loud sound and 200 ms of a pause, in turns.
func talked(seconds int, behind float64) (out []float32) {
	for len(out) < seconds*audio.SampleRate {
		out = append(out, hiss(audio.SampleRate*3/2, -20)...)
		out = append(out, hiss(audio.SampleRate/5, behind)...)
	}
	return out
}

func TestBackgroundIsTheQuietestThere(t *testing.T) {
	dB := func(power float64) float64 { return 10 * math.Log10(power) }
	for _, c := range []struct {
		name string
		pcm  []float32
		want float64 // dBFS; 0 means none
	}{
		{"nothing", nil, 0},
		{"a pause in speech", talked(4, -50), -47},
		{"noise alone", hiss(2*audio.SampleRate, -60), -57},
		{"digital silence", talked(4, -120), 0},
		{"sound without a pause", hiss(4*audio.SampleRate, -20), 0},
		{"what was quieter once", append(talked(2, -60), talked(6, -45)...), -42},
		{"too little to know", hiss(backgroundPiece-audio.BlockSamples, -50), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b background
			for pcm := c.pcm; len(pcm) >= 960; pcm = pcm[960:] {
				b.push(pcm[:960])
			}
			got := b.power()
			if c.want == 0 && got != 0 || c.want != 0 && math.Abs(dB(got)-c.want) > 1 {
				t.Errorf("background of %.1f dBFS, want %.0f", dB(got), c.want)
			}
		})
	}
}

func TestAGuessBecomesAsQuietAsTheBackgroundAndNoLouder(t *testing.T) {
	var b background
	b.push(hiss(audio.SampleRate, -50))
	if got := float64(b.share(hiss(4800, -20))); math.Abs(20*math.Log10(got)+27) > 1 {
		t.Errorf("share of a loud guess %.3f, want -27 dB", got)
	}
	if got := b.share(hiss(480, -60)); got != 1 {
		t.Errorf("share of a quiet guess %v, want 1", got)
	}
	if got := b.share(make([]float32, 480)); got != 1 {
		t.Errorf("share of silence %v, want 1", got)
	}
	if got := new(background).share(hiss(480, -60)); got != 0 {
		t.Errorf("share %v without a background, want 0", got)
	}
}

func TestARampGoesFromOneGainToTheOther(t *testing.T) {
	pcm := make([]float32, 480)
	for i := range pcm {
		pcm[i] = 1
	}
	ramp(pcm, 1, 0.25)
	if math.Abs(float64(pcm[0])-1) > 0.002 || pcm[479] != 0.25 || math.Abs(float64(pcm[239])-0.625) > 0.002 {
		t.Errorf("%v, %v, %v", pcm[0], pcm[239], pcm[479])
	}
	for _, c := range []struct {
		since int
		want  float32
	}{{0, 1}, {fadeAfter, 1}, {fadeAfter + fadeLength/4, 0.75}, {fadeAfter + fadeLength, 0}, {math.MaxInt32, 0}} {
		if got := guessGain(c.since); got != c.want {
			t.Errorf("gain of a guess after %d samples: %v, want %v", c.since, got, c.want)
		}
	}
}

// A peer who pauses is heard for two seconds more, and isn't said to speak.
func TestBackgroundAfterTheLastWord(t *testing.T) {
	const spoken, pause = 50, 250 // packets of 20 ms, blocks
	packets := replay(t, spoken)
	c := still(t, &loop{}, 1)
	p := c.roster.list()[0]
	now := time.Unix(1000, 0)
	var b audio.Block
	for _, packet := range packets {
		c.Voice(p.id, packet, now)
		for range 2 {
			p.player.read(&b, now)
			now = now.Add(audio.BlockDuration)
		}
	}
	p.player.behind = background{quiet: 1e-5}
	p.player.buffer.Reset() // nothing follows, and nothing is missing
	audible, speaking := 0, 0
	step := func() {
		heard, speaks := p.player.read(&b, now)
		now = now.Add(audio.BlockDuration)
		if heard {
			audible++
		}
		if speaks {
			speaking++
		}
	}
	if n := testing.AllocsPerRun(pause-1, step); n != 0 {
		t.Errorf("%v allocations per block", n)
	}
	want := (backgroundHold + backgroundFade) / audio.BlockSamples
	if audible < want || audible > want+5 || speaking > 4 {
		t.Errorf("audible for %d blocks, want %d; speaking for %d", audible, want, speaking)
	}
	if b != (audio.Block{}) {
		t.Error("something is heard in the end")
	}
}

// steady is a decoder whose guess is a loud constant.
type steady struct{ codec.Decoder }

func (steady) Conceal(dst []float32) error {
	for i := range dst {
		dst[i] = 0.5
	}
	return nil
}

// However little of a block is left to be filled, a voice that is cut off goes
// over into the background in 5 ms at least.
func TestAVoiceThatIsCutOffHasASoftEnd(t *testing.T) {
	for _, left := range []int{0, 100, 361, 479, 480, 700} {
		p, err := newPlayer(&sessiontest.Codec{}, jitter.Config{})
		if err != nil {
			t.Fatal(err)
		}
		p.dec, p.behind = steady{}, background{quiet: 1e-5}
		p.queued, p.active, p.ending = left, true, false
		for i := range p.pcm[:left] {
			p.pcm[i] = 0.5
		}
		var heard []float32
		var b audio.Block
		for range 5 {
			p.read(&b, time.Unix(1000, 0))
			heard = append(heard, b[:]...)
		}
		steepest := 0.0
		for i := 1; i < len(heard); i++ {
			steepest = max(steepest, math.Abs(float64(heard[i]-heard[i-1])))
		}
		if steepest > 0.5/edgeSamples {
			t.Errorf("%d samples left: a step of %.4f, want %.4f at most", left, steepest, 0.5/edgeSamples)
		}
		if got := audio.Measure(heard[len(heard)-480:]).RMS; math.Abs(got+47) > 0.1 {
			t.Errorf("%d samples left: %.1f dBFS in the end, want the background's -47", left, got)
		}
	}
}

// A packet that can't be decoded says nothing of the background.
func TestWhatCannotBeDecodedIsNoBackground(t *testing.T) {
	p, err := newPlayer(&sessiontest.Codec{}, jitter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p.behind, p.ending, p.next = background{quiet: 1e-5}, false, 960
	for i := range 10 {
		p.queued = 0
		p.produce(jitter.Decision{Action: jitter.Play, Payload: []byte("x"), Samples: 960, Timestamp: int64(960 * (i + 1))})
	}
	if p.failed != 10 || p.behind.power() != 2e-5 {
		t.Errorf("%d packets failed, background %g", p.failed, p.behind.power())
	}
}

// Of whom is blocked, or speaks where we don't listen, nothing is heard any more:
// not what is behind the voice either.
func TestNoBackgroundOfWhoIsNotToBeHeard(t *testing.T) {
	packets := replay(t, 20)
	c := still(t, &loop{}, 1)
	p := c.roster.list()[0]
	now := time.Unix(1000, 0)
	var b audio.Block
	for _, packet := range packets {
		c.Voice(p.id, packet, now)
		for range 2 {
			p.player.read(&b, now)
			now = now.Add(audio.BlockDuration)
		}
	}
	p.player.behind = background{quiet: 1e-5}
	p.player.interrupt()
	heard := 0
	for range 50 {
		if audible, _ := p.player.read(&b, now); audible {
			heard++
		}
		now = now.Add(audio.BlockDuration)
	}
	if heard > 2 {
		t.Errorf("audible for %d blocks after the end", heard)
	}
}
