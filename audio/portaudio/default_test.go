package portaudio_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// Who uses the default devices moves with them: PulseAudio does it. Who chose others
// stays there. Back to the default ones means those of now.
func TestDefaultDevicesAreFollowed(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 3})
	server.Setenv()
	tones := []float64{440, 880, 1210}
	for i, hz := range tones {
		playInto(t, server, server.Machine(i).MouthSink, hz)
	}
	sink, err := portaudio.OpenSink(portaudio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := portaudio.OpenSource(portaudio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var said heard
	ended := make(chan struct{}, 2)
	go func() {
		sine(sink, 660)
		ended <- struct{}{}
	}()
	go func() {
		var b audio.Block
		for source.ReadBlock(&b) == nil {
			said.add(b[:])
		}
		ended <- struct{}{}
	}()
	defer func() {
		_ = sink.Close()
		_ = source.Close()
		<-ended
		<-ended
	}()
	var ears []*heard
	for i := range tones {
		ears = append(ears, recordFrom(t, server, server.Machine(i).EarSource))
	}
	expect := func(what string, machine int) {
		t.Helper()
		t.Log(what)
		said.awaitMore()
		ears[machine].awaitMore()
		said.await(t, tones[machine])
		ears[machine].await(t, 660)
	}
	expect("at first", 0)
	server.SetDefault(1)
	expect("after another default", 1)
	m := server.Machine(0)
	if err := errors.Join(sink.SetDevice(m.Speaker), source.SetDevice(m.Microphone)); err != nil {
		t.Fatal(err)
	}
	expect("after a choice", 0)
	server.SetDefault(2)
	expect("after a choice and another default", 0)
	if err := errors.Join(sink.SetDevice(""), source.SetDevice("")); err != nil {
		t.Fatal(err)
	}
	expect("back on the default", 2)
	if sink.Device().Name != "default" || source.Device().Name != "default" {
		t.Errorf("in use are %q and %q", sink.Device().Name, source.Device().Name)
	}
}

// Somebody whose headset is gone chooses another device, and is not brought back
// when it returns.
func TestLostDeviceIsChanged(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 3})
	server.Setenv()
	lost, chosen := server.Machine(1), server.Machine(2)
	p := openPairOn(t, lost.Speaker, lost.Ear)
	p.await(true, 10, 3*time.Second)
	server.Kill()
	server.Unplug(1)
	p.expect(portaudio.Lost)
	server.Restart()
	p.expect(portaudio.Recovered)
	p.choose(chosen)
	p.expect(portaudio.Switched)
	p.await(true, 10, 3*time.Second)
	server.Plug(1)
	// It takes 2 s at most to return to a device that was asked for.
	for deadline := time.After(2500 * time.Millisecond); deadline != nil; {
		select {
		case ev := <-p.events[0]:
			if ev.Kind == portaudio.Switched {
				t.Errorf("the speaker was switched to %q", ev.Device.Name)
			}
		case <-deadline:
			deadline = nil
		}
	}
	if p.sink.Device().Name != chosen.Speaker || p.source.Device().Name != chosen.Ear {
		t.Errorf("in use are %q and %q", p.sink.Device().Name, p.source.Device().Name)
	}
	p.close()
}

