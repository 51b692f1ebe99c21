package audio

import (
	"math"
	"testing"
)

func TestMeasureLevel(t *testing.T) {
	square := make([]float32, 480)
	for i := range square {
		square[i] = float32(1 - 2*(i/24%2))
	}
	nan := sine(480, SampleRate, 1000, 1)
	nan[7] = float32(math.NaN())
	nan[9] = float32(math.Inf(-1))
	tests := []struct {
		name      string
		pcm       []float32
		peak, rms float64
		tolerance float64
	}{
		{"sine at full scale", sine(480, SampleRate, 1000, 1), 0, -3.0103, 0.001},
		{"sine at a half", sine(480, SampleRate, 1000, 0.5), -6.0206, -9.0309, 0.001},
		{"square at full scale", square, 0, 0, 1e-9},
		{"silence", make([]float32, 480), FloorDBFS, FloorDBFS, 0},
		{"nothing", nil, FloorDBFS, FloorDBFS, 0},
		{"below the floor", sine(480, SampleRate, 1000, 1e-6), FloorDBFS, FloorDBFS, 0},
		{"broken samples count as silence", nan, 0, -3.0103, 0.03},
		{"above full scale", []float32{2, 2}, 6.0206, 6.0206, 0.001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Measure(tt.pcm)
			if math.Abs(got.Peak-tt.peak) > tt.tolerance || math.Abs(got.RMS-tt.rms) > tt.tolerance {
				t.Errorf("got %+v, want peak %.3f rms %.3f", got, tt.peak, tt.rms)
			}
		})
	}
}

// Wherever it is among others, a sample that isn't finite counts as 0.
func TestBrokenSamplesCountAsSilence(t *testing.T) {
	for at := range 11 {
		for _, broken := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			pcm := sine(11, SampleRate, 5000, 0.5)
			pcm[at] = 0
			want := Measure(pcm)
			pcm[at] = float32(broken)
			if got := Measure(pcm); math.Abs(got.Peak-want.Peak) > 1e-9 || math.Abs(got.RMS-want.RMS) > 1e-9 {
				t.Errorf("%v at %d: %+v, want %+v", broken, at, got, want)
			}
		}
	}
}

func TestDecibelsAndBack(t *testing.T) {
	for _, db := range []float64{-95, -40, -6.02, 0, 6} {
		if got := DBFS(Amplitude(db)); math.Abs(got-db) > 1e-9 {
			t.Errorf("%v dBFS became %v", db, got)
		}
	}
	for _, x := range []float64{0, -1, math.NaN(), math.Inf(-1)} {
		if got := DBFS(x); got != FloorDBFS {
			t.Errorf("amplitude %v is %v dBFS", x, got)
		}
	}
	for _, db := range []float64{FloorDBFS, -200, math.NaN(), math.Inf(-1)} {
		if got := Amplitude(db); got != 0 {
			t.Errorf("%v dBFS is amplitude %v", db, got)
		}
	}
}

func TestMeterFallsByItsReleaseWhateverTheBlockSize(t *testing.T) {
	for _, size := range []int{1, 120, 480, 960, 14400} {
		var m Meter
		m.Push(sine(480, SampleRate, 1000, 1))
		silence := make([]float32, size)
		for n := 0; n < 14400; n += size { // 300 ms
			m.Push(silence)
		}
		got := m.Level()
		if want := -8.686; math.Abs(got.Peak-want) > 0.01 || math.Abs(got.RMS-(want-3.01)) > 0.01 {
			t.Errorf("blocks of %d: after 300 ms of silence %+v, want peak %.2f", size, got, want)
		}
	}
}

func TestMeterRisesAtOnce(t *testing.T) {
	var m Meter
	if got := m.Level(); got != (Level{FloorDBFS, FloorDBFS}) {
		t.Errorf("zero value shows %+v", got)
	}
	for range 300 {
		m.Push(make([]float32, 480))
	}
	if got := m.Level(); got != (Level{FloorDBFS, FloorDBFS}) {
		t.Errorf("silence shows %+v", got)
	}
	m.Push(sine(480, SampleRate, 1000, 0.5))
	if got := m.Level(); math.Abs(got.Peak+6.02) > 0.01 || math.Abs(got.RMS+9.03) > 0.01 {
		t.Errorf("after one block %+v", got)
	}
	m.Push([]float32{float32(math.NaN()), float32(math.Inf(1))})
	if got := m.Level(); math.IsNaN(got.Peak) || math.IsNaN(got.RMS) || got.Peak > 0 {
		t.Errorf("after broken samples %+v", got)
	}
}
