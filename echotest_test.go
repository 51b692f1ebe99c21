package parley_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
	"github.com/parley-voice/parley/session"
)

// sentence opens a recorded one.
func sentence() (audio.Source, error) {
	file, err := audio.OpenWAV("testdata/speech/anna.wav")
	return file, err
}

// recorder is a sink that keeps all, and when its first block was written.
type recorder struct {
	pcm    []float32
	closed bool
}

func (r *recorder) WriteBlock(b *audio.StereoBlock) error {
	var mono audio.Block
	audio.Downmix(&mono, b)
	r.pcm = append(r.pcm, mono[:]...)
	return nil
}

func (r *recorder) Close() error {
	r.closed = true
	return nil
}

// power is the energy of what was heard between two times.
func (r *recorder) power(from, to time.Duration) (sum float64) {
	at := func(d time.Duration) int { return min(len(r.pcm), int(d*audio.SampleRate/time.Second)) }
	for _, x := range r.pcm[at(from):at(to)] {
		sum += float64(x) * float64(x)
	}
	return sum
}

func TestEchoComesBackOnceAndLater(t *testing.T) {
	for _, lowDelay := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			out := &recorder{}
			var listen, back time.Time
			began := time.Now()
			r, err := parley.EchoTest(t.Context(), parley.Config{
				OpenSource: sentence,
				OpenSink:   func() (audio.Sink, error) { return out, nil },
				LowDelay:   lowDelay,
			}, parley.EchoConfig{
				Duration: 4 * time.Second,
				OnListen: func() { listen = time.Now() },
				OnReturn: func() { back = time.Now() },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", r)
			if !r.Heard || r.Similarity < 0.9 {
				t.Errorf("report %+v", r)
			}
			// What is reported against where quarters of a second are in what was heard.
			said, err := audiotest.LoadWAV("testdata/speech/anna.wav")
			if err != nil {
				t.Fatal(err)
			}
			returned, mean, n := listen.Sub(began)+4500*time.Millisecond, time.Duration(0), 0
			for at := 0; at+audio.SampleRate/4 <= min(len(said), 4*audio.SampleRate); at += audio.SampleRate / 4 {
				if m := audiotest.FindWithin(said[at:at+audio.SampleRate/4], out.pcm, returned+time.Duration(at)*time.Second/audio.SampleRate, returned+time.Duration(at)*time.Second/audio.SampleRate+300*time.Millisecond); m.Confidence > 0.7 {
					mean += m.Offset - returned - time.Duration(at)*time.Second/audio.SampleRate
					n++
				}
			}
			if mean /= time.Duration(max(1, n)); n < 10 || (r.Delay-mean).Abs() > 15*time.Millisecond {
				t.Errorf("it reports a delay of %v, in %d places it is %v on average", r.Delay, n, mean)
			}
			if r.Concealed > 0.01 || r.Lost > 0 || math.Abs(r.Said-r.Back) > 3 || r.Said < -40 || r.Speaker != "" {
				t.Errorf("report %+v", r)
			}
			if got := back.Sub(listen); got != 4500*time.Millisecond {
				t.Errorf("it comes back %v after it listens", got)
			}
			// Nothing is heard while somebody speaks, then all of it.
			at := listen.Sub(began)
			before, after := out.power(0, at+4400*time.Millisecond), out.power(at+4500*time.Millisecond, time.Hour)
			if before > 0.001*after || after == 0 {
				t.Errorf("energy %.3f was heard before, %.3f after", before, after)
			}
			if !out.closed {
				t.Error("the sink is still open")
			}
		})
	}
}

// Silence, and what is like silence, is not taken for an echo.
func TestWhatIsNotSaidIsNotHeard(t *testing.T) {
	for name, open := range map[string]func() (audio.Source, error){
		"silence": func() (audio.Source, error) { return &audio.Silence{}, nil },
		"a file that ended before": func() (audio.Source, error) {
			file, err := audio.OpenWAV("testdata/speech/anna.wav")
			if err != nil {
				return nil, err
			}
			var b audio.Block
			for file.ReadBlock(&b) == nil {
				continue
			}
			return file, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, err := parley.EchoTest(t.Context(), parley.Config{OpenSource: open, OpenSink: func() (audio.Sink, error) { return &audio.Null{}, nil }}, parley.EchoConfig{Duration: time.Second})
			if err != nil || r.Heard || r.Delay != 0 || r.Said != audio.FloorDBFS {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		})
	}
}

var errUnplugged = errors.New("unplugged")

