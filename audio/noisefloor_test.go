package audio

import (
	"math"
	"testing"
)

func TestNoiseFloorIsWhatIsThereInPauses(t *testing.T) {
	var n NoiseFloor
	push := func(blocks int, dbfs float64) (floor float64) {
		for range blocks {
			floor = n.Push(dbfs)
		}
		return floor
	}
	if f := push(100, -50); f != -50 {
		t.Errorf("noise at -50 dBFS: floor %.1f", f)
	}
	for i := range 2000 { // a voice with a pause of 120 ms in each second
		dbfs := -20.0
		if i%100 < 12 {
			dbfs = -50
		}
		if f := n.Push(dbfs); f < -50.1 || f > -47 {
			t.Fatalf("block %d of a voice over noise at -50 dBFS: floor %.1f", i, f)
		}
	}
	if f := push(350, -35); math.Abs(f+35) > 0.1 {
		t.Errorf("3.5 s after the noise rose to -35 dBFS: floor %.1f", f)
	}
	if f := push(20, -60); f > -59 {
		t.Errorf("0.2 s after it fell to -60 dBFS: floor %.1f", f)
	}
	assertNoAllocs(t, "NoiseFloor.Push", func() { n.Push(-50) })
}
