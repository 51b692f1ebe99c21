package portaudio_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// heard keeps what was heard, and finds in it what a person would notice.
type heard struct {
	mu  sync.Mutex
	pcm []float32
}

func (h *heard) add(pcm []float32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pcm = append(h.pcm, pcm...)
}

// since returns what was heard from a sample on.
func (h *heard) since(at int) []float32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]float32(nil), h.pcm[at:]...)
}

func (h *heard) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pcm)
}

// amplitude is how much of a tone there is in pcm.
func amplitude(pcm []float32, hz float64) float64 {
	var re, im float64
	for i, x := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audio.SampleRate)
		re += float64(x) * cos
		im += float64(x) * sin
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

// awaitMore waits until half a second more was heard, so that what it was before a
// change doesn't count.
func (h *heard) awaitMore() {
	for n := h.len(); h.len() < n+audio.SampleRate/2; {
		time.Sleep(5 * time.Millisecond)
	}
}

// await waits until the last 100 ms are of a tone of amplitude 0.25.
func (h *heard) await(t *testing.T, hz float64) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for h.len() < audio.SampleRate/10 || math.Abs(amplitude(h.since(h.len()-audio.SampleRate/10), hz)-0.25) > 0.03 {
		if time.Now().After(deadline) {
			n := h.len()
			t.Fatalf("%v Hz isn't heard: an amplitude of %.3f, after %d samples in all", hz, amplitude(h.since(max(n-audio.SampleRate/10, 0)), hz), n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gapAndStep are the longest silence in pcm and the largest step from a sample to the next.
func gapAndStep(pcm []float32) (gap time.Duration, step float64) {
	run, longest, before := 0, 0, float32(0)
	for i, x := range pcm {
		if math.Abs(float64(x)) < 0.01 {
			run++
		} else {
			run = 0
		}
		longest = max(longest, run)
		if i > 0 {
			step = max(step, math.Abs(float64(x-before)))
		}
		before = x
	}
	return time.Duration(longest) * time.Second / audio.SampleRate, step
}

// sine plays a tone of amplitude 0.25 into a sink until that is closed.
func sine(sink *portaudio.Sink, hz float64) {
	var b audio.StereoBlock
	for n := 0; ; {
		for i := range audio.BlockSamples {
			x := float32(0.25 * math.Sin(2*math.Pi*hz*float64(n)/audio.SampleRate))
			b[2*i], b[2*i+1] = x, x
			n++
		}
		if sink.WriteBlock(&b) != nil {
			return
		}
	}
}

// playInto has another process play a tone.
func playInto(t *testing.T, server *pulsetest.Server, sink string, hz float64) {
	t.Helper()
	pcm := make([]int16, 60*audio.SampleRate)
	for i := range pcm {
		pcm[i] = int16(math.Round(0.25 * 32768 * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate)))
	}
	player := server.Command("paplay", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--device="+sink, rawFile(t, pcm))
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = player.Process.Kill()
		_ = player.Wait()
	})
}

// recordFrom has another process record in mono what a device of PulseAudio hears.
func recordFrom(t *testing.T, server *pulsetest.Server, source string) *heard {
	t.Helper()
	recorder := server.Command("parec", "--raw", "--rate=48000", "--channels=1", "--format=float32le", "--latency-msec=10", "--device="+source)
	out, err := recorder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	h, ended := &heard{}, make(chan struct{})
	go func() {
		defer close(ended)
		raw, pcm := make([]byte, 4*audio.BlockSamples), make([]float32, audio.BlockSamples)
		for {
			if _, err := io.ReadFull(out, raw); err != nil {
				return
			}
			for i := range pcm {
				pcm[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
			h.add(pcm)
		}
	}()
	t.Cleanup(func() {
		_ = recorder.Process.Kill()
		<-ended
		_ = recorder.Wait()
	})
	return h
}

// longestGap is what a change of devices may take of what is said or heard, where
// the sound system takes its time to open the other one: as a rule it is nothing.
const longestGap = 250 * time.Millisecond

// A sine of 880 Hz and amplitude 0.25 makes steps of at most 0.029.
const mostStep = 0.05

// The reader of a microphone that is changed hears the one device, a dip, and the
// other one.
func TestMicrophoneIsChangedWhileItIsRead(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	tones := []float64{440, 880}
	for i, hz := range tones {
		playInto(t, server, server.Machine(i).MouthSink, hz)
	}
	events := make(chan portaudio.Event, 16)
	source, err := portaudio.OpenSource(portaudio.Config{Device: server.Machine(0).Microphone, OnEvent: func(ev portaudio.Event) { events <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	var h heard
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var b audio.Block
		for source.ReadBlock(&b) == nil {
			h.add(b[:])
		}
	}()
	defer func() {
		_ = source.Close()
		<-ended
	}()
	h.await(t, tones[0])
	stop := watchLag()
	at := h.len()
	var took [4]time.Duration
	for i := range took {
		began := time.Now()
		if err := source.SetDevice(server.Machine((i + 1) % 2).Microphone); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
		h.await(t, tones[(i+1)%2])
		if got := source.Device().Name; got != server.Machine((i+1)%2).Microphone {
			t.Errorf("the device in use is %q", got)
		}
	}
	lag := stop()
	gap, step := gapAndStep(h.since(at))
	t.Logf("SetDevice took %v; longest gap %v, largest step %.3f, %+v; the machine was up to %v late", took, gap, step, source.Faults(), lag)
	if gap > longestGap+lag {
		t.Errorf("a gap of %v", gap)
	}
	if step > mostStep && source.Faults() == (audio.Faults{}) { // a sound server that is late clicks by itself
		t.Errorf("a step of %.3f is a click", step)
	}
	for range took {
		if ev := <-events; ev.Kind != portaudio.Switched || ev.Fallback || ev.Reason != nil {
			t.Errorf("event %+v", ev)
		}
	}
}

// Two names of one speaker, so that one ear hears what both play.
func TestSpeakerIsChangedWhileItPlays(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{ExtraALSA: `
pcm.one { type pulse device speaker0 hint { show on description "one" } }
pcm.another { type pulse device speaker0 hint { show on description "another" } }
`})
	server.Setenv()
	sink, err := portaudio.OpenSink(portaudio.Config{Device: "one"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sine(sink, 440)
	}()
	defer func() {
		_ = sink.Close()
		<-ended
	}()
	h := recordFrom(t, server, server.Machine(0).EarSource)
	h.await(t, 440)
	stop, before := watchLag(), sink.Faults()
	at := h.len()
	for i := range 4 {
		if err := sink.SetDevice([]string{"another", "one"}[i%2]); err != nil {
			t.Fatal(err)
		}
		h.await(t, 440)
	}
	lag, faults := stop(), sink.Faults()
	gap, step := gapAndStep(h.since(at))
	t.Logf("longest gap %v, largest step %.3f, %+v; the machine was up to %v late", gap, step, faults, lag)
	if gap > longestGap+lag {
		t.Errorf("a gap of %v", gap)
	}
	if step > mostStep && faults.Underruns == before.Underruns {
		t.Errorf("a step of %.3f is a click", step)
	}
}

// watchLag measures how late the machine is until it is stopped.
func watchLag() (stop func() time.Duration) {
	var most atomic.Int64
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		const beat = 5 * time.Millisecond
		tick := time.NewTimer(beat)
		defer tick.Stop()
		for {
			began := time.Now()
			tick.Reset(beat)
			select {
			case <-quit:
				return
			case <-tick.C:
				most.Store(max(most.Load(), int64(time.Since(began)-beat)))
			}
		}
	}()
	return func() time.Duration {
		close(quit)
		<-ended
		return time.Duration(most.Load())
	}
}

func TestChangeToADeviceThatIsNotThere(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2, ExtraALSA: `
pcm.broken { type pulse device nowhere hint { show on description "names a sink that isn't there" } }
`})
	server.Setenv()
	m := server.Machine(0)
	p := openPairOn(t, m.Speaker, m.Ear)
	p.await(true, 10, 3*time.Second)
	for _, c := range []struct {
		name string
		want error
		text string
	}{
		{"gramophone", portaudio.ErrUnknownDevice, `"ALSA/speaker0", "ALSA/microphone0"`},
		{"broken", portaudio.ErrUnavailable, `"ALSA/broken"`},
	} {
		for _, end := range []interface{ SetDevice(string) error }{p.sink, p.source} {
			if err := end.SetDevice(c.name); !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("SetDevice(%q): %v, want %v with %s", c.name, err, c.want, c.text)
			}
		}
	}
	if p.sink.Device().Name != m.Speaker || p.source.Device().Name != m.Ear {
		t.Errorf("in use are %q and %q", p.sink.Device().Name, p.source.Device().Name)
	}
	if err := errors.Join(p.sink.SetDevice(m.Speaker), p.source.SetDevice(m.Ear)); err != nil {
		t.Errorf("SetDevice to the device in use: %v", err)
	}
	p.await(true, 10, 3*time.Second)
	p.close()
	for _, end := range []interface{ SetDevice(string) error }{p.sink, p.source} {
		if err := end.SetDevice(m.Speaker); !errors.Is(err, audio.ErrClosed) {
			t.Errorf("SetDevice after Close: %v, want ErrClosed", err)
		}
	}
}
