package integration_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/linkem"
)

// oneWay is the delay of the emulated links.
const oneWay = 25 * time.Millisecond

// codecDelay is that of Opus for voice: 312 samples of look-ahead.
const codecDelay = 6500 * time.Microsecond

// frame is how long a packet of voice is.
const frame = 20 * time.Millisecond

// call is two people who talk to each other through an emulated link.
type call struct {
	lab    *linkem.Link
	who    [2]*chatter // by the side of the link
	window [2]linkem.Stats
	span   time.Duration // between the two of window
}

// settle is how long a call takes to begin; rates are measured after it.
const settle = 5 * time.Second

// startCall starts both. transport is what the host listens on, behind its
// address.
func startCall(t *testing.T, lab *linkem.Link, transport string, args func(*chatter) []string) *call {
	t.Helper()
	c := &call{lab: lab, who: [2]*chatter{newChatter(t, "anna"), newChatter(t, "ben")}}
	to := c.who[linkem.B].id // known by its identity alone, waited for
	for side, who := range c.who {
		line := who.command("--listen", "/ip4/"+lab.Addr(linkem.Side(side))+transport, "--peer", to)
		who.start(t, lab.Command(linkem.Side(side), chatProgram(t), append(line, args(who)...)...))
		to = who.address(t)
	}
	return c
}

// run lets the call go on for a time and ends it.
func (c *call) run(t *testing.T, d time.Duration) {
	t.Helper()
	began := time.Now()
	c.wait(t, time.Until(began.Add(settle)))
	c.window[0] = c.lab.Stats()
	first := time.Now()
	c.wait(t, time.Until(began.Add(d)))
	c.window[1], c.span = c.lab.Stats(), time.Since(first)
	end(t, c.who[:]...)
}

// wait waits, or fails when somebody ends before.
func (c *call) wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.who[0].Exited():
		t.Fatalf("%s ended early: %v", c.who[0].name, c.who[0].Wait())
	case <-c.who[1].Exited():
		t.Fatalf("%s ended early: %v", c.who[1].name, c.who[1].Wait())
	}
}

// rate is what a side sent, in kb/s of IP packets, once the call had settled.
func (c *call) rate(from linkem.Side) float64 {
	count := func(s linkem.Stats) uint64 {
		if from == linkem.A {
			return s.AB.SentBytes
		}
		return s.BA.SentBytes
	}
	return float64(count(c.window[1])-count(c.window[0])) * 8 / 1000 / c.span.Seconds()
}

// direction is what became of one talker's voice at one listener.
type direction struct {
	whole   chatlab.Peer  // of the final line
	last    chatlab.Peer  // while both were there
	latency time.Duration // as the recordings show, mean
	pieces  int           // of half a second in which it was found ...
	missed  int           // and in which it wasn't
	hearing audiotest.Hearing
}

// lastTogether is what a listener last said of a talker while it was there.
func lastTogether(lines []chatlab.Line, id string) (found chatlab.Peer) {
	for _, l := range lines {
		if p := l.Peers[id]; !l.Final && p.Path != "" && p.Path != "none" {
			found = p
		}
	}
	return found
}

// follow measures one direction. The latency is found outside the processes:
// from when a sample was said, by --in's t0, to when it was heard, by --out's.
func follow(t *testing.T, talker, listener *chatter) direction {
	t.Helper()
	said, heard := talker.final(t), listener.final(t)
	d := direction{whole: heard.Peers[talker.id], last: lastTogether(listener.lines(t), talker.id)}
	recording := listener.recording(t)
	end := chatlab.At(heard.OutT0).Add(audiotest.Duration(float64(len(recording))))
	voice := talker.spoken(t, min(end.Sub(chatlab.At(said.InT0)), chatlab.At(said.T).Sub(chatlab.At(said.InT0))))
	shift := chatlab.At(said.InT0).Sub(chatlab.At(heard.OutT0))
	// By the second round of the sentence both are there.
	round := len(talker.sentence(t))
	begin := round + audiotest.Samples(shift-time.Second)
	d.hearing = audiotest.Heard(talker.sentence(t), recording[min(max(begin, 0), len(recording)):min(max(begin+round+2*audio.SampleRate, 0), len(recording))])
	var sum time.Duration
	for _, piece := range audiotest.Offsets(voice, recording, audiotest.OffsetsConfig{From: shift, To: shift + time.Second/2}) {
		if piece.Confidence < 0.7 {
			d.missed++
			continue
		}
		sum += piece.Offset - shift
		d.pieces++
	}
	if d.pieces > 0 {
		d.latency = sum / time.Duration(d.pieces)
	}
	return d
}

// faults are what is wrong with a direction, with bars for concealed_pct and
// buffer_ms.
func (d direction) faults(concealed, buffer float64) (list []string) {
	fault := func(wrong bool, format string, values ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, values...))
		}
	}
	fault(!d.hearing.Heard, "not heard: similarity %.3f, want %.2f", d.hearing.Similarity, audiotest.HeardThreshold)
	fault(d.whole.ConcealedPct > concealed, "%.2f %% concealed, want at most %.1f", d.whole.ConcealedPct, concealed)
	fault(!(d.whole.Buffer > 0 && d.whole.Buffer <= buffer), "buffer of %.1f ms, want at most %.0f", d.whole.Buffer, buffer)
	return list
}

// lateFaults are what is wrong with what the statistics say of the latency,
// against what the recordings show.
func (d direction) lateFaults() (list []string) {
	if d.pieces < 5*d.missed {
		list = append(list, fmt.Sprintf("the speech was found in %d half seconds only, in %d it was not", d.pieces, d.missed))
	}
	latency := millis(d.latency)
	if off := latency - d.whole.MouthToEar; math.Abs(off) > 5 {
		list = append(list, fmt.Sprintf("mouth_to_ear_ms is %.1f, the recordings show %.1f", d.whole.MouthToEar, latency))
	}
	// buffer_ms is per sample in blocks of 10 ms; what packets of 20 ms wait is
	// half of the difference less.
	sum := millis(frame+codecDelay+oneWay-(frame-audio.BlockDuration)/2) + d.whole.Buffer
	if off := latency - sum; math.Abs(off) > 5 {
		list = append(list, fmt.Sprintf("frame, codec, link and what packets waited by buffer_ms add up to %.1f ms, the recordings show %.1f", sum, latency))
	}
	return list
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (d direction) row(ip float64) string {
	return fmt.Sprintf("concealed %.2f %%, buffer %.1f ms, target %.1f ms, rtt %.1f ms, %d lanes, %d copies, %.1f kb/s at IP level, latency %.1f ms in the recordings (%d pieces, %d missed), %.1f ms in the statistics, similarity %.3f",
		d.whole.ConcealedPct, d.whole.Buffer, d.whole.Target, d.whole.RTT, d.last.Lanes, d.last.Copies, ip, millis(d.latency), d.pieces, d.missed, d.whole.MouthToEar, d.hearing.Similarity)
}
