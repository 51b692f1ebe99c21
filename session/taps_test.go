package session_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// tape keeps what taps are given.
type tape struct {
	mu       sync.Mutex
	packets  []session.Packet // with payloads of their own
	mic      []bool           // whether blocks were said
	loud     []bool           // whether blocks of the microphone held anything
	active   int              // blocks of peers that held audio
	blocks   int              // blocks of peers
	mixes    int
	wrong    int // blocks of the mix that weren't what the only peer said
	played   audio.Block
	between  []time.Duration // of two blocks of the mix
	last     time.Time
	received identity.PeerID
}

func (p *tape) packet(pkt *session.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := *pkt
	own.Payload = bytes.Clone(pkt.Payload)
	p.packets = append(p.packets, own)
}

// from is whose packets were received last.
func (p *tape) from() identity.PeerID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received
}

func (p *tape) taps() session.Taps {
	return session.Taps{
		Microphone: func(b *audio.Block, _ time.Time, said bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.mic = append(p.mic, said)
			p.loud = append(p.loud, *b != audio.Block{})
		},
		Received: func(id identity.PeerID, pkt *session.Packet) {
			p.packet(pkt)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.received = id
		},
		Peer: func(_ identity.PeerID, b *audio.Block, active bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.blocks++
			p.played = *b
			if active {
				p.active++
			}
		},
		Mix: func(b *audio.StereoBlock, at time.Time) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.mixes++
			var mono audio.Block
			audio.Downmix(&mono, b)
			// The limiter holds back 1 ms.
			if !slices.EqualFunc(mono[48:], p.played[:432], func(x, y float32) bool { return max(x-y, y-x) < 1e-6 }) {
				p.wrong++
			}
			if !p.last.IsZero() {
				p.between = append(p.between, at.Sub(p.last))
			}
			p.last = at
		},
	}
}

func (p *tape) take() []session.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.packets
	p.packets = nil
	return taken
}

// What is received is what was said, with the same numbers but for their
// beginning, once each and whatever was lost and brought again by copies. Only where
// two packets in a row were lost it may be in another encoding.
func TestTapsAreGivenPacketsAsTheyWereSaid(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Loss: loss, Delay: 30 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
			talker, listener := pair(t, net, tone(440, 0.3))
			defer closeAll(t, talker, listener)
			time.Sleep(10 * time.Second) // the plan for those who lose packets stands
			var said, received tape
			defer talker.Tap(session.Taps{Said: said.packet})()
			defer listener.Tap(received.taps())()
			from := time.Now()
			time.Sleep(20 * time.Second)
			sent := map[string]session.Packet{}
			for _, pkt := range said.take() {
				sent[string(pkt.Payload)] = pkt
			}
			got := received.take()
			if len(sent) < 990 || float64(len(got)) < 0.95*float64(len(sent)) {
				t.Fatalf("loss %v: %d packets said, %d received", loss, len(sent), len(got))
			}
			seen, copies, light := map[int64]bool{}, 0, 0
			var off []int64
			for _, pkt := range got {
				own, ok := sent[string(pkt.Payload)]
				switch {
				case ok || pkt.At.Sub(from) <= time.Second:
				case pkt.Copy:
					light++
				default:
					t.Fatalf("packet %d was never said", pkt.Seq)
				}
				if seen[pkt.Seq] {
					t.Errorf("packet %d came twice", pkt.Seq)
				}
				seen[pkt.Seq] = true
				if pkt.Copy {
					copies++
				}
				if ok {
					off = append(off, pkt.Timestamp-own.Timestamp)
					if pkt.Samples != 960 || pkt.Stream != got[0].Stream || pkt.Spurt != got[0].Spurt || pkt.At.Before(own.At.Add(30*time.Millisecond)) {
						t.Errorf("packet %+v", pkt)
					}
				}
			}
			if slices.Min(off) != slices.Max(off) {
				t.Errorf("loss %v: timestamps are off by %d to %d", loss, slices.Min(off), slices.Max(off))
			}
			if float64(light) > 4*loss*loss*float64(len(got)) {
				t.Errorf("loss %v: %d of %d packets came in another encoding", loss, light, len(got))
			}
			if (copies > 0) != (loss > 0) || received.from() != talker.id {
				t.Errorf("loss %v: %d copies, from %v", loss, copies, received.from())
			}
		})
	}
}

func TestTapsTellOneStreamFromTheNext(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		var said, received tape
		defer talker.Tap(session.Taps{Said: said.packet})()
		defer listener.Tap(received.taps())()
		streams := func() (out [2]uint64) {
			for i, p := range []*tape{&said, &received} {
				p.take()
				time.Sleep(time.Second)
				packets := p.take()
				if len(packets) < 45 {
					t.Fatalf("%d packets in a second", len(packets))
				}
				out[i] = packets[0].Stream
				for _, pkt := range packets {
					if pkt.Stream != out[i] {
						t.Errorf("another stream within one")
					}
				}
			}
			return out
		}
		time.Sleep(2 * time.Second)
		first := streams()
		if err := errors.Join(talker.Stop(), listener.PeerLeft(talker.id)); err != nil {
			t.Fatal(err)
		}
		talker.start(t)
		talker.joined(t, listener)
		listener.joined(t, talker)
		time.Sleep(2 * time.Second)
		second := streams()
		if err := talker.Stop(); err != nil {
			t.Fatal(err)
		}
		talker.start(t) // the listener hears of another epoch only
		talker.joined(t, listener)
		time.Sleep(2 * time.Second)
		third := streams()
		for i := range first {
			if first[i] == second[i] || second[i] == third[i] || first[i] == third[i] {
				t.Errorf("streams %d, %d, %d", first[i], second[i], third[i])
			}
		}
	})
}

