package session_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// loudspeaker is a sink that is a device: its own clock, and it may go away.
type loudspeaker struct {
	mu     sync.Mutex // guards what follows
	faults audio.Faults
}

func (d *loudspeaker) WriteBlock(*audio.StereoBlock) error {
	time.Sleep(audio.BlockDuration)
	return nil
}

func (d *loudspeaker) Close() error           { return nil }
func (d *loudspeaker) Latency() time.Duration { return 15 * time.Millisecond }

func (d *loudspeaker) Faults() audio.Faults {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults
}

func (d *loudspeaker) set(f audio.Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// handset is a source that is a device.
type handset struct {
	reads   atomic.Int64
	latency atomic.Int64 // in ms, of the device
}

func (d *handset) ReadBlock(b *audio.Block) error {
	time.Sleep(audio.BlockDuration)
	d.reads.Add(1)
	for i := range b {
		b[i] = 0.2 * float32(i%2)
	}
	return nil
}

func (d *handset) Close() error         { return nil }
func (d *handset) Faults() audio.Faults { return audio.Faults{} }

// Latency is higher at the start and now and then, when something waits to be read.
func (d *handset) Latency() time.Duration {
	ms := d.latency.Load()
	switch reads := d.reads.Load(); {
	case reads < 5:
		ms += 60
	case reads%20 < 10:
		ms += 10
	}
	return time.Duration(ms) * time.Millisecond
}

func TestPeersAreToldOfTheMicrophonesSteadyDelay(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		device := &handset{}
		device.latency.Store(5)
		talker := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { return device, nil }
		})
		listener := newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		talker.start(t)
		listener.start(t)
		talker.joined(t, listener)
		listener.joined(t, talker)
		const frame = 20 * time.Millisecond
		for _, ms := range []time.Duration{5, 25, 5} { // another device, and back
			device.latency.Store(int64(ms))
			time.Sleep(3 * time.Second)
			want := ms*time.Millisecond + frame + (&sessiontest.Codec{}).Delay(codec.Config{})
			if got := listener.peer(t, talker).FixedDelay; got != want {
				t.Errorf("with a microphone of %d ms the fixed delay is %v, want %v", ms, got, want)
			}
		}
	})
}

func TestADeviceThatIsAwaySaysWhy(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		device := &loudspeaker{}
		talker := newMember(t, net, 1, tone(440, 0.2))
		listener := newMember(t, net, 2, nil, func(c *session.Config) {
			c.OpenSink = func() (audio.Sink, error) { return device, nil }
		})
		defer closeAll(t, talker, listener)
		talker.start(t)
		listener.start(t)
		talker.joined(t, listener)
		listener.joined(t, talker)
		time.Sleep(time.Second)
		device.set(audio.Faults{Lost: true, Losses: 1, Reason: "unplugged on purpose"})
		if e := next[session.DeviceChanged](t, listener, time.Second); e.Working || e.Reason != "unplugged on purpose" {
			t.Errorf("event %+v", e)
		}
		if why := listener.Why(talker.id); !strings.Contains(why, "speaker") || !strings.Contains(why, "unplugged on purpose") {
			t.Errorf("Why = %q", why)
		}
		if st := listener.Stats().Speaker; st.Reason != "unplugged on purpose" {
			t.Errorf("stats %+v", st)
		}
		device.set(audio.Faults{Losses: 1})
		if e := next[session.DeviceChanged](t, listener, time.Second); !e.Working || e.Reason != "" {
			t.Errorf("event %+v", e)
		}
		if why, st := listener.Why(talker.id), listener.Stats().Speaker; why != "It is heard." || st.Reason != "" {
			t.Errorf("after it came back Why = %q, stats %+v", why, st)
		}
	})
}
