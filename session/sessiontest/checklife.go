package sessiontest

import (
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// closeLimit is FlushTimeout and a little.
const closeLimit = time.Second

func checkSelf(b *bench) {
	ends := b.make(2)
	a := ends[0]
	before := a.Self()
	if before == "" || before == ends[1].Self() {
		b.violate("Transport.Self: the identity under which this host is known", "%q and %q", before, ends[1].Self())
	}
	for _, step := range []func() error{func() error { return a.Open(a.rec) }, a.Close} {
		if err := step(); err != nil {
			b.t.Fatalf("%v", err)
		}
		if got := a.Self(); got != before {
			b.violate("Transport.Self: the identity under which this host is known", "it was %q and is %q", before, got)
		}
	}
}

func checkOpenTwice(b *bench) {
	a := b.open(1)[0]
	if err := a.Open(newRecorder()); !errors.Is(err, link.ErrOpen) {
		b.violate("Transport.Open: a second Open without a Close is ErrOpen", "it is %v", err)
	}
}

func checkClosed(b *bench) {
	ends := b.make(2)
	a, p := ends[0], ends[1].id
	closed := func(when string) {
		b.t.Helper()
		for name, err := range map[string]error{
			"Join":        a.Join(p),
			"SendVoice":   a.SendVoice(p, []byte("x")),
			"SendControl": a.SendControl(p, []byte("x")),
		} {
			if !errors.Is(err, link.ErrClosed) {
				b.violate("ErrClosed: transport is not open", "%s %s is %v", name, when, err)
			}
		}
		if err := a.Leave(p); err != nil && !errors.Is(err, link.ErrClosed) {
			b.violate("Transport.Leave: idempotent", "%s it is %v", when, err)
		}
		if err := a.Close(); err != nil {
			b.violate("Transport.Close: idempotent", "%s it is %v", when, err)
		}
	}
	closed("before Open")
	if err := a.Open(a.rec); err != nil {
		b.t.Fatalf("Open: %v", err)
	}
	b.join(a, ends[1])
	if err := a.Close(); err != nil {
		b.t.Fatalf("Close: %v", err)
	}
	closed("after Close")
	if path := a.Path(p); path != (link.Path{}) {
		b.violate("Transport.Close: leaves every peer", "a path afterwards: %+v", path)
	}
}

func checkJoinRefuses(b *bench) {
	a := b.open(1)[0]
	if err := a.Join(""); !errors.Is(err, link.ErrInvalidPeer) {
		b.violate("Transport.Join: fails with ErrInvalidPeer", "for an empty peer ID it is %v", err)
	}
	if err := a.Join(a.id); !errors.Is(err, link.ErrSelf) {
		b.violate("Transport.Join: fails with ErrSelf", "for itself it is %v", err)
	}
}

func checkUnjoined(b *bench) {
	ends := b.open(2)
	a, p := ends[0], ends[1].id
	zero := func(when string) {
		b.t.Helper()
		if path := a.Path(p); path != (link.Path{}) {
			b.violate("Transport.Path: for a peer that isn't joined it is the zero Path", "%s: %+v", when, path)
		}
		if stats := a.Stats(p); stats != (link.Stats{}) {
			b.violate("Transport.Stats: the zero Stats for a peer that isn't joined", "%s: %+v", when, stats)
		}
		for name, err := range map[string]error{
			"SendVoice": a.SendVoice(p, []byte("x")), "SendControl": a.SendControl(p, []byte("x")),
		} {
			if !errors.Is(err, link.ErrNotJoined) {
				b.violate("ErrNotJoined: peer is not joined", "%s %s is %v", name, when, err)
			}
		}
	}
	zero("before Join")
	b.join(a, ends[1])
	if path := a.Path(p); path.Kind == link.None && path.Reason == "" {
		b.violate(sayReason, "after Join: %+v", path)
	}
	b.leave(a, ends[1])
	zero("after Leave")
}

func checkClose(b *bench) {
	ends := b.connect(3)
	a, others := ends[0], ends[1:]
	stop := b.chatter(others, a)
	b.talk(others[0], a, "before")
	start := time.Now()
	if !b.bounded(b.f.Timeout, func() { _ = a.Close() }) {
		b.t.Fatalf("Transport.Close: takes at most FlushTimeout and a little\n\tit doesn't return")
	}
	for _, o := range others {
		a.rec.mute(o.id, sayClosed)
	}
	if took := time.Since(start); took > closeLimit {
		b.violate("Transport.Close: takes at most FlushTimeout and a little", "it took %v", took)
	}
	b.settle()
	stop()
	for _, o := range others {
		b.await("Handler.PathChanged: or was lost", "a peer that closed still has a path", func() bool {
			return o.rec.path(a.id).Kind == link.None
		})
	}
	b.talk(others[0], others[1], "without")
}

func checkCloseFlush(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	var want []string
	for range 5 {
		want = append(want, b.tag("before Close"))
		b.send(a, p, want[len(want)-1])
	}
	_ = a.Close()
	b.awaitControl("Transport.Close: delivers what control was sent for at most FlushTimeout", p, a, want)
}

func checkCloseGoroutines(b *bench) {
	ends := b.make(2)
	before := goroutines()
	for range 2 {
		for _, e := range ends {
			if err := e.Open(e.rec); err != nil {
				b.t.Fatalf("Open: %v", err)
			}
		}
		b.join(ends[0], ends[1])
		b.join(ends[1], ends[0])
		b.talk(ends[0], ends[1], "hello")
		for i, e := range ends {
			_ = e.Close()
			e.rec.unmute(ends[1-i].id)
		}
	}
	var left []string
	for deadline := time.Now().Add(b.f.Timeout / 4); ; time.Sleep(10 * time.Millisecond) {
		left = nil
		for id, stack := range goroutines() {
			if before[id] == "" && b.f.Owns(stack) {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	b.violate("Transport.Close: leaves every peer", "%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// goroutines returns the stack of every other goroutine by its number.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	stacks := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		if id, _, ok := strings.Cut(stack, " ["); ok && i > 0 { // the first is this one
			stacks[id] = stack
		}
	}
	return stacks
}

func checkReopen(b *bench) {
	ends := b.connect(2)
	a, p := ends[0], ends[1]
	_ = a.Close()
	first := p.rec.path(a.id).Epoch
	a.rec.unmute(p.id)
	if err := a.Open(a.rec); err != nil {
		b.t.Fatalf("Transport.Open: after Close a Transport can be opened again\n\tit is %v", err)
	}
	b.join(a, p)
	b.awaitPath(a, p)
	b.await(sayEpoch, "the old epoch after Close, Open and Join", func() bool {
		path := p.rec.path(a.id)
		return path.Kind != link.None && path.Epoch != first
	})
	b.talk(a, p, "again")
	b.talk(p, a, "again")
}
