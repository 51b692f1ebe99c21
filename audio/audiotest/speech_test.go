//go:build !race

// Nothing here is concurrent, and the race detector makes arithmetic slow.

package audiotest

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

func TestBabbleIsLikeSpeech(t *testing.T) {
	for seed := range uint64(8) {
		pcm := Babble(seed, 20*time.Second)
		if len(pcm) != 20*audio.SampleRate {
			t.Fatalf("%d samples", len(pcm))
		}
		if !slices.Equal(pcm, Babble(seed, 20*time.Second)) || slices.Equal(pcm, Babble(seed+1, 20*time.Second)) {
			t.Errorf("seed %d: the seed doesn't decide", seed)
		}
		level := audio.Measure(pcm)
		talk := 0
		for _, s := range Spurts(pcm) {
			talk += s.To - s.From
		}
		share := float64(talk) / float64(len(pcm))
		t.Logf("seed %d: %+v, %d spurts, %.0f %% talk", seed, level, len(Spurts(pcm)), 100*share)
		if level.Peak > 0 || level.Peak < -20 || level.RMS < -32 || level.RMS > -15 {
			t.Errorf("seed %d: %+v", seed, level)
		}
		if share < 0.5 || share > 0.95 || len(Spurts(pcm)) < 5 {
			t.Errorf("seed %d: %d spurts, %.2f of the time", seed, len(Spurts(pcm)), share)
		}
	}
}

func TestRecordedSpeech(t *testing.T) {
	phrases := Speech(t)
	if len(phrases) != 8 {
		t.Errorf("%d phrases", len(phrases))
	}
	for _, p := range phrases {
		d := Duration(float64(len(p.PCM)))
		if level := audio.Measure(p.PCM); level.RMS < -40 || d < time.Second || d > 3*time.Second {
			t.Errorf("%s: %v, %+v", p.Name, d, level)
		}
	}
}

// fakeTB notes what Speech does to a test.
type fakeTB struct{ skipped, failed bool }

func (f *fakeTB) Helper()               {}
func (f *fakeTB) Skipf(string, ...any)  { f.skipped = true }
func (f *fakeTB) Fatalf(string, ...any) { f.failed = true }

func TestSpeechSkipsOrLoads(t *testing.T) {
	var tb fakeTB
	phrases := Speech(&tb)
	if tb.failed || tb.skipped == (len(phrases) > 0) {
		t.Errorf("%+v with %d phrases", tb, len(phrases))
	}
}

func TestSourceAndSink(t *testing.T) {
	pcm := noise(1000, 1, 0.5)
	src, sink := NewSource(pcm), &Sink{}
	for {
		var b audio.Block
		if err := src.ReadBlock(&b); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		var s audio.StereoBlock
		audio.Upmix(&s, &b)
		if err := sink.WriteBlock(&s); err != nil {
			t.Fatal(err)
		}
	}
	got := sink.Mono()
	if len(got) != 1440 || !slices.Equal(got[:1000], pcm) || src.Blocks() != 3 || sink.Blocks() != 3 || len(sink.Stereo()) != 2880 {
		t.Errorf("%d samples in %d and %d blocks", len(got), src.Blocks(), sink.Blocks())
	}
	broken := errors.New("broken")
	src.Fail(broken)
	sink.Fail(broken)
	if err := src.ReadBlock(&audio.Block{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := sink.WriteBlock(&audio.StereoBlock{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := errors.Join(src.Close(), sink.Close(), src.Close(), sink.Close()); err != nil {
		t.Error(err)
	}
	if err := src.ReadBlock(&audio.Block{}); !errors.Is(err, audio.ErrClosed) || !src.Closed() {
		t.Error(err)
	}
	if err := sink.WriteBlock(&audio.StereoBlock{}); !errors.Is(err, audio.ErrClosed) || !sink.Closed() {
		t.Error(err)
	}
}

func TestLoopHasNoGap(t *testing.T) {
	pcm := noise(700, 1, 0.5)
	got, err := Read(NewLoop(pcm), 20)
	if err != nil || len(got) != 9600 {
		t.Fatal(len(got), err)
	}
	for i, x := range got {
		if x != pcm[i%700] {
			t.Fatalf("sample %d is %v", i, x)
		}
	}
	if got, err := Read(NewLoop(nil), 20); err != nil || len(got) != 0 {
		t.Errorf("a loop of nothing: %d, %v", len(got), err)
	}
}

func TestRepeatAndDelayed(t *testing.T) {
	got := Repeat([]float32{1, 2, 3}, Duration(5), Duration(12))
	if want := []float32{1, 2, 3, 0, 0, 1, 2, 3, 0, 0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Delayed([]float32{1, 2}, 2); !slices.Equal(got, []float32{0, 0, 1, 2}) {
		t.Errorf("got %v", got)
	}
	if got := Delayed([]float32{1, 2}, -1); !slices.Equal(got, []float32{2}) {
		t.Errorf("got %v", got)
	}
	if got := Delayed([]float32{1, 2}, -5); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
