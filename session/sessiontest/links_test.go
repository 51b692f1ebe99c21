package sessiontest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

func TestPeerIDsAreValidAndDistinct(t *testing.T) {
	seen := make(map[identity.PeerID]int)
	for n := range 100 {
		id := PeerID(n)
		if before, twice := seen[id]; twice {
			t.Errorf("PeerID(%d) and PeerID(%d) are the same", before, n)
		}
		seen[id] = n
		key, err := id.ExtractPublicKey()
		if err != nil || !id.MatchesPublicKey(key) || key.Type().String() != "Ed25519" {
			t.Errorf("PeerID(%d) is no Ed25519 key's: %v, %v", n, key, err)
		}
	}
	// Recordings and logs name peers: the sequence never changes.
	if got, want := PeerID(1).String(), "12D3KooWQkLsLn2oxApZwWQfBbLf4Nr3b7RkHQRs9WdZEKwJMxw2"; got != want {
		t.Errorf("PeerID(1) is %s, want %s", got, want)
	}
}

func TestHeldPeerIsRefusedAfterTheHoldTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, la, lb := two(t, Config{Link: LinkConfig{Delay: 10 * time.Millisecond}})
		defer n.Close()
		check(t, a.Join(b.Self()))
		time.Sleep(HoldTime - 100*time.Millisecond)
		if got := lb.knocked(); !slices.Equal(got, []identity.PeerID{a.Self()}) || len(la.kinds()) != 0 {
			t.Fatalf("knocks %v, paths told to the one that waits %v", got, la.kinds())
		}
		time.Sleep(200 * time.Millisecond)
		if got := a.Path(b.Self()).Reason; got != "refused: the peer has not announced us" {
			t.Errorf("reason after the hold: %q", got)
		}
		time.Sleep(time.Second) // it asks again
		if got := lb.knocked(); len(got) != 2 {
			t.Errorf("%d knocks, want a second one", len(got))
		}
		start := time.Now()
		check(t, b.Join(a.Self()))
		if path := b.Path(a.Self()); path.Kind == link.None {
			t.Errorf("who was held has no path at once: %+v", path)
		}
		for a.Path(b.Self()).Kind == link.None {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start); took > 11*time.Millisecond {
			t.Errorf("adopted after %v, want one way", took)
		}
	})
}

func TestHoldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(Config{})
		defer n.Close()
		l := &log{}
		busy := n.Transport(PeerID(0))
		check(t, busy.Open(l))
		var last *Transport
		for i := range MaxHeld + 1 {
			last = n.Transport(PeerID(i + 1))
			check(t, last.Open(&log{}))
			check(t, last.Join(busy.Self()))
			time.Sleep(time.Millisecond)
		}
		if got := len(l.knocked()); got != MaxHeld {
			t.Errorf("%d peers are held, want %d", got, MaxHeld)
		}
		if got := last.Path(busy.Self()).Reason; got != "refused: too many peers are waiting" {
			t.Errorf("reason %q", got)
		}
	})
}

func TestPeerThatIsNotOpenRefusesUntilItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(Config{})
		defer n.Close()
		a, b := n.Transport(PeerID(1)), n.Transport(PeerID(2))
		check(t, a.Open(&log{}))
		check(t, a.Join(b.Self()))
		time.Sleep(time.Second)
		if got := a.Path(b.Self()).Reason; got != "refused: the peer is not open" {
			t.Errorf("reason %q", got)
		}
		check(t, b.Open(&log{}))
		check(t, b.Join(a.Self()))
		time.Sleep(time.Millisecond)
		if a.Path(b.Self()).Kind != link.LAN {
			t.Errorf("path %+v", a.Path(b.Self()))
		}
	})
}

func TestStallDeliversAllAtOnceAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 20 * time.Millisecond}})
		defer n.Close()
		start := time.Now()
		n.Stall(a.Self(), b.Self(), 200*time.Millisecond)
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprint(i))
			check(t, a.SendVoice(b.Self(), []byte(want[i])))
			check(t, a.SendControl(b.Self(), []byte(want[i])))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if !slices.Equal(lb.voices(), want) || !slices.Equal(lb.controls(), want) {
			t.Errorf("voice %q, control %q", lb.voices(), lb.controls())
		}
		for _, at := range lb.arrivals() {
			if at.Sub(start) != 200*time.Millisecond {
				t.Errorf("arrived after %v, want 200ms", at.Sub(start))
			}
		}
	})
}

func TestBandwidthQueuesThenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Bandwidth: 40_000}})
		defer n.Close()
		start := time.Now()
		sent := 0
		for range 100 { // 100 B every 10 ms is twice of what fits
			err := a.SendVoice(b.Self(), make([]byte, 100))
			if err == nil {
				sent++
			} else if !errors.Is(err, link.ErrCongested) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		at := lb.arrivals()
		if len(at) != sent || sent < 55 || sent > 65 {
			t.Fatalf("%d of 100 sent, %d arrived; want 60: 50 in a second and 10 queued", sent, len(at))
		}
		if last := at[len(at)-1].Sub(start); last > 1250*time.Millisecond {
			t.Errorf("the last arrived after %v: the queue is longer than 200 ms", last)
		}
		if got := a.Stats(b.Self()).VoiceDropped; got != uint64(100-sent) {
			t.Errorf("%d dropped, want %d", got, 100-sent)
		}
	})
}

func TestLossComesInBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Seed: 5, Link: LinkConfig{Loss: 0.1, Burst: 3}})
		defer n.Close()
		const count = 20000
		for i := range count {
			check(t, a.SendVoice(b.Self(), fmt.Appendf(nil, "%05d", i)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		lost, bursts, next := 0, 0, 0
		for _, text := range lb.voices() {
			var i int
			if _, err := fmt.Sscan("1"+text, &i); err != nil {
				t.Fatal(err)
			}
			i -= 100000
			if i > next {
				lost += i - next
				bursts++
			}
			next = i + 1
		}
		share, mean := float64(lost)/count, float64(lost)/float64(bursts)
		if share < 0.085 || share > 0.115 || mean < 2.7 || mean > 3.3 {
			t.Errorf("%.3f lost in bursts of %.2f, want 0.1 and 3", share, mean)
		}
	})
}

func TestJitterKeepsTheOrderAndItsMean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 25 * time.Millisecond, Jitter: 20 * time.Millisecond}})
		defer n.Close()
		var sent []time.Time
		for i := range 2000 {
			sent = append(sent, time.Now())
			check(t, a.SendVoice(b.Self(), fmt.Appendf(nil, "%04d", i)))
			time.Sleep(500 * time.Millisecond) // so far apart that the order costs nothing
		}
		time.Sleep(time.Second)
		if got := lb.voices(); len(got) != 2000 || !slices.IsSorted(got) {
			t.Fatalf("%d arrived, in order %v", len(got), slices.IsSorted(got))
		}
		var extra time.Duration
		for i, at := range lb.arrivals() {
			extra += at.Sub(sent[i]) - 25*time.Millisecond
		}
		if mean := extra / 2000; mean < 18*time.Millisecond || mean > 22*time.Millisecond {
			t.Errorf("mean jitter %v, want 20ms", mean)
		}
	})
}

func TestRetransmittedVoiceIsLateAndDelaysNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 40 * time.Millisecond, Loss: 0.2, RetransmitVoice: true}})
		defer n.Close()
		sent := make(map[string]time.Time)
		for i := range 500 {
			text := fmt.Sprint(i)
			sent[text] = time.Now()
			check(t, a.SendVoice(b.Self(), []byte(text)))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		got, at := lb.voices(), lb.arrivals()
		late := 0
		for i, text := range got {
			switch took := at[i].Sub(sent[text]); took {
			case 40 * time.Millisecond:
			case 40*time.Millisecond + 145*time.Millisecond:
				late++
			default:
				t.Errorf("%s took %v", text, took)
			}
		}
		if len(got) != 500 || late < 70 || late > 130 {
			t.Errorf("%d arrived, %d of them late; want 500 and 100", len(got), late)
		}
	})
}

func TestControlIsLateUnderLossAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 10 * time.Millisecond}})
		defer n.Close()
		n.SetLink(a.Self(), b.Self(), LinkConfig{Delay: 10 * time.Millisecond, Loss: 1})
		start := time.Now()
		check(t, a.SendControl(b.Self(), []byte("1")))
		check(t, a.SendVoice(b.Self(), []byte("gone")))
		time.Sleep(time.Minute)
		if got := lb.controls(); !slices.Equal(got, []string{"1"}) || len(lb.voices()) != 0 {
			t.Errorf("control %q, voice %q after %v", got, lb.voices(), time.Since(start))
		}
	})
}

func TestNewKindOfLinkIsToldAsAChangeOfPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, la, lb := joined(t, Config{})
		defer n.Close()
		n.SetLink(a.Self(), b.Self(), LinkConfig{Kind: link.Relayed, Lanes: 1})
		time.Sleep(time.Millisecond)
		if got := la.kinds(); !slices.Equal(got, []link.Kind{link.LAN, link.Relayed}) {
			t.Errorf("told %v", got)
		}
		if path := a.Path(b.Self()); path.Kind != link.Relayed || path.Lanes != 1 || path.Epoch == 0 {
			t.Errorf("path %+v", path)
		}
		if got := lb.kinds(); len(got) != 1 {
			t.Errorf("the other end was told %v", got)
		}
	})
}

