package parley

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// curveOf is the curve of a recorded sentence that begins at some time.
func curveOf(t *testing.T, name string, length, at time.Duration) *curve {
	t.Helper()
	file, err := audio.OpenWAV("testdata/speech/" + name + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, start := newCurve(length), time.Unix(1000, 0)
	var b audio.Block
	c.add(&b, start) // before it begins: nothing
	c.begin(start)
	for n := time.Duration(0); file.ReadBlock(&b) == nil; n++ {
		c.add(&b, start.Add(at+n*audio.BlockDuration))
	}
	c.add(&b, start.Add(-time.Hour))
	c.add(&b, start.Add(time.Hour))
	return c
}

func TestCurvesAreToldApart(t *testing.T) {
	anna := curveOf(t, "anna", 3*time.Second, 0)
	lag, similarity := anna.find(curveOf(t, "anna", 5*time.Second, 1234*time.Millisecond), time.Second)
	if lag != 1234*time.Millisecond || similarity < 0.999 {
		t.Errorf("the same comes %v later, similarity %.3f", lag, similarity)
	}
	for _, other := range []string{"ben", "clara"} {
		if _, similarity := anna.find(curveOf(t, other, 5*time.Second, time.Second), time.Second); similarity >= curvesAlike {
			t.Errorf("%s says something else, with a similarity of %.3f", other, similarity)
		}
	}
	if _, similarity := anna.find(newCurve(5*time.Second), 0); similarity != 0 {
		t.Errorf("silence has a similarity of %.3f", similarity)
	}
	if _, similarity := anna.find(newCurve(time.Second), 0); similarity != 0 {
		t.Errorf("what is too short has a similarity of %.3f", similarity)
	}
}
