package sessiontest

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// gate holds calls of a Handler until it is opened, for good.
type gate struct {
	once    sync.Once
	opened  chan struct{}
	entered chan struct{} // a call is held
	enter   sync.Once
}

func newGate() *gate {
	return &gate{opened: make(chan struct{}), entered: make(chan struct{})}
}

func (g *gate) wait(identity.PeerID) {
	g.enter.Do(func() { close(g.entered) })
	<-g.opened
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

// chatter has every one of from send voice and control to one transport, as
// fast as it may, until the function it returns is called.
func (b *bench) chatter(from []*end, to *end) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for k, e := range from {
		b.sent += 1 << 20
		first := b.sent
		wg.Go(func() {
			own := &bench{sent: first + k<<24}
			for {
				select {
				case <-done:
					return
				case <-time.After(500 * time.Microsecond):
				}
				_ = e.SendVoice(to.id, []byte(own.tag("chatter")))
				_ = e.SendControl(to.id, []byte(own.tag("chatter")))
			}
		})
	}
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}

func checkLeaveSilence(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	stop := b.chatter([]*end{a}, p)
	defer stop()
	for range 5 {
		b.talk(a, p, "hello")
		b.leave(p, a)
		p.rec.mute(a.id, sayLeft)
		time.Sleep(b.f.Settle / 4)
		p.rec.unmute(a.id)
		b.join(p, a)
		b.awaitPath(p, a)
		b.await(sayPath, "the far end has no path to a peer that joined it again", func() bool {
			return a.Path(p.id).Kind != link.None
		})
	}
}

func checkLeaveWaits(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	g := newGate()
	b.t.Cleanup(g.open)
	p.rec.setHook(g.wait)
	b.talkUntil(a, p, g.entered)
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = p.Leave(a.id)
	}()
	if doneWithin(left, b.f.Settle) {
		b.violate(sayLeft, "it returned while a call for that peer was under way")
	}
	g.open()
	if !doneWithin(left, b.f.Timeout) {
		b.violate(sayNoWait, "Leave doesn't return after the Handler did")
	}
}

// talkUntil sends voice until a channel is closed.
func (b *bench) talkUntil(e, p *end, done <-chan struct{}) {
	b.t.Helper()
	b.await("Transport.SendVoice: sends as soon as possible", "no voice arrived", func() bool {
		_ = e.SendVoice(p.id, []byte(b.tag("voice")))
		return doneWithin(done, 4*time.Millisecond)
	})
}

func checkLeaveFlush(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	var want []string
	for range 5 {
		want = append(want, b.tag("before Leave"))
		b.send(a, p, want[len(want)-1])
	}
	b.leave(a, p)
	b.awaitControl("Transport.Leave: control messages sent before still leave within FlushTimeout", p, a, want)
	b.await("Handler.PathChanged: or was lost", "a peer that left still has a path", func() bool {
		return p.rec.path(a.id).Kind == link.None
	})
}

func checkLeftNotHeard(b *bench) {
	ends := b.connect(3)
	a, p, other := ends[0], ends[1], ends[2]
	b.talk(a, p, "before")
	b.leave(p, a)
	p.rec.mute(a.id, sayJoined)
	stop := b.chatter([]*end{a, other}, p)
	b.settle()
	stop()
	b.talk(other, p, "still here")
}

func checkRejoin(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	for range 5 {
		first := b.awaitPath(p, a).Epoch
		b.talk(a, p, "old")
		for range 20 {
			_ = a.SendVoice(p.id, []byte(b.tag("old")))
			_ = a.SendControl(p.id, []byte(b.tag("old")))
		}
		old := b.sent
		b.leave(a, p)
		a.rec.unmute(p.id)
		b.join(a, p)
		b.awaitNewEpoch(p, a, first)
		b.awaitPath(a, p)
		b.talk(a, p, "new")
		text := b.tag("new")
		b.send(a, p, text)
		b.await(sayOrder, "control of the new epoch didn't arrive", func() bool { return has(p.rec.see(a.id).control, text) })
		b.talk(p, a, "new")
		seen := p.rec.see(a.id)
		b.checkEpochs("voice", seen.voice, first, old)
		b.checkEpochs("control", seen.control, first, old)
	}
}

// awaitNewEpoch waits until e was told of a path to p in another epoch.
func (b *bench) awaitNewEpoch(e, p *end, before uint64) {
	b.t.Helper()
	b.await(sayEpoch, "the far end joined anew, and PathChanged says no new epoch", func() bool {
		path := e.rec.path(p.id)
		return path.Kind != link.None && path.Epoch != before
	})
}

// checkEpochs reports messages with a tag up to old that were received in
// another epoch than before.
func (b *bench) checkEpochs(what string, received []message, before uint64, old int) {
	b.t.Helper()
	reached := false
	for _, m := range received {
		number := 0
		for _, c := range m.text[:tagBytes] {
			number = 10*number + int(c-'0')
		}
		reached = reached || m.epoch == before
		if reached && number <= old && m.epoch != before {
			b.violate(sayNewEpoch, "old %s %q in the new epoch", what, m.text)
			return
		}
	}
}

func checkBothRejoin(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	for range 3 {
		epochA, epochP := b.awaitPath(p, a).Epoch, b.awaitPath(a, p).Epoch
		b.leave(a, p)
		b.leave(p, a)
		a.rec.unmute(p.id)
		p.rec.unmute(a.id)
		b.join(p, a)
		b.join(a, p)
		b.awaitNewEpoch(p, a, epochA)
		b.awaitNewEpoch(a, p, epochP)
		for _, e := range [][2]*end{{a, p}, {p, a}} {
			b.talk(e[0], e[1], "again")
			text := b.tag("again")
			b.send(e[0], e[1], text)
			b.await(sayOrder, "control after both joined anew didn't arrive", func() bool {
				return has(e[1].rec.see(e[0].id).control, text)
			})
		}
	}
}
