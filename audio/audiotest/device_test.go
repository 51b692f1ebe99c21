package audiotest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
)

// ramp is two seconds of which each block says its number.
func ramp() []float32 {
	pcm := make([]float32, 200*audio.BlockSamples)
	for i := range pcm {
		pcm[i] = float32(1+i/audio.BlockSamples) / 256
	}
	return pcm
}

func TestDevicesHaveClocksOfTheirOwn(t *testing.T) {
	for _, ppm := range []float64{-300, 0, 300} {
		synctest.Test(t, func(t *testing.T) {
			mic, speaker := audiotest.NewMicrophone(ramp(), ppm), audiotest.NewSpeaker(ppm)
			var in audio.Block
			var out audio.StereoBlock
			for name, step := range map[string]func() error{
				"microphone": func() error { return mic.ReadBlock(&in) },
				"speaker":    func() error { return speaker.WriteBlock(&out) },
			} {
				const blocks = 20_000 // of which the first may be two at once
				for range 2 {
					if err := step(); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				for range blocks {
					if err := step(); err != nil {
						t.Fatal(err)
					}
				}
				took := time.Since(began)
				want := time.Duration(float64(blocks*audio.BlockDuration) / (1 + ppm*1e-6))
				if (took - want).Abs() > 15*time.Millisecond {
					t.Errorf("%s, %+.0f ppm: %d blocks took %v, want %v", name, ppm, blocks, took, want)
				}
			}
		})
	}
}

func TestDevicesStallAndFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mic, speaker := audiotest.NewMicrophone(ramp(), 0), audiotest.NewSpeaker(0)
		var in audio.Block
		read := func() (level int, took time.Duration) {
			began := time.Now()
			if err := mic.ReadBlock(&in); err != nil {
				t.Fatal(err)
			}
			return int(in[0]*256 + 0.5), time.Since(began)
		}
		for want := 1; want <= 10; want++ {
			if got, took := read(); got != want || took != audio.BlockDuration {
				t.Fatalf("block %d after %v, want %d", got, took, want)
			}
		}
		mic.Stall(500 * time.Millisecond)
		silent, longest, n := 0, time.Duration(0), 0
		for n = range 100 {
			got, took := read()
			longest = max(longest, took)
			if got > 0 {
				break
			}
			silent++
		}
		if silent < 45 || silent > 50 || longest > 60*time.Millisecond {
			t.Errorf("%d blocks of silence in a stall of 500 ms, the last after %d, the longest read took %v", silent, n, longest)
		}
		if f := mic.Faults(); f.Underruns != uint64(silent) {
			t.Errorf("%d underruns", f.Underruns)
		}
		before, _ := read()
		mic.Freeze(300 * time.Millisecond)
		after, took := read()
		if took != 300*time.Millisecond || after-before < 28 || after-before > 31 {
			t.Errorf("frozen for 300 ms: a block %d later after %v", after-before, took)
		}

		began := time.Now()
		loud := audio.StereoBlock{}
		for i := range loud {
			loud[i] = 0.5
		}
		for i := range 300 {
			switch i {
			case 100:
				speaker.Stall(500 * time.Millisecond)
			case 200:
				speaker.Freeze(500 * time.Millisecond)
			}
			if err := speaker.WriteBlock(&loud); err != nil {
				t.Fatal(err)
			}
		}
		took = time.Since(began)
		heard := speaker.Heard(began.Add(-100*time.Millisecond), took+200*time.Millisecond)
		holes := 0
		for i := 0; i < len(heard); i += audio.BlockSamples {
			if heard[i] == 0 {
				holes++
			}
		}
		// The time before and after, the stall, and the time frozen.
		if took < 3400*time.Millisecond || took > 3600*time.Millisecond || holes < 115 || holes > 125 {
			t.Errorf("300 blocks took %v, %d of %d were silent", took, holes, len(heard)/audio.BlockSamples)
		}
		for _, c := range []interface{ Close() error }{mic, speaker} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := mic.ReadBlock(&in); !errors.Is(err, audio.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
		if err := speaker.WriteBlock(&loud); !errors.Is(err, audio.ErrClosed) {
			t.Errorf("write after Close: %v", err)
		}
	})
}

func TestASpeakerRemembersTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		speaker := audiotest.NewSpeaker(0)
		var b audio.StereoBlock
		const minutes = 7
		began := time.Now()
		level := func(n int) float32 { return float32(n%1000) / 1000 }
		for n := range minutes * 6000 {
			if n == 20000 {
				speaker.Freeze(3 * time.Minute) // longer than it remembers
			}
			for i := range b {
				b[i] = level(n)
			}
			if err := speaker.WriteBlock(&b); err != nil {
				t.Fatal(err)
			}
		}
		const last = 59 * time.Second
		pcm := speaker.Heard(time.Now().Add(-last), last-time.Second)
		for i := audio.BlockSamples; i < len(pcm); i += audio.BlockSamples {
			if d := pcm[i] - pcm[i-audio.BlockSamples]; d < 0.0009 && d > -0.9 || d > 0.0011 {
				t.Fatalf("block %d differs by %v from the one before", i/audio.BlockSamples, d)
			}
		}
		for _, x := range speaker.Heard(began, time.Second) {
			if x != 0 {
				t.Fatal("what was heard long ago is remembered as something else")
			}
		}
	})
}
