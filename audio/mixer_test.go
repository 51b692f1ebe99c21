package audio

import (
	"math"
	"testing"
)

// mix plays voices through inputs and returns both sides. before is called
// ahead of every block.
func mix(m *Mixer, inputs []*Input, voices [][]float32, before func(block int)) (left, right []float32) {
	n := len(voices[0]) / BlockSamples
	for k := range n {
		if before != nil {
			before(k)
		}
		for i, in := range inputs {
			var b Block
			copy(b[:], voices[i][k*BlockSamples:])
			m.Add(in, &b)
		}
		var out StereoBlock
		m.Mix(&out)
		for i := 0; i < len(out); i += 2 {
			left, right = append(left, out[i]), append(right, out[i+1])
		}
	}
	return left, right
}

func TestOneVoiceInTheCentrePassesBitByBit(t *testing.T) {
	var m Mixer
	voice := noise(48000, 1, 0.84)
	left, right := mix(&m, []*Input{{}}, [][]float32{voice}, nil)
	for i := range len(left) - MixerDelay {
		if got := left[i+MixerDelay]; got != voice[i] || right[i+MixerDelay] != got {
			t.Fatalf("sample %d: %v and %v, want %v", i, got, right[i+MixerDelay], voice[i])
		}
	}
	var silence StereoBlock
	m.Mix(&silence)
	for i := range MixerDelay {
		if silence[2*i] != voice[len(voice)-MixerDelay+i] {
			t.Fatalf("the last ms is lost at sample %d", i)
		}
	}
	if m.Mix(&silence); silence != (StereoBlock{}) {
		t.Error("a mix of nothing isn't silent")
	}
}

func TestGainAndPan(t *testing.T) {
	tests := []struct {
		name        string
		gain, pan   float32
		left, right float64
	}{
		{"as it is", 1, 0, 1, 1},
		{"half", 0.5, 0, 0.5, 0.5},
		{"double", 2, 0, 2, 2},
		{"muted", 0, 0.5, 0, 0},
		{"left", 1, -1, math.Sqrt2, 0},
		{"right", 1, 1, 0, math.Sqrt2},
		{"half right", 1, 0.5, math.Sqrt2 * math.Cos(3*math.Pi/8), math.Sqrt2 * math.Sin(3*math.Pi/8)},
		{"gain is limited", 5, 0, 2, 2},
		{"gain isn't negative", -1, 0, 0, 0},
		{"pan is limited", 1, -7, math.Sqrt2, 0},
		{"NaN changes nothing", float32(math.NaN()), float32(math.NaN()), 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Mixer
			var in Input
			in.SetGain(tt.gain)
			in.SetPan(tt.pan)
			voice := sine(4800, SampleRate, 1000, 0.25)
			left, right := mix(&m, []*Input{&in}, [][]float32{voice}, nil)
			for i := range len(left) - MixerDelay {
				x := float64(voice[i])
				l, r := float64(left[i+MixerDelay]), float64(right[i+MixerDelay])
				if math.Abs(l-x*tt.left) > 1e-6 || math.Abs(r-x*tt.right) > 1e-6 {
					t.Fatalf("sample %d: %v and %v of %v, want gains %v and %v", i, l, r, x, tt.left, tt.right)
				}
			}
		})
	}
}

func TestPanKeepsThePower(t *testing.T) {
	for pan := float32(-1); pan <= 1; pan += 0.125 {
		l, r := panned(1, pan)
		if power := float64(l*l + r*r); math.Abs(power-2) > 1e-5 {
			t.Errorf("pan %v has power %v, want 2", pan, power)
		}
	}
}

func TestGainChangesWithoutZipperNoise(t *testing.T) {
	const frequency = 1000.0
	voice := sine(48000, SampleRate, frequency, 0.2)
	var m Mixer
	var in Input
	left, _ := mix(&m, []*Input{&in}, [][]float32{voice}, func(k int) {
		in.SetGain(float32(2 * (k % 2)))
		in.SetPan(float32(k%3 - 1))
	})
	// The steepest that a sine of amplitude 0.2·2·√2 can be, and the ramp on top.
	allowed := 0.2*2*math.Sqrt2*2*math.Pi*frequency/SampleRate + 0.2*2*math.Sqrt2/BlockSamples
	for i := 1; i < len(left); i++ {
		if step := math.Abs(float64(left[i] - left[i-1])); step > allowed*1.01 {
			t.Fatalf("step of %.4f at sample %d, want at most %.4f", step, i, allowed)
		}
	}
	// A switch instead of a ramp would put its energy everywhere; a ramp of
	// 10 ms has next to none far from the voice.
	for _, f := range []float64{4000, 7000, 12000, 18000} {
		if a := DBFS(partial(left[4800:28800], SampleRate, f)); a > -75 {
			t.Errorf("%.1f dBFS at %.0f Hz from changing the gain of a voice at 1 kHz", a, f)
		}
	}
}

func TestGainIsReachedInOneBlock(t *testing.T) {
	ones := make([]float32, 5*BlockSamples)
	for i := range ones {
		ones[i] = 0.25
	}
	var m Mixer
	var in Input
	left, _ := mix(&m, []*Input{&in}, [][]float32{ones}, func(k int) {
		if k == 2 {
			in.SetGain(2)
		}
	})
	at := 2*BlockSamples + MixerDelay
	if got := left[at-1]; got != 0.25 {
		t.Errorf("%v before the change", got)
	}
	if got := left[at+BlockSamples/2-1]; math.Abs(float64(got)-0.375) > 1e-4 {
		t.Errorf("%v half way", got)
	}
	if got := left[at+BlockSamples-1]; math.Abs(float64(got)-0.5) > 1e-6 {
		t.Errorf("%v at the end of the block", got)
	}
	if got := left[at+BlockSamples]; got != 0.5 {
		t.Errorf("%v after it", got)
	}
}

