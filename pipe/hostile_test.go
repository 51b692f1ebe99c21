package pipe

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

func TestStrangersAreHeldInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		ends := make(map[identity.PeerID]*Transport)
		a := wired(t, ends, Config{Send: func(identity.PeerID, []byte, bool) error { sent++; return nil }})
		h := &counter{block: make(chan struct{})}
		if err := a.Open(h); err != nil {
			t.Fatal(err)
		}
		initiation := append(a.header(kindInitiation, 7), make([]byte, 32)...)
		hello := append([]byte{sealedMode | kindHello}, make([]byte, 8)...)
		refused := 0
		stranger := func(i int) identity.PeerID {
			id := identity.PeerID("\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(i))))
			if i%2 == 0 {
				id = "\xff" + id
			}
			return id
		}
		for round := range 20 {
			for i := range 1000 {
				from := stranger(round*1000 + i)
				b := initiation
				if a.Self() < from { // then a begins, once it is asked to
					b = hello
				}
				if err := a.Receive(from, b); errors.Is(err, ErrFlood) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			_, held, inboxes, _ := a.waiting()
			if held > maxHeld || inboxes > 2*maxHeld+1 {
				t.Fatalf("%d are held, %d wait for the Handler", held, inboxes)
			}
			time.Sleep(holdTime + time.Second)
		}
		synctest.Wait()
		if sent != 0 || refused < 18000 {
			t.Errorf("%d messages were sent to strangers, %d of 20,000 refused", sent, refused)
		}
		close(h.block)
		time.Sleep(holdTime + time.Second)
		if err := a.Receive(stranger(2), hello); err != nil { // there is room again
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Handshakes that are begun and never ended cost a bounded amount of work, and the
// conversation goes on.
func TestHalfOpenHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, y := met(t, Config{}, false) // a responds
		epoch := a.Path(b.Self()).Epoch
		start := time.Now()
		worked := 0
		for i := range 1000 {
			h, err := b.own.begin(uint32(i), b.Self(), a.Self(), true)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := h.write(b.header(kindInitiation, uint32(i)), nil, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			err = a.Receive(b.Self(), m)
			switch {
			case err == nil:
				worked++
			case !errors.Is(err, ErrFlood):
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if most := maxHandshakes + int(time.Since(start)/perHandshake) + 1; worked > most || worked == 0 {
			t.Errorf("%d of 1,000 handshakes were worked on, want at most %d", worked, most)
		}
		if p := a.Path(b.Self()); p.Kind == link.None || p.Epoch != epoch {
			t.Errorf("the path is %+v", p)
		}
		if err := a.SendVoice(b.Self(), []byte("x")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if voices, _, _, _ := y.see(); voices != 1 {
			t.Error("not heard any more")
		}
	})
}

// Forged responses don't end a handshake that waits for the right one.
func TestForgedResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := make(map[identity.PeerID]*Transport)
		a, b := wired(t, ends, Config{}), wired(t, ends, Config{})
		if a.Self() > b.Self() {
			a, b = b, a
		}
		var offered []byte
		a.cfg.Send = func(_ identity.PeerID, m []byte, _ bool) error { offered = append([]byte(nil), m...); return nil }
		for _, end := range []*Transport{a, b} {
			if err := end.Open(new(counter)); err != nil {
				t.Fatal(err)
			}
			defer end.Close()
		}
		if err := errors.Join(a.Join(b.Self()), b.Join(a.Self())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		draw := rand.New(rand.NewPCG(1, 1))
		for _, size := range []int{96, 97, 150, 200, 1100} {
			m := append([]byte{sealedMode | kindResponse}, offered[1:keyHeader]...)
			for range size {
				m = append(m, byte(draw.Uint32()))
			}
			if err := a.Receive(b.Self(), m); !errors.Is(err, ErrForged) {
				t.Errorf("%d bytes: %v", size, err)
			}
			clear(m[keyHeader : keyHeader+32]) // a point of low order
			if err := a.Receive(b.Self(), m); !errors.Is(err, ErrForged) {
				t.Errorf("low order: %v", err)
			}
		}
		if err := b.Receive(a.Self(), offered); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // b's response reaches a
		if a.Path(b.Self()).Kind == link.None {
			t.Error("the right response isn't taken any more")
		}
		if s := a.Stats(b.Self()); s.Malformed != 10 {
			t.Errorf("%d forgeries counted, want 10", s.Malformed)
		}
	})
}

// Whatever is cut or added, and whatever is random, is refused or counts for
// nothing.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, x, _ := met(t, Config{}, true)
		draw := rand.New(rand.NewPCG(2, 2))
		sound := [][]byte{
			b.forge(a.Self(), []byte{bodyPing}),
			append(b.header(kindConfirmation, 1), make([]byte, 64)...),
			append(b.header(kindResponse, 1), make([]byte, 96)...),
			append(b.header(kindInitiation, 1), make([]byte, 32)...),
			append([]byte{sealedMode | kindHello}, make([]byte, 8)...),
		}
		for _, m := range sound {
			for n := range m {
				if err := a.Receive(b.Self(), m[:n]); err == nil {
					t.Errorf("kind %d cut to %d of %d bytes is taken", m[0], n, len(m))
				}
			}
		}
		for size := range 1400 {
			m := make([]byte, size)
			for i := range m {
				m[i] = byte(draw.Uint32())
			}
			for first := range 256 {
				if size > 0 {
					m[0] = byte(first)
				}
				if err := a.Receive(b.Self(), m); err == nil && (size != helloSize || first&0x0f != int(kindHello)) {
					t.Fatalf("% x is taken", m)
				}
			}
		}
		if err := a.Receive(b.Self(), make([]byte, 64<<10)); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
		for _, from := range []identity.PeerID{"", a.Self(), identity.PeerID(strings.Repeat("x", 200))} {
			if err := a.Receive(from, sound[0]); !errors.Is(err, ErrMalformed) {
				t.Errorf("from %q: %v", from, err)
			}
		}
		if err := a.Receive(b.Self(), sound[0]); err != nil {
			t.Errorf("the real one afterwards: %v", err)
		}
		if voices, controls, paths, _ := x.see(); voices+controls > 0 || paths != 1 {
			t.Errorf("%d voices, %d controls, %d paths", voices, controls, paths)
		}
	})
}

