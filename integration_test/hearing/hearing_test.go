package hearing

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/stretch"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

var origin = time.Unix(1000, 0)

// speech is a sentence said twice, 12 s.
func speech(t *testing.T, who string) []float32 {
	t.Helper()
	pcm, err := audiotest.LoadWAV("../../testdata/speech/" + who + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(pcm, pcm)
}

// coded is speech after Opus, with frames concealed as lose says.
func coded(t *testing.T, pcm []float32, bitrate int, lose func(n int) bool) []float32 {
	t.Helper()
	enc, err := opus.Codec{}.NewEncoder(codec.Config{Bitrate: bitrate})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := opus.Codec{}.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	const frame = audio.SampleRate / 50
	out := make([]float32, 0, len(pcm))
	packet, heard := make([]byte, codec.MaxPacketBytes), make([]float32, codec.MaxPacketSamples)
	for n := 0; (n+1)*frame <= len(pcm); n++ {
		p, err := enc.Encode(packet, pcm[n*frame:(n+1)*frame])
		if err != nil {
			t.Fatal(err)
		}
		if len(p) == 0 || lose(n) {
			err = dec.Conceal(heard[:frame])
		} else {
			_, err = dec.Decode(heard, p)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, heard[:frame]...)
	}
	return out
}

func none(int) bool { return false }

// silenced is pcm with a part of it silent.
func silenced(pcm []float32, from, length time.Duration) []float32 {
	out := slices.Clone(pcm)
	clear(out[audiotest.Samples(from):audiotest.Samples(from+length)])
	return out
}

// compare finds speech in a recording that began a second earlier and has
// silence at its end.
func compare(said, heard []float32) Report {
	early := origin.Add(-time.Second)
	tail := make([]float32, audio.SampleRate)
	return Compare(Track{said, origin}, Track{slices.Concat(audiotest.Delayed(heard, audio.SampleRate), tail), early}, time.Second)
}

// skipUnderRaceDetector leaves out what is one goroutine's arithmetic, and takes
// minutes then.
func skipUnderRaceDetector(t *testing.T) {
	t.Helper()
	if audiotest.UnderRaceDetector() {
		t.Skip("SKIPPED, takes minutes under the race detector")
	}
}

func TestNothingIsMissedInWhatACodecKept(t *testing.T) {
	skipUnderRaceDetector(t)
	for _, who := range []string{"anna", "ben", "clara"} {
		for _, bitrate := range []int{12000, 32000} {
			pcm := speech(t, who)
			const late = 137 * time.Millisecond
			r := compare(pcm, audiotest.Delayed(coded(t, pcm, bitrate, none), audiotest.Samples(late)))
			if spoken := audiotest.Duration(float64(len(pcm))); time.Duration(len(r))*Frame < spoken*8/10 {
				t.Errorf("%s: %d moments of speech in %v", who, len(r), spoken)
			}
			if n := r.Lost(); n > 0 {
				t.Errorf("%s at %d b/s: %d of %d moments lost, in gaps %v", who, bitrate, n, len(r), r.Gaps())
			}
			// A single moment may be mistaken for one some periods on.
			slices.SortFunc(r, func(a, b Moment) int { return int(a.Delay - b.Delay) })
			if own := r[len(r)/2].Delay - late; own < 5*time.Millisecond || own > 8*time.Millisecond {
				t.Errorf("%s at %d b/s: delay %v, want %v and the codec's 6.4 ms", who, bitrate, own+late, late)
			}
		}
	}
}

func TestGapsAreAsLongAsTheyAre(t *testing.T) {
	skipUnderRaceDetector(t)
	pcm := speech(t, "anna")
	clean := coded(t, pcm, 32000, none)
	for _, c := range []struct {
		name   string
		length time.Duration
		rec    []float32
		slack  time.Duration // how much shorter a gap may seem
	}{
		{"silence of 60 ms", 60 * time.Millisecond, silenced(clean, 2*time.Second, 60*time.Millisecond), 40 * time.Millisecond},
		{"silence of 200 ms", 200 * time.Millisecond, silenced(clean, 2*time.Second, 200*time.Millisecond), 40 * time.Millisecond},
		{"silence of 1.5 s", 1500 * time.Millisecond, silenced(clean, 2*time.Second, 1500*time.Millisecond), 40 * time.Millisecond},
		// The beginning of a concealment is a good imitation.
		{"10 packets concealed", 200 * time.Millisecond, coded(t, pcm, 32000, func(n int) bool { return n >= 100 && n < 110 }), 80 * time.Millisecond},
		{"50 packets concealed", time.Second, coded(t, pcm, 32000, func(n int) bool { return n >= 100 && n < 150 }), 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(pcm, c.rec)
			gap, want := r.Longest(), origin.Add(2*time.Second)
			if gap.Length() < c.length-c.slack || gap.Length() > c.length+2*Frame {
				t.Errorf("the longest gap is %v, want %v", gap.Length(), c.length)
			}
			if off := gap.From.Sub(want); off < -Frame || off > c.slack+Frame {
				t.Errorf("it begins %v late", off)
			}
			if rest := slices.Concat(r.Between(origin, want.Add(-Frame)), r.Between(want.Add(c.length+2*Frame), want.Add(time.Minute))); rest.Lost() > 0 || len(rest) == 0 {
				t.Errorf("%d of %d moments lost outside the gap", rest.Lost(), len(rest))
			}
		})
	}
}

