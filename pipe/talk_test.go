package pipe

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Who leaves says so, also if that gets lost a few times, and what it said before is
// delivered first.
func TestTakingLeave(t *testing.T) {
	for _, leaver := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			a, b, x, y, post := posted(t, Config{Ways: UnreliableOnly})
			joinBoth(t, a, b)
			ends, ears := []*Transport{a, b}, []*counter{x, y}
			far, ear := ends[1-leaver], ears[1-leaver]
			me := ends[leaver]
			n := 0
			post.setLose(func(from identity.PeerID, _ []byte) bool { n++; return from == me.Self() && n%2 == 1 })
			for range 5 {
				if err := me.SendControl(far.Self(), []byte("before")); err != nil {
					t.Fatal(err)
				}
			}
			if err := me.Leave(far.Self()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(link.FlushTimeout)
			synctest.Wait()
			if _, controls, _, _ := ear.see(); controls != 5 {
				t.Errorf("%d of 5 control messages arrived", controls)
			}
			if p := far.Path(me.Self()); p.Kind != link.None || p.Reason != reasonLeft {
				t.Errorf("the path to who left is %+v", p)
			}
			me.mu.Lock()
			defer me.mu.Unlock()
			if len(me.leaving) != 0 {
				t.Error("the one who left has something to say still")
			}
		})
	}
}

// Nothing that a leaver says arrives but its last word, when the flush is over.
func TestTakingLeaveByAByeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, post := posted(t, Config{Ways: UnreliableOnly})
		joinBoth(t, a, b)
		start := time.Now()
		post.setLose(func(identity.PeerID, []byte) bool { return time.Since(start) < link.FlushTimeout })
		if err := a.Leave(b.Self()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(link.FlushTimeout + time.Millisecond)
		if p := b.Path(a.Self()); p.Kind != link.None || p.Reason != reasonLeft {
			t.Errorf("the path to who left is %+v", p)
		}
	})
}

// The last words of a talk spurt aren't acknowledged: the next spurt isn't cut.
func TestLostAcknowledgementsDontCutTheNextWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, y, post := posted(t, Config{Ways: UnreliableOnly})
		joinBoth(t, a, b)
		time.Sleep(time.Second)
		say := func(n int) (refused int) {
			for range n {
				if a.SendVoice(b.Self(), []byte("word")) != nil {
					refused++
				}
				time.Sleep(20 * time.Millisecond)
			}
			return refused
		}
		post.setLose(func(from identity.PeerID, _ []byte) bool { return from == b.Self() })
		say(3)
		time.Sleep(100 * time.Millisecond)
		post.setLose(nil)
		time.Sleep(600 * time.Millisecond)
		if refused := say(20); refused > 0 {
			t.Errorf("%d of 20 words were refused", refused)
		}
		if voices, _, _, _ := y.see(); voices != 23 {
			t.Errorf("%d of 23 words arrived", voices)
		}
	})
}

// The pipe takes less than is said: control and signs of life have their turn all the
// same.
func TestVoiceLeavesRoomForControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, y, post := posted(t, Config{})
		joinBoth(t, a, b)
		post.setWait(func(from identity.PeerID) {
			if from == a.Self() {
				time.Sleep(25 * time.Millisecond)
			}
		})
		for i := range 1000 {
			_ = a.SendVoice(b.Self(), []byte("word"))
			if i%100 == 50 {
				if err := a.SendControl(b.Self(), []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
		voices, controls, paths, _ := y.see()
		if voices < 150 || controls < 9 || paths != 1 {
			t.Errorf("%d voices, %d of 10 controls, %d paths", voices, controls, paths)
		}
	})
}

// The Handler is in the middle of a control message when the peer joins anew: that
// message counts for the epoch before.
func TestControlUnderWayWhenThePeerJoinsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, x, _, _ := posted(t, Config{})
		joinBoth(t, a, b)
		gate := make(chan struct{})
		x.mu.Lock()
		x.block = gate
		x.mu.Unlock()
		for range 10 {
			_ = b.SendControl(a.Self(), []byte("old"))
		}
		time.Sleep(100 * time.Millisecond)
		if err := errors.Join(b.Leave(a.Self()), b.Join(a.Self())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		x.mu.Lock()
		x.block = nil
		x.mu.Unlock()
		close(gate)
		for i := 0; i < 500; {
			switch err := b.SendControl(a.Self(), []byte("new")); {
			case err == nil:
				i++
			case !errors.Is(err, link.ErrCongested):
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if _, controls, _, _ := x.see(); controls != 501 {
			t.Errorf("%d control messages arrived, want the one under way and 500", controls)
		}
		if s := b.Stats(a.Self()); s.Malformed > 0 {
			t.Errorf("%d of a's acknowledgements make no sense", s.Malformed)
		}
	})
}

