package sessiontest

import (
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

func checkFirstContact(b *bench) {
	ends := b.open(4)
	// 0 joins 1 first, 3 joins 2 first, 0 and 2 join at once.
	b.join(ends[0], ends[1])
	b.join(ends[3], ends[2])
	b.settle()
	b.join(ends[1], ends[0])
	b.join(ends[2], ends[3])
	b.join(ends[0], ends[2])
	b.join(ends[2], ends[0])
	for _, pair := range [][2]int{{0, 1}, {2, 3}, {0, 2}} {
		x, y := ends[pair[0]], ends[pair[1]]
		for _, e := range [][2]*end{{x, y}, {y, x}} {
			told := b.awaitPath(e[0], e[1])
			if asked := e[0].Path(e[1].id); asked.Kind == link.None || asked.Epoch != told.Epoch {
				b.violate("Transport.Path: describes the present way to a peer", "it is %+v, PathChanged said %+v", asked, told)
			}
			b.talk(e[0], e[1], "hello")
			text := b.tag("hello")
			b.send(e[0], e[1], text)
			b.awaitControl(sayOrder, e[1], e[0], []string{text})
		}
	}
}

func checkJoinIdempotent(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	before := p.rec.see(a.id)
	for range 3 {
		b.join(a, p)
	}
	b.settle()
	b.talk(a, p, "still here")
	after := p.rec.see(a.id)
	if len(after.paths) != len(before.paths) {
		b.violate("Transport.Join: idempotent", "a second one changed the far end's path from %+v to %+v", before.path, after.path)
	}
}

func checkKnock(b *bench) {
	ends := b.open(2)
	a, p := ends[0], ends[1]
	b.join(a, p)
	text := b.tag("waiting")
	b.send(a, p, text)
	b.await("Handler.Knock: says that a peer that isn't joined wants to talk", "no Knock", func() bool {
		_ = a.SendVoice(p.id, []byte(b.tag("waiting")))
		return p.rec.see(a.id).knocks > 0
	})
	b.settle()
	seen := p.rec.see(a.id)
	if len(seen.voice) > 0 || len(seen.control) > 0 || len(seen.paths) > 0 {
		b.violate(sayJoined, "before Join there were %d voice, %d control messages and %d paths", len(seen.voice), len(seen.control), len(seen.paths))
	}
	if path := p.Path(a.id); path != (link.Path{}) {
		b.violate("Transport.Path: for a peer that isn't joined it is the zero Path", "%+v", path)
	}
	start := time.Now()
	b.join(p, a)
	b.awaitPath(p, a)
	b.awaitPath(a, p)
	if took := time.Since(start); took > b.f.Timeout/4 {
		b.violate("Handler.Knock: a Join in that time accepts it", "it took %v to a path", took)
	}
	b.awaitControl(sayOrder, p, a, []string{text})
}
