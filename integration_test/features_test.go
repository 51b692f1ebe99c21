package integration_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/audio/speex"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/metrics"
	tapes "github.com/parley-voice/parley/record"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

var (
	featuresTime   = flag.Duration("features.time", 2*time.Second, "how long TestFeaturesThatAreNotUsedCostNothing measures each feature, in virtual time")
	featuresRounds = flag.Int("features.rounds", 1, "how often it does so: the least is what counts")
)

// feature is something that a conversation can do without. What it may add is checked
// by TestFeaturesThatAreNotUsedCostNothing.
type feature struct {
	name   string
	packet int                        // bytes that it adds to a packet of ours at most; -1 if it changes what is said
	allocs float64                    // allocations that it adds each 20 ms at most
	config func(*costing)             // before the session is made; may be nil
	use    func(*costing)             // once it has started; may be nil
	heard  func(v *wire.Voice) []byte // what the talker's packet is then; nil: as it was
}

// features are all that have a price. The first is that nothing of it is used.
var features = []feature{
	{name: "nothing"},
	{name: "rooms: 4 heard, 1 spoken in", packet: 1, use: useRooms, heard: inRoom},
	{name: "a whisper beside them", packet: 2, use: func(c *costing) { useRooms(c); c.speak(session.Whisper(c.talker())) }, heard: inRoom},
	{name: "priority", packet: 2, config: func(c *costing) { c.cfg.PriorityAttenuation = 12 }, use: usePriority},
	{name: "permissions: all may", config: allow(nil)},
	{name: "the talker may not speak", config: allow(errors.New("no"))},
	{name: "the talker is blocked", use: func(c *costing) { c.SetPeerBlocked(c.talker(), true) }},
	{name: "all taps", use: func(c *costing) { c.after(c.Tap(idleTaps)) }},
	{name: "recording, Ogg Opus", allocs: 0.5, use: recordAll(tapes.OggOpus)},
	{name: "recording, WAV", allocs: 0.5, use: recordAll(tapes.WAV)},
	{name: "a voice that moves", use: usePoses},
	{name: "ducking", config: func(c *costing) { c.cfg.Ducking = 12 }},
	{name: "a voice read as PCM", allocs: 0.1, use: usePCM},
	{name: "a text a second is received", allocs: 2, use: useTexts},
	{name: "metrics, once a second", allocs: 100, use: useMetrics},
	{name: "voice activation", packet: -1, config: func(c *costing) { c.cfg.Mode = session.VoiceActivation }},
	{name: "cleaning: echo, noise, gain", packet: -1, config: useCleaning},
}

// costing is a session that talks to three, of whom one talks.
type costing struct {
	*session.Session

	tb             testing.TB
	cfg            session.Config
	hand           *counted
	ends           []func()
	packets        [][]byte // of the talker
	next           int
	voice, control atomic.Int64 // bytes sent
}

const costPeers = 3

var costTalker = sessiontest.PeerID(1)

func (*costing) talker() identity.PeerID { return costTalker }

// after has something done in the end.
func (c *costing) after(f func()) { c.ends = append(c.ends, f) }

// every has something done again and again.
func (c *costing) every(d time.Duration, f func()) {
	tick := time.NewTicker(d)
	stopped := make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				f()
			case <-stopped:
				return
			}
		}
	}()
	c.after(func() { tick.Stop(); close(stopped) })
}

func (c *costing) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

func (c *costing) speak(to session.Target) *session.Channel {
	c.tb.Helper()
	ch, err := c.Speak(to)
	c.must(err)
	return ch
}

// counted is a hand that counts what is sent.
type counted struct {
	hand
	c *costing
}

func (t *counted) SendControl(_ identity.PeerID, b []byte) error {
	t.c.control.Add(int64(len(b)))
	return nil
}

// inRoom is a packet in the first room that we listen to.
func inRoom(v *wire.Voice) []byte {
	v.Channels = wire.AppendChannels(nil, []wire.Channel{{Target: wire.TargetRooms, Gain: 1}})
	b, err := v.AppendTo(nil)
	if err != nil {
		return nil
	}
	return b
}

func useRooms(c *costing) {
	for _, room := range []string{"red", "green", "blue", "gold"} {
		c.must(c.Listen(room))
	}
	c.speak(session.Room("red"))
	c.listeners("red")
}

// usePriority speaks with high priority to those who understand that.
func usePriority(c *costing) {
	c.listeners()
	c.speak(session.Everyone()).SetPriority(session.High)
}

// listeners has the three listen to rooms.
func (c *costing) listeners(rooms ...string) {
	c.tb.Helper()
	m := &wire.Rooms{NamedOnly: new(true)}
	for i, room := range rooms {
		m.Joined = append(m.Joined, &wire.Room{Number: uint32(i), Name: room})
	}
	said, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Rooms{Rooms: m}})
	c.must(err)
	for i := range costPeers {
		c.hand.h.Control(sessiontest.PeerID(i+1), said)
	}
}

