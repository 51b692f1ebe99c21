package session

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// reachable makes the peers of a still conversation understand rooms, and listen
// to one of each number.
func reachable(c *conversation, names ...string) {
	for _, p := range c.roster.list() {
		p.mu.Lock()
		p.path.Kind = 1
		p.greeting = greeting{sent: true, received: true}
		p.rooms.heard, p.rooms.namedOnly = true, true
		p.rooms.listens = make(map[string]uint32)
		for i, name := range names {
			p.rooms.listens[name] = uint32(i)
		}
		c.readdressLocked(p)
		p.mu.Unlock()
	}
}

// openChannel is Speak for a conversation that isn't its session's.
func (c *conversation) openChannel(t testing.TB, to Target) *Channel {
	t.Helper()
	ch, err := c.s.Speak(to)
	if err != nil {
		t.Fatal(err)
	}
	c.readdressAll()
	return ch
}

// A packet carries copies only of what the listener was sent in the same ways:
// else one who isn't to hear a room would hear its last frames.
func TestCopiesAreOfTheSameChannels(t *testing.T) {
	var packets []wire.Voice
	c := still(t, &loop{voice: func(_ identity.PeerID, b []byte) {
		var v wire.Voice
		if err := v.Parse(slices.Clone(b)); err != nil {
			t.Error(err)
		}
		packets = append(packets, v)
	}}, 1)
	reachable(c, "team", "raid")
	c.roster.list()[0].listener.plan.Store(plan{copies: back(1, 2)}.pack())
	mic := loudBlock()
	for i := range 40 {
		team := c.openChannel(t, Room("team"))
		team.SetGain(float32(i) / 20) // louder is no other way
		for range 2 + i%5 {
			block := *mic
			c.speak(&block)
		}
		team.Close()
		raid := c.openChannel(t, Room("raid"))
		for range 2 + i%7 {
			block := *mic
			c.speak(&block)
		}
		raid.Close()
		c.readdressAll()
	}
	targets := map[uint16]uint32{}
	copies := 0
	for _, v := range packets {
		if len(v.Channels) == 0 {
			t.Fatalf("packet %d is said to everyone", v.Sequence)
		}
		ch, _, _, err := wire.NextChannel(v.Channels)
		if err != nil {
			t.Fatal(err)
		}
		targets[v.Sequence] = ch.Target
		for _, earlier := range v.Copies[:v.NumCopies] {
			copies++
			if was := targets[v.Sequence-uint16(earlier.Offset)]; was != ch.Target {
				t.Errorf("packet %d to target %d holds a copy of one to target %d", v.Sequence, ch.Target, was)
			}
		}
	}
	if len(packets) < 150 || copies < 50 {
		t.Errorf("%d packets with %d copies: the test shows too little", len(packets), copies)
	}
}

func TestSpeakingInRoomsAllocatesNothing(t *testing.T) {
	c := still(t, &loop{}, 4)
	reachable(c, "team", "raid")
	c.openChannel(t, Room("team")).SetGain(0.5)
	c.openChannel(t, Room("raid"))
	c.openChannel(t, Whisper(c.roster.list()[1].id))
	for i, p := range c.roster.list() {
		p.listener.plan.Store(plan{copies: back(1), encoding: encoding(i) % numEncodings, twins: i % 4 / 3}.pack())
	}
	b := loudBlock()
	step := func() {
		c.capture.mic = *b
		c.speak(&c.capture.mic)
	}
	for range 100 {
		step()
	}
	sent := c.roster.list()[1].listener.sent.Load()
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a block, want 0", n)
	}
	if got := c.roster.list()[1].listener.sent.Load() - sent; got < 240 {
		t.Errorf("%d packets were sent: the test measured silence", got)
	}
}

// roomPackets are n packets of a voice in room 0 and 1 of the listener.
func roomPackets(t *testing.T, n int) (packets [][]byte) {
	t.Helper()
	c := still(t, &loop{voice: func(_ identity.PeerID, b []byte) { packets = append(packets, slices.Clone(b)) }}, 1)
	reachable(c, "team", "raid")
	c.roster.list()[0].listener.plan.Store(0)
	c.openChannel(t, Room("team")).SetPriority(High)
	c.openChannel(t, Room("raid"))
	for len(packets) < n {
		mic := *loudBlock()
		c.speak(&mic)
	}
	return packets
}

