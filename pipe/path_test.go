package pipe_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/pipe"
)

// First contact takes at most 1.5 round trips after the later Join, whoever that is.
func TestFirstContactIsQuick(t *testing.T) {
	const delay = 50 * time.Millisecond
	for _, later := range []int{0, 1} {
		for _, ways := range []pipe.Ways{pipe.BothWays, pipe.UnreliableOnly} {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, weather{delay: delay})
				ends := []*pipe.Transport{r.join(t, 1, pipe.Config{Ways: ways}), r.join(t, 2, pipe.Config{Ways: ways})}
				open(t, ends[0], new(ear))
				open(t, ends[1], new(ear))
				join(t, ends[1-later], ends[later].Self())
				time.Sleep(5 * time.Second)
				join(t, ends[later], ends[1-later].Self())
				start := time.Now()
				await(t, "paths", func() bool {
					return ends[0].Path(ends[1].Self()).Kind != link.None && ends[1].Path(ends[0].Self()).Kind != link.None
				})
				if took := time.Since(start); took > 3*delay+5*time.Millisecond {
					t.Errorf("ways %v, %d joins later: %v to both paths with %v each way", ways, later, took, delay)
				}
			})
		}
	}
}

func TestAPathThatIsCutAndMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 20 * time.Millisecond})
		a, b := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{})
		x, y := meet(t, a, b)
		epoch := a.Path(b.Self()).Epoch
		stop := talkEvery(t, a, b.Self())
		time.Sleep(3 * time.Second)

		r.setCut(a.Self(), b.Self(), true)
		start := time.Now()
		await(t, "the loss of the path", func() bool {
			return a.Path(b.Self()).Kind == link.None && b.Path(a.Self()).Kind == link.None
		})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the path was lost after %v", took)
		}
		for _, text := range []string{"one", "two"} { // kept for the path
			if err := a.SendControl(b.Self(), []byte(text)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(20 * time.Second)
		voiceBefore, _, _, _ := y.see()

		r.setCut(a.Self(), b.Self(), false)
		start = time.Now()
		await(t, "the path again", func() bool {
			return a.Path(b.Self()).Kind != link.None && b.Path(a.Self()).Kind != link.None
		})
		await(t, "control", func() bool { _, control, _, _ := y.see(); return len(control) == 2 })
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the path was back after %v", took)
		}
		await(t, "voice", func() bool { voice, _, _, _ := y.see(); return len(voice) > len(voiceBefore)+10 })
		stop()
		voice, _, paths, _ := y.see()
		if first := age(t, voice[len(voiceBefore)], start); first < 0 {
			t.Errorf("voice of %v before the path was back is played", -first)
		}
		if len(paths) != 3 || paths[1].Kind != link.None || !strings.Contains(paths[1].Reason, "2.5 s") || paths[2].Epoch != paths[0].Epoch {
			t.Errorf("paths %+v", paths)
		}
		if got := a.Path(b.Self()).Epoch; got != epoch {
			t.Errorf("epoch %d, was %d: nobody joined anew", got, epoch)
		}
		_ = x
	})
}

// talkEvery sends voice that says when it was sent, every 20 ms.
func talkEvery(tb testing.TB, t *pipe.Transport, to identity.PeerID) (stop func()) {
	tb.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			_ = t.SendVoice(to, []byte(time.Now().Format(time.RFC3339Nano)))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); wg.Wait() })
	tb.Cleanup(stop)
	return stop
}

// age is how long after a time a message was sent.
func age(tb testing.TB, message string, since time.Time) time.Duration {
	tb.Helper()
	at, err := time.Parse(time.RFC3339Nano, message)
	if err != nil {
		tb.Fatal(err)
	}
	return at.Sub(since)
}

func TestThePathSaysWhatTheApplicationKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 30 * time.Millisecond})
		a, b := r.join(t, 1, pipe.Config{Name: "game"}), r.join(t, 2, pipe.Config{})
		if err := a.SetRoute(b.Self(), link.Direct, ""); !errors.Is(err, link.ErrNotJoined) {
			t.Errorf("SetRoute of a stranger is %v", err)
		}
		x, _ := meet(t, a, b)
		time.Sleep(5 * time.Second)
		p := a.Path(b.Self())
		if p.Kind != link.Relayed || p.Transport != "game" || p.Security != "noise" || p.Epoch == 0 || p.Since.IsZero() {
			t.Errorf("the path is %+v", p)
		}
		if p.RTT < 58*time.Millisecond || p.RTT > 62*time.Millisecond {
			t.Errorf("the round trip of an idle path is %v, want 60 ms", p.RTT)
		}
		if err := a.SetRoute(b.Self(), link.Direct, "192.0.2.7"); err != nil {
			t.Fatal(err)
		}
		_ = a.SetRoute(b.Self(), link.Direct, "192.0.2.7")
		await(t, "PathChanged", func() bool { _, _, paths, _ := x.see(); return len(paths) == 2 })
		if p = a.Path(b.Self()); p.Kind != link.Direct || p.Remote != "192.0.2.7" {
			t.Errorf("the path is %+v", p)
		}
	})
}

func TestAnIdlePeerCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 20 * time.Millisecond})
		a, b := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{})
		meet(t, a, b)
		time.Sleep(time.Second)
		before := r.carried()
		const minute = 60
		time.Sleep(minute * time.Second)
		if bits := (r.carried() - before) * 8 / 2 / minute; bits > 500 || bits < 50 {
			t.Errorf("%d bit/s each way, want at most 500", bits)
		}
	})
}

func (r *relay) carried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

// The way stalls for 3 s and then gives all at once, as a web socket does: what was
// written meanwhile is bounded, and what comes afterwards is live.
func TestAReliablePipeThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 20 * time.Millisecond})
		cfg := pipe.Config{Ways: pipe.ReliableOnly}
		a, b := r.join(t, 1, cfg), r.join(t, 2, cfg)
		_, y := meet(t, a, b)
		stop := talkEvery(t, a, b.Self())
		time.Sleep(2 * time.Second)
		before := a.Stats(b.Self())

		stalled := time.Now()
		const stall = 2 * time.Second
		r.mu.Lock()
		for _, way := range [][2]identity.PeerID{{a.Self(), b.Self()}, {b.Self(), a.Self()}} {
			r.lanes[way] = stalled.Add(stall)
		}
		r.mu.Unlock()
		time.Sleep(stall)
		during := a.Stats(b.Self())
		// 300 ms and a round trip of 20 ms each, and then one in 100 ms.
		if n := during.VoiceSent - before.VoiceSent; n > 40 || n < 20 {
			t.Errorf("%d messages were written while nothing was acknowledged", n)
		}
		if n := during.VoiceDropped - before.VoiceDropped; n < 60 {
			t.Errorf("%d were dropped", n)
		}
		heard, _, _, _ := y.see()
		time.Sleep(time.Second)
		stop()
		voice, _, _, _ := y.see()
		live := 0
		for _, m := range voice[len(heard):] {
			if age(t, m, stalled.Add(stall)) > 0 {
				live++
			}
		}
		if live < 40 {
			t.Errorf("%d live messages in the second after the stall, want nearly 50", live)
		}
	})
}

// Send blocks for one peer: that peer's voice is dropped, oldest first, nobody waits,
// and the other peer notices nothing.
func TestSendThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 10 * time.Millisecond})
		b, c := r.join(t, 2, pipe.Config{}), r.join(t, 3, pipe.Config{})
		var mu sync.Mutex
		var gate chan struct{}
		key, id := testKey(t, 1)
		a, err := pipe.New(pipe.Config{Key: key, Send: func(to identity.PeerID, m []byte, reliable bool) error {
			mu.Lock()
			block := gate
			mu.Unlock()
			if to == b.Self() && block != nil {
				<-block
			}
			return r.send(id, to, m, reliable)
		}})
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.ends[id] = a
		r.mu.Unlock()
		x, y, z := new(ear), new(ear), new(ear)
		open(t, a, x)
		open(t, b, y)
		open(t, c, z)
		for _, far := range []*pipe.Transport{b, c} {
			join(t, a, far.Self())
			join(t, far, id)
		}
		await(t, "paths", func() bool {
			return a.Path(b.Self()).Kind != link.None && a.Path(c.Self()).Kind != link.None
		})
		time.Sleep(time.Second)

		mu.Lock()
		gate = make(chan struct{})
		block := gate
		mu.Unlock()
		start := time.Now()
		for i := range 100 {
			for _, far := range []*pipe.Transport{b, c} {
				before := time.Now()
				_ = a.SendVoice(far.Self(), []byte(fmt.Sprintf("%03d", i)))
				if took := time.Since(before); took > 0 {
					t.Fatalf("SendVoice took %v", took)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if voice, _, _, _ := z.see(); len(voice) < 99 {
			t.Errorf("the other peer heard %d of 100", len(voice))
		}
		mu.Lock()
		gate = nil
		mu.Unlock()
		close(block)
		time.Sleep(time.Second)
		voice, _, _, _ := y.see()
		for _, m := range voice[min(len(voice), 1):] { // the first was in Send's hands
			if m < "090" {
				t.Errorf("%q arrived %v after the pipe began to block", m, time.Since(start))
			}
		}
		if len(voice) > 10 || len(voice) == 0 {
			t.Errorf("%d messages arrived late", len(voice))
		}
		if s := a.Stats(b.Self()); s.VoiceSent+s.VoiceDropped != 100 {
			t.Errorf("%d sent, %d dropped, of 100", s.VoiceSent, s.VoiceDropped)
		}
	})
}

