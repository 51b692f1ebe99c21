package integration_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// latencyBars are what a call through devices must keep to.
type latencyBars struct {
	most      time.Duration // from mouth to ear
	wrong     time.Duration // that the session's estimate may be
	faults    uint64        // underruns and overruns in 10 s
	concealed float64       // share
	calls     int           // of which one must meet all bars together
}

// From one's mouth to the other's ear on a link without delay: chirps are played
// into the microphone, and both what the microphone hears and what the speaker
// plays are recorded on one time line. The bars are those of make latency, which
// measures: virtual devices keep the processor's time, so that each wake-up that
// came late is an underrun. Without it only what no late wake-up explains is a
// fault.
func TestMouthToEar(t *testing.T) {
	skipUnderRaceDetector(t)
	measured := os.Getenv("PARLEY_LAB") == "latency"
	for _, c := range []struct {
		name     string
		lowDelay bool
		most     time.Duration
	}{
		{"default", false, 75 * time.Millisecond},
		{"low delay", true, 50 * time.Millisecond},
	} {
		bars := latencyBars{most: c.most, wrong: 10 * time.Millisecond, concealed: 0.001, calls: 4}
		if !measured {
			bars = latencyBars{most: c.most * 3 / 2, wrong: 20 * time.Millisecond, faults: 20, concealed: 0.02, calls: 2}
		}
		t.Run(c.name, func(t *testing.T) {
			leavesNothing(t)
			shareProcessors(t)
			measureLatency(t, c.lowDelay, bars)
		})
	}
}

// shareProcessors lets goroutines run as if each of the two callers had a process of
// its own that does as examples/chat does; here they have one together.
func shareProcessors(t *testing.T) {
	was := runtime.GOMAXPROCS(2 * max(4, runtime.NumCPU()))
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
}

// chirpsACall is how often the delay is measured in one call. A sound server whose
// clock is this machine's keeps the longer buffers that it took to when it was late
// once, so that another call, through another server, tells more than a third time.
const chirpsACall = 2

func measureLatency(t *testing.T, lowDelay bool, bars latencyBars) {
	t.Helper()
	for call := 1; ; call++ {
		var faults []string
		var busy float64
		t.Run(fmt.Sprintf("call %d", call), func(t *testing.T) {
			server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
			server.Setenv()
			ends := phone(t, server, func(_ int, cfg *parley.Config) { cfg.LowDelay, cfg.Clean = lowDelay, parley.Clean{} })
			for attempt := range chirpsACall {
				if attempt > 0 {
					t.Logf("again, because of %s", strings.Join(faults, "; "))
				}
				faults, busy = judgeLatency(t, server, ends, bars)
				if len(faults) == 0 {
					return
				}
			}
		})
		switch {
		case t.Failed() || len(faults) == 0:
			return
		case call < bars.calls:
			t.Logf("another call, because of %s", strings.Join(faults, "; "))
		case busy < maxBusy:
			t.Fatal(strings.Join(faults, "; "))
		default:
			t.Skipf("NOT JUDGED: other programs took %.0f %% of the machine, and %s", 100*busy, strings.Join(faults, "; "))
		}
	}
}

// judgeLatency measures both directions once.
func judgeLatency(t *testing.T, server *pulsetest.Server, ends [2]*caller, bars latencyBars) (faults []string, busy float64) {
	t.Helper()
	late := watchTimers()
	results, busy, own := chirpBothWays(t, server, ends)
	t.Logf("one timer in a hundred was %v late", late())
	for i, r := range results {
		t.Logf("%d to %d: %v", i, 1-i, r)
		faults = append(faults, r.faults(bars)...)
	}
	t.Logf("this test took %.0f %% of the machine, other programs %.0f %%", 100*own, 100*busy)
	return faults, busy
}

// watchTimers notes how late timers of 5 ms are until the returned function is called,
// which tells what one in a hundred of them exceeded.
func watchTimers() (late func() time.Duration) {
	quit, done := make(chan struct{}), make(chan struct{})
	var all []time.Duration
	go func() {
		defer close(done)
		for {
			due := time.Now().Add(5 * time.Millisecond)
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
				all = append(all, time.Since(due))
			}
		}
	}()
	return func() time.Duration {
		close(quit)
		<-done
		slices.Sort(all)
		return all[len(all)*99/100]
	}
}

// chirpResult is what one direction was measured to take.
type chirpResult struct {
	chirps              []time.Duration // each from mouth to ear, sorted
	arrived             int             // chirps, those included that were stretched
	said                time.Duration   // what the listener's statistics estimate, median
	target              time.Duration   // of the jitter buffer, median
	buffer              time.Duration   // mean delay of a sample in the jitter buffer
	rtt                 time.Duration
	microphone, speaker time.Duration // what the devices report
	underruns           uint64
	overruns            uint64
	concealed           float64 // share
}

