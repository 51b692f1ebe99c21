package sessiontest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// blockLimit is how long many calls that don't block take at most, on a busy
// machine.
const blockLimit = 2 * time.Second

func checkNeverBlocks(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	g := newGate()
	b.t.Cleanup(g.open)
	p.rec.setHook(g.wait)
	b.talkUntil(a, p, g.entered)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m := make([]byte, link.MaxMessage)
		own := &bench{sent: 1 << 20}
		for range 2000 {
			copy(m, own.tag("flood"))
			_ = a.SendVoice(p.id, m) // most of it is dropped
		}
	}()
	if !doneWithin(done, blockLimit) {
		b.violate("Transport.SendVoice: never blocks", "2,000 calls took more than %v while the far Handler was busy", blockLimit)
	}
	g.open()
	if !doneWithin(done, b.f.Timeout) {
		b.t.Fatalf("Transport.SendVoice: never blocks\n\tit doesn't return")
	}
	b.talk(a, p, "live again")
}

func checkSlowHandler(b *bench) {
	ends := b.connect(3)
	slow, quick, p := ends[0], ends[1], ends[2]
	g := newGate()
	b.t.Cleanup(g.open)
	p.rec.setHook(func(id identity.PeerID) {
		if id == slow.id {
			g.wait(id)
		}
	})
	b.talkUntil(slow, p, g.entered)
	for range 200 {
		_ = slow.SendVoice(p.id, []byte(b.tag("slow")))
	}
	b.talk(quick, p, "quick")
	text := b.tag("quick")
	b.send(quick, p, text)
	b.awaitControl("Handler: calls for different peers may be concurrent", p, quick, []string{text})
	g.open()
}

func checkHandlerLock(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	lock := make(chan struct{}, 1) // a mutex that waits durably
	take := func(identity.PeerID) {
		lock <- struct{}{}
		<-lock
	}
	a.rec.setHook(take)
	p.rec.setHook(take)
	defer b.chatter([]*end{p}, a)()
	if !b.bounded(b.f.Timeout, func() {
		for range 100 {
			lock <- struct{}{}
			time.Sleep(time.Millisecond) // calls of the Handler queue up
			_ = a.SendVoice(p.id, []byte("x"))
			_ = a.SendControl(p.id, []byte("x"))
			_ = a.Join(p.id)
			_ = a.Path(p.id)
			_ = a.Stats(p.id)
			<-lock
		}
	}) {
		b.t.Fatalf("%s\n\ta call that holds a lock and the Handler that waits for it wait for each other", sayNoWait)
	}
}

func checkStats(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	const count = 100
	failed := uint64(0)
	for range count {
		if a.SendVoice(p.id, []byte(b.tag("voice"))) != nil {
			failed++
		}
		b.send(a, p, b.tag("control"))
		time.Sleep(2 * time.Millisecond)
	}
	b.await(sayOrder, "control didn't arrive", func() bool { return p.rec.controls(a.id) == count })
	b.settle()
	sent, got, seen := a.Stats(p.id), p.Stats(a.id), p.rec.see(a.id)
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{sent.VoiceSent+sent.VoiceDropped == count, "VoiceSent + VoiceDropped: what was given to SendVoice"},
		{sent.VoiceDropped >= failed, "VoiceDropped: given to SendVoice and not written"},
		{got.VoiceReceived == uint64(len(seen.voice)), "VoiceReceived: delivered"},
		{got.VoiceReceived <= sent.VoiceSent, "VoiceReceived of one end: at most VoiceSent of the other"},
		{sent.ControlSent >= count, "ControlSent: written"},
		{got.ControlReceived == uint64(len(seen.control)), "ControlReceived: delivered"},
		{sent.PathChanges > 0 && got.PathChanges > 0, "PathChanges: changes to and from none"},
		{sent.BytesSent > 0 && got.BytesReceived > 0, "BytesSent, BytesReceived: voice and control"},
		{sent.VoiceUnacked >= 0 && uint64(sent.VoiceUnacked) <= sent.VoiceSent, "VoiceUnacked: written and not yet acknowledged"},
	} {
		if !c.ok {
			b.violate("Stats."+c.what, "after %d of each, of which %d voice messages were refused and %d arrived:\n\tsender %+v\n\treceiver %+v",
				count, failed, len(seen.voice), sent, got)
		}
	}
	b.leave(p, a)
	b.join(p, a)
	if again := p.Stats(a.id); again.ControlReceived != 0 || again.VoiceReceived != 0 {
		b.violate("Transport.Stats: totals since Join", "after another Join %+v", again)
	}
}

func checkHammer(b *bench) {
	ends := b.connect(3)
	var wg sync.WaitGroup
	for i, e := range ends {
		for k := range 3 {
			draw := rand.New(rand.NewPCG(uint64(i), uint64(k)))
			own := &bench{sent: (i*3 + k + 1) << 20}
			wg.Go(func() {
				for range 150 {
					b.randomCall(e, ends[draw.IntN(len(ends))].id, draw.IntN(20), own)
					time.Sleep(time.Duration(draw.IntN(1000)) * time.Microsecond)
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	if !doneWithin(done, b.f.Timeout) {
		b.t.Fatalf("%s\n\trandom calls from many goroutines don't return", sayNoWait)
	}
	for _, e := range ends {
		for _, p := range ends {
			if e != p {
				b.join(e, p)
			}
		}
	}
	for _, e := range ends {
		for _, p := range ends {
			if e == p {
				continue
			}
			b.await(sayPath, "no path to a peer that both have joined", func() bool {
				return e.Path(p.id).Kind != link.None
			})
			b.talk(e, p, "in the end")
			// What is sent before the far end's last epoch is known is dropped.
			first := b.tag("in the end")
			b.await(sayOrder, "control didn't arrive after random calls", func() bool {
				b.send(e, p, b.tag("in the end"))
				time.Sleep(20 * time.Millisecond)
				return slices.ContainsFunc(p.rec.see(e.id).control, func(m message) bool {
					return m.text > first && m.text[tagBytes:] == first[tagBytes:]
				})
			})
		}
	}
}

func (b *bench) randomCall(e *end, p identity.PeerID, op int, own *bench) {
	switch op {
	case 0:
		_ = e.Leave(p)
	case 1, 2, 3:
		_ = e.Join(p)
	case 4:
		_ = e.Path(p)
	case 5:
		_ = e.Stats(p)
	case 6, 7, 8:
		_ = e.SendControl(p, []byte(own.tag("control")))
	default:
		_ = e.SendVoice(p, []byte(own.tag("voice")))
	}
}