func TestCutEndsUnacknowledgedVoiceAfterTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 50 * time.Millisecond}})
		defer n.Close()
		n.Cut(a.Self(), b.Self())
		var results []error
		for range 100 {
			results = append(results, a.SendVoice(b.Self(), []byte("x")))
			time.Sleep(20 * time.Millisecond)
		}
		// 300 ms are RTT and bound: 16 messages; then a probe every 100 ms.
		first := slices.IndexFunc(results, func(err error) bool { return errors.Is(err, link.ErrCongested) })
		if written := a.Stats(b.Self()).VoiceSent; first < 15 || first > 18 || written < 30 || written > 36 {
			t.Errorf("congested from message %d on, %d written", first, written)
		}
		if got := a.Stats(b.Self()).VoiceUnacked; got == 0 {
			t.Error("nothing is unacknowledged in a cut")
		}
		n.Restore(a.Self(), b.Self())
		check(t, a.SendVoice(b.Self(), []byte("live")))
		time.Sleep(time.Second)
		if got := lb.voices(); !slices.Equal(got, []string{"live"}) {
			t.Errorf("after the cut %q was heard", got)
		}
		if got := a.Stats(b.Self()).VoiceUnacked; got != 0 {
			t.Errorf("%d unacknowledged after a second", got)
		}
	})
}

func TestPeerThatLeftInACutIsFoundToHaveLeft(t *testing.T) {
	for _, cut := range []time.Duration{time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 10 * time.Millisecond}})
			defer n.Close()
			n.Cut(a.Self(), b.Self())
			check(t, a.SendControl(b.Self(), []byte("never leaves")))
			check(t, a.Leave(b.Self()))
			time.Sleep(cut)
			n.Restore(a.Self(), b.Self())
			time.Sleep(100 * time.Millisecond)
			if path := b.Path(a.Self()); path.Kind != link.None {
				t.Errorf("cut for %v: path %+v to a peer that left", cut, path)
			}
			if got := lb.controls(); len(got) != 0 {
				t.Errorf("cut for %v: control %q after FlushTimeout", cut, got)
			}
			check(t, a.Join(b.Self()))
			time.Sleep(100 * time.Millisecond)
			if path := b.Path(a.Self()); path.Kind == link.None {
				t.Errorf("cut for %v: no path after it joined anew: %+v", cut, path)
			}
		})
	}
}

func TestHandlerThatKeepsBytesSeesThemSpoiled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, _ := joined(t, Config{})
		defer n.Close()
		check(t, b.Close())
		k := &keeper{}
		check(t, b.Open(k))
		check(t, b.Join(a.Self()))
		time.Sleep(time.Second)
		check(t, a.SendVoice(b.Self(), []byte("keep me")))
		time.Sleep(time.Second)
		synctest.Wait()
		if string(k.kept) == "keep me" {
			t.Error("the bytes of a call are intact after it")
		}
	})
}

type keeper struct {
	log
	kept []byte
}

func (k *keeper) Voice(_ identity.PeerID, b []byte, _ time.Time) { k.kept = b }

func TestWindowKnowsWhatItHasSeen(t *testing.T) {
	var w window
	for _, step := range []struct {
		number uint64
		first  bool
	}{
		{1, true},
		{1, false},
		{3, true},
		{2, true},
		{2, false},
		{3, false},
		{1000, true},
		{4, true},
		{1027, true},
		{3, false},
		{5, true},
		{1027, false},
		{1 << 40, true},
		{1<<40 - 1023, true},
		{1<<40 - 1023, false},
		{1<<40 - 1024, false},
		{1<<40 - 5, true},
	} {
		if got := w.first(step.number); got != step.first {
			t.Errorf("first(%d) is %v", step.number, got)
		}
	}
}

func BenchmarkVoice(b *testing.B) {
	n := NewNetwork(Config{})
	defer n.Close()
	x, y := n.Transport(PeerID(1)), n.Transport(PeerID(2))
	for _, err := range []error{x.Open(&log{}), y.Open(quietHandler{}), x.Join(y.Self()), y.Join(x.Self())} {
		if err != nil {
			b.Fatal(err)
		}
	}
	for x.Path(y.Self()).Kind == link.None {
		time.Sleep(time.Millisecond)
	}
	m := make([]byte, 80)
	b.ReportAllocs()
	for b.Loop() {
		_ = x.SendVoice(y.Self(), m)
	}
}

type quietHandler struct{}

func (quietHandler) Voice(identity.PeerID, []byte, time.Time) {}
func (quietHandler) Control(identity.PeerID, []byte)          {}
func (quietHandler) PathChanged(identity.PeerID, link.Path)   {}
func (quietHandler) Knock(identity.PeerID)                    {}
