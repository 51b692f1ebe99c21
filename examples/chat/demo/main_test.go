package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
)

var latencies = map[string]time.Duration{"anna": 80 * time.Millisecond, "ben": 120 * time.Millisecond, "clara": 95 * time.Millisecond}

func load(t *testing.T, name string) []float32 {
	t.Helper()
	pcm, err := audiotest.LoadWAV(filepath.Join("..", "..", "..", "testdata", "speech", name+".wav"))
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// add mixes in what a voice says again and again, each with its own latency, in a
// time since the beginning.
func add(t *testing.T, mix []float32, name string, from, to time.Duration) {
	t.Helper()
	voice := load(t, name)
	shift := audiotest.Samples(latencies[name])
	for i := audiotest.Samples(from); i < min(audiotest.Samples(to), len(mix)-shift); i++ {
		mix[i+shift] += voice[i%len(voice)]
	}
}

// The table's verdict: of two voices at once both are found, each with its own
// latency, and a third that isn't there is not, wherever in its sentence one begins to
// look.
func TestMeasureFindsWhoIsThereAndNobodyElse(t *testing.T) {
	if audiotest.UnderRaceDetector() {
		t.Skip("SKIPPED, nothing was tested: one goroutine's arithmetic")
	}
	t0 := time.Unix(1000, 0)
	for missing := range latencies {
		mix := make([]float32, audiotest.Samples(20*time.Second))
		for name := range latencies {
			if name != missing {
				add(t, mix, name, 0, 20*time.Second)
			}
		}
		for from := time.Duration(len(missing)) * 700 * time.Millisecond; from < 8*time.Second; from += 5 * time.Second {
			for name := range latencies {
				late, found := measure(load(t, name), t0, mix, t0, span{t0.Add(from), t0.Add(from + 7*time.Second)})
				want := "yes"
				if name == missing {
					want = "no"
				}
				if got := found.verdict(); got != want {
					t.Errorf("without %s, from %v: is %s heard? %s, %+v, want %s", missing, from, name, got, found, want)
				}
				if want == "yes" && (late-latencies[name]).Abs() > time.Millisecond {
					t.Errorf("without %s: %s is heard after %v, want %v", missing, name, late, latencies[name])
				}
			}
		}
	}
}

// judge says what is wrong: of who is to be heard and isn't, and of who is heard and
// isn't to be.
func TestALeakAndASilenceAreWrong(t *testing.T) {
	began := time.Unix(1000, 0)
	spans := []span{}
	for i := range parts {
		from := began.Add(time.Duration(8*i) * time.Second)
		spans = append(spans, span{from.Add(time.Second), from.Add(8 * time.Second)})
	}
	listener := evidence{speaker: &speaker{name: "ben", stats: writeStats(t)}}
	listener.final.OutT0 = float64(began.Unix())
	talker := evidence{speaker: &speaker{name: "anna", id: "12D3"}, said: load(t, "anna")}
	talker.final.InT0 = float64(began.Unix())
	for _, c := range []struct {
		name  string
		parts []int         // in which anna speaks to ben
		leak  time.Duration // for which ben hears her in the third part, though in no whisper
		wrong int
	}{
		{"as it should be", []int{0, 1}, 0, 0},
		{"the whisper leaks", []int{0, 1, 2}, 0, 1},
		{"a packet of the whisper leaks", []int{0, 1}, 20 * time.Millisecond, 1},
		{"the room is silent", []int{0}, 0, 1},
		{"all is wrong", []int{2}, 0, 3},
	} {
		listener.played = make([]float32, audiotest.Samples(25*time.Second))
		for _, i := range c.parts {
			add(t, listener.played, "anna", spans[i].from.Sub(began), spans[i].to.Sub(began))
		}
		at := spans[2].from.Sub(began) + 3*time.Second
		add(t, listener.played, "anna", at, at+c.leak)
		listener.began, listener.tracks = began, map[string][]float32{"12D3": listener.played} // nobody else speaks
		row, wrong, err := judge(listener, talker, spans)
		if err != nil || len(wrong) != c.wrong {
			t.Errorf("%s: %v, wrong is %q, want %d; %s", c.name, err, wrong, c.wrong, row)
		}
	}
}

// Each of the parts has somebody who hears, and all but the first somebody who is not
// to: else the demo would show nothing.
func TestThePartsDiffer(t *testing.T) {
	for i, p := range parts {
		pairs := 0
		for _, heard := range p.hears {
			pairs += len(heard)
		}
		if all := 6; pairs == 0 || (pairs == all) != (i == 0) {
			t.Errorf("%s: %d of 6 pairs hear each other", p.name, pairs)
		}
	}
}

func writeStats(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stats")
	if err := os.WriteFile(path, []byte(`{"t":1,"peers":{"12D3":{"path":"lan"}}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
