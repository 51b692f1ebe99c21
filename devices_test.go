package parley_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
	"github.com/parley-voice/parley/session"
)

// hearing is an audio.Sink that keeps the last second and the longest silence.
type hearing struct {
	mu      sync.Mutex
	last    []float32 // mono
	silence int       // samples, of now
	longest int       // samples, since the last mark
}

func (h *hearing) WriteBlock(b *audio.StereoBlock) error {
	var mono audio.Block
	audio.Downmix(&mono, b)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(mono[:])
	return nil
}

// add wants mu held.
func (h *hearing) add(pcm []float32) {
	for _, x := range pcm {
		if math.Abs(float64(x)) > 0.01 {
			h.silence = 0
		} else {
			h.silence++
		}
		h.longest = max(h.longest, h.silence)
	}
	h.last = append(h.last, pcm...)
	h.last = h.last[max(0, len(h.last)-audio.SampleRate):]
}

func (*hearing) Close() error { return nil }

func (h *hearing) mark() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.longest = 0
}

func (h *hearing) gap() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.longest) * time.Second / audio.SampleRate
}

// tone is the amplitude of a tone in the last 200 ms.
func (h *hearing) tone(hz float64) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	pcm := h.last[max(0, len(h.last)-audio.SampleRate/5):]
	var re, im float64
	for i, x := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audio.SampleRate)
		re, im = re+float64(x)*cos, im+float64(x)*sin
	}
	return 2 * math.Hypot(re, im) / float64(max(1, len(pcm)))
}

// await waits until a tone of amplitude 0.25 is heard.
func (h *hearing) await(t *testing.T, hz float64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); math.Abs(h.tone(hz)-0.25) > 0.05; {
		if time.Now().After(deadline) {
			t.Fatalf("%v Hz isn't heard: amplitude %.3f", hz, h.tone(hz))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// sing has a program play a tone of amplitude 0.25 into a device of PulseAudio.
func sing(t *testing.T, server *pulsetest.Server, sink string, hz float64) {
	t.Helper()
	raw := make([]byte, 0, 2*60*audio.SampleRate)
	for i := range cap(raw) / 2 {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(int16(8192*math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate))))
	}
	name := filepath.Join(t.TempDir(), "pcm.raw")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	player := server.Command("paplay", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--device="+sink, name)
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = player.Process.Kill()
		_ = player.Wait()
	})
}

// listen has a program record a device of PulseAudio.
func listen(t *testing.T, server *pulsetest.Server, source string) *hearing {
	t.Helper()
	recorder := server.Command("parec", "--raw", "--rate=48000", "--channels=2", "--format=float32le", "--latency-msec=10", "--device="+source)
	out, err := recorder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	h, ended := &hearing{}, make(chan struct{})
	go func() {
		defer close(ended)
		var b audio.StereoBlock
		for binary.Read(out, binary.LittleEndian, &b) == nil {
			if h.WriteBlock(&b) != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = recorder.Process.Kill()
		<-ended
		_ = recorder.Wait()
	})
	return h
}

