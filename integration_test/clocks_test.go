package integration_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/integration_test/hearing"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// tableside is somebody with sound devices that have a clock of their own.
type tableside struct {
	*session.Session
	mic     *audiotest.Microphone
	speaker *audiotest.Speaker
}

func newTableside(t *testing.T, net *sessiontest.Network, n int, says []float32, ppm float64) *tableside {
	t.Helper()
	p := &tableside{mic: audiotest.NewMicrophone(says, ppm), speaker: audiotest.NewSpeaker(ppm)}
	var err error
	p.Session, err = session.New(session.Config{
		Transport:  net.Transport(sessiontest.PeerID(n)),
		Codec:      opus.Codec{},
		OpenSource: func() (audio.Source, error) { return p.mic, nil },
		OpenSink:   func() (audio.Sink, error) { return p.speaker, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return p
}

// freeze suspends somebody's process: no device is served, nothing is sent, and
// what arrives waits, or is lost.
func (p *tableside) freeze(d time.Duration) {
	p.mic.Freeze(d)
	p.speaker.Freeze(d)
}

// duo is one who talks and one who listens, each also the other way round.
type duo struct {
	net  *sessiontest.Network
	anna *tableside // her clock is right
	ben  *tableside // his is 300 ppm off
}

// withDuo has both talk for as long as f takes.
func withDuo(t *testing.T, says []float32, f func(t *testing.T, d *duo)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 25 * time.Millisecond, Jitter: 2 * time.Millisecond}})
		d := &duo{net: net, anna: newTableside(t, net, 1, says, 0), ben: newTableside(t, net, 2, says, -300)}
		for _, p := range [][2]*tableside{{d.anna, d.ben}, {d.ben, d.anna}} {
			if err := p[0].PeerJoined(p[1].Self()); err != nil {
				t.Fatal(err)
			}
		}
		f(t, d)
		for _, p := range []*tableside{d.anna, d.ben} {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
}

// setback is what happens to Ben's devices, or to Ben's machine.
type setback struct {
	happens func(d *duo)
	lasts   time.Duration
}

func setbacks() map[string]setback {
	const stall = 2 * time.Second
	asleep := func(length time.Duration, online bool) setback {
		return setback{lasts: length, happens: func(d *duo) {
			d.ben.freeze(length)
			if online { // what arrives waits in the kernel
				d.net.Stall(d.anna.Self(), d.ben.Self(), length)
				return
			}
			d.net.Cut(d.anna.Self(), d.ben.Self())
			time.AfterFunc(length, func() { d.net.Restore(d.anna.Self(), d.ben.Self()) })
		}}
	}
	return map[string]setback{
		"the speaker stalls":           {func(d *duo) { d.ben.speaker.Stall(stall) }, stall},
		"the microphone stalls":        {func(d *duo) { d.ben.mic.Stall(stall) }, stall},
		"the speaker takes nothing":    {func(d *duo) { d.ben.speaker.Freeze(stall) }, stall},
		"the microphone gives nothing": {func(d *duo) { d.ben.mic.Freeze(stall) }, stall},
		"for 400 ms it gives nothing":  {func(d *duo) { d.ben.mic.Freeze(400 * time.Millisecond) }, 400 * time.Millisecond},
		"stopped for 2 s":              asleep(2*time.Second, true),
		"asleep for 30 s":              asleep(30*time.Second, false),
		"asleep for 10 min":            asleep(10*time.Minute, false),
	}
}

// The two directions of a duo.
func (d *duo) directions() map[string][2]*tableside {
	return map[string][2]*tableside{"Anna to Ben": {d.anna, d.ben}, "Ben to Anna": {d.ben, d.anna}}
}

func statsOf(listener, talker *tableside) session.PeerStats {
	for _, p := range listener.Stats().Peers {
		if p.ID == talker.Self() {
			return p
		}
	}
	return session.PeerStats{}
}

// Whatever becomes of devices, three seconds later what is heard is as old as
// before, all of it is there, and it stays so.
func TestSetbacksOfDevicesLeaveNothing(t *testing.T) {
	const before, rest, judged = 10 * time.Second, 3 * time.Second, 10 * time.Second
	skipUnderRaceDetector(t) // the other test of setbacks isn't left out
	said := audiotest.Babble(3, 4*time.Second)
	said = said[:len(said)/audio.BlockSamples*audio.BlockSamples]
	for name, c := range setbacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withDuo(t, said, func(t *testing.T, d *duo) {
				began := time.Now()
				time.Sleep(before)
				earlier := make(map[string]earful)
				for way, ends := range d.directions() {
					earlier[way] = heardOf(ends, began.Add(3*time.Second), before-4*time.Second)
				}
				c.happens(d)
				over := before + c.lasts
				time.Sleep(c.lasts + rest)
				then := make(map[string]session.PeerStats)
				for way, ends := range d.directions() {
					then[way] = statsOf(ends[1], ends[0])
				}
				time.Sleep(judged)
				for way, ends := range d.directions() {
					now := statsOf(ends[1], ends[0])
					first := earlier[way]
					last := heardOf(ends, began.Add(over+rest), judged-2*time.Second)
					j, k := then[way].Jitter, now.Jitter
					concealed := audiotest.Duration(float64(k.ConcealedSamples + k.DiscardedSamples - j.ConcealedSamples - j.DiscardedSamples))
					stretched := audiotest.Duration(float64(k.InsertedSamples + k.RemovedSamples - j.InsertedSamples - j.RemovedSamples))
					soon := heardOf(ends, began.Add(over), rest)
					t.Logf("%s: from mouth to ear %v before, %v after; %v of the first 3 s lost, then %v lost, %v concealed, %v stretched; target %v", way, first.delay, last.delay, soon.lost, last.lost, concealed, stretched, k.Target)
					if soon.lost > 300*time.Millisecond {
						t.Errorf("%s: of the 3 s that follow %v aren't heard", way, soon.lost)
					}
					if last.delay > first.delay+15*time.Millisecond || last.worst > first.worst+30*time.Millisecond {
						t.Errorf("%s: from mouth to ear %v before, %v at most; %v after, %v at most", way, first.delay, first.worst, last.delay, last.worst)
					}
					if last.lost > 60*time.Millisecond || last.spoken < judged/2 || concealed > 40*time.Millisecond || stretched > 150*time.Millisecond {
						t.Errorf("%s: from 3 s after on, of %v %v weren't heard; %v concealed, %v stretched", way, last.spoken, last.lost, concealed, stretched)
					}
				}
			})
		})
	}
}

