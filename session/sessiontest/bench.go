package sessiontest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// bench is where a check is made: some transports, and what they told.
type bench struct {
	t    T
	tb   testing.TB
	f    Factory
	ends []*end
	sent int // messages that were given a tag
}

// end is one transport and its Handler.
type end struct {
	link.Transport
	rec *recorder
	id  identity.PeerID
}

func newBench(tb testing.TB, t T, f Factory) *bench {
	b := &bench{t: t, tb: tb, f: f}
	t.Cleanup(b.finish)
	return b
}

// make makes n transports.
func (b *bench) make(n int) []*end {
	b.t.Helper()
	for _, t := range b.f.New(b.tb, n) {
		b.ends = append(b.ends, &end{Transport: t, rec: newRecorder(), id: t.Self()})
	}
	if len(b.ends) != n {
		b.t.Fatalf("Factory.New made %d transports, %d were asked for", len(b.ends), n)
	}
	return b.ends
}

// open makes n transports and opens them.
func (b *bench) open(n int) []*end {
	b.t.Helper()
	for _, e := range b.make(n) {
		if err := e.Open(e.rec); err != nil {
			b.t.Fatalf("Open: %v", err)
		}
	}
	return b.ends
}

// connect makes n transports that have all joined each other.
func (b *bench) connect(n int) []*end {
	b.t.Helper()
	b.open(n)
	for _, e := range b.ends {
		for _, p := range b.ends {
			if e != p {
				b.join(e, p)
			}
		}
	}
	for _, e := range b.ends {
		for _, p := range b.ends {
			if e != p {
				b.awaitPath(e, p)
			}
		}
	}
	return b.ends
}

func (b *bench) finish() {
	b.t.Helper()
	for _, e := range b.ends {
		e.rec.setHook(nil)
	}
	for _, e := range b.ends {
		if err := e.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	}
	for i, e := range b.ends {
		for _, problem := range e.rec.violations() {
			b.t.Errorf("transport %d: %s", i, problem)
		}
	}
}

func (b *bench) violate(sentence, format string, args ...any) {
	b.t.Helper()
	b.t.Errorf("%s\n\t%s", sentence, fmt.Sprintf(format, args...))
}

func (b *bench) join(e, p *end) {
	b.t.Helper()
	if err := e.Join(p.id); err != nil {
		b.t.Fatalf("Join: %v", err)
	}
}

func (b *bench) leave(e, p *end) {
	b.t.Helper()
	if err := e.Leave(p.id); err != nil {
		b.t.Fatalf("Leave: %v", err)
	}
}

// awaitPath waits until e was told of a path to p.
func (b *bench) awaitPath(e, p *end) link.Path {
	b.t.Helper()
	b.await(sayPath, "no path to a peer that both have joined", func() bool {
		return e.rec.path(p.id).Kind != link.None
	})
	return e.rec.path(p.id)
}

// await waits until cond is met; that it isn't breaks the sentence.
func (b *bench) await(sentence, what string, cond func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(b.f.Timeout); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s\n\t%s within %v", sentence, what, b.f.Timeout)
		}
	}
}

// bounded runs f and reports whether it was done within d.
func (b *bench) bounded(d time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return doneWithin(done, d)
}

func doneWithin(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// tagBytes is the length of a tag: messages at least as long are unique.
const tagBytes = 8

// tag makes a text that no other message of this bench has.
func (b *bench) tag(name string) string {
	b.sent++
	return fmt.Sprintf("%0*d %s", tagBytes, b.sent, name)
}

// send sends control, again and again as long as the transport is congested.
func (b *bench) send(e, p *end, text string) {
	b.t.Helper()
	var err error
	for deadline := time.Now().Add(b.f.Timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err = e.SendControl(p.id, []byte(text)); !errors.Is(err, link.ErrCongested) {
			break
		}
	}
	if err != nil {
		b.t.Fatalf("SendControl: %v", err)
	}
}

// talk sends voice until some of it was heard.
func (b *bench) talk(e, p *end, name string) {
	b.t.Helper()
	var sent []string
	b.await("Transport.SendVoice: sends as soon as possible", "no voice arrived", func() bool {
		sent = append(sent, b.tag(name))
		_ = e.SendVoice(p.id, []byte(sent[len(sent)-1])) // it may well be lost
		time.Sleep(4 * time.Millisecond)
		return p.rec.heardAny(e.id, sent)
	})
}

// settle waits for what is on its way.
func (b *bench) settle() { time.Sleep(b.f.Settle) }