func (l chirpResult) median() time.Duration { return l.chirps[len(l.chirps)/2] }

func (l chirpResult) String() string {
	if len(l.chirps) == 0 {
		return "no chirps arrived"
	}
	return fmt.Sprintf("mouth to ear %.1f ms (%.1f to %.1f, %d chirps), the session says %.1f; jitter buffer %.1f, its target %.1f; microphone %.1f, speaker %.1f, round trip %.1f ms; %d underruns, %d overruns, %.2f %% concealed",
		inMillis(l.median()), inMillis(l.chirps[0]), inMillis(l.chirps[len(l.chirps)-1]), len(l.chirps), inMillis(l.said), inMillis(l.buffer), inMillis(l.target),
		inMillis(l.microphone), inMillis(l.speaker), inMillis(l.rtt), l.underruns, l.overruns, 100*l.concealed)
}

func inMillis(d time.Duration) float64 { return d.Seconds() * 1000 }

// faults says what is wrong with the result.
func (l chirpResult) faults(bars latencyBars) []string {
	if l.arrived < chirps || len(l.chirps) < chirps/2 {
		return []string{fmt.Sprintf("of %d chirps %d arrived, and %d whole", chirps, l.arrived, len(l.chirps))}
	}
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if l.median() > bars.most {
		fault("%v from mouth to ear, want at most %v", l.median(), bars.most)
	}
	if wrong := (l.said - l.median()).Abs(); wrong > bars.wrong {
		fault("%v from mouth to ear, and the session says %v", l.median(), l.said)
	}
	if l.underruns+l.overruns > bars.faults {
		fault("%d underruns and %d overruns", l.underruns, l.overruns)
	}
	if l.concealed > bars.concealed {
		fault("%.2f %% concealed", 100*l.concealed)
	}
	return faults
}

// How chirps are played. The interval is no multiple of a frame, so that a chirp
// begins anywhere in one. The first ones aren't measured, for 6 s: the jitter buffer
// comes down from the delay that it starts with, and from what the start of two
// sessions in one process looks like to it.
const (
	chirpsBefore  = 14
	chirps        = 8
	chirpInterval = 473 * time.Millisecond
	chirpPause    = 200 * time.Millisecond // before the first one
)

// chirpBothWays has both sides hear chirps at the same time. busy is the share of
// the machine that other programs took meanwhile, own that of this test.
func chirpBothWays(t *testing.T, server *pulsetest.Server, ends [2]*caller) (results [2]chirpResult, busy, own float64) {
	t.Helper()
	before := busyNow(server)
	var mouths, ears [2]*tape
	for i, c := range ends {
		mouths[i] = tapeOf(t, server, c.machine.MicrophoneSource)
		ears[i] = tapeOf(t, server, c.machine.EarSource)
	}
	chirp := audiotest.Chirp(audiotest.ChirpConfig{})
	pcm := audiotest.Delayed(audiotest.Repeat(chirp, chirpInterval, (chirpsBefore+chirps)*chirpInterval), audiotest.Samples(chirpPause))
	var began [2]sideStats
	for i := range ends {
		began[i] = readSide(ends[i])
	}
	var waits []func()
	for _, c := range ends {
		waits = append(waits, speakInto(t, server, c.machine.MouthSink, pcm).wait)
	}
	time.Sleep(chirpPause + chirpsBefore*chirpInterval)
	watch := startWatch(ends)
	for _, wait := range waits {
		wait()
	}
	time.Sleep(300 * time.Millisecond) // for the last chirp to arrive
	watch.end()
	for i := range ends {
		mouths[i].stop()
		ears[i].stop()
	}
	busy, own = busyNow(server).since(before)
	for i := range ends {
		talker, listener := i, 1-i
		r := &results[i]
		r.chirps, r.arrived = chirpDelays(chirp, pcm, mouths[talker], ears[listener])
		r.said, r.target, r.rtt = watch.medians(listener)
		now, was := readSide(ends[listener]), began[listener]
		r.buffer, r.concealed = now.buffered(was), now.concealed(was)
		r.underruns = now.underruns - was.underruns
		r.overruns = now.overruns - was.overruns
		r.microphone = ends[talker].Stats().Microphone.Latency
		r.speaker = ends[listener].Stats().Speaker.Latency
	}
	return results, busy, own
}