// allow decides about the talker; others may.
func allow(err error) func(*costing) {
	return func(c *costing) {
		c.cfg.Authorize = func(claim session.Claim) error {
			if claim.Peer == c.talker() && claim.Action == session.ToSpeak {
				return err
			}
			return nil
		}
	}
}

var idleTaps = session.Taps{
	Microphone: func(*audio.Block, time.Time, bool) {},
	Said:       func(*session.Packet) {},
	Received:   func(identity.PeerID, *session.Packet) {},
	Peer:       func(identity.PeerID, *audio.Block, bool) {},
	Mix:        func(*audio.StereoBlock, time.Time) {},
}

func recordAll(format tapes.Format) func(*costing) {
	return func(c *costing) {
		dir, err := os.MkdirTemp("", "parley-cost-")
		c.must(err)
		r, err := tapes.Start(c, dir, tapes.Config{Format: format})
		c.must(err)
		c.after(func() {
			c.must(r.Stop())
			c.must(os.RemoveAll(dir))
		})
	}
}

// usePoses has the talker walk by.
func usePoses(c *costing) {
	c.must(c.SetPose(spatial.Pose{}))
	x := -10.
	c.every(20*time.Millisecond, func() {
		x += 0.1
		if err := c.SetPeerPose(c.talker(), spatial.Pose{Position: spatial.Vec{X: x, Z: -1}}); err != nil {
			c.tb.Error(err)
		}
	})
}

// usePCM reads the talker's voice as an audio engine does.
func usePCM(c *costing) {
	r, err := c.OpenPeerPCM(c.talker(), session.PCMConfig{})
	c.must(err)
	piece := make([]byte, 480*2*4)
	c.every(10*time.Millisecond, func() {
		if _, err := r.Read(piece); err != nil {
			c.tb.Error(err)
		}
	})
	c.after(func() { c.must(r.Close()) })
}

// useTexts has the talker write to everyone, and nobody read.
func useTexts(c *costing) {
	text := "are you there?"
	part, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Part{Part: &wire.Part{
		Head: &wire.Head{Target: wire.HeadEveryone, Length: uint32(len(text))}, Body: []byte(text),
	}}})
	c.must(err)
	c.every(time.Second, func() { c.hand.h.Control(c.talker(), part) })
}

func useMetrics(c *costing) {
	registry := prometheus.NewRegistry()
	c.must(registry.Register(metrics.NewCollector(c, nil)))
	c.every(time.Second, func() {
		if _, err := registry.Gather(); err != nil {
			c.tb.Error(err)
		}
	})
}

// useCleaning is what parley.Clean does for a device.
func useCleaning(c *costing) {
	canceller, err := speex.New(speex.Config{})
	c.must(err)
	c.after(func() { c.must(canceller.Close()) })
	c.cfg.Chain = audio.Chain{
		&clean.HighPass{}, canceller, &clean.HalfDuplex{Depth: clean.GuardingDepth, Echoes: canceller.Echoes},
		&clean.AutoGain{}, &audio.Limiter{},
	}
}

// start begins the session that f is measured in. It belongs in a bubble.
func (f *feature) start(tb testing.TB, said []float32, packets [][]byte) *costing {
	tb.Helper()
	c := &costing{tb: tb}
	c.hand = &counted{c: c}
	c.hand.sent = func(_ identity.PeerID, b []byte) { c.voice.Add(int64(len(b))) }
	c.cfg = session.Config{
		Transport:  c.hand,
		Codec:      opus.Codec{},
		Encoding:   codec.Config{Constant: true}, // so that a byte more is one of the feature
		OpenSource: func() (audio.Source, error) { return audiotest.NewLoop(said), nil },
		OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
	}
	if f.config != nil {
		f.config(c)
	}
	var err error
	c.Session, err = session.New(c.cfg)
	c.must(err)
	c.must(c.Start(context.Background()))
	for i := range costPeers {
		c.must(c.PeerJoined(sessiontest.PeerID(i + 1)))
	}
	if f.use != nil {
		f.use(c)
	}
	c.packets = packets
	if f.heard != nil {
		c.packets = nil
		for _, p := range packets {
			var v wire.Voice
			c.must(v.Parse(p))
			c.packets = append(c.packets, f.heard(&v))
		}
	}
	return c
}

