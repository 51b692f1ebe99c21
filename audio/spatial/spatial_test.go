package spatial

import (
	"errors"
	"math"
	"testing"

	"github.com/parley-voice/parley/audio"
)

var inf, nan = math.Inf(1), math.NaN()

func TestCurvesAreThoseOfTheirSources(t *testing.T) {
	for _, tt := range []struct {
		name     string
		m        Model
		distance float64
		want     float64
	}{
		{"inverse, at Min", Model{}, 1, 1},
		{"inverse, nearer", Model{}, 0, 1},
		{"inverse, twice", Model{}, 2, 0.5},
		{"inverse, ten times", Model{}, 10, 0.1},
		{"inverse, steeper", Model{Rolloff: 2}, 4, 1 / 7.},
		{"inverse, another Min", Model{Min: 4}, 8, 0.5},
		{"inverse, no limit", Model{Max: inf}, 1e6, 1e-6},
		{"inverse, amid the edge", Model{Max: 10}, 9, 0.5 / 9},
		{"inverse, at Max", Model{Max: 10}, 10, 0},
		{"inverse, beyond", Model{Max: 10}, 1e300, 0},
		{"linear", Model{Curve: Linear, Max: 11}, 6, 0.5},
		{"linear, less steep", Model{Curve: Linear, Max: 11, Rolloff: 0.5}, 6, 0.75},
		{"linear, beyond", Model{Curve: Linear, Max: 11}, 12, 0},
		{"exponential", Model{Curve: Exponential, Rolloff: 2}, 3, 1 / 9.},
		{"exponential, beyond", Model{Curve: Exponential}, inf, 0},
		{"one's own", Model{Gain: func(d float64) float64 { return 1 / (1 + d*d) }}, 2, 0.2},
		{"one's own, too loud", Model{Gain: func(float64) float64 { return 7 }}, 2, 1},
		{"one's own, negative", Model{Gain: func(float64) float64 { return -1 }}, 2, 0},
		{"one's own, not a number", Model{Gain: func(float64) float64 { return nan }}, 2, 0},
	} {
		if err := tt.m.Check(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := tt.m.Loudness(tt.distance); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
}

// No curve rises with distance, none is beyond 0..1, and none has a step.
func TestLoudnessFallsWithoutAStep(t *testing.T) {
	for name, m := range map[string]Model{
		"default":     {},
		"far":         {Min: 10, Max: 1000},
		"linear":      {Curve: Linear, Rolloff: 0.3},
		"exponential": {Curve: Exponential, Rolloff: 0.7},
		"narrow":      {Min: 9, Max: 10},
	} {
		last, most := m.Loudness(0), m.withDefaults().Max*1.1
		const steps = 100000
		for i := range steps {
			g := m.Loudness(most * float64(i) / steps)
			if g > last || g < 0 || last-g > 0.002 {
				t.Fatalf("%s: from %g to %g at %g", name, last, g, most*float64(i)/steps)
			}
			last = g
		}
		if last != 0 {
			t.Errorf("%s: %g beyond Max", name, last)
		}
	}
}

func TestPlaceIsToTheSideWhereTheVoiceIs(t *testing.T) {
	wide := Model{Width: 1}
	unity := Model{Width: 1, LeftHanded: true}
	for _, tt := range []struct {
		name     string
		m        Model
		listener Pose
		voice    Vec
		want     float64
	}{
		{"ahead", wide, Pose{}, Vec{Z: -5}, 0},
		{"behind", wide, Pose{}, Vec{Z: 5}, 0},
		{"above", wide, Pose{}, Vec{Y: 5}, 0},
		{"right", wide, Pose{}, Vec{X: 5}, 1},
		{"left", wide, Pose{}, Vec{X: -5}, -1},
		{"half right", wide, Pose{}, Vec{X: 3, Z: -3}, math.Sqrt2 / 2},
		{"half right, behind", wide, Pose{}, Vec{X: 3, Z: 3}, math.Sqrt2 / 2},
		{"right and above", wide, Pose{}, Vec{X: 3, Y: 4}, 0.6},
		{"elsewhere", wide, Pose{Position: Vec{10, 20, 30}}, Vec{15, 20, 30}, 1},
		{"turned to the right", wide, Pose{Forward: Vec{X: 2}}, Vec{Z: 5}, 1},
		{"turned round", wide, Pose{Forward: Vec{Z: 0.001}}, Vec{X: 5}, -1},
		{"upside down", wide, Pose{Up: Vec{Y: -3}}, Vec{X: 5}, -1},
		{"from above, looking along Y", wide, Pose{Forward: Vec{Y: 1}, Up: Vec{Z: 1}}, Vec{X: 5}, 1},
		{"up that isn't at right angles", wide, Pose{Forward: Vec{Y: 1, Z: -1}}, Vec{X: 5}, 1},
		{"looking along Up", wide, Pose{Forward: Vec{Y: 1}}, Vec{X: 5}, 0},
		{"left-handed, ahead is Z", unity, Pose{}, Vec{Z: 5}, 0},
		{"left-handed, right", unity, Pose{}, Vec{X: 5}, 1},
		{"left-handed, turned to the right", unity, Pose{Forward: Vec{X: 1}}, Vec{Z: -5}, 1},
		{"narrower", Model{}, Pose{}, Vec{X: 5}, 0.8},
		{"all in the centre", Model{Width: -1}, Pose{}, Vec{X: 5}, 0},
		{"at the same place", wide, Pose{}, Vec{}, 0},
		{"very near", wide, Pose{}, Vec{X: 0.25}, 0.25},
		{"as near as can be", wide, Pose{}, Vec{X: math.SmallestNonzeroFloat64}, 0},
		{"as far as can be", wide, Pose{Position: Vec{X: -MaxCoordinate}}, Vec{X: MaxCoordinate}, 1},
		{"tiny directions", wide, Pose{Forward: Vec{Z: -1e-300}, Up: Vec{Y: 1e-300}}, Vec{X: 5}, 1},
		{"huge directions", wide, Pose{Forward: Vec{Z: -MaxCoordinate}, Up: Vec{Y: MaxCoordinate}}, Vec{X: 5}, 1},
	} {
		if err := errors.Join(tt.m.Check(), tt.listener.Check()); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := tt.m.Place(tt.listener, tt.voice); math.Abs(float64(got.Pan)-tt.want) > 1e-6 {
			t.Errorf("%s: pan %g, want %g", tt.name, got.Pan, tt.want)
		}
	}
}

// Who walks through the listener, or past, doesn't jump from ear to ear.
func TestWalkingThroughTheListenerIsSmooth(t *testing.T) {
	var m Model
	for _, aside := range []float64{0, 0.01, 0.5} {
		last := m.Place(Pose{}, Vec{X: -3, Z: aside}).Pan
		for x := -3.0; x <= 3; x += 0.01 {
			pan := m.Place(Pose{}, Vec{X: x, Z: aside}).Pan
			if pan < last || pan-last > 0.02 {
				t.Fatalf("%g aside, at %g: from %g to %g", aside, x, last, pan)
			}
			last = pan
		}
	}
}

func TestWhatIsNoPoseIsRefused(t *testing.T) {
	for _, bad := range []float64{nan, inf, -inf, 2 * MaxCoordinate} {
		for i, p := range []Pose{
			{Position: Vec{X: bad}},
			{Position: Vec{Y: bad}},
			{Position: Vec{Z: bad}},
			{Forward: Vec{X: bad}},
			{Forward: Vec{Y: bad}},
			{Up: Vec{Z: bad}},
		} {
			if err := p.Check(); !errors.Is(err, ErrPose) {
				t.Errorf("pose %d with %g: %v", i, bad, err)
			}
		}
	}
	if err := (Pose{}).Check(); err != nil {
		t.Errorf("the zero pose: %v", err)
	}
}

func TestWhatIsNoModelIsRefused(t *testing.T) {
	for name, m := range map[string]Model{
		"curve":            {Curve: 3},
		"negative Min":     {Min: -1},
		"Min is NaN":       {Min: nan},
		"Min is infinite":  {Min: inf, Max: inf},
		"Max below Min":    {Min: 2, Max: 1},
		"Max at Min":       {Min: 2, Max: 2},
		"Max is NaN":       {Max: nan},
		"linear for ever":  {Curve: Linear, Max: inf},
		"negative Rolloff": {Rolloff: -1},
		"Rolloff is NaN":   {Rolloff: nan},
		"infinite Rolloff": {Rolloff: inf},
		"linear too steep": {Curve: Linear, Rolloff: 1.5},
		"too wide":         {Width: 1.1},
		"Width is NaN":     {Width: nan},
	} {
		if err := m.Check(); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A jump is followed within a quarter of a second, never by more than a seventh of
// it in 10 ms, without going too far, and in the end exactly.
func TestMotionFollowsAJumpSmoothly(t *testing.T) {
	var m Motion
	from, to := Place{Gain: 1, Pan: -1}, Place{Gain: 0.25, Pan: 1}
	m.Jump(from)
	if !m.Settled(from) || m.At() != from {
		t.Fatal("a jump doesn't arrive")
	}
	last, speed := from, 0.0
	for i := 1; ; i++ {
		p := m.Step(to)
		step := float64(p.Pan - last.Pan)
		if step < 0 || step > 2/7. || math.Abs(step-speed) > 2/10. || p.Gain > last.Gain {
			t.Fatalf("step %d: from %v to %v", i, last, p)
		}
		last, speed = p, step
		if m.Settled(to) {
			if i > 40 || i < 10 {
				t.Errorf("arrived after %d steps", i)
			}
			return
		}
		if i > 100 {
			t.Fatalf("never arrives: %v", p)
		}
	}
}

// A voice that is carried round the listener, told ten times a second, keeps its
// power, and is heard without anything that isn't in it: what is more than 50 Hz
// from its own tone is 70 dB below it.
func TestMovingAddsNoNoise(t *testing.T) {
	const seconds, hz = 4, 1000
	var (
		m     Motion
		model = Model{Max: inf}
		mixer audio.Mixer
		in    audio.Input
		b     audio.Block
		out   audio.StereoBlock
		left  []float64
		to    Place
	)
	n := 0
	for block := range seconds * 100 {
		if block%10 == 0 { // a metre and a half away, a turn a second
			angle := 2 * math.Pi * float64(block) / 100
			to = model.Place(Pose{}, Vec{X: 1.5 * math.Sin(angle), Z: -1.5 * math.Cos(angle)})
		}
		at := m.Step(to)
		if block == 0 {
			at = m.Jump(to)
		}
		in.SetGain(at.Gain)
		in.SetPan(at.Pan)
		for i := range b {
			b[i] = float32(0.3 * math.Sin(2*math.Pi*hz*float64(n)/audio.SampleRate))
			n++
		}
		mixer.Add(&in, &b)
		mixer.Mix(&out)
		power := 0.0
		for i := range b {
			power += float64(out[2*i])*float64(out[2*i]) + float64(out[2*i+1])*float64(out[2*i+1])
			left = append(left, float64(out[2*i]))
		}
		want := 2 * 0.5 * 0.3 * 0.3 * float64(at.Gain*at.Gain) * audio.BlockSamples
		if block > 1 && math.Abs(power-want) > 0.03*want {
			t.Fatalf("block %d: power %g, want %g: it isn't constant", block, power, want)
		}
	}
	own, far := 0.0, 0.0
	for f := 100.0; f < 8000; f += 10 {
		p := powerAt(left[audio.SampleRate:2*audio.SampleRate], f)
		if math.Abs(f-hz) > 50 {
			far = max(far, p)
		} else {
			own = max(own, p)
		}
	}
	if dB := 10 * math.Log10(far/own); dB > -70 {
		t.Errorf("noise at %.1f dB beside the voice", dB)
	} else {
		t.Logf("noise at %.1f dB beside the voice", dB)
	}
}

// powerAt is the power of a signal at a frequency, with a Hann window (Goertzel's
// sum, written out).
func powerAt(x []float64, hz float64) float64 {
	re, im := 0.0, 0.0
	for i, v := range x {
		v *= 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audio.SampleRate)
		re += v * cos
		im += v * sin
	}
	return re*re + im*im
}

func TestPlacingAllocatesNothing(t *testing.T) {
	var m Motion
	model, x := Model{Gain: func(d float64) float64 { return 1 / (1 + d) }}, 0.0
	if n := testing.AllocsPerRun(100, func() {
		x++
		m.Step(model.Place(Pose{}, Vec{X: x}))
		m.Step(Model{}.Place(Pose{}, Vec{X: x}))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