func TestHearingRoomsAllocatesNothing(t *testing.T) {
	for _, heard := range []bool{true, false} {
		const warm, runs = 100, 400
		packets := roomPackets(t, warm+runs+10)
		c := still(t, &loop{}, 3)
		for _, name := range []string{"team", "raid"} {
			if err := c.s.Listen(name); err != nil {
				t.Fatal(err)
			}
			if !heard {
				if err := c.s.Leave(name); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.readdressAll()
		var mixer audio.Mixer
		var out audio.StereoBlock
		now := time.Unix(1000, 0)
		next := 0
		step := func() { // 20 ms
			for _, p := range c.roster.list() {
				c.Voice(p.id, packets[next], now)
			}
			next++
			for range 2 {
				c.mixPeers(&mixer, now)
				mixer.Mix(&out)
				now = now.Add(audio.BlockDuration)
			}
		}
		for range warm {
			step()
		}
		if n := testing.AllocsPerRun(runs, step); n != 0 {
			t.Errorf("heard: %t: %v allocations per 20 ms from link to mix, want 0", heard, n)
		}
		for _, p := range c.roster.list() {
			st := p.player.jitterStats()
			if refused := p.hearing.refused.Load(); heard && (st.PlayedSamples < runs*900 || refused > 0) || !heard && (st.Received > 0 || refused < runs) {
				t.Errorf("heard: %t: %d samples were played, %d packets refused", heard, st.PlayedSamples, refused)
			}
		}
	}
}

// What is refused costs a fraction of what is heard, before any decoding.
func BenchmarkRefusedVoice(b *testing.B) {
	packets := replay(b, 1000)
	for name, blocked := range map[string]bool{"blocked": true, "taken": false} {
		b.Run(name, func(b *testing.B) {
			c := still(b, &loop{}, 1)
			p := c.roster.list()[0]
			c.s.SetPeerBlocked(p.id, blocked)
			c.readdressAll()
			at := time.Unix(1000, 0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Voice(p.id, packets[i%len(packets)], at)
			}
		})
	}
}

// counting is a codec that counts what its encoders do.
type counting struct {
	sessiontest.Codec
	encoded int
}

type countingEncoder struct {
	codec.Encoder
	c *counting
}

func (c *counting) NewEncoder(cfg codec.Config) (codec.Encoder, error) {
	enc, err := c.Codec.NewEncoder(cfg)
	return countingEncoder{enc, c}, err
}

func (e countingEncoder) Encode(dst []byte, pcm []float32) ([]byte, error) {
	e.c.encoded++
	return e.Encoder.Encode(dst, pcm)
}

// However many listen, in however many ways, each frame is encoded twice at most,
// and who isn't reached gets nothing.
func TestFramesAreEncodedTwiceAtMost(t *testing.T) {
	sent := map[identity.PeerID]int{}
	c := still(t, &loop{voice: func(p identity.PeerID, _ []byte) { sent[p]++ }}, 20)
	counts := &counting{}
	tk, err := newTalker(counts, c.cfg.Encoding)
	if err != nil {
		t.Fatal(err)
	}
	c.capture.init(c, tk)
	reachable(c, "team", "raid")
	last := c.roster.list()[19]
	last.rooms.listens = nil
	c.openChannel(t, Room("team"))
	c.openChannel(t, Room("raid")).SetGain(0.5)
	for _, p := range c.roster.list()[:10] {
		c.openChannel(t, Whisper(p.id))
	}
	const frames = 50
	for range 2 * frames {
		mic := *loudBlock()
		c.speak(&mic)
	}
	if counts.encoded <= 2*frames || counts.encoded > int(numEncodings)*frames {
		t.Errorf("%d frames were encoded %d times", frames, counts.encoded)
	}
	for i, p := range c.roster.list()[:19] {
		if got := sent[p.id]; got != frames && i%4 != 3 || got != frames/2 && i%4 == 3 {
			t.Errorf("listener %d was sent %d packets", i, got)
		}
	}
	if got := sent[last.id]; got != 0 {
		t.Errorf("%d packets went to who listens to nothing", got)
	}
}

// A frame that waits for the next one, to travel with it, and may not, since that
// goes another way, leaves no gap in the numbers: it was never sent.
func TestChangingChannelsOfPairsLeavesNoGap(t *testing.T) {
	var packets []wire.Voice
	c := still(t, &loop{voice: func(_ identity.PeerID, b []byte) {
		var v wire.Voice
		if err := v.Parse(slices.Clone(b)); err != nil {
			t.Error(err)
		}
		packets = append(packets, v)
	}}, 1)
	reachable(c, "team", "raid")
	c.roster.list()[0].listener.plan.Store(little.pack())
	last := c.openChannel(t, Room("team"))
	for i := range 60 {
		next := c.openChannel(t, Room([]string{"raid", "team"}[i%2]))
		last.Close()
		c.readdressAll()
		last = next
		for range 2 + 2*(i%5) {
			mic := *loudBlock()
			c.speak(&mic)
		}
	}
	twins := 0
	for i, v := range packets {
		step := uint16(1)
		if v.Twins > 0 {
			step = 2
			twins++
		}
		if i > 0 && v.Sequence-packets[i-1].Sequence != step {
			t.Errorf("packet %d follows on %d, twin: %t", v.Sequence, packets[i-1].Sequence, v.Twins > 0)
		}
	}
	if twins < 40 || c.roster.list()[0].listener.sent.Load() < 40 {
		t.Errorf("only %d pairs were sent: the test shows too little", twins)
	}
}
