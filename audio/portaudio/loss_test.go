package portaudio_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// pair is a speaker and its ear, both run by goroutines that keep the longest
// time a call took.
type pair struct {
	t       *testing.T
	sink    *portaudio.Sink
	source  *portaudio.Source
	events  [2]chan portaudio.Event // of the speaker and of the microphone
	heard   chan bool               // for each block that was read, whether it held sound
	longest chan time.Duration
	lag     chan time.Duration // how late the machine itself was at worst
	moved   [2]atomic.Int64    // blocks written and read
}

// openPair plays a tone into machine 0's speaker and listens to its ear.
func openPair(t *testing.T, server *pulsetest.Server) *pair {
	t.Helper()
	return openPairOn(t, server.Machine(0).Speaker, server.Machine(0).Ear)
}

func openPairOn(t *testing.T, speaker, microphone string) *pair {
	t.Helper()
	p := &pair{t: t, heard: make(chan bool, 4096), longest: make(chan time.Duration, 2), lag: make(chan time.Duration)}
	for i := range p.events {
		p.events[i] = make(chan portaudio.Event, 64)
	}
	var err error
	p.sink, err = portaudio.OpenSink(portaudio.Config{Device: speaker, OnEvent: func(ev portaudio.Event) { p.events[0] <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	p.source, err = portaudio.OpenSource(portaudio.Config{Device: microphone, OnEvent: func(ev portaudio.Event) { p.events[1] <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(p.sink.Close(), p.source.Close()) }) // open ones would keep the list for the next test
	go p.play()
	go p.listen()
	go p.clock()
	return p
}

func (p *pair) play() {
	var b audio.StereoBlock
	for i := range b {
		b[i] = 0.25 * float32(1-2*(i/48%2)) // 500 Hz
	}
	p.longest <- longest(func() error {
		p.moved[0].Add(1)
		return p.sink.WriteBlock(&b)
	})
}

func (p *pair) listen() {
	p.longest <- longest(func() error {
		var b audio.Block
		p.moved[1].Add(1)
		err := p.source.ReadBlock(&b)
		peak := float32(0)
		for _, x := range b {
			peak = max(peak, x)
		}
		select {
		case p.heard <- peak > 0.1:
		default:
		}
		return err
	})
}

// clock measures how late the machine is, which shares its processors with
// other work: no call can be expected to return earlier.
func (p *pair) clock() {
	const beat = 5 * time.Millisecond
	most := time.Duration(0)
	t := time.NewTimer(beat)
	defer t.Stop()
	for {
		began := time.Now()
		t.Reset(beat)
		select {
		case p.lag <- most:
			return
		case <-t.C:
			most = max(most, time.Since(began)-beat)
		}
	}
}

// longest calls f until it fails and returns the longest time that a call took.
func longest(f func() error) time.Duration {
	var most time.Duration
	for {
		began := time.Now()
		err := f()
		most = max(most, time.Since(began))
		if err != nil {
			return most
		}
	}
}

// await returns how long it took until n blocks in a row held sound, or silence.
func (p *pair) await(sound bool, n int, patience time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	deadline := time.After(patience)
	for row := 0; row < n; {
		select {
		case heard := <-p.heard:
			row++
			if heard != sound {
				row = 0
			}
		case <-deadline:
			p.t.Fatalf("after %v still no %d blocks in a row with sound=%v; speaker %+v microphone %+v", patience, n, sound, p.sink.Faults(), p.source.Faults())
		}
	}
	return time.Since(began)
}

// expect waits for an event of both endpoints and returns the two. A machine that
// is too busy to play for 300 ms makes events of its own, which are passed over.
func (p *pair) expect(kind portaudio.EventKind) [2]portaudio.Event {
	p.t.Helper()
	var events [2]portaudio.Event
	deadline := time.After(6 * time.Second)
	for i := range events {
		for events[i].Kind != kind {
			select {
			case events[i] = <-p.events[i]:
			case <-deadline:
				p.t.Fatalf("no event %v; the last one was %v (%v)", kind, events[i].Kind, events[i].Reason)
			}
		}
	}
	return events
}

// watchPace returns a function that checks that about one block per 10 ms was
// written and read since.
func (p *pair) watchPace() func() {
	began, before := time.Now(), [2]int64{p.moved[0].Load(), p.moved[1].Load()}
	return func() {
		p.t.Helper()
		want := int64(time.Since(began) / audio.BlockDuration)
		for i, verb := range []string{"written", "read"} {
			if got := p.moved[i].Load() - before[i]; got < want*8/10-5 || got > want*12/10+5 {
				p.t.Errorf("%d blocks were %s in the time of %d", got, verb, want)
			}
		}
	}
}

// close closes both and checks that nothing took too long.
func (p *pair) close() {
	p.t.Helper()
	var took [2]time.Duration
	for i, end := range []interface{ Close() error }{p.sink, p.source} {
		began := time.Now()
		if err := end.Close(); err != nil {
			p.t.Error(err)
		}
		took[i] = time.Since(began)
	}
	lag := <-p.lag
	late := max(50*time.Millisecond, 2*lag) // goroutines of one machine aren't equally late
	if most := max(took[0], took[1]); most > 350*time.Millisecond+late {
		p.t.Errorf("Close took %v, on a machine that is up to %v late", most, lag)
	}
	for range 2 {
		if most := <-p.longest; most > 100*time.Millisecond+late {
			p.t.Errorf("a ReadBlock or WriteBlock took %v, on a machine that is up to %v late", most, lag)
		}
	}
}

func TestAudioReturnsWhenTheSoundServerDoes(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	p := openPair(t, server)
	p.await(true, 10, 3*time.Second)
	checkPace := p.watchPace()
	for range 2 {
		server.Kill()
		p.expect(portaudio.Lost)
		p.await(false, 10, time.Second)
		if f := p.source.Faults(); !f.Lost || f.Reason == "" {
			t.Errorf("while the server is away the microphone says %+v", f)
		}
		server.Restart()
		t.Logf("audio came back %v after the server", p.await(true, 10, 3*time.Second))
		p.expect(portaudio.Recovered)
	}
	checkPace()
	if f := p.sink.Faults(); f.Losses < 2 || f.Lost || f.Reason != "" {
		t.Errorf("after two losses the speaker says %+v", f)
	}
	p.close()
}

func TestSuspendedSoundServerBlocksNobody(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	p := openPair(t, server)
	p.await(true, 10, 3*time.Second)
	checkPace := p.watchPace()
	server.Suspend()
	defer server.Resume()
	p.expect(portaudio.Lost)
	p.await(false, 50, 2*time.Second)
	server.Resume()
	t.Logf("audio came back %v after the server", p.await(true, 10, 3*time.Second))
	p.expect(portaudio.Recovered)
	checkPace()
	if kept := p.source.Latency(); kept > 50*time.Millisecond {
		t.Errorf("what was recorded meanwhile is still to be read: the microphone is %v late", kept)
	}
	p.close()
}

// A server that hangs as a whole leaves nothing to stand in: its devices are used
// on when it answers, not the default ones.
func TestDevicesAreKeptThroughALongHangOfAllOfTheSoundSystem(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	p := openPairOn(t, server.Machine(1).Speaker, server.Machine(1).Ear)
	p.await(true, 10, 3*time.Second)
	server.Suspend()
	defer server.Resume()
	p.expect(portaudio.Lost)
	p.await(false, 450, 6*time.Second)
	server.Resume()
	for _, ev := range p.expect(portaudio.Recovered) {
		if ev.Fallback {
			t.Errorf("recovered with %q, a fallback", ev.Device.Name)
		}
	}
	t.Logf("audio came back %v after the server", p.await(true, 10, 3*time.Second))
	p.close()
}

func TestCloseWhileTheSoundServerIsSuspended(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	p := openPair(t, server)
	p.await(true, 10, 3*time.Second)
	server.Suspend()
	p.await(false, 20, 2*time.Second)
	p.close()
	if _, err := portaudio.OpenSource(portaudio.Config{}); !errors.Is(err, portaudio.ErrNotResponding) {
		t.Errorf("opening on a suspended server: %v, want ErrNotResponding", err)
	}
	server.Resume()
	p = openPair(t, server)
	p.await(true, 10, 3*time.Second)
	p.close()
}

func TestDefaultDeviceStandsInForALostOne(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	chosen := server.Machine(1)
	p := openPairOn(t, chosen.Speaker, chosen.Ear)
	p.await(true, 10, 3*time.Second)
	server.Kill()
	server.Unplug(1)
	p.expect(portaudio.Lost)
	server.Restart()
	for _, ev := range p.expect(portaudio.Recovered) {
		if !ev.Fallback || ev.Device.Name != "default" {
			t.Errorf("recovered with %q, fallback %v", ev.Device.Name, ev.Fallback)
		}
	}
	server.Plug(1)
	back := time.Now()
	for _, ev := range p.expect(portaudio.Switched) {
		if ev.Fallback || ev.Device.Name != chosen.Speaker && ev.Device.Name != chosen.Ear {
			t.Errorf("switched to %q, fallback %v", ev.Device.Name, ev.Fallback)
		}
	}
	t.Logf("returned to the devices asked for %v after they did", time.Since(back))
	p.await(true, 10, 3*time.Second)
	p.close()
}

// Two sound servers, of which the one with the devices asked for hangs: it
// reports no error, and opening anything on it would hang too.
func TestDefaultDeviceStandsInForOneThatHangs(t *testing.T) {
	hanging := pulsetest.Start(t, pulsetest.Config{})
	far := func(name, device string) string {
		return fmt.Sprintf("pcm.%s {\n\ttype pulse\n\tserver %q\n\tdevice %s\n\thint { show on description \"far\" }\n}\n", name, hanging.Address(), device)
	}
	m := hanging.Machine(0)
	server := pulsetest.Start(t, pulsetest.Config{ExtraALSA: far("farspeaker", m.SpeakerSink) + far("farear", m.EarSource)})
	server.Setenv()
	p := openPairOn(t, "farspeaker", "farear")
	p.await(true, 10, 3*time.Second)
	checkPace := p.watchPace()
	hanging.Suspend()
	defer hanging.Resume()
	p.expect(portaudio.Lost)
	hung := time.Now()
	for _, ev := range p.expect(portaudio.Recovered) {
		if !ev.Fallback || ev.Device.Name != "default" {
			t.Errorf("recovered with %q, fallback %v", ev.Device.Name, ev.Fallback)
		}
	}
	t.Logf("the default devices stood in %v after the loss", time.Since(hung))
	before := p.sink.Faults().Underruns
	p.await(false, 100, 2*time.Second) // the default source is another machine's
	if out, in := p.sink.Faults(), p.source.Faults(); out.Lost || in.Lost || out.Underruns > before+20 {
		t.Errorf("on the default devices the speaker says %+v and the microphone %+v", out, in)
	}
	checkPace()
	hanging.Resume()
	for _, ev := range p.expect(portaudio.Switched) {
		if ev.Fallback {
			t.Errorf("switched to %q, a fallback", ev.Device.Name)
		}
	}
	p.await(true, 10, 3*time.Second)
	p.close()
}

func TestCloseAtAnyMoment(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	for round := range 8 {
		p := openPair(t, server)
		p.await(true, 1+round%3, 4*time.Second)
		disturbed := make(chan struct{})
		go func() { // the sound server ends before, while or after the device is closed
			defer close(disturbed)
			server.Kill()
		}()
		time.Sleep(time.Duration(round%6) * 3 * time.Millisecond)
		p.close()
		<-disturbed
		server.Restart()
	}
}

func TestCloseAndOpenAgain(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	var first int
	for i := range 50 {
		sink, err := portaudio.OpenSink(portaudio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		source, err := portaudio.OpenSource(portaudio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var in audio.Block
		var out audio.StereoBlock
		if err := errors.Join(sink.WriteBlock(&out), source.ReadBlock(&in)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sink.Close(), source.Close(), sink.Close()); err != nil {
			t.Fatal(err)
		}
		if err := sink.WriteBlock(&out); !errors.Is(err, audio.ErrClosed) {
			t.Fatalf("WriteBlock after Close: %v", err)
		}
		if err := source.ReadBlock(&in); !errors.Is(err, audio.ErrClosed) {
			t.Fatalf("ReadBlock after Close: %v", err)
		}
		if i == 4 {
			first = descriptors(t)
		}
	}
	if now := descriptors(t); now > first {
		t.Errorf("%d open files after 5 rounds, %d after 50", first, now)
	}
}

// descriptors is the number of files that the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/" + strconv.Itoa(os.Getpid()) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
