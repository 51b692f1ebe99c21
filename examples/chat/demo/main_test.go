package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
)

// The table's verdict: of two voices at once both are found, each with its own
// latency, and a third that isn't there is not.
func TestMeasureFindsWhoIsThereAndNobodyElse(t *testing.T) {
	load := func(name string) []float32 {
		pcm, err := audiotest.LoadWAV(filepath.Join("..", "..", "..", "testdata", "speech", name+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		return pcm
	}
	voices := map[string][]float32{"anna": load("anna"), "ben": load("ben"), "clara": load("clara")}
	t0 := time.Unix(1000, 0)
	for _, missing := range []string{"anna", "ben", "clara"} {
		mix := make([]float32, audiotest.Samples(20*time.Second))
		latency := map[string]time.Duration{"anna": 80 * time.Millisecond, "ben": 120 * time.Millisecond, "clara": 95 * time.Millisecond}
		for name, voice := range voices {
			if name == missing {
				continue
			}
			shift := audiotest.Samples(latency[name])
			for i := shift; i < len(mix); i++ {
				mix[i] += voice[(i-shift)%len(voice)]
			}
		}
		for name, voice := range voices {
			got, ok := measure(voice, t0, mix, t0)
			switch {
			case name == missing && ok:
				t.Errorf("%s is heard, after %v, and isn't there", name, got)
			case name != missing && (!ok || (got-latency[name]).Abs() > time.Millisecond):
				t.Errorf("without %s: %s is heard %t after %v, want %v", missing, name, ok, got, latency[name])
			}
		}
	}
}