func TestChangesOfDelay(t *testing.T) {
	pcm := speech(t, "anna")
	clean := coded(t, pcm, 32000, none)
	cut, step := 2*audio.SampleRate, audiotest.Samples(120*time.Millisecond)
	for _, c := range []struct {
		name string
		rec  []float32
		lost [2]int // at least, at most
	}{
		{"grows, nothing lost", slices.Concat(clean[:cut], make([]float32, step), clean[cut:]), [2]int{0, 1}},
		{"shrinks, 120 ms left out", slices.Concat(clean[:cut], clean[cut+step:]), [2]int{3, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Room for what comes earlier than it was said.
			r := compare(pcm, audiotest.Delayed(c.rec, audiotest.Samples(200*time.Millisecond)))
			if n := r.Lost(); n < c.lost[0] || n > c.lost[1] {
				t.Errorf("%d moments lost, want %d to %d; gaps %v", n, c.lost[0], c.lost[1], r.Gaps())
			}
		})
	}
}

// Speech that was made shorter to come down to a lower delay, pitch period by
// pitch period, was heard all the same.
func TestNothingIsMissedInWhatWasStretched(t *testing.T) {
	skipUnderRaceDetector(t)
	for _, who := range []string{"anna", "ben", "clara"} {
		pcm := speech(t, who)
		clean := coded(t, pcm, 32000, none)
		for _, phase := range []int{0, 3} {
			var heard []float32
			rest, shorter := clean, 0
			for n := 0; len(rest) >= 3*audio.BlockSamples; n++ {
				piece := slices.Clone(rest[:3*audio.BlockSamples])
				rest = rest[len(piece):]
				if n%20 == 4*phase { // once in 600 ms
					short := stretch.Accelerate(piece, stretch.MaxChange, false)
					shorter += len(piece) - short
					piece = piece[:short]
				}
				heard = append(heard, piece...)
			}
			if shorter < 5*audio.SampleRate/200 {
				t.Fatalf("%s: only %d samples were taken away", who, shorter)
			}
			// It can't be early: the whole recording is late by what is taken away.
			r := compare(pcm, audiotest.Delayed(heard, shorter))
			if n := r.Lost(); n > 0 {
				t.Errorf("%s, phase %d: %d of %d moments lost, in gaps %v", who, phase, n, len(r), r.Gaps())
			}
		}
	}
}

func TestSilenceAndOtherSpeechAreNotHeard(t *testing.T) {
	pcm := speech(t, "anna")
	if r := compare(pcm, make([]float32, len(pcm))); len(r) == 0 || r.Lost() != len(r) {
		t.Errorf("%d of %d moments lost in silence", r.Lost(), len(r))
	}
	if r := compare(pcm, speech(t, "clara")); r.Lost() < len(r)*9/10 {
		t.Errorf("%d of %d moments lost in another's speech", r.Lost(), len(r))
	}
	if _, ok := compare(pcm, speech(t, "clara")).First(origin); ok {
		t.Error("first heard in another's speech")
	}
	if r := Compare(Track{pcm, origin}, Track{nil, origin}, time.Second); len(r) != 0 {
		t.Errorf("%d moments of a recording without a sample", len(r))
	}
}

func TestFirstIsInTheListenersTime(t *testing.T) {
	pcm := speech(t, "clara")
	const late = 90 * time.Millisecond
	rec := audiotest.Delayed(silenced(coded(t, pcm, 32000, none), 0, 1700*time.Millisecond), audiotest.Samples(late))
	r := compare(pcm, rec)
	want := origin.Add(1700*time.Millisecond + late)
	for _, after := range []time.Time{{}, origin, want.Add(-10 * time.Millisecond)} {
		first, ok := r.First(after)
		if off := first.Sub(want); !ok || off < -Frame || off > 2*Frame {
			t.Errorf("first heard after %v at %v, want %v", after, first, want)
		}
	}
	if first, ok := r.First(want.Add(2 * time.Second)); !ok || first.Before(want.Add(2*time.Second)) || first.After(want.Add(2*time.Second+time.Second/2)) {
		t.Errorf("first heard two seconds later at %v", first)
	}
	if _, ok := r.First(want.Add(time.Hour)); ok {
		t.Error("something was heard after the end")
	}
}

func TestGapsBridgePausesButDoNotBeginOrEndInThem(t *testing.T) {
	at := func(n int) time.Time { return origin.Add(time.Duration(n) * Frame) }
	r := Report{
		{At: at(0)},
		{At: at(1), Heard: true},
		{At: at(2), Heard: true},
		{At: at(12)},
		{At: at(13)},
		{At: at(30)},
		{At: at(50), Heard: true},
		{At: at(51)},
	}
	want := []Gap{{at(0), at(1)}, {at(12), at(31)}, {at(51), at(52)}}
	if got := r.Gaps(); !slices.Equal(got, want) {
		t.Errorf("gaps %v, want %v", got, want)
	}
	if got := r.Longest(); got != want[1] || got.Length() != 19*Frame {
		t.Errorf("longest %v, want %v", got, want[1])
	}
	if got := r.Lost(); got != 5 {
		t.Errorf("%d lost, want 5", got)
	}
	if got := r.Between(at(12), at(30)); len(got) != 2 {
		t.Errorf("%d moments from 12 on and before 30, want 2", len(got))
	}
	if got := (Report{{At: at(0), Heard: true}}).Longest(); got.Length() != 0 {
		t.Errorf("a gap of %v where all was heard", got.Length())
	}
}
