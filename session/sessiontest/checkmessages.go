package sessiontest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// awaitControl waits until exactly these messages of from arrived at to, in
// this order.
func (b *bench) awaitControl(sentence string, to, from *end, want []string) {
	b.t.Helper()
	deadline := time.Now().Add(b.f.Timeout)
	for to.rec.controls(from.id) < len(want) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	received := to.rec.see(from.id).control
	for i, text := range want {
		switch {
		case i >= len(received):
			b.t.Fatalf("%s\n\tonly %d of %d messages arrived", sentence, i, len(want))
		case received[i].text != text:
			b.t.Fatalf("%s\n\tmessage %d is %.40q (%d bytes), %.40q (%d bytes) was sent", sentence, i,
				received[i].text, len(received[i].text), text, len(text))
		}
	}
	if len(received) > len(want) {
		b.t.Fatalf("%s\n\t%d messages arrived, %d were sent", sentence, len(received), len(want))
	}
}

// bytes makes a message of n random bytes.
func (b *bench) bytes(n int) []byte {
	b.sent++
	draw := rand.New(rand.NewPCG(uint64(b.sent), uint64(n)))
	m := make([]byte, n)
	for i := range m {
		m[i] = byte(draw.Uint32())
	}
	return m
}

func checkVoiceIntact(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	sent := make(map[string]bool)
	for _, size := range []int{100, link.MaxMessage, 0, 1, 7, 999, 64} {
		before := len(p.rec.see(a.id).voice)
		b.await(sayIntact, "no voice message of a length arrived", func() bool {
			m := b.bytes(size)
			sent[string(m)] = true
			_ = a.SendVoice(p.id, m)
			for i := range m {
				m[i] = '!' // what was sent was copied
			}
			time.Sleep(4 * time.Millisecond)
			for _, got := range p.rec.see(a.id).voice[before:] {
				if len(got.text) == size {
					return true
				}
			}
			return false
		})
	}
	b.settle()
	for _, m := range p.rec.see(a.id).voice {
		if !sent[m.text] {
			b.violate(sayIntact, "%.40q (%d bytes) arrived and wasn't sent", m.text, len(m.text))
			return
		}
	}
}

func checkVoiceOnce(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	const count = 400
	accepted := 0
	for range count {
		if a.SendVoice(p.id, []byte(b.tag("voice"))) == nil {
			accepted++
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.settle()
	// That none came twice the recorder has judged.
	if got := len(p.rec.see(a.id).voice); accepted < count/2 || got < accepted/2 || got > accepted {
		b.violate("Transport.SendVoice: sends as soon as possible", "of %d messages %d were accepted and %d arrived", count, accepted, got)
	}
}

func checkTooLarge(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	for _, size := range []int{link.MaxMessage + 1, 64 << 10} {
		for name, send := range map[string]func() error{
			"SendVoice":   func() error { return a.SendVoice(p.id, make([]byte, size)) },
			"SendControl": func() error { return a.SendControl(p.id, make([]byte, size)) },
		} {
			if err := send(); !errors.Is(err, link.ErrTooLarge) {
				b.violate("MaxMessage: a larger one is refused with ErrTooLarge", "%s of %d bytes is %v", name, size, err)
			}
		}
	}
	want := []string{string(b.bytes(link.MaxMessage)), "", string(b.bytes(1)), string(b.bytes(link.MaxMessage))}
	for _, text := range want {
		b.send(a, p, text)
	}
	b.awaitControl(sayOrder, p, a, want)
	b.settle()
	if got := len(p.rec.see(a.id).voice); got != 0 {
		b.violate("MaxMessage: a larger one is refused with ErrTooLarge", "%d voice messages arrived", got)
	}
}

func checkControlOrder(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	const count = 500
	var forth, back []string
	for range count {
		buf := []byte(b.tag("forth"))
		forth = append(forth, string(buf))
		for deadline := time.Now().Add(b.f.Timeout); ; time.Sleep(time.Millisecond) {
			err := a.SendControl(p.id, buf)
			if err == nil {
				break
			}
			if !errors.Is(err, link.ErrCongested) || time.Now().After(deadline) {
				b.t.Fatalf("SendControl: %v", err)
			}
		}
		clear(buf) // what was sent was copied
		if len(back) < count/5 {
			back = append(back, b.tag("back"))
			b.send(p, a, back[len(back)-1])
		}
	}
	b.awaitControl(sayOrder, p, a, forth)
	b.awaitControl(sayOrder, a, p, back)
}

func checkControlWaits(b *bench) {
	ends := b.open(2)
	a, p := ends[0], ends[1]
	b.join(a, p)
	var want []string
	for range 10 {
		want = append(want, b.tag("early"))
		if err := a.SendControl(p.id, []byte(want[len(want)-1])); err != nil {
			b.t.Fatalf("Transport.SendControl: reliably and in order once there is a path\n\tbefore there is one it is %v", err)
		}
	}
	b.settle()
	b.join(p, a)
	b.awaitControl("Transport.SendControl: reliably and in order once there is a path", p, a, want)
}

// checkVoiceNeedsPath has one side speak before the other has joined: that is
// refused, and nobody hears it afterwards.
func checkVoiceNeedsPath(b *bench) {
	ends := b.open(2)
	a, p := ends[0], ends[1]
	b.join(a, p)
	stale := make(map[string]bool)
	for range 20 {
		text := b.tag("stale")
		stale[text] = true
		if err := a.SendVoice(p.id, []byte(text)); !errors.Is(err, link.ErrNoPath) {
			b.t.Fatalf("%s\n\twithout a path it is %v, not ErrNoPath", sayVoiceNow, err)
		}
		time.Sleep(b.f.Settle / 50)
	}
	b.join(p, a)
	b.awaitPath(a, p)
	b.awaitPath(p, a)
	b.talk(a, p, "fresh")
	b.settle()
	for _, m := range p.rec.see(a.id).voice {
		if stale[m.text] {
			b.violate(sayVoiceNow, "%q was sent before there was a path, and arrived", m.text)
			return
		}
	}
}

func checkControlBounded(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	gate := newGate()
	b.t.Cleanup(gate.open)
	p.rec.setHook(gate.wait)
	var accepted []string
	const limit = 8000
	for len(accepted) < limit {
		m := b.bytes(link.MaxMessage)
		err := a.SendControl(p.id, m)
		if errors.Is(err, link.ErrCongested) {
			break
		}
		if err != nil {
			b.t.Fatalf("SendControl: %v", err)
		}
		accepted = append(accepted, string(m))
	}
	if len(accepted) == limit {
		b.violate("Transport.SendControl: the queue per peer is bounded", "%d messages were accepted of which the peer took none", limit)
	}
	gate.open()
	b.awaitControl(sayOrder, p, a, accepted)
}