// Send says that the pipe is full: voice is dropped, and control sent again.
func TestSendThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 10 * time.Millisecond})
		b := r.join(t, 2, pipe.Config{})
		var mu sync.Mutex
		n, calls := 0, 0
		key, id := testKey(t, 1)
		a, err := pipe.New(pipe.Config{Key: key, Send: func(to identity.PeerID, m []byte, reliable bool) error {
			mu.Lock()
			n++
			calls++
			full := n%2 == 0
			mu.Unlock()
			if full {
				return errFull
			}
			return r.send(id, to, m, reliable)
		}})
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.ends[id] = a
		r.mu.Unlock()
		_, y := meet(t, a, b)
		var want []string
		for i := range 40 {
			text := fmt.Sprint(i)
			want = append(want, text)
			if err := a.SendControl(b.Self(), []byte(text)); err != nil {
				t.Fatal(err)
			}
			_ = a.SendVoice(b.Self(), []byte(text))
			time.Sleep(10 * time.Millisecond)
		}
		awaitIn(t, "control", time.Second, func() bool { _, control, _, _ := y.see(); return len(control) == len(want) })
		_, control, _, _ := y.see()
		if fmt.Sprint(control) != fmt.Sprint(want) {
			t.Errorf("control is %v", control)
		}
		s := a.Stats(b.Self())
		if s.VoiceSent+s.VoiceDropped != 40 || s.VoiceDropped < 10 || s.ControlSent != 40 {
			t.Errorf("counted %+v", s)
		}
		mu.Lock()
		defer mu.Unlock()
		if calls > 400 {
			t.Errorf("%d calls of Send", calls)
		}
	})
}

func TestSendThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, _ := testKey(t, 1)
		_, far := testKey(t, 2)
		gate := make(chan struct{})
		a, err := pipe.New(pipe.Config{Key: key, Send: func(identity.PeerID, []byte, bool) error { <-gate; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Open(new(ear)); err != nil {
			t.Fatal(err)
		}
		join(t, a, far)
		synctest.Wait()
		start := time.Now()
		if err := a.Close(); !errors.Is(err, pipe.ErrStuck) {
			t.Errorf("Close is %v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		close(gate) // and the goroutine that was left behind ends, else the bubble fails
	})
}

func TestConfig(t *testing.T) {
	key, id := testKey(t, 1)
	_, other := testKey(t, 2)
	send := func(identity.PeerID, []byte, bool) error { return nil }
	for name, cfg := range map[string]pipe.Config{
		"no Send":             {Key: key},
		"no Key":              {Send: send},
		"Key and Insecure":    {Send: send, Key: key, Insecure: true},
		"no Self":             {Send: send, Insecure: true},
		"another's Self":      {Send: send, Key: key, Self: other},
		"unknown ways":        {Send: send, Key: key, Ways: 3},
		"a long session name": {Send: send, Key: key, Session: strings.Repeat("x", 65)},
		"a long Self":         {Send: send, Insecure: true, Self: identity.PeerID(strings.Repeat("x", 129))},
	} {
		if _, err := pipe.New(cfg); !errors.Is(err, pipe.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if tr, err := pipe.New(pipe.Config{Send: send, Key: key}); err != nil || tr.Self() != id {
		t.Errorf("%v, %v", tr, err)
	}
}
