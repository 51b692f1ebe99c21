package session

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/sessiontest"
)

// loop is a transport that hands what is sent to a function; it is always
// there and costs nothing, so that what is measured is the session's.
type loop struct {
	voice func(p identity.PeerID, b []byte)
}

func (*loop) Self() identity.PeerID                     { return "self" }
func (*loop) Open(link.Handler) error                   { return nil }
func (*loop) Join(identity.PeerID) error                { return nil }
func (*loop) Leave(identity.PeerID) error               { return nil }
func (*loop) SendControl(identity.PeerID, []byte) error { return nil }
func (*loop) Path(identity.PeerID) link.Path            { return link.Path{Kind: link.LAN, Epoch: 1} }
func (*loop) Stats(identity.PeerID) link.Stats          { return link.Stats{} }
func (*loop) Close() error                              { return nil }

func (l *loop) SendVoice(p identity.PeerID, b []byte) error {
	if l.voice != nil {
		l.voice(p, b)
	}
	return nil
}

// still is a conversation whose goroutines don't run: a test moves it by hand.
func still(tb testing.TB, transport link.Transport, peers int) *conversation {
	tb.Helper()
	s, err := New(Config{Transport: transport, Codec: &sessiontest.Codec{}})
	if err != nil {
		tb.Fatal(err)
	}
	c := &conversation{s: s, cfg: s.cfg, log: s.log, transport: transport, done: make(chan struct{}), closing: make(chan struct{}), wake: make(chan struct{}, 1)}
	c.mic.open = true
	tk, err := newTalker(c.cfg.Codec, c.cfg.Encoding)
	if err != nil {
		tb.Fatal(err)
	}
	c.capture.init(c, tk)
	for i := range peers {
		id := identity.PeerID(binary.BigEndian.AppendUint16(nil, uint16(i)))
		p, err := newPeer(c, id, s.enlist(id))
		if err != nil {
			tb.Fatal(err)
		}
		p.listener.wants.Store(wantsVoice)
		p.hearing.understood.Store(true)
		p.listener.plan.Store(plan{copies: back(1, 2), encoding: encoding(i) % numEncodings, twins: i % 4 / 3, light: i%2 == 1}.pack())
		c.roster.add(p)
	}
	return c
}

// replay makes n packets of a voice, by which a peer is heard.
func replay(tb testing.TB, n int) [][]byte {
	tb.Helper()
	var packets [][]byte
	c := still(tb, &loop{voice: func(_ identity.PeerID, b []byte) { packets = append(packets, append([]byte(nil), b...)) }}, 1)
	b := loudBlock()
	for len(packets) < n {
		mic := *b
		c.speak(&mic)
	}
	return packets
}

func TestCaptureToWireAllocatesNothing(t *testing.T) {
	c := still(t, &loop{}, 4)
	var tapped int
	c.s.Tap(Taps{
		Microphone: func(*audio.Block, time.Time, bool) { tapped++ },
		Said:       func(p *Packet) { tapped += p.Samples },
	})
	b := loudBlock()
	now := time.Unix(1000, 0)
	step := func() {
		c.capture.mic = *b
		c.mix.put(b, now)
		c.mix.take(&c.capture.mix, now)
		now = now.Add(audio.BlockDuration)
		c.cfg.Chain.Process(&c.capture.mic, &c.capture.mix)
		c.speak(&c.capture.mic)
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a block from microphone to link, want 0", n)
	}
	if want := 500*(1+audio.BlockSamples) - 960; tapped < want {
		t.Errorf("%d blocks and samples were tapped, want %d", tapped, want)
	}
}

func TestWireToMixAllocatesNothing(t *testing.T) {
	const warm, runs = 100, 400
	packets := replay(t, warm+runs+10)
	c := still(t, &loop{}, 3)
	var tapped int
	c.s.Tap(Taps{
		Received: func(_ identity.PeerID, p *Packet) { tapped += p.Samples },
		Peer:     func(identity.PeerID, *audio.Block, bool) { tapped++ },
	})
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
		t.Errorf("%v allocations per 20 ms from link to mix, want 0", n)
	}
	if want := 3 * runs * (2 + 900); tapped < want {
		t.Errorf("%d blocks and samples were tapped, want %d", tapped, want)
	}
	for _, p := range c.roster.list() {
		if st := p.player.jitterStats(); st.PlayedSamples < runs*900 {
			t.Errorf("only %d samples were played: the test measured silence", st.PlayedSamples)
		}
	}
}

// endless gives the same packet again and again.
type endless struct{ packet []byte }

func (e endless) ReadPacket(dst []byte) ([]byte, error) { return append(dst[:0], e.packet...), nil }

func TestPacketsToWireAllocateNothing(t *testing.T) {
	sent := 0
	c := still(t, &loop{voice: func(identity.PeerID, []byte) { sent++ }}, 4)
	frame := make([]float32, c.capture.talker.enc[whole].FrameSamples())
	copy(frame, loudBlock()[:])
	packet, err := c.capture.talker.enc[whole].Encode(make([]byte, codec.MaxPacketBytes), frame)
	if err != nil {
		t.Fatal(err)
	}
	c.packets = &packetSource{reader: endless{append([]byte(nil), packet...)}}
	step := func() { c.passPacket(c.packets) }
	for range 200 {
		step()
	}
	before := sent
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a block, want 0", n)
	}
	if sent-before < 500 {
		t.Errorf("%d packets were sent", sent-before)
	}
}
