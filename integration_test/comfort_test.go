package integration_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// roomNoise is steady background as rooms have it, falling by 6 dB per octave
// above 300 Hz, at a level in dBFS (RMS).
func roomNoise(n int, dBFS float64) []float32 {
	random := rand.New(rand.NewPCG(7, 7))
	out := make([]float32, n)
	k := 1 - math.Exp(-2*math.Pi*300/audio.SampleRate)
	y, sum := 0.0, 0.0
	for i := range out {
		y += k * (random.NormFloat64() - y)
		out[i] = float32(y)
		sum += y * y
	}
	gain := audio.Amplitude(dBFS) / math.Sqrt(sum/float64(n))
	for i := range out {
		out[i] *= float32(gain)
	}
	return out
}

// levels is the level of each 20 ms in dBFS, -96 for silence.
func levels(pcm []float32) (list []float64) {
	const n = 2 * audio.BlockSamples
	for ; len(pcm) >= n; pcm = pcm[n:] {
		list = append(list, max(-96, audio.Measure(pcm[:n]).RMS))
	}
	return list
}

// A listener hears the talker's background through interruptions and after the
// last word, much as loud as it was beside the words; then it fades out. The
// talker sends nothing in a pause.
func TestBackgroundGoesOn(t *testing.T) {
	const (
		noise  = -45.0
		second = audio.SampleRate
		ref    = 50 // levels in a second
	)
	word := audiotest.Join(audiotest.Speech(t)[:1], second/2)
	said := slices.Concat(make([]float32, second), word, word, make([]float32, 4*second))
	for i, x := range roomNoise(len(said), noise) {
		said[i] += x
	}
	for _, c := range []struct {
		name        string
		after, lost int // packets
	}{
		{"nothing is lost", 0, 0},
		{"300 ms in a word are lost", 75, 15},
		{"800 ms are lost", 75, 40},
		{"300 ms at the end of a word are lost", 140, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			heard := overPerfectLink(t, said, c.after, c.lost)
			all := levels(heard[slices.IndexFunc(heard, func(x float32) bool { return x != 0 }):])
			before := median(all[ref/10 : ref])
			last := len(all) - 1
			for all[last] < before+6 {
				last--
			}
			lowest := slices.Min(all[:last+ref])
			steepest := 0.0
			for i := last + 4; all[i] > -65; i++ {
				steepest = max(steepest, all[i]-all[i+1])
			}
			silent := last + slices.IndexFunc(all[last:], func(l float64) bool { return l <= -96 })
			t.Logf("background %.1f dBFS, at the lowest %.1f until a second after the last word; it falls by %.1f dB in 20 ms, and ends after %v",
				before, lowest, steepest, time.Duration(silent-last)*20*time.Millisecond)
			if before < noise-4 || before > noise+1 {
				t.Errorf("background of %.1f dBFS at first, want about %.0f", before, noise)
			}
			if lowest < before-10 {
				t.Errorf("it falls from %.1f to %.1f dBFS", before, lowest)
			}
			if steepest > 4 {
				t.Errorf("it falls by %.1f dB in 20 ms", steepest)
			}
			if silent < last+ref || silent > last+4*ref {
				t.Errorf("silent %v after the last word", time.Duration(silent-last)*20*time.Millisecond)
			}
			if slices.Max(all[silent:]) > -96 {
				t.Error("it came back")
			}
		})
	}
}

// Where there is no background none is made up.
func TestSilenceBetweenWordsIsSilent(t *testing.T) {
	const second = audio.SampleRate
	word := audiotest.Join(audiotest.Speech(t)[:1], second/2)
	heard := levels(overPerfectLink(t, slices.Concat(make([]float32, second), word, make([]float32, 3*second)), 0, 0))
	last := len(heard) - 1
	for heard[last] < -60 {
		last--
	}
	for i, l := range heard[last+25:] {
		if l > -96 {
			t.Fatalf("%.1f dBFS are heard %v after the last word", l, time.Duration(i+25)*20*time.Millisecond)
		}
	}
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}

// overPerfectLink is what is heard of pcm over a link that loses so many packets
// after the first few.
func overPerfectLink(t *testing.T, pcm []float32, after, lost int) (heard []float32) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := sessiontest.NewNetwork(sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}})
		way := &holed{Transport: network.Transport(sessiontest.PeerID(1)), from: after, to: after + lost}
		talker, _ := wired(t, session.Config{Transport: way, Codec: opus.Codec{}}, audiotest.NewSource(pcm))
		listener, sink := wired(t, session.Config{Transport: network.Transport(sessiontest.PeerID(2)), Codec: opus.Codec{}}, &audio.Silence{})
		if err := talker.PeerJoined(sessiontest.PeerID(2)); err != nil {
			t.Fatal(err)
		}
		if err := listener.PeerJoined(sessiontest.PeerID(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(audiotest.Duration(float64(len(pcm))) + time.Second)
		synctest.Wait()
		heard = sink.Mono()
		for _, s := range []*session.Session{talker, listener} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	return heard
}