// How sure a chirp must be to have arrived (0.22 comes by chance), and for its
// delay to be judged: one that was stretched on its way has a delay at its
// beginning and another at its end.
const (
	chirpArrived = 0.35
	chirpWhole   = 0.7
)

// chirpDelays finds the chirps in both recordings. It returns how long those took
// that came whole, in order of size, and how many arrived.
func chirpDelays(chirp, all []float32, mouth, ear *tape) (took []time.Duration, arrived int) {
	first := audiotest.Find(all, mouth.from(0))
	if first.Confidence < 0.99 {
		return nil, 0 // the microphone hears exactly what was played
	}
	window := audiotest.Samples(chirpInterval / 2)
	for i := range chirps {
		at := samplesIn(first.Offset + chirpPause + time.Duration(chirpsBefore+i)*chirpInterval)
		spoken := mouth.when(at)
		from := ear.at(spoken)
		heard := ear.from(from)
		m := audiotest.Find(chirp, heard[:min(window, len(heard))])
		if m.Confidence >= chirpArrived {
			arrived++
		}
		if m.Confidence < chirpWhole {
			continue
		}
		took = append(took, ear.when(float64(from)+samplesIn(m.Offset)).Sub(spoken))
	}
	slices.Sort(took)
	return took, arrived
}

func samplesIn(d time.Duration) float64 { return d.Seconds() * audio.SampleRate }

// sideStats are the counters of a caller, of the other's voice and of devices.
type sideStats struct {
	delay               time.Duration
	played, guessed     uint64
	underruns, overruns uint64
}

func readSide(c *caller) sideStats {
	st := c.Stats()
	s := sideStats{
		underruns: st.Speaker.Faults.Underruns + st.Microphone.Faults.Underruns,
		overruns:  st.Speaker.Faults.Overruns + st.Microphone.Faults.Overruns,
	}
	if len(st.Peers) > 0 {
		j := st.Peers[0].Jitter
		s.delay, s.played, s.guessed = j.DelaySum, j.PlayedSamples, j.ConcealedSamples+j.DiscardedSamples
	}
	return s
}

func (s sideStats) buffered(was sideStats) time.Duration {
	return (s.delay - was.delay) / time.Duration(max(1, s.played-was.played))
}

func (s sideStats) concealed(was sideStats) float64 {
	guessed := float64(s.guessed - was.guessed)
	return guessed / max(1, float64(s.played-was.played)+guessed)
}

// watch looks at what both sides say while they talk.
type watch struct {
	quit, done chan struct{}
	said       [2][]time.Duration
	target     [2][]time.Duration
	rtt        [2][]time.Duration
}

func startWatch(ends [2]*caller) *watch {
	w := &watch{quit: make(chan struct{}), done: make(chan struct{})}
	go w.run(ends)
	return w
}

// run ends when quit is closed.
func (w *watch) run(ends [2]*caller) {
	defer close(w.done)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
		}
		for i, c := range ends {
			if p := c.peer(); p.Jitter.Delay > 0 {
				w.said[i] = append(w.said[i], p.MouthToEar)
				w.target[i] = append(w.target[i], p.Jitter.Target)
				w.rtt[i] = append(w.rtt[i], p.Path.RTT)
			}
		}
	}
}

func (w *watch) end() {
	close(w.quit)
	<-w.done
}

func (w *watch) medians(i int) (said, target, rtt time.Duration) {
	return medianOf(w.said[i]), medianOf(w.target[i]), medianOf(w.rtt[i])
}

func medianOf(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// maxBusy is the share of the machine that other programs may take for a
// measurement of delay to mean something.
const maxBusy = 0.1

// busyness is processor time in ticks: since the machine was started, and that
// of it which this test needed.
type busyness struct{ all, idle, own float64 }

// busyNow reads what Linux says of the processors.
func busyNow(server *pulsetest.Server) busyness {
	var b busyness
	stat, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(first) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 8 { // guest time is in user time already
			continue
		}
		b.all += n
		if i == 4 || i == 5 {
			b.idle += n
		}
	}
	b.own = ticksOf(os.Getpid()) + ticksOf(server.PID())
	return b
}

// ticksOf is the processor time of a process and of the children that it waited for.
func ticksOf(pid int) float64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	sum := 0.0
	for i := 11; i < min(15, len(fields)); i++ { // utime, stime, cutime, cstime
		n, _ := strconv.ParseFloat(fields[i], 64)
		sum += n
	}
	return sum
}

// since is the share of the machine that others took, and this test.
func (b busyness) since(was busyness) (others, own float64) {
	all, own := b.all-was.all, b.own-was.own
	if all <= 0 {
		return 0, 0
	}
	return (all - (b.idle - was.idle) - own) / all, own / all
}
