package portaudio

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// TestDeviceThatIsPluggedInAgainIsListedAnew loses both ends of a device that
// PortAudio doesn't list any more, and plugs it in again while both run on the
// default one: only a new list, for which both must let go, can show it.
func TestDeviceThatIsPluggedInAgainIsListedAnew(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	var cards atomic.Pointer[string]
	plug := func(s string) { cards.Store(&s) }
	plug("both")
	stamp := shared.stamp
	shared.stamp = func() string { return *cards.Load() }
	t.Cleanup(func() { shared.stamp = stamp })

	var events [2]chan Event
	for i := range events {
		events[i] = make(chan Event, 64)
	}
	sink, err := OpenSink(Config{Device: server.Machine(1).Speaker, OnEvent: func(ev Event) { events[0] <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	source, err := OpenSource(Config{Device: server.Machine(1).Microphone, OnEvent: func(ev Event) { events[1] <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer source.Close()
	go func() {
		defer close(ended)
		var b audio.Block
		for source.ReadBlock(&b) == nil {
			continue
		}
	}()
	expect := func(kind EventKind, fallback bool) {
		t.Helper()
		deadline := time.After(8 * time.Second)
		for i := range events {
			for ev := (Event{}); ev.Kind != kind || ev.Fallback != fallback; {
				select {
				case ev = <-events[i]:
				case <-deadline:
					t.Fatalf("no event %v with fallback %v; the last one was %v %q", kind, fallback, ev.Kind, ev.Device.Name)
				}
			}
		}
	}
	server.Kill()
	server.Unplug(1)
	server.Hide(1)
	plug("one")
	server.Restart()
	expect(Lost, false)
	expect(Recovered, true)
	server.Plug(1)
	server.Show(1)
	plug("both again")
	expect(Switched, false)
	if got := sink.Device().Name; got != server.Machine(1).Speaker {
		t.Errorf("the speaker in use is %q", got)
	}
}
