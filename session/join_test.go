package session

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// oneTone is a codec that knows a single sound, whose packets are those of the
// test codec and whose guesses are perfect: every step that is heard of it is
// the player's.
type oneTone struct {
	sessiontest.Codec
	hz float64
}

type toneDecoder struct {
	hz float64
	at int
}

const toneLevel = 0.3

func (c *oneTone) NewDecoder() (codec.Decoder, error) { return &toneDecoder{hz: c.hz}, nil }

func (d *toneDecoder) Decode(dst []float32, packet []byte) (int, error) {
	content, err := codec.Codec(&sessiontest.Codec{}).Inspect(packet)
	if err != nil {
		return 0, err
	}
	n := content.Samples
	d.at = int(binary.BigEndian.Uint16(packet[3:])) * n // the frame's number
	return n, d.Conceal(dst[:n])
}

func (d *toneDecoder) Recover([]float32, []byte) error {
	return fmt.Errorf("%w: no FEC", codec.ErrPacket)
}

func (d *toneDecoder) Conceal(dst []float32) error {
	for i := range dst {
		dst[i] = float32(toneLevel * math.Sin(2*math.Pi*d.hz*float64(d.at)/audio.SampleRate))
		d.at++
	}
	return nil
}

// steps plays 3 s of the tone, of which the packets that arrive says, at the
// tick it says, in ticks of 10 ms, and returns the greatest step from one
// sample to the next.
func steps(t *testing.T, hz float64, arrives func(n int) (tick int, spurt uint16), before func(tick int, p *player)) (greatest float64, at time.Duration, st jitter.Stats) {
	t.Helper()
	c := &oneTone{hz: hz}
	enc, err := c.NewEncoder(codec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlayer(c, jitter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	packets := map[int][][]byte{}
	for n := range 150 {
		tick, spurt := arrives(n)
		packets[tick] = append(packets[tick], message(t, enc, n, spurt))
	}
	last, now := float32(0), time.Unix(1000, 0)
	for tick := range 300 {
		for _, b := range packets[tick] {
			p.receive(b, now)
		}
		if before != nil {
			before(tick, p)
		}
		var b audio.Block
		p.read(&b, now)
		for i, x := range b {
			if d := math.Abs(float64(x - last)); d > greatest {
				greatest, at = d, time.Duration(tick)*audio.BlockDuration+time.Duration(i)*time.Second/audio.SampleRate
			}
			last = x
		}
		now = now.Add(audio.BlockDuration)
	}
	return greatest, at, p.jitterStats()
}

// message is packet n of a voice.
func message(t *testing.T, enc codec.Encoder, n int, spurt uint16) []byte {
	t.Helper()
	pcm := make([]float32, enc.FrameSamples())
	pcm[0] = 1 // anything but silence
	payload, err := enc.Encode(make([]byte, codec.MaxPacketBytes), pcm)
	if err != nil {
		t.Fatal(err)
	}
	v := wire.Voice{Sequence: uint16(n), Timestamp: uint32(n * len(pcm) / wire.TickSamples), Spurt: uint8(spurt), Payload: payload}
	b, err := v.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A deep voice has periods that don't fit twice into a packet of 10 ms.
func TestDelayOfAnyVoiceComesDownWithPacketsOfAnyLength(t *testing.T) {
	for _, d := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond} {
		for _, hz := range []float64{75, 110, 180, 350} {
			c := &oneTone{hz: hz}
			enc, err := c.NewEncoder(codec.Config{FrameDuration: d})
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPlayer(c, jitter.Config{StartDelay: 150 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Unix(1000, 0)
			for tick := range 1500 {
				at := time.Duration(tick) * audio.BlockDuration
				if at%d == 0 {
					p.receive(message(t, enc, int(at/d), 1), start.Add(at))
				}
				var b audio.Block
				p.read(&b, start.Add(at))
			}
			st := p.jitterStats()
			if st.Delay > 25*time.Millisecond+d/2 || st.RemovedSamples < audio.SampleRate/20 {
				t.Errorf("packets of %v, %v Hz: the delay is %v after 15 s, %v removed", d, hz, st.Delay, time.Duration(st.RemovedSamples)*time.Second/audio.SampleRate)
			}
			if st.ConcealedSamples+st.DiscardedSamples > 0 {
				t.Errorf("packets of %v, %v Hz: %+v", d, hz, st)
			}
		}
	}
}

func TestNothingThatHappensToAVoiceIsAClick(t *testing.T) {
	const never = -1
	onTime := func(n int) (int, uint16) { return 2*n + 2, 1 }
	lost := func(count int) func(int) (int, uint16) {
		return func(n int) (int, uint16) {
			if n >= 80 && n < 80+count {
				return never, 1
			}
			return onTime(n)
		}
	}
	resetAt := func(when int) func(int, *player) {
		return func(tick int, p *player) {
			if tick == when {
				p.reset()
			}
		}
	}
	tests := map[string]struct {
		arrives func(int) (int, uint16)
		before  func(int, *player)
		check   func(jitter.Stats) bool
	}{
		"1 packet lost":   {lost(1), nil, func(s jitter.Stats) bool { return s.Missing == 1 }},
		"2 packets lost":  {lost(2), nil, func(s jitter.Stats) bool { return s.Missing == 2 }},
		"3 packets lost":  {lost(3), nil, func(s jitter.Stats) bool { return s.Missing == 3 }},
		"10 packets lost": {lost(10), nil, func(s jitter.Stats) bool { return s.Missing == 10 }},
		"the rest lost":   {lost(1000), nil, func(s jitter.Stats) bool { return s.Interruptions == 1 }},
		"held back for 60 ms": {func(n int) (int, uint16) {
			if tick, _ := onTime(n); tick < 165 || tick > 171 {
				return tick, 1
			}
			return 171, 1
		}, nil, nil},
		"held back for a second, then dropped to live": {func(n int) (int, uint16) {
			if tick, _ := onTime(n); tick < 150 || tick > 250 {
				return tick, 1
			}
			return 251, 1
		}, nil, func(s jitter.Stats) bool { return s.Skips == 1 }},
		"a new spurt right after the old one": {func(n int) (int, uint16) {
			tick, _ := onTime(n)
			return tick, uint16(1 + n/80)
		}, nil, nil},
		"a new spurt after a loss": {func(n int) (int, uint16) {
			tick, _ := lost(4)(n)
			return tick, uint16(1 + n/83)
		}, nil, nil},
		"a reset on a packet's edge":        {onTime, resetAt(160), nil},
		"a reset in the midst of a packet":  {onTime, resetAt(161), nil},
		"a reset after which nothing comes": {lost(1000), resetAt(166), nil},
		"a reset amidst a guess":            {lost(1000), resetAt(175), nil},
	}
	for _, hz := range []float64{200, 210, 237} {
		plain, _, st := steps(t, hz, onTime, nil)
		if st.ConcealedSamples > 0 || st.PlayedSamples < 2*audio.SampleRate {
			t.Fatalf("plain: %+v", st)
		}
		for name, tt := range tests {
			got, at, st := steps(t, hz, tt.arrives, tt.before)
			// A cross-fade adds at most the difference of its two sides over its length.
			if allowed := plain + 2*toneLevel*math.Pi/2/edgeSamples; got > allowed {
				t.Errorf("%s, %v Hz: a step of %.4f at %v, want at most %.4f", name, hz, got, at, allowed)
			}
			if tt.check != nil && !tt.check(st) {
				t.Errorf("%s, %v Hz: %+v", name, hz, st)
			}
		}
	}
}

// What the application does to a sound at any moment ends it softly.
func TestNoCommandIsAClick(t *testing.T) {
	const hz = 237
	slope := toneLevel * 2 * math.Pi * hz / audio.SampleRate
	tests := map[string]func(c *conversation, p *peer) *peer{
		"deafened, or not any more": func(c *conversation, p *peer) *peer {
			c.s.SetDeafened(!c.s.Deafened())
			return p
		},
		"muted, or not any more": func(c *conversation, p *peer) *peer {
			c.s.SetPeerMuted(p.id, !c.s.PeerMuted(p.id))
			return p
		},
		"left and came back": func(c *conversation, p *peer) *peer {
			c.roster.remove(p)
			return listed(t, c, p.id)
		},
	}
	for name, command := range tests {
		for phase := range 2 { // on a packet's edge and between
			c := still(t, &loop{}, 0)
			c.cfg.Codec = &oneTone{hz: hz}
			p := listed(t, c, "peer")
			enc, err := c.cfg.Codec.NewEncoder(codec.Config{})
			if err != nil {
				t.Fatal(err)
			}
			var mixer audio.Mixer
			var ears audio.Fader
			var out audio.StereoBlock
			last, greatest, peak := float32(0), 0.0, float32(0)
			now := time.Unix(1000, 0)
			for tick := range 400 {
				if tick%2 == 0 {
					c.Voice(p.id, message(t, enc, tick/2, 1), now)
				}
				if tick >= 100 && tick%50 == phase {
					p = command(c, p)
				}
				c.mixBlock(&mixer, &ears, &out, now)
				for i := 0; i < len(out); i += 2 {
					greatest = max(greatest, math.Abs(float64(out[i]-last)))
					peak = max(peak, out[i])
					last = out[i]
				}
				now = now.Add(audio.BlockDuration)
			}
			if greatest > slope+2*toneLevel*math.Pi/2/edgeSamples {
				t.Errorf("%s, phase %d: a step of %.4f, where the tone has %.4f", name, phase, greatest, slope)
			}
			if peak < 0.9*toneLevel {
				t.Errorf("%s: the tone was not heard: its peak is %v", name, peak)
			}
		}
	}
}

// listed is a new peer of a conversation.
func listed(t *testing.T, c *conversation, id identity.PeerID) *peer {
	t.Helper()
	p, err := newPeer(c, id, c.s.enlist(id))
	if err != nil {
		t.Fatal(err)
	}
	p.hearing.understood.Store(true)
	c.roster.add(p)
	return p
}

func TestOfAPeerThatLeftOnlyAFadeIsHeard(t *testing.T) {
	for phase := range 4 {
		c := still(t, &loop{}, 0)
		c.cfg.Codec = &oneTone{hz: 237}
		p := listed(t, c, "peer")
		enc, err := c.cfg.Codec.NewEncoder(codec.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var mixer audio.Mixer
		var ears audio.Fader
		var out audio.StereoBlock
		now := time.Unix(1000, 0)
		for tick := range 100 + phase {
			if tick%2 == 0 {
				c.Voice(p.id, message(t, enc, tick/2, 1), now)
			}
			c.mixBlock(&mixer, &ears, &out, now)
			now = now.Add(audio.BlockDuration)
		}
		c.roster.remove(p)
		var heard []float32
		for range 5 {
			c.mixBlock(&mixer, &ears, &out, now)
			heard = append(heard, out[:]...)
			now = now.Add(audio.BlockDuration)
		}
		for i, x := range heard {
			if i >= 2*(audio.BlockSamples+audio.MixerDelay) && x != 0 {
				t.Fatalf("phase %d: %v is heard %d samples after the peer left", phase, x, i/2)
			}
		}
	}
}