// talk lets time pass, in which the talker talks, if its speech lasts so long.
func (c *costing) talk(frames int) {
	for range frames {
		c.hand.h.Voice(c.talker(), c.packets[c.next], time.Now())
		c.next++
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *costing) end() {
	for _, f := range c.ends {
		f()
	}
	c.must(c.Close())
	synctest.Wait()
}

// cost is what a session needs, for each 20 ms if it isn't said otherwise.
type cost struct {
	cpu            time.Duration
	allocs         float64
	voice, control float64 // bytes sent a second
	heard, refused uint64
}

const costWarm = 50 // frames

// costOf measures a session that uses f. It belongs in a bubble.
func costOf(tb testing.TB, f *feature, said []float32, packets [][]byte) cost {
	tb.Helper()
	frames := len(packets) - costWarm
	c := f.start(tb, said, packets)
	time.Sleep(3 * time.Millisecond) // between the blocks of the session, which are whole multiples of 10 ms
	c.talk(costWarm)
	voice, control := c.voice.Load(), c.control.Load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := cpu()
	c.talk(frames)
	used := cpu() - begin
	runtime.ReadMemStats(&after)
	seconds := float64(frames) / 50
	p := c.Stats().Peers[0]
	out := cost{
		cpu:     used / time.Duration(frames),
		allocs:  float64(after.Mallocs-before.Mallocs) / float64(frames),
		voice:   float64(c.voice.Load()-voice) / seconds,
		control: float64(c.control.Load()-control) / seconds,
		heard:   p.Jitter.PlayedSamples,
		refused: p.Refused,
	}
	c.end()
	return out
}

// least is the cheaper of two measurements: others may have used the processor.
func (c cost) least(o cost) cost {
	c.cpu, c.allocs = min(c.cpu, o.cpu), min(c.allocs, o.allocs)
	return c
}

// What isn't used costs nothing: no byte on the wire, nothing allocated; and what is
// used costs what the table says. make bench-features prints it.
func TestFeaturesThatAreNotUsedCostNothing(t *testing.T) {
	said := audiotest.Babble(1, 10*time.Second)
	packets := speech(t, said, *featuresTime+costWarm*20*time.Millisecond)
	costs := make([]cost, len(features))
	for round := range *featuresRounds {
		for i := range features {
			synctest.Test(t, func(t *testing.T) {
				c := costOf(t, &features[i], said, packets)
				if round > 0 {
					c = c.least(costs[i])
				}
				costs[i] = c
			})
		}
	}
	var table strings.Builder
	printCosts(&table, costs)
	t.Log("\n" + table.String())
	for i, c := range costs {
		features[i].judge(t, c, costs[0])
	}
}

// judge checks what f costs, beside a session that uses nothing.
func (f *feature) judge(t *testing.T, c, nothing cost) {
	t.Helper()
	const reports = 0.5 // allocations for them, and for what else is said now and then
	if free := nothing.control < 100 && (nothing.allocs < reports || audiotest.UnderRaceDetector()); !free {
		t.Errorf("with nothing used %.2f allocations each 20 ms, %.0f bytes of control a second", nothing.allocs, nothing.control)
	}
	if more := (c.voice - nothing.voice) / (50 * costPeers); f.packet >= 0 && more > float64(f.packet) {
		t.Errorf("%s: a packet has %.2f bytes more, want at most %d", f.name, more, f.packet)
	}
	if more := c.allocs - nothing.allocs; more > f.allocs+0.05 && !audiotest.UnderRaceDetector() {
		t.Errorf("%s: %.2f allocations more each 20 ms, want at most %.2f", f.name, more, f.allocs)
	}
	if silent := c.heard == 0; silent != (c.refused > 0) {
		t.Errorf("%s: %d samples were heard, %d packets refused", f.name, c.heard, c.refused)
	}
}

// speech is the packets of some seconds of speech, from a session that speaks to
// everyone.
func speech(t *testing.T, said []float32, length time.Duration) (packets [][]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := feature{config: func(c *costing) {
			c.hand.sent = func(to identity.PeerID, b []byte) {
				if to == c.talker() {
					packets = append(packets, slices.Clone(b))
				}
			}
		}}
		c := f.start(t, said, nil)
		time.Sleep(length + time.Second)
		c.end()
	})
	return packets[:length/(20*time.Millisecond)]
}

// printCosts prints a row for each feature, beside what a session without it needs.
func printCosts(w io.Writer, costs []cost) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "used\tCPU/20 ms\tmore\tallocations/20 ms\tvoice B/s\tcontrol B/s\t")
	for i, c := range costs {
		fmt.Fprintf(tab, "%s\t%d µs\t%+d µs\t%.2f\t%.0f\t%.0f\t\n", features[i].name, c.cpu.Microseconds(), (c.cpu - costs[0].cpu).Microseconds(), c.allocs, c.voice, c.control)
	}
	_ = tab.Flush()
}

// BenchmarkFeatures is the same, for make bench: what a session needs, each 20 ms, that
// talks to three, of whom one talks, and uses this.
func BenchmarkFeatures(b *testing.B) {
	said := audiotest.Babble(1, 10*time.Second)
	packets := record(b, said, 3)
	for i := range features {
		f := &features[i]
		b.Run(f.name, func(b *testing.B) {
			var sum cost
			for b.Loop() {
				bubble(b, func() {
					c := costOf(b, f, said, packets)
					sum.cpu, sum.allocs = sum.cpu+c.cpu, sum.allocs+c.allocs
					sum.voice, sum.control = sum.voice+c.voice, sum.control+c.control
				})
			}
			n := float64(b.N)
			b.ReportMetric(sum.cpu.Seconds()*1e6/n, "cpu-us")
			b.ReportMetric(sum.allocs/n, "allocs")
			b.ReportMetric(sum.voice/n, "voiceB/s")
			b.ReportMetric(sum.control/n, "controlB/s")
		})
	}
}