// Who is muted or moved while silent is heard so from the first sample on.
func TestGainAndPanSetInSilenceHoldFromTheFirstSample(t *testing.T) {
	var b Block
	for i := range b {
		b[i] = 0.5
	}
	tests := map[string]struct {
		set         func(*Input)
		left, right float32
	}{
		"muted":          {func(in *Input) { in.SetGain(0) }, 0, 0},
		"half as loud":   {func(in *Input) { in.SetGain(0.5) }, 0.25, 0.25},
		"on the left":    {func(in *Input) { in.SetGain(0.5); in.SetPan(-1) }, 0.25 * math.Sqrt2, 0},
		"as it was":      {func(*Input) {}, 0.5, 0.5},
		"there and back": {func(in *Input) { in.SetGain(0); in.SetGain(1) }, 0.5, 0.5},
	}
	for name, tt := range tests {
		for _, pause := range []int{1, 2, 100} {
			var m Mixer
			var in Input
			var out StereoBlock
			m.Add(&in, &b)
			m.Mix(&out)
			tt.set(&in)
			for range pause {
				m.Mix(&out)
			}
			m.Add(&in, &b)
			m.Mix(&out)
			for i := range BlockSamples {
				left, right := tt.left, tt.right
				if i < MixerDelay {
					left, right = 0, 0 // the silence before
				}
				if math.Abs(float64(out[2*i]-left)) > 1e-6 || math.Abs(float64(out[2*i+1]-right)) > 1e-6 {
					t.Fatalf("%s, %d blocks of pause: sample %d is %v %v, want %v %v", name, pause, i, out[2*i], out[2*i+1], left, right)
				}
			}
		}
	}
}

func TestVoicesAddUp(t *testing.T) {
	var m Mixer
	voices := [][]float32{noise(4800, 1, 0.2), noise(4800, 2, 0.2), noise(4800, 3, 0.2)}
	left, _ := mix(&m, []*Input{{}, {}, {}}, voices, nil)
	for i := range len(left) - MixerDelay {
		want := voices[0][i] + voices[1][i] + voices[2][i]
		if got := left[i+MixerDelay]; math.Abs(float64(got-want)) > 1e-6 {
			t.Fatalf("sample %d is %v, want %v", i, got, want)
		}
	}
}

func TestBrokenSamplesBecomeSilenceAndAreCounted(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, changing := range []bool{false, true} {
		var m Mixer
		var in, other Input
		broken, fine := Block{3: nan, 100: inf, 200: -inf, 300: 1e30}, Block{}
		for i := range fine {
			fine[i] = 0.25
		}
		var out StereoBlock
		for range 3 {
			m.Add(&in, &broken)
			m.Add(&other, &fine)
			if changing {
				in.SetGain(in.Gain() / 2)
			}
			m.Mix(&out)
			for i, x := range out {
				if !finite(x) || x > 1 || x < -1 {
					t.Fatalf("sample %d of the mix is %v", i, x)
				}
			}
		}
		if got := m.Repaired(); got != 12 {
			t.Errorf("%d samples repaired, want 12", got)
		}
		for range 200 {
			m.Add(&other, &fine)
			m.Mix(&out)
		}
		if out[0] != 0.25 || out[959] != 0.25 {
			t.Errorf("two seconds later the mix is %v and %v, want 0.25", out[0], out[959])
		}
	}
}

func TestMonoIsWhatWasPlayed(t *testing.T) {
	var m Mixer
	var in Input
	in.SetPan(-1)
	b := blocks(sine(960, SampleRate, 500, 1))
	var out StereoBlock
	var mono Block
	m.Add(&in, &b[0])
	m.Mix(&out)
	m.Add(&in, &b[1])
	m.Mono(&mono)
	for i, x := range mono {
		if want := (out[2*i] + out[2*i+1]) / 2; x != want {
			t.Fatalf("sample %d is %v, want %v", i, x, want)
		}
	}
	if rmsOf(mono[:]) == 0 {
		t.Error("the mix is silent")
	}
}

func TestMixerAllocatesNothing(t *testing.T) {
	var m Mixer
	inputs := make([]Input, 16)
	b := blocks(noise(480, 1, 0.5))[0]
	var out StereoBlock
	gain := float32(0)
	assertNoAllocs(t, "a mix of 16", func() {
		gain = 2 - gain
		for i := range inputs {
			inputs[i].SetGain(gain)
			m.Add(&inputs[i], &b)
		}
		m.Mix(&out)
	})
}

func BenchmarkMixer16Voices(b *testing.B) {
	for _, bench := range []struct {
		name string
		peak float64
	}{{"quiet", 0.04}, {"loud", 0.5}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var m Mixer
			inputs := make([]Input, 16)
			voice := blocks(noise(480, 1, bench.peak))[0]
			var out StereoBlock
			for b.Loop() {
				for i := range inputs {
					m.Add(&inputs[i], &voice)
				}
				m.Mix(&out)
			}
		})
	}
}