// call joins a voice with devices and one that says a tone and keeps what it hears.
func call(t *testing.T, cfg parley.Config) (devices *parley.Voice, far *hearing) {
	t.Helper()
	far = &hearing{}
	a, b := newHost(t), newHost(t)
	devices, err := parley.New(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = devices.Close() })
	other, err := parley.New(b, parley.Config{
		OpenSource: func() (audio.Source, error) { return audio.NewTone(660, -12.04), nil },
		OpenSink:   func() (audio.Sink, error) { return far, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	a.Peerstore().AddAddrs(b.ID(), b.Addrs(), peerstore.PermanentAddrTTL)
	if err := errors.Join(devices.Start(t.Context()), other.Start(t.Context()), devices.PeerJoined(b.ID()), other.PeerJoined(a.ID())); err != nil {
		t.Fatal(err)
	}
	return devices, far
}

// mostGap is what the far end may miss while the microphone is changed; as a rule it
// misses nothing. The sound system may take its time to open the other one.
const mostGap = time.Second

func TestDevicesAreChangedInTheMiddleOfACall(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	tones := []float64{440, 880}
	var ears []*hearing
	for i, hz := range tones {
		sing(t, server, server.Machine(i).MouthSink, hz)
		ears = append(ears, listen(t, server, server.Machine(i).EarSource))
	}
	here := server.Machine(0)
	v, far := call(t, parley.Config{
		Microphone: here.Microphone, Speaker: here.Speaker,
		Clean: parley.Clean{Echo: parley.EchoOff, Noise: parley.Off, Gain: parley.Off},
	})
	far.await(t, tones[0])
	ears[0].await(t, 660)
	far.mark()
	for range 2 {
		for _, i := range []int{1, 0} {
			m := server.Machine(i)
			if err := errors.Join(v.SetMicrophone(m.Microphone), v.SetSpeaker(m.Speaker)); err != nil {
				t.Fatal(err)
			}
			far.await(t, tones[i])
			ears[i].await(t, 660)
			if v.Microphone() != m.Microphone || v.Speaker() != m.Speaker {
				t.Errorf("chosen are %q and %q", v.Microphone(), v.Speaker())
			}
		}
	}
	t.Logf("the far end missed at most %v", far.gap())
	if far.gap() > mostGap {
		t.Errorf("the far end missed %v", far.gap())
	}

	// What isn't there changes nothing, and is told with what there is.
	for _, err := range []error{v.SetMicrophone("gramophone"), v.SetSpeaker("gramophone")} {
		if !errors.Is(err, portaudio.ErrUnknownDevice) || !strings.Contains(err.Error(), here.Speaker) {
			t.Errorf("an unknown name: %v", err)
		}
	}
	if v.Microphone() != here.Microphone || v.Speaker() != here.Speaker {
		t.Errorf("after a name that isn't there %q and %q are chosen", v.Microphone(), v.Speaker())
	}

	// Back to the default ones, across Stop and Start too.
	server.SetDefault(1)
	if err := errors.Join(v.SetMicrophone(""), v.SetSpeaker("")); err != nil {
		t.Fatal(err)
	}
	far.await(t, tones[1])
	ears[1].await(t, 660)
	if err := v.Stop(); err != nil {
		t.Error(err)
	}
	if err := v.SetMicrophone("gramophone"); !errors.Is(err, portaudio.ErrUnknownDevice) {
		t.Errorf("an unknown name after Stop: %v", err)
	}
	if err := errors.Join(v.SetMicrophone(here.Microphone), v.SetSpeaker(here.Speaker)); err != nil {
		t.Errorf("after Stop: %v", err)
	}
}

// A call that began without devices is nobody's, and says why. Who chooses some then
// has them.
func TestDevicesAreChosenWhereThereWereNone(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	here := server.Machine(0)
	ear := listen(t, server, here.EarSource)
	sing(t, server, here.MouthSink, 440)
	v, far := call(t, parley.Config{
		Microphone: "a microphone that isn't there", Speaker: "a speaker that isn't there",
		Clean: parley.Clean{Echo: parley.EchoOff, Noise: parley.Off, Gain: parley.Off},
	})
	for range 2 {
		device := awaitDevice(t, v, false)
		if st := v.Stats(); st.Microphone.Open || st.Speaker.Open || !strings.Contains(device.Reason, here.Microphone) {
			t.Errorf("devices that aren't there: %+v, %+v, %+v", st.Microphone, st.Speaker, device)
		}
	}
	if err := errors.Join(v.SetMicrophone(here.Microphone), v.SetSpeaker(here.Speaker)); err != nil {
		t.Fatal(err)
	}
	far.await(t, 440)
	ear.await(t, 660)
	awaitDevice(t, v, true)
	awaitDevice(t, v, true)
	if st := v.Stats(); !st.Microphone.Open || !st.Speaker.Open || st.Microphone.Reason+st.Speaker.Reason != "" {
		t.Errorf("devices that were chosen: %+v, %+v", st.Microphone, st.Speaker)
	}
	if err := v.Stop(); err != nil {
		t.Error(err)
	}
}

// awaitDevice waits until the application is told that a device works, or doesn't.
func awaitDevice(t *testing.T, v *parley.Voice, working bool) session.DeviceChanged {
	t.Helper()
	for deadline := time.After(5 * time.Second); ; {
		select {
		case e := <-v.Events():
			if d, ok := e.(session.DeviceChanged); ok && d.Working == working {
				return d
			}
		case <-deadline:
			t.Fatalf("it isn't told that a device works: %t", working)
		}
	}
}

func TestNoDeviceToChooseWhereTheApplicationGivesTheSound(t *testing.T) {
	v, err := parley.New(newHost(t), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, err := range []error{v.SetMicrophone("headset"), v.SetSpeaker("")} {
		if !errors.Is(err, parley.ErrNoDevices) {
			t.Errorf("%v, want ErrNoDevices", err)
		}
	}
	if v.Microphone() != "" || v.Speaker() != "" {
		t.Errorf("chosen are %q and %q", v.Microphone(), v.Speaker())
	}
}
