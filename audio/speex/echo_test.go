package speex_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/speex"
)

// laptop is a speaker beside a microphone: half of what is played comes back.
var laptop = audiotest.Room{Delay: 30 * time.Millisecond, RT60: 300 * time.Millisecond, Gain: 0.5, Seed: 1}

// loss is by how many dB the echo is weaker behind the canceller.
func loss(echo, out []float32, from, to int) float64 {
	return level(seconds(echo, from, to)) - level(seconds(out, from, to))
}

// The bar: 20 dB after 10 s, in rooms of any kind.
func TestEchoIsGoneWithinTenSeconds(t *testing.T) {
	const end = 14
	far := voice(t, "ben", end*time.Second)
	for _, room := range []audiotest.Room{
		laptop,
		{Delay: 5 * time.Millisecond, RT60: 150 * time.Millisecond, Gain: 0.1, Seed: 2},
		{Delay: 80 * time.Millisecond, RT60: 500 * time.Millisecond, Gain: 0.5, Seed: 3},
		{Delay: 30 * time.Millisecond, RT60: 300 * time.Millisecond, Gain: 1.5, Seed: 4},
	} {
		t.Run(fmt.Sprintf("delay %v, RT60 %v, gain %v", room.Delay, room.RT60, room.Gain), func(t *testing.T) {
			echo := room.Echo(far)
			out := clean(newProcessor(t, speex.Config{}), sum(echo, noise(len(far), 2, -70)), far)
			for s := 2; s <= end; s += 2 {
				t.Logf("second %d to %d: %.0f dB", s-2, s, loss(echo, out, s-2, s))
			}
			if got := loss(echo, out, 10, end); got < 20 {
				t.Errorf("echo return loss %.1f dB after 10 s, want 20", got)
			}
		})
	}
}

// While both speak the near voice is heard as it is, and the echo stays away.
func TestDoubleTalkIsNotCut(t *testing.T) {
	const from, to, end = 8, 14, 18
	far := voice(t, "ben", end*time.Second)
	echo := laptop.Echo(far)
	background := noise(len(far), 2, -70)
	for _, db := range []float64{0, -10} { // of the near voice
		t.Run(fmt.Sprintf("%+.0f dB", db), func(t *testing.T) {
			near := make([]float32, len(far))
			for i, x := range voice(t, "clara", (to-from)*time.Second) {
				near[from*48000+i] = x * amplitude(db)
			}
			mic := sum(echo, near, background)
			out := clean(newProcessor(t, speex.Config{}), mic, far)
			after := loss(echo, out, to+1, end)
			near, mic, out = seconds(near, from, to), seconds(mic, from, to), seconds(out, from, to)
			changed := level(where(near, out, true)) - level(where(near, near, true))
			before, stoi := audiotest.STOI(near, mic), audiotest.STOI(near, out)
			t.Logf("near voice %+.2f dB, STOI %.3f, with the echo %.3f; echo return loss afterwards %.0f dB", changed, stoi, before, after)
			if changed < -1.5 || changed > 1 {
				t.Errorf("the near voice changed by %.2f dB", changed)
			}
			if stoi < 0.93 {
				t.Errorf("STOI %.3f, want 0.93", stoi)
			}
			if after < 20 {
				t.Errorf("echo return loss %.1f dB after both spoke: the canceller has learned the near voice", after)
			}
		})
	}
}

// After a gap in a device, or with another device, the echo comes another way.
func TestEchoThatMovesIsLearnedAnew(t *testing.T) {
	const moves, end = 8, 22
	far := voice(t, "ben", end*time.Second)
	for _, by := range []time.Duration{-20 * time.Millisecond, 5 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(by.String(), func(t *testing.T) {
			later := laptop
			later.Delay += by
			echo := append(seconds(laptop.Echo(far), 0, moves), seconds(later.Echo(far), moves, end)...)
			out := clean(newProcessor(t, speex.Config{}), echo, far)
			before, after := loss(echo, out, moves-2, moves), loss(echo, out, moves+10, end)
			t.Logf("%.0f dB before, %.0f dB in the first 2 s, %.0f dB after 10 s", before, loss(echo, out, moves, moves+2), after)
			if before < 20 || after < 20 {
				t.Errorf("echo return loss %.1f dB before and %.1f dB 10 s after, want 20", before, after)
			}
		})
	}
}

// With speakers it is known within half a second that there is an echo, and with
// headphones none is ever seen, whoever speaks.
func TestEchoesTellsSpeakersFromHeadphones(t *testing.T) {
	far, near := voice(t, "anna", 10*time.Second), voice(t, "ben", 10*time.Second)
	for name, c := range map[string]struct {
		mic  []float32
		want bool
	}{
		"speakers":                     {laptop.Echo(far), true},
		"speakers, quiet":              {audiotest.Room{Delay: 10 * time.Millisecond, RT60: 300 * time.Millisecond, Gain: 0.05, Seed: 5}.Echo(far), true},
		"headphones, who speaks":       {near, false},
		"headphones, who says nothing": {make([]float32, len(far)), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcessor(t, speex.Config{})
			mic := sum(c.mic, noise(len(far), 1, -70))
			for s := range 20 { // of half a second
				from := s * 24000
				clean(p, mic[from:][:24000], far[from:][:24000])
				if got := p.Echoes(); got != c.want {
					t.Fatalf("after %.1f s Echoes is %t", 0.5*float64(s+1), got)
				}
			}
		})
	}
}

// What goes wrong doesn't stay wrong: silence on either side, and a source that
// stops giving anything else for a while.
func TestEchoIsCancelledAfterSilence(t *testing.T) {
	const end = 20
	far := voice(t, "ben", end*time.Second)
	echo := laptop.Echo(far)
	mic := append([]float32(nil), echo...)
	clear(seconds(mic, 6, 9)) // the microphone is away
	out := clean(newProcessor(t, speex.Config{}), mic, far)
	if got := loss(echo, out, 17, end); got < 20 {
		t.Errorf("echo return loss %.1f dB 8 s after the microphone was away, want 20", got)
	}
	if l := level(seconds(out, 7, 9)); l > -40 {
		t.Errorf("%.0f dBFS come out of a microphone that gives silence", l)
	}
}
