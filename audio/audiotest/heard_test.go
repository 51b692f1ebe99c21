//go:build !race

// Nothing here is concurrent, and the race detector makes arithmetic slow.

package audiotest

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

func TestHeardTellsSentencesApart(t *testing.T) {
	phrases := Speech(t)
	lowest, highest := 1.0, 0.0
	for i, said := range phrases {
		for k, p := range phrases {
			rec := Delayed(scaled(dropped(p.PCM, 0.1, uint64(k)), 0.2), 23456)
			rec = plus(append(rec, make([]float32, 20000)...), noise(len(rec), 1, 0.001))
			h := Heard(said.PCM, rec)
			if i == k {
				lowest = min(lowest, h.Similarity)
				if d := h.Offset - Duration(23456); !h.Heard || d.Abs() > 15*time.Millisecond {
					t.Errorf("%s: %+v, off by %v", said.Name, h, d)
				}
				continue
			}
			highest = max(highest, h.Similarity)
			if h.Heard {
				t.Errorf("%s heard in %s: %+v", said.Name, p.Name, h)
			}
		}
	}
	t.Logf("the same phrase with 10 %% of its frames lost: at least %.3f, another: at most %.3f", lowest, highest)
}

func TestHeardInLongSpeech(t *testing.T) {
	ref := Babble(1, 20*time.Second)
	rec := append(make([]float32, 5*audio.SampleRate), ref[:10*audio.SampleRate]...)
	rec = append(rec, make([]float32, 2400)...) // the delay grows by 50 ms
	rec = append(rec, ref[10*audio.SampleRate:]...)
	if h := Heard(ref, rec); !h.Heard || h.Similarity < 0.9 || (h.Offset-5*time.Second).Abs() > 60*time.Millisecond {
		t.Errorf("whole: %+v", h)
	}
	half := append([]float32(nil), rec...)
	clear(half[10*audio.SampleRate:])
	if h := Heard(ref, half); h.Heard {
		t.Errorf("a quarter of it is enough: %+v", h)
	}
	for seed := uint64(2); seed < 6; seed++ {
		if h := Heard(Babble(seed, 4*time.Second), rec); h.Heard {
			t.Errorf("seed %d heard in another: %+v", seed, h)
		}
	}
	for name, rec := range map[string][]float32{"silence": make([]float32, 96000), "nothing": nil, "noise": noise(480000, 1, 0.3)} {
		if h := Heard(ref[:96000], rec); h.Heard || h.Similarity > 0.5 {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := Heard(nil, rec); h.Heard {
		t.Errorf("nothing was heard: %+v", h)
	}
}

func BenchmarkHeardInAMinute(b *testing.B) {
	rec := Babble(1, time.Minute)
	ref := rec[20*audio.SampleRate : 23*audio.SampleRate]
	for b.Loop() {
		Heard(ref, rec)
	}
}