// Nor do they leave clicks: three seconds later the steps in a pure tone are its own.
func TestSetbacksOfDevicesLeaveNoClicks(t *testing.T) {
	const hz, dBFS = 200.0, -10.0
	const before, rest, judged = 4 * time.Second, 3 * time.Second, 6 * time.Second
	slope := audio.Amplitude(dBFS) * 2 * math.Pi * hz / audio.SampleRate
	tone, err := audiotest.Read(audio.NewTone(hz, dBFS), audio.SampleRate)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range setbacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withDuo(t, tone, func(t *testing.T, d *duo) {
				time.Sleep(before)
				c.happens(d)
				time.Sleep(c.lasts + rest)
				from := time.Now()
				time.Sleep(judged)
				for way, ends := range d.directions() {
					pcm := ends[1].speaker.Heard(from, judged-time.Second)
					greatest, silent := 0.0, 0
					for i := range pcm {
						greatest = max(greatest, step(pcm, i))
						if i >= audio.BlockSamples && i%audio.BlockSamples == 0 && audio.Measure(pcm[i-audio.BlockSamples:i]).RMS < -20 {
							silent++
						}
					}
					t.Logf("%s: greatest step %.4f, that of the tone %.4f; %d silent blocks", way, greatest, slope, silent)
					if greatest > 1.2*slope || greatest < 0.8*slope || silent > 0 {
						t.Errorf("%s: greatest step %.4f, want that of the tone, %.4f; %d silent blocks", way, greatest, slope, silent)
					}
				}
			})
		})
	}
}

// earful is what became of a part of what was said.
type earful struct{ spoken, lost, delay, worst time.Duration }

func heardOf(ends [2]*tableside, from time.Time, length time.Duration) (h earful) {
	const most = time.Second
	talker, listener := ends[0], ends[1]
	report := hearing.Compare(
		hearing.Track{PCM: talker.mic.Said(from, length), Start: from},
		hearing.Track{PCM: listener.speaker.Heard(from, length+most), Start: from}, most)
	n := 0
	for _, m := range report {
		if m.Heard {
			h.delay += m.Delay
			h.worst = max(h.worst, m.Delay)
			n++
		}
	}
	h.delay /= time.Duration(max(1, n))
	h.spoken = time.Duration(len(report)) * hearing.Frame
	h.lost = time.Duration(report.Lost()) * hearing.Frame
	return h
}