func TestTapsAreGivenMicrophoneAndMix(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		var own, heard tape
		removeOwn, removeHeard := talker.Tap(own.taps()), listener.Tap(heard.taps())
		time.Sleep(2 * time.Second)
		talker.SetMuted(true)
		time.Sleep(time.Second)
		removeOwn()
		removeHeard()
		time.Sleep(time.Second)
		talker.SetMuted(false)
		time.Sleep(time.Second)
		own.mu.Lock()
		defer own.mu.Unlock()
		heard.mu.Lock()
		defer heard.mu.Unlock()
		if n := len(own.mic); n < 298 || n > 301 || !own.mic[0] || own.mic[n-1] || !own.loud[0] || own.loud[n-1] {
			t.Errorf("%d blocks of the microphone", n)
		}
		if heard.mixes != heard.blocks || heard.blocks < 298 || heard.blocks > 301 || heard.active < 180 || heard.active > 220 {
			t.Errorf("%d mixes of %d blocks, %d of them active", heard.mixes, heard.blocks, heard.active)
		}
		if heard.wrong > 3 { // where a gain of the mixer moves
			t.Errorf("%d blocks of the mix aren't what the peer said", heard.wrong)
		}
		for _, d := range heard.between {
			if d != audio.BlockDuration {
				t.Fatalf("%v between two blocks", d)
			}
		}
	})
}

// A tap may be added and taken away from any goroutine while others are called,
// and one that doesn't return is left behind.
func TestATapThatIsStuckIsLeftBehind(t *testing.T) {
	for name, taps := range map[string]func(*snag) session.Taps{
		"microphone": func(s *snag) session.Taps {
			return session.Taps{Microphone: func(*audio.Block, time.Time, bool) { s.pass() }}
		},
		"said": func(s *snag) session.Taps { return session.Taps{Said: func(*session.Packet) { s.pass() }} },
		"peer": func(s *snag) session.Taps {
			return session.Taps{Peer: func(identity.PeerID, *audio.Block, bool) { s.pass() }}
		},
		"mix": func(s *snag) session.Taps {
			return session.Taps{Mix: func(*audio.StereoBlock, time.Time) { s.pass() }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				talker, listener := pair(t, net, tone(440, 0.3))
				defer closeAll(t, talker, listener)
				s := &snag{release: make(chan struct{})}
				remove := talker.Tap(taps(s))
				time.Sleep(time.Second)
				s.armed.Store(true)
				time.Sleep(50 * time.Millisecond)
				if err := talker.Stop(); !errors.Is(err, session.ErrStuck) {
					t.Fatalf("Stop = %v, want ErrStuck", err)
				}
				remove()
				talker.start(t)
				close(s.release)
				time.Sleep(time.Second)
				if err := talker.Stop(); err != nil {
					t.Errorf("Stop = %v", err)
				}
			})
		})
	}
}

func TestTapsComeAndGoWhileOthersAreCalled(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		var stays tape
		defer listener.Tap(stays.taps())()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 100 {
					var own tape
					remove := listener.Tap(own.taps())
					time.Sleep(17 * time.Millisecond)
					remove()
					remove() // once more does nothing
				}
			})
		}
		all.Wait()
		packets := len(stays.take())
		stays.mu.Lock()
		defer stays.mu.Unlock()
		if stays.blocks < 165 || packets < 60 {
			t.Errorf("%d blocks, %d packets", stays.blocks, packets)
		}
	})
}

// What is taken of our own voice is as good as it was asked for, however little the
// only listener's link carries.
func TestTapsOfOurOwnVoiceAreWhole(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Loss: 0.25, Delay: 150 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		bytesOf := func(packets []session.Packet) (n int) {
			for _, p := range packets {
				n = max(n, len(p.Payload))
			}
			return n
		}
		time.Sleep(10 * time.Second)
		if !talker.peer(t, listener).Lean {
			t.Fatal("the listener isn't sent less: nothing is shown")
		}
		var said, received tape
		defer talker.Tap(session.Taps{Said: said.packet})()
		time.Sleep(time.Second)
		defer listener.Tap(received.taps())()
		said.take()
		time.Sleep(2 * time.Second)
		if own, sent := bytesOf(said.take()), bytesOf(received.take()); sent == 0 || own <= sent {
			t.Errorf("packets of up to %d bytes were said, of up to %d received", own, sent)
		}
	})
}