func TestEchoTestThatCannotBe(t *testing.T) {
	null := func() (audio.Sink, error) { return &audio.Null{}, nil }
	broken := func() (audio.Source, error) { return nil, errUnplugged }
	for _, c := range []struct {
		name string
		cfg  parley.Config
		echo parley.EchoConfig
		want error
		text string
	}{
		{"no microphone", parley.Config{OpenSource: broken, OpenSink: null}, parley.EchoConfig{}, parley.ErrNoMicrophone, "unplugged"},
		{"nil for one", parley.Config{OpenSource: func() (audio.Source, error) { return nil, nil }, OpenSink: null}, parley.EchoConfig{}, parley.ErrNoMicrophone, "no microphone"},
		{"too short", parley.Config{OpenSource: sentence, OpenSink: null}, parley.EchoConfig{Duration: time.Millisecond}, session.ErrConfig, "1ms"},
		{"too long", parley.Config{OpenSource: sentence, OpenSink: null}, parley.EchoConfig{Duration: time.Hour}, session.ErrConfig, "1h"},
		{"unknown cleaning", parley.Config{OpenSource: sentence, OpenSink: null, Clean: parley.Clean{Gain: 9}}, parley.EchoConfig{}, session.ErrConfig, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			if _, err := parley.EchoTest(t.Context(), c.cfg, c.echo); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := parley.EchoTest(ctx, parley.Config{OpenSource: sentence, OpenSink: null}, parley.EchoConfig{Duration: 30 * time.Second})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 4*time.Second {
			t.Errorf("given up after %v: %v", took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r, err := parley.EchoTest(t.Context(), parley.Config{OpenSource: sentence, OpenSink: func() (audio.Sink, error) { return nil, errUnplugged }}, parley.EchoConfig{})
		if err != nil || !r.Heard || r.Speaker != "unplugged" {
			t.Errorf("without a speaker: %+v, %v", r, err)
		}
	})
}

func TestMicrophoneIsChecked(t *testing.T) {
	quiet := func() (audio.Source, error) {
		file, err := sentence()
		return scaled{file, 0.01}, err
	}
	for _, c := range []struct {
		name string
		open func() (audio.Source, error)
		want audio.Verdict
	}{
		{"a voice", sentence, audio.Good},
		{"a quiet one", quiet, audio.TooQuiet},
		{"nothing", func() (audio.Source, error) { return &audio.Silence{}, nil }, audio.Dead},
	} {
		// What Clean would do to it doesn't count.
		r, err := parley.CheckMicrophone(t.Context(), parley.Config{OpenSource: c.open, Clean: parley.Clean{Gain: parley.On}}, 5*time.Second)
		if err != nil || r.Verdict != c.want {
			t.Errorf("%s: %s, %v", c.name, r, err)
		}
	}
	for _, c := range []struct {
		open func() (audio.Source, error)
		d    time.Duration
		want error
	}{
		{func() (audio.Source, error) { return nil, errUnplugged }, time.Second, errUnplugged},
		{func() (audio.Source, error) { return nil, nil }, time.Second, parley.ErrNoMicrophone},
		{func() (audio.Source, error) { return scaled{failing{}, 1}, nil }, time.Second, errUnplugged},
		{sentence, 0, session.ErrConfig},
		{sentence, time.Hour, session.ErrConfig},
	} {
		if _, err := parley.CheckMicrophone(t.Context(), parley.Config{OpenSource: c.open}, c.d); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := parley.CheckMicrophone(over, parley.Config{OpenSource: sentence}, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// scaled is a source made quieter.
type scaled struct {
	audio.Source
	gain float32
}

func (s scaled) ReadBlock(b *audio.Block) error {
	err := s.Source.ReadBlock(b)
	for i := range b {
		b[i] *= s.gain
	}
	return err
}

type failing struct{ io.Closer }

func (failing) ReadBlock(*audio.Block) error { return errUnplugged }
func (failing) Close() error                 { return nil }

// Real devices: what is played into the microphone comes out of the speaker.
func TestEchoTestThroughDevices(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	here := server.Machine(0)
	speak := server.Command("paplay", "--device="+here.MouthSink, "testdata/speech/anna.wav")
	var played error
	r, err := parley.EchoTest(t.Context(), parley.Config{Microphone: here.Microphone, Speaker: here.Speaker}, parley.EchoConfig{
		Duration: 4 * time.Second,
		OnListen: func() { played = speak.Start() },
	})
	if err = errors.Join(err, played); err != nil {
		t.Fatal(err)
	}
	_ = speak.Wait()
	t.Logf("%+v", r)
	if !r.Heard && r.Concealed > 0.02 {
		t.Skipf("NOT JUDGED: the machine is too busy, %.0f %% had to be concealed", 100*r.Concealed)
	}
	if !r.Heard || r.Delay > time.Second || r.Back < -45 {
		t.Errorf("report %+v", r)
	}
	if _, err := parley.EchoTest(t.Context(), parley.Config{Microphone: "gramophone", Speaker: here.Speaker}, parley.EchoConfig{}); !errors.Is(err, parley.ErrNoMicrophone) || !strings.Contains(err.Error(), here.Microphone) {
		t.Errorf("a microphone that isn't there: %v", err)
	}
	if _, err := parley.CheckMicrophone(t.Context(), parley.Config{Microphone: "gramophone"}, time.Second); !errors.Is(err, portaudio.ErrUnknownDevice) {
		t.Errorf("a microphone that isn't there: %v", err)
	}
	quietRoom, err := parley.CheckMicrophone(t.Context(), parley.Config{Microphone: here.Microphone}, 2*time.Second)
	if err != nil || quietRoom.Verdict != audio.Dead {
		t.Errorf("a microphone into which nobody speaks: %s, %v", quietRoom, err)
	}
}