// choose goes on with a machine's devices. A list of devices that was made in the
// moment in which the server came back may lack some: it is made anew while other
// devices stand in.
func (p *pair) choose(m pulsetest.Machine) {
	p.t.Helper()
	set := func(set func(string) error, name string) {
		deadline := time.Now().Add(6 * time.Second)
		err := set(name)
		for ; errors.Is(err, portaudio.ErrUnknownDevice) && time.Now().Before(deadline); err = set(name) {
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	set(p.sink.SetDevice, m.Speaker)
	set(p.source.SetDevice, m.Ear)
}

// While nothing at all can be opened there is nothing to change to, and who asks
// is told so; what was asked for first stays.
func TestChangeWhileTheSoundServerIsAway(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	m := server.Machine(0)
	p := openPairOn(t, m.Speaker, m.Ear)
	p.await(true, 10, 3*time.Second)
	server.Kill()
	p.expect(portaudio.Lost)
	for _, err := range []error{p.sink.SetDevice(server.Machine(1).Speaker), p.source.SetDevice(server.Machine(1).Ear)} {
		if !errors.Is(err, portaudio.ErrUnavailable) && !errors.Is(err, portaudio.ErrNoDevice) {
			t.Errorf("SetDevice: %v, want ErrUnavailable or ErrNoDevice", err)
		}
	}
	server.Restart()
	for _, ev := range p.expect(portaudio.Recovered) {
		if ev.Fallback {
			t.Errorf("recovered with %q, a fallback", ev.Device.Name)
		}
	}
	p.await(true, 10, 3*time.Second)
	p.close()
}

// A device that hangs while it is opened takes nothing from the one in use.
func TestChangeToADeviceThatHangs(t *testing.T) {
	hanging := pulsetest.Start(t, pulsetest.Config{})
	far := func(name, device string) string {
		return fmt.Sprintf("pcm.%s {\n\ttype pulse\n\tserver %q\n\tdevice %s\n\thint { show on description \"far\" }\n}\n", name, hanging.Address(), device)
	}
	m := hanging.Machine(0)
	server := pulsetest.Start(t, pulsetest.Config{ExtraALSA: far("farspeaker", m.SpeakerSink) + far("farear", m.EarSource)})
	server.Setenv()
	p := openPair(t, server)
	p.await(true, 10, 3*time.Second)
	hanging.Suspend()
	defer hanging.Resume()
	began := time.Now()
	if err := p.sink.SetDevice("farspeaker"); !errors.Is(err, portaudio.ErrNotResponding) {
		t.Errorf("SetDevice: %v, want ErrNotResponding", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("SetDevice took %v", took)
	}
	p.await(true, 10, time.Second)
	hanging.Resume()
	if err := errors.Join(p.sink.SetDevice("farspeaker"), p.source.SetDevice("farear")); err != nil {
		t.Errorf("SetDevice when it answers: %v", err)
	}
	p.await(true, 10, 3*time.Second)
	p.close()
}

// Without a device there is silence at the pace of the clock, and none is looked for
// before one is chosen.
func TestAbsentDevicesAreSilentUntilOneIsChosen(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	reason := errors.New("nobody has one")
	p := &pair{t: t, heard: make(chan bool, 4096), longest: make(chan time.Duration, 2), lag: make(chan time.Duration)}
	for i := range p.events {
		p.events[i] = make(chan portaudio.Event, 64)
	}
	p.sink = portaudio.AbsentSink(portaudio.Config{OnEvent: func(ev portaudio.Event) { p.events[0] <- ev }}, reason)
	p.source = portaudio.AbsentSource(portaudio.Config{OnEvent: func(ev portaudio.Event) { p.events[1] <- ev }}, reason)
	go p.play()
	go p.listen()
	go p.clock()
	checkPace := p.watchPace()
	p.await(false, 120, 3*time.Second) // longer than it takes to try a device that was lost
	checkPace()
	for _, f := range []audio.Faults{p.sink.Faults(), p.source.Faults()} {
		if f != (audio.Faults{Lost: true, Reason: "nobody has one"}) {
			t.Errorf("without a device: %+v", f)
		}
	}
	if err := p.sink.SetDevice("gramophone"); !errors.Is(err, portaudio.ErrUnknownDevice) {
		t.Errorf("SetDevice: %v", err)
	}
	m := server.Machine(0)
	if err := errors.Join(p.sink.SetDevice(m.Speaker), p.source.SetDevice(m.Ear)); err != nil {
		t.Fatal(err)
	}
	p.expect(portaudio.Recovered)
	p.await(true, 10, 3*time.Second)
	server.Kill() // from now on they are like any other
	p.expect(portaudio.Lost)
	server.Restart()
	p.expect(portaudio.Recovered)
	p.await(true, 10, 3*time.Second)
	p.close()
	for _, end := range []interface{ Close() error }{portaudio.AbsentSink(portaudio.Config{}, reason), portaudio.AbsentSource(portaudio.Config{}, reason)} {
		if err := end.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Close ends a change that is under way.
func TestCloseDuringAChange(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	for round := range 6 {
		p := openPair(t, server)
		p.await(true, 1, 3*time.Second)
		answers := make(chan error, 2)
		go func() { answers <- p.sink.SetDevice(server.Machine(1).Speaker) }()
		go func() { answers <- p.source.SetDevice(server.Machine(1).Ear) }()
		time.Sleep(time.Duration(round) * 15 * time.Millisecond)
		p.close()
		for range 2 {
			if err := <-answers; err != nil && !errors.Is(err, audio.ErrClosed) {
				t.Error(err)
			}
		}
	}
}
