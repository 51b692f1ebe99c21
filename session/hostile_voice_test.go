package session_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// testPayload is a codec packet of a tone, of some duration.
func testPayload(t *testing.T, d time.Duration) []byte {
	t.Helper()
	enc, err := (&sessiontest.Codec{}).NewEncoder(codec.Config{FrameDuration: d})
	must(t, err)
	pcm := tone(440, 0.3)[:enc.FrameSamples()]
	payload, err := enc.Encode(make([]byte, codec.MaxPacketBytes), pcm)
	must(t, err)
	return payload
}

// testPackets makes voice packets of 20 ms of a tone.
func testPackets(t *testing.T) func(seq, tick, spurt int) []byte {
	t.Helper()
	payload := testPayload(t, 20*time.Millisecond)
	return func(seq, tick, spurt int) []byte { return voicePacket(t, seq, tick, spurt, payload) }
}

func voicePacket(t *testing.T, seq, tick, spurt int, payload []byte, copies ...wire.Copy) []byte {
	t.Helper()
	v := wire.Voice{Sequence: uint16(seq), Timestamp: uint32(tick) & (1<<wire.TimestampBits - 1), Spurt: uint8(spurt), Payload: payload}
	v.NumCopies = copy(v.Copies[:], copies)
	b, err := v.AppendTo(nil)
	must(t, err)
	return b
}

// assault is what an attack works with: say sends voice, in rounds of 20 ms.
type assault struct {
	t                    *testing.T
	rng                  *rand.Rand
	say                  func(b []byte)
	packet               func(seq, tick, spurt int) []byte
	short, between, long []byte // payloads of 10, 20 and 60 ms
}

// attack is something that a hostile peer does in each round. moved is the
// counter that shows that it arrived and was seen for what it is, and least what
// it must have reached after 500 rounds.
type attack struct {
	name  string
	round func(a *assault, i int)
	moved func(p session.PeerStats) uint64
	least uint64
}

func malformed(p session.PeerStats) uint64 { return p.Malformed }
func rejected(p session.PeerStats) uint64  { return p.Jitter.Rejected }

var attacks = []attack{
	{"one byte", func(a *assault, _ int) { a.say([]byte{byte(a.rng.Uint32())}) }, malformed, 500},
	{"random bytes", func(a *assault, _ int) {
		b := make([]byte, 1+a.rng.IntN(link.MaxMessage))
		for i := range b {
			b[i] = byte(a.rng.Uint32())
		}
		b[0] = 0x10 | b[0]&7
		a.say(b)
	}, malformed, 490},
	{"largest possible", func(a *assault, i int) {
		b := a.packet(i, 2*i, 1)
		a.say(append(b, make([]byte, link.MaxMessage-len(b))...))
	}, malformed, 500},
	{"largest possible of its words", func(a *assault, i int) {
		c := wire.Copy{Payload: make([]byte, 300)}
		copies := []wire.Copy{c, c, c}
		for k := range copies {
			copies[k].Offset = 1 + k
		}
		a.say(voicePacket(a.t, i, 2*i, 1, a.between, copies...))
	}, malformed, 1500},
	{"far ahead", func(a *assault, i int) {
		a.say(a.packet(i+a.rng.IntN(1<<16), 2*i+a.rng.IntN(1<<24), 1))
	}, rejected, 200},
	{"ten times too fast", func(a *assault, i int) {
		for k := range 10 {
			a.say(a.packet(10*i+k, 20*i+2*k, 1))
		}
	}, func(p session.PeerStats) uint64 { return p.Jitter.Skips }, 20},
	{"backwards", func(a *assault, i int) {
		a.say(a.packet(60000-i, 1<<20-2*i, 255-i%256))
	}, func(p session.PeerStats) uint64 { return p.Jitter.Late + p.Jitter.Rejected }, 400},
	{"same number", func(a *assault, i int) {
		a.say(a.packet(7, 2*i, 1))
	}, func(p session.PeerStats) uint64 { return p.Jitter.Duplicate + p.Jitter.Late }, 490},
	{"new spurt each packet", func(a *assault, i int) {
		a.say(a.packet(i, 2*i, i))
	}, func(p session.PeerStats) uint64 { return p.Jitter.Received }, 500},
	{"60 ms in each 20 ms", func(a *assault, i int) { // time overlaps: what is said to last longer lasts no longer
		a.say(voicePacket(a.t, i, 2*i, 1, a.long))
	}, rejected, 150},
	{"60 ms each 20 ms", func(a *assault, i int) { // three times as much as can be played
		a.say(voicePacket(a.t, i, 6*i, 1, a.long))
	}, func(p session.PeerStats) uint64 { return p.Jitter.Skips }, 20},
	{"10 ms in each 20 ms", func(a *assault, i int) { // half of the time is missing
		a.say(voicePacket(a.t, i, 2*i, 1, a.short))
	}, func(p session.PeerStats) uint64 { return p.Jitter.PlayedSamples }, 200_000},
	{"any duration", func(a *assault, i int) {
		payload := [][]byte{a.short, a.between, a.long}[a.rng.IntN(3)]
		a.say(voicePacket(a.t, i, 2*i, 1, payload))
	}, rejected, 50},
	{"copies that are no packets", func(a *assault, i int) {
		copies := make([]wire.Copy, wire.MaxCopies)
		for k := range copies {
			garbage := make([]byte, 1+a.rng.IntN(100))
			garbage[0] = byte(a.rng.Uint32())
			copies[k] = wire.Copy{Offset: 1 + a.rng.IntN(wire.MaxOffset), Payload: garbage}
		}
		a.say(voicePacket(a.t, i, 2*i, 1, a.between, copies...))
	}, malformed, 1400},
	{"channels without end", func(a *assault, _ int) {
		a.say(append([]byte{0x20, 0, 1, 0, 0, 2, 1}, bytes.Repeat([]byte{0xff}, 500)...))
	}, malformed, 500},
	{"random channels", func(a *assault, i int) {
		b := a.packet(i, 2*i, 1)
		b[0] = 0x20
		a.rng.Shuffle(len(b)-7, func(i, k int) { b[7+i], b[7+k] = b[7+k], b[7+i] })
		a.say(b)
	}, malformed, 300},
	{"other channels in each packet", func(a *assault, i int) {
		v := wire.Voice{Sequence: uint16(i), Timestamp: uint32(2 * i), Spurt: 1, Payload: a.between}
		for n := range 1 + a.rng.IntN(wire.MaxChannels) {
			v.Channels = wire.AppendChannels(nil, slices.Repeat([]wire.Channel{{Target: uint32(n), Gain: a.rng.Float32(), Priority: 2}}, n+1))
		}
		b, err := v.AppendTo(nil)
		must(a.t, err)
		a.say(b)
	}, func(p session.PeerStats) uint64 { return p.Jitter.PlayedSamples }, 470_000},
	{"copies of another duration", func(a *assault, i int) {
		copies := []wire.Copy{{Offset: 1, Payload: a.long}, {Offset: 3, Payload: a.short}}
		a.say(voicePacket(a.t, 2*i, 4*i, 1, a.between, copies...)) // every other number is missing
	}, rejected, 200},
}