// A peer that was announced and lies: it has keys, and keeps to nothing else.
func TestAPeerThatLies(t *testing.T) {
	voice := append([]byte{bodyVoice}, make([]byte, 500)...)
	control := func(seq uint32) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{bodyControl}, seq), make([]byte, 500)...)
	}
	acked := func(a ack) []byte { return a.appendTo([]byte{bodyNothing | withAck}) }
	for name, plain := range map[string]func(i int) []byte{
		"voice":                   func(int) []byte { return voice },
		"control":                 func(i int) []byte { return control(uint32(i + 1)) },
		"control far ahead":       func(i int) []byte { return control(uint32(i)*1e6 + 2) },
		"control with a gap":      func(i int) []byte { return control(uint32(i%200) + 2) },
		"pings":                   func(int) []byte { return []byte{bodyPing} },
		"acks of nothing sent":    func(int) []byte { return acked(ack{top: 1e6}) },
		"acks of no control":      func(int) []byte { return acked(ack{received: 1e6}) },
		"acks that contradict":    func(int) []byte { return acked(ack{received: 0, undeliver: 200}) },
		"ends":                    func(i int) []byte { return binary.BigEndian.AppendUint32([]byte{bodyEnd}, uint32(i+1)) },
		"byes":                    func(int) []byte { return []byte{bodyBye} },
		"bodies that don't exist": func(i int) []byte { return []byte{byte(i) | 0x40} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, x, _ := met(t, Config{}, true)
				synctest.Wait()
				x.mu.Lock()
				x.block = make(chan struct{})
				x.mu.Unlock()
				for i := range 5000 {
					_ = a.Receive(b.Self(), b.forge(a.Self(), plain(i)))
				}
				time.Sleep(10 * time.Second) // a answers, and gives up what makes no sense
				queued, _, _, free := a.waiting()
				if queued > mostQueued || free > maxFree {
					t.Errorf("%d calls wait, %d buffers are kept", queued, free)
				}
				close(x.block)
				synctest.Wait()
				if strings.HasPrefix(name, "acks") || strings.HasPrefix(name, "bodies") {
					if s := a.Stats(b.Self()); s.Malformed < 5000 {
						t.Errorf("%d of 5,000 counted", s.Malformed)
					}
				}
			})
		})
	}
}

// A peer that joins anew again and again while the Handler is busy.
func TestAPeerThatAlwaysJoinsAnew(t *testing.T) {
	for _, initiator := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, b, x, _ := met(t, Config{}, initiator)
			synctest.Wait()
			x.mu.Lock()
			x.block = make(chan struct{})
			x.mu.Unlock()
			for range 300 {
				_ = b.SendVoice(a.Self(), []byte("x"))
				_ = b.SendControl(a.Self(), []byte("x"))
				time.Sleep(50 * time.Millisecond)
				if err := errors.Join(b.Leave(a.Self()), b.Join(a.Self())); err != nil {
					t.Fatal(err)
				}
				if queued, _, _, _ := a.waiting(); queued > mostQueued {
					t.Fatalf("%d calls wait", queued)
				}
				b.mu.Lock()
				left := len(b.leaving[a.Self()])
				b.mu.Unlock()
				if left > maxLeaving+1 {
					t.Fatalf("%d left pairs have something to say", left)
				}
			}
			close(x.block)
			time.Sleep(5 * time.Second)
			if a.Path(b.Self()).Kind == link.None {
				t.Error("no path in the end")
			}
		})
	}
}

// Voice allocates nothing after warm-up, from SendVoice to the far Handler, with
// encryption and without.
func TestVoiceAllocatesNothing(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		a, b, _, _ := met(t, Config{Insecure: insecure}, true)
		heard := make(chan struct{}, 1)
		b.mu.Lock()
		b.handler = signal{heard}
		b.mu.Unlock()
		frame := make([]byte, 120)
		talk := func() {
			if err := a.SendVoice(b.Self(), frame); err != nil {
				t.Fatal(err)
			}
			<-heard
		}
		for range 300 {
			talk()
		}
		if n := testing.AllocsPerRun(2000, talk); n > 0 {
			t.Errorf("insecure %v: %v allocations for each voice message sent and received", insecure, n)
		}
	}
}

func BenchmarkVoice(b *testing.B) {
	x, y, _, _ := met(b, Config{}, true)
	heard := make(chan struct{}, 1)
	y.mu.Lock()
	y.handler = signal{heard}
	y.mu.Unlock()
	frame := make([]byte, 120)
	b.ReportAllocs()
	for b.Loop() {
		if err := x.SendVoice(y.Self(), frame); err != nil {
			b.Fatal(err)
		}
		<-heard
	}
}
