package opus

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

// The bars are a third above what libopus 1.3.1 does with alsa-utils' speech;
// between other words of the same voice it is 22 dB.
func TestSpeechComesBack(t *testing.T) {
	pcm := speech(t)[:4*codec.SampleRate]
	tests := []struct {
		lowDelay bool
		bitrate  int
		most     float64 // spectral distance in dB
	}{
		{false, 6000, 9},
		{false, 16000, 2.5},
		{false, 32000, 1.8},
		{false, 64000, 1.2},
		{false, 128000, 0.6},
		{true, 16000, 2.5},
		{true, 32000, 1.5},
		{true, 128000, 0.6},
	}
	for _, test := range tests {
		for _, d := range durations {
			t.Run(fmt.Sprintf("low delay %v, %d b/s, %v", test.lowDelay, test.bitrate, d), func(t *testing.T) {
				c := codec.Config{FrameDuration: d, Bitrate: test.bitrate, LowDelay: test.lowDelay, NoDTX: true}
				e := newEncoder(t, c)
				packets := encodeAll(t, e, pcm)
				total := 0
				for i, p := range packets {
					info, err := codec.Parse(p)
					if err != nil || info.Samples != e.FrameSamples() || info.Stereo || len(p) > codec.MaxPacketBytes {
						t.Fatalf("packet %d of %d bytes: %+v, %v", i, len(p), info, err)
					}
					if content, err := (Codec{}).Inspect(p); err != nil || content.Samples != e.FrameSamples() || content.FEC {
						t.Fatalf("packet %d: %+v, %v", i, content, err)
					}
					total += len(p)
				}
				rate := float64(total*8) / (float64(len(packets)) * d.Seconds())
				if rate > 1.15*float64(test.bitrate) || rate < 0.7*float64(test.bitrate) {
					t.Errorf("%.0f b/s", rate)
				}
				out := decodeAll(t, newDecoder(t), packets, e.FrameSamples())
				delay := int(math.Round((Codec{}).Delay(c).Seconds() * codec.SampleRate))
				got := spectralDistance(pcm, out[delay:])
				t.Logf("%.0f b/s, %.1f dB", rate, got)
				if got > test.most {
					t.Errorf("spectral distance %.1f dB, want at most %.1f", got, test.most)
				}
			})
		}
	}
}

func TestDelay(t *testing.T) {
	pcm := speech(t)[:2*codec.SampleRate]
	for _, lowDelay := range []bool{false, true} {
		for _, d := range durations {
			c := codec.Config{FrameDuration: d, LowDelay: lowDelay, NoDTX: true}
			e := newEncoder(t, c)
			got := lag(pcm, decodeAll(t, newDecoder(t), encodeAll(t, e, pcm), e.FrameSamples()), 480)
			want := (Codec{}).Delay(c)
			if diff := time.Duration(got)*time.Second/codec.SampleRate - want; diff.Abs() > 50*time.Microsecond {
				t.Errorf("low delay %v, %v: %d samples, want %v", lowDelay, d, got, want)
			}
		}
	}
	if got := (Codec{}).Delay(codec.Config{}).Round(100 * time.Microsecond); got != 6400*time.Microsecond {
		t.Errorf("%v, want 6.4 ms", got)
	}
	if got := (Codec{}).Delay(codec.Config{LowDelay: true}); got != 2500*time.Microsecond {
		t.Errorf("%v with low delay, want 2.5 ms", got)
	}
}

func TestConstantBitrateTellsNothing(t *testing.T) {
	pcm := append(speech(t)[:codec.SampleRate], make([]float32, codec.SampleRate)...)
	for _, d := range durations {
		for _, bitrate := range []int{6000, 16000, 32000, 64000, 128000} {
			c := codec.Config{FrameDuration: d, Bitrate: bitrate, Constant: true, NoDTX: true}
			packets := encodeAll(t, newEncoder(t, c), pcm)
			if off := float64(len(packets[0])) - float64(bitrate)*d.Seconds()/8; math.Abs(off) > 1 {
				t.Errorf("%v, %d b/s: packets of %d bytes", d, bitrate, len(packets[0]))
			}
			for i, p := range packets {
				if len(p) != len(packets[0]) {
					t.Fatalf("%v, %d b/s: packet %d has %d bytes, the first %d", d, bitrate, i, len(p), len(packets[0]))
				}
			}
		}
	}
}

func TestSetBitrateWhileRunning(t *testing.T) {
	pcm := speech(t)[:2*codec.SampleRate]
	e := newEncoder(t, codec.Config{NoDTX: true})
	d := newDecoder(t)
	frame := make([]float32, codec.MaxPacketSamples)
	for _, bitrate := range []int{64000, 12000, 128000, 6000, 32000} {
		if err := e.SetBitrate(bitrate); err != nil {
			t.Fatal(err)
		}
		total := 0
		packets := encodeAll(t, e, pcm)
		for _, p := range packets {
			total += len(p)
			if n, err := d.Decode(frame, p); err != nil || n != 960 {
				t.Fatalf("%d samples, %v", n, err)
			}
		}
		rate := float64(total*8) / (float64(len(packets)) * 0.020)
		if rate > 1.15*float64(bitrate) || rate < 0.7*float64(bitrate) {
			t.Errorf("set to %d b/s it makes %.0f", bitrate, rate)
		}
	}
	for _, bitrate := range []int{5999, 128001, 0, -1} {
		if err := e.SetBitrate(bitrate); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%d b/s: %v, want ErrConfig", bitrate, err)
		}
	}
}

func TestSettingsOutOfRangeAreRefused(t *testing.T) {
	if _, err := (Codec{}).NewEncoder(codec.Config{Bitrate: 1}); !errors.Is(err, codec.ErrConfig) {
		t.Errorf("%v, want ErrConfig", err)
	}
	for _, complexity := range []int{-1, 11} {
		if _, err := (Codec{DecoderComplexity: complexity}).NewDecoder(); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("decoder complexity %d: %v, want ErrConfig", complexity, err)
		}
	}
	// libopus before 1.5 doesn't know the setting: that is no error.
	for complexity := range 11 {
		if _, err := (Codec{DecoderComplexity: complexity}).NewDecoder(); err != nil {
			t.Errorf("decoder complexity %d: %v", complexity, err)
		}
	}
	e := newEncoder(t, codec.Config{})
	for _, share := range []float64{-0.01, 1.01, math.NaN(), math.Inf(1)} {
		if err := e.SetExpectedLoss(share, true); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("expected loss %v: %v, want ErrConfig", share, err)
		}
	}
	dst := make([]byte, codec.MaxPacketBytes)
	for _, n := range []int{0, 480, 959, 961, 1920} {
		if _, err := e.Encode(dst, make([]float32, n)); !errors.Is(err, codec.ErrFrame) {
			t.Errorf("%d samples: %v, want ErrFrame", n, err)
		}
	}
	// Capacity is no room.
	if _, err := e.Encode(dst[:100], make([]float32, 960)); !errors.Is(err, codec.ErrFrame) {
		t.Errorf("room for 100 bytes: %v, want ErrFrame", err)
	}
}