// Whatever an announced peer sends, the others are heard as before, and when it
// behaves again it is heard.
func TestHostileVoiceDisturbsNobody(t *testing.T) {
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) { withstand(t, net, attack) })
		})
	}
}

func withstand(t *testing.T, net *sessiontest.Network, attack attack) {
	t.Helper()
	talker, listener := pair(t, net, tone(440, 0.2))
	defer closeAll(t, talker, listener)
	r := newRogue(t, net, 3, listener)
	var sent uint64
	a := &assault{
		t: t, rng: rand.New(rand.NewPCG(1, 2)), packet: testPackets(t),
		short:   testPayload(t, 10*time.Millisecond),
		between: testPayload(t, 20*time.Millisecond),
		long:    testPayload(t, 60*time.Millisecond),
		say: func(b []byte) {
			must(t, r.SendVoice(listener.id, b))
			sent += uint64(len(b))
		},
	}
	before := listener.peer(t, talker)
	for i := range 500 {
		attack.round(a, i)
		time.Sleep(20 * time.Millisecond)
	}
	after := listener.peer(t, talker)
	if got := after.Jitter.PlayedSamples - before.Jitter.PlayedSamples; got < 9*audio.SampleRate {
		t.Errorf("of the honest peer %d samples were heard in 10 s", got)
	}
	if got := after.Jitter.ConcealedSamples - before.Jitter.ConcealedSamples; got > 0 {
		t.Errorf("%d samples of the honest peer were concealed", got)
	}
	p := statsOf(t, listener, r.Self())
	if p.BytesIn != sent {
		t.Errorf("%d bytes of the attack arrived, want all %d", p.BytesIn, sent)
	}
	if got := attack.moved(p); got < attack.least {
		t.Errorf("the attack moved its counter to %d, want at least %d: %+v", got, attack.least, p)
	}
	if p.Jitter.Held > 200 {
		t.Errorf("%d packets are held", p.Jitter.Held)
	}
	// And now it behaves.
	time.Sleep(3 * time.Second)
	played := statsOf(t, listener, r.Self()).Jitter.PlayedSamples
	for i := range 300 {
		must(t, r.SendVoice(listener.id, a.packet(30000+i, 3000000+2*i, 9)))
		time.Sleep(20 * time.Millisecond)
	}
	if got := statsOf(t, listener, r.Self()).Jitter.PlayedSamples - played; got < audio.SampleRate {
		t.Errorf("6 s after the attack %d samples of the reformed peer were heard: %+v", got, statsOf(t, listener, r.Self()).Jitter)
	}
	must(t, r.Close())
}