// Changes of path don't pile up while the Handler is busy.
func TestChangesOfPathThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, x, _, _ := posted(t, Config{})
		joinBoth(t, a, b)
		x.mu.Lock()
		x.block = make(chan struct{})
		x.mu.Unlock()
		for i := range 50 {
			_ = b.SendVoice(a.Self(), []byte("word"))
			time.Sleep(20 * time.Millisecond)
			if err := a.SetRoute(b.Self(), link.Relayed+link.Kind(i%2), ""); err != nil {
				t.Fatal(err)
			}
		}
		a.mu.Lock()
		paths := a.inboxes[b.Self()].paths
		last := link.Path{}
		for _, d := range a.inboxes[b.Self()].queue {
			if d.what == tellPath {
				last = d.path
			}
		}
		a.mu.Unlock()
		if paths > maxPathsWaiting || last.Kind != a.Path(b.Self()).Kind {
			t.Errorf("%d changes of path wait, the last one is %v", paths, last.Kind)
		}
		close(x.block)
	})
}

// What waited while the pipe blocked isn't sent a second late.
func TestStaleVoiceIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, y, post := posted(t, Config{})
		joinBoth(t, a, b)
		gate := make(chan struct{})
		post.setWait(func(from identity.PeerID) {
			if from == a.Self() {
				<-gate
			}
		})
		for range 10 {
			_ = a.SendVoice(b.Self(), []byte("stale"))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		close(gate)
		time.Sleep(100 * time.Millisecond)
		if voices, _, _, _ := y.see(); voices > 1 { // one was in Send's hands
			t.Errorf("%d words arrived a second late", voices)
		}
		if s := a.Stats(b.Self()); s.VoiceSent+s.VoiceDropped != 10 {
			t.Errorf("%d sent, %d dropped, of 10", s.VoiceSent, s.VoiceDropped)
		}
	})
}

// The way is cut in the middle of a word, and mended: control that was under way comes
// at once, and so does the next word.
func TestAfterAnOutageEverythingIsLiveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, y, post := posted(t, Config{})
		joinBoth(t, a, b)
		start := time.Now()
		post.setLose(func(identity.PeerID, []byte) bool { return true })
		said := 0
		for a.Path(b.Self()).Kind != link.None { // up to the last moment
			_ = a.SendVoice(b.Self(), []byte("lost"))
			if said < 10 && time.Since(start) > 2200*time.Millisecond {
				if err := a.SendControl(b.Self(), []byte("under way")); err != nil {
					t.Fatal(err)
				}
				said++
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		post.setLose(nil)
		for !up(a, b) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if _, controls, _, _ := y.see(); controls != said || said != 10 {
			t.Errorf("%d of 10 control messages 50 ms after the path is back", controls)
		}
		before, _, _, _ := y.see()
		for range 10 {
			if err := a.SendVoice(b.Self(), []byte("word")); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if voices, _, _, _ := y.see(); voices != before+10 {
			t.Errorf("%d of 10 words arrived", voices-before)
		}
	})
}

// What was under way when the peer left doesn't bring it back, and nobody asks whether
// it lives.
func TestWhatComesAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, x, _, post := posted(t, Config{})
		joinBoth(t, a, b)
		late := [][]byte{
			b.forge(a.Self(), []byte{bodyPing}),
			b.forge(a.Self(), []byte{bodyVoice, 'x'}),
			b.forge(a.Self(), []byte{bodyControl, 0, 0, 0, 2, 'x'}),
		}
		if err := b.Leave(a.Self()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		for _, m := range late {
			if err := a.Receive(b.Self(), m); err != nil {
				t.Error(err)
			}
		}
		before := post.count(kindData)
		time.Sleep(10 * time.Second)
		voices, controls, _, _ := x.see()
		if p := a.Path(b.Self()); p.Kind != link.None || p.Reason != reasonLeft || voices+controls > 0 {
			t.Errorf("the path is %+v, %d voices, %d controls", p, voices, controls)
		}
		if n := post.count(kindData) - before; n > 3 {
			t.Errorf("%d messages to who has left", n)
		}
	})
}

// Somebody knocks for long, and the Handler is busy: that is one call that waits.
func TestKnocksThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, x, _, _ := posted(t, Config{})
		x.mu.Lock()
		x.block = make(chan struct{})
		x.mu.Unlock()
		if err := b.Join(a.Self()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if queued, _, _, _ := a.waiting(); queued > 1 {
			t.Errorf("%d calls wait", queued)
		}
		close(x.block)
		synctest.Wait()
		if _, _, _, knocks := x.see(); knocks != 2 {
			t.Errorf("%d knocks, want the first one and another", knocks)
		}
	})
}
