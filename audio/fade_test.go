package audio

import (
	"math"
	"testing"
)

func ones(n int) []float32 {
	pcm := make([]float32, n)
	for i := range pcm {
		pcm[i] = 1
	}
	return pcm
}

// steepest is the largest step of pcm, from and to silence at its ends included.
func steepest(pcm []float32) float64 {
	var last float32
	most := 0.0
	for _, x := range append(append([]float32(nil), pcm...), 0) {
		most = max(most, math.Abs(float64(x-last)))
		last = x
	}
	return most
}

func TestFadesHaveNoStep(t *testing.T) {
	allowed := math.Pi / 2 / FadeSamples * 1.01
	pcm := ones(2000)
	FadeIn(pcm[:FadeSamples])
	FadeOut(pcm[2000-FadeSamples:])
	if got := steepest(pcm); got > allowed {
		t.Errorf("step of %v, want at most %v", got, allowed)
	}
	if pcm[1000] != 1 || pcm[0] > 0.001 || pcm[0] <= 0 || pcm[1999] != pcm[0] {
		t.Errorf("from %v over %v to %v", pcm[0], pcm[1000], pcm[1999])
	}
	FadeIn(nil)
	FadeOut(nil)
}

func TestCrossFadeOfEqualsChangesNothing(t *testing.T) {
	dst := make([]float32, 100)
	CrossFade(dst, ones(100), ones(120))
	for i, x := range dst {
		if x != 1 {
			t.Fatalf("sample %d is %v", i, x)
		}
	}
	from := make([]float32, 100)
	CrossFade(from, from, ones(100))
	for i := 1; i < len(from); i++ {
		if from[i] <= from[i-1] || from[i] >= 1 {
			t.Fatalf("sample %d is %v after %v", i, from[i], from[i-1])
		}
	}
}

func TestFader(t *testing.T) {
	var f Fader
	block := func() []float32 {
		pcm := ones(480)
		f.Apply(pcm)
		return pcm
	}
	if got := block(); rmsOf(got) != 0 || !f.Silent() {
		t.Error("a new fader is open")
	}
	var all []float32
	f.Set(true)
	all = append(all, block()...)
	if got := block(); steepest(got) != 1 || got[0] != 1 || f.Silent() {
		t.Error("an open fader changes samples")
	}
	all = append(all, ones(480)...)
	f.Set(false)
	pcm := ones(100)
	f.Apply(pcm)
	all = append(all, pcm...)
	if f.Silent() {
		t.Error("silent in the middle of its edge")
	}
	f.Set(true)
	all = append(all, block()...)
	f.Set(false)
	all = append(all, block()...)
	if !f.Silent() || all[len(all)-1] != 0 {
		t.Error("not silent after its edge")
	}
	if got, allowed := steepest(all), math.Pi/2/FadeSamples*1.01; got > allowed {
		t.Errorf("step of %v, want at most %v", got, allowed)
	}
}

func TestFaderShapesBothSidesAlike(t *testing.T) {
	var mono, stereo Fader
	for i := range 40 {
		open := i%9 < 4 && i < 36
		mono.Set(open)
		stereo.Set(open)
		var m Block
		var s StereoBlock
		for j := range m {
			m[j] = 1
			s[2*j], s[2*j+1] = 1, -1
		}
		if i%2 == 0 { // turn back half way
			mono.Apply(m[:100])
			stereo.apply(s[:200], 2)
		} else {
			mono.Apply(m[:])
			stereo.ApplyStereo(&s)
		}
		for j := range m {
			if s[2*j] != m[j] || s[2*j+1] != -m[j] {
				t.Fatalf("block %d, sample %d: %v %v, want both as %v", i, j, s[2*j], s[2*j+1], m[j])
			}
		}
	}
	if !stereo.Silent() {
		t.Error("the fader is not closed")
	}
}
