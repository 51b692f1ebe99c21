package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// stranger opens raw streams of Parley's protocol.
type stranger struct {
	t *testing.T
	h host.Host
}

func (x stranger) open(to peer.ID, b []byte) network.Stream {
	x.t.Helper()
	s, err := x.h.NewStream(context.Background(), to, ProtocolID)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := s.Write(b); err != nil {
		x.t.Fatal(err)
	}
	return s
}

// code waits for the stream's end and returns the code it was reset with, 0 if
// it still is open after d.
func (x stranger) code(s network.Stream, d time.Duration) network.StreamErrorCode {
	x.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, s)
	c, _ := remoteCode(err)
	return c
}

// inBubbleWithStranger joins ends 0 and 1 and connects host 2, which has no
// node, to host 0.
func inBubbleWithStranger(t *testing.T, f func(t *testing.T, net *p2ptest.Network, a, b *end, x stranger)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 3})
		a, b := newEnd(t, net, 0, Config{}), newEnd(t, net, 1, Config{})
		joined(t, net, a, b)
		connect(t, net, 2, 0)
		f(t, net, a, b, stranger{t, net.Host(2)})
	})
}

func hello(session string) []byte {
	return appendPreamble(nil, preamble{kind: kindControl, session: session, from: 7})
}

func TestStreamsOfStrangersAreRefused(t *testing.T) {
	lane := appendPreamble(nil, preamble{kind: kindLane, from: 7, to: 8})
	cases := []struct {
		name  string
		bytes []byte
		wait  time.Duration
		want  network.StreamErrorCode
	}{
		{"unknown version", []byte{9}, time.Second, codeVersion},
		{"unknown kind", []byte{1, 9}, time.Second, codeVersion},
		{"long session name", []byte{1, 1, 65}, time.Second, codeMalformed},
		{"unknown session", hello("nowhere"), time.Second, codeNoSession},
		{"lane", lane, time.Second, codeNotAnnounced},
		{"half a preamble", hello("")[:9], 11 * time.Second, codeMalformed},
		{"held and expired", hello(""), 11 * time.Second, codeNotAnnounced},
		{"held and too much", append(hello(""), make([]byte, 300)...), time.Second, codeTooMany},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, _ *end, x stranger) {
				s := x.open(a.id, c.bytes)
				if got := x.code(s, c.wait); got != c.want {
					t.Errorf("reset with 0x%x, want 0x%x", got, c.want)
				}
			})
		})
	}
}

func TestHeldStreamsAreBoundedAndTheNewestIsAdopted(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, _ *end, x stranger) {
		var ss []network.Stream
		for i := range 3 {
			ss = append(ss, x.open(a.id, appendPreamble(nil, preamble{kind: kindControl, from: uint64(i + 1)})))
			time.Sleep(50 * time.Millisecond)
		}
		if got := x.code(ss[0], 100*time.Millisecond); got != codeSuperseded {
			t.Errorf("the oldest of three held streams: 0x%x", got)
		}
		if n := a.knocked(x.h.ID()); n != 1 {
			t.Errorf("%d knocks, want 1", n)
		}
		if err := a.Join(x.h.ID()); err != nil {
			t.Fatal(err)
		}
		if got := x.code(ss[1], 100*time.Millisecond); got != codeSuperseded {
			t.Errorf("the second: 0x%x", got)
		}
		b := make([]byte, 100)
		n, err := ss[2].Read(b)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := parsePreamble(b[:n])
		if err != nil || p.to != 3 || p.from == 0 {
			t.Errorf("answer %+v, %v", p, err)
		}
	})
}

func TestAThousandGarbageStreamsDisturbNobody(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, b *end, x stranger) {
		defer b.talkBeside(a, 300, 20*time.Millisecond)()
		random := rand.New(rand.NewPCG(1, 2))
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 1000 {
			s, err := x.h.NewStream(context.Background(), a.id, ProtocolID)
			if err != nil {
				break
			}
			g := make([]byte, random.IntN(600))
			for j := range g {
				g[j] = byte(random.Uint32())
			}
			switch i % 4 {
			case 0:
				g = append([]byte{wireVersion}, g...)
			case 1:
				g = append(hello(""), g...)
			case 2:
				g = hello("")[:i%20+1]
			}
			_, _ = s.Write(g)
			if i%50 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
			if i%3 == 0 {
				_ = s.Reset()
			}
		}
		time.Sleep(time.Second)
		runtime.GC()
		runtime.ReadMemStats(&after)
		a.node.mu.Lock()
		early := len(a.node.early)
		a.node.mu.Unlock()
		a.Transport.mu.Lock()
		held := a.held
		a.Transport.mu.Unlock()
		if early > 64 || held > 2 {
			t.Errorf("%d early streams and %d held, want at most 64 and 2", early, held)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
			t.Errorf("the heap grew by %d KiB", grown>>10)
		}
		time.Sleep(4 * time.Second)
		if n := a.onTime(t, b, 25*time.Millisecond); n < 200 || a.Stats(b.id).Malformed != 0 {
			t.Errorf("only %d packets were on time beside it, %+v", n, a.Stats(b.id))
		}
		time.Sleep(8 * time.Second)
		a.node.mu.Lock()
		early = len(a.node.early)
		a.node.mu.Unlock()
		if early != 0 {
			t.Errorf("%d early streams are left after their time", early)
		}
	})
}

// announced opens a control stream to a joined end and returns it with both
// epochs.
func (x stranger) announced(a *end) (s network.Stream, from, to uint64) {
	x.t.Helper()
	s = x.open(a.id, hello(""))
	time.Sleep(50 * time.Millisecond) // held
	if err := a.Join(x.h.ID()); err != nil {
		x.t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := s.Read(b)
	if err != nil {
		x.t.Fatal(err)
	}
	p, _, err := parsePreamble(b[:n])
	if err != nil {
		x.t.Fatal(err)
	}
	return s, 7, p.from
}

func TestBadMessagesCostTheLaneOnly(t *testing.T) {
	voice := func(n uint16, payload int) []byte {
		return appendLaneMessage(nil, &laneMessage{hasVoice: true, number: n, payload: make([]byte, payload)})
	}
	cases := []struct {
		name  string
		bytes []byte
		lost  bool
		heard int
	}{
		{"empty message", []byte{0}, true, 0},
		{"no flags", []byte{1, 0}, true, 0},
		{"unknown flags", []byte{3, 0x81, 0, 0}, true, 0},
		{"one byte of voice", []byte{2, 1, 0}, true, 0},
		{"a megabyte", binary.AppendUvarint(nil, 1<<20), true, 0},
		{"an endless length", []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, true, 0},
		{"acknowledges what was never sent", appendLaneMessage(nil, &laneMessage{hasAck: true, ack: ackInfo{largest: 3}}), true, 0},
		{"payload of no bytes", voice(0, 0), false, 1},
		{"largest payload", voice(0, link.MaxMessage), false, 1},
		{"duplicates", append(voice(0, 5), voice(0, 5)...), false, 1},
		{"far ahead", append(voice(0, 5), voice(30000, 5)...), false, 2},
		{"far behind", voice(0x8000, 5), false, 0},
		{"good, then bad", append(voice(0, 5), 0), true, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, b *end, x stranger) {
				ctl, from, to := x.announced(a)
				s := x.open(a.id, append(appendPreamble(nil, preamble{kind: kindLane, from: from, to: to}), c.bytes...))
				code := x.code(s, 500*time.Millisecond)
				if lost := code == codeMalformed; lost != c.lost {
					t.Errorf("lane ended with 0x%x", code)
				}
				st := a.Stats(x.h.ID())
				if (st.Malformed == 1) != c.lost || int(st.VoiceReceived) != c.heard || len(a.voices(x.h.ID())) != c.heard {
					t.Errorf("%+v, %d heard", st, len(a.voices(x.h.ID())))
				}
				if got := x.code(ctl, 100*time.Millisecond); got != 0 {
					t.Errorf("the control stream ended with 0x%x", got)
				}
				if !a.hasPath(b) || a.Stats(b.id).Malformed != 0 {
					t.Error("another peer was disturbed")
				}
			})
		})
	}
}

func TestFloodsAndTooManyLanesAreRefused(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, b *end, x stranger) {
		_, from, to := x.announced(a)
		s := x.open(a.id, appendPreamble(nil, preamble{kind: kindLane, lane: 16, from: from, to: to}))
		if got := x.code(s, time.Second); got != codeTooMany {
			t.Errorf("lane 16: 0x%x", got)
		}
		s = x.open(a.id, appendPreamble(nil, preamble{kind: kindLane, from: from, to: to + 1}))
		if got := x.code(s, time.Second); got != codeStale {
			t.Errorf("a lane of another epoch: 0x%x", got)
		}
		s = x.open(a.id, appendPreamble(nil, preamble{kind: kindLane, from: from, to: to}))
		var flood []byte
		for i := range 20000 {
			flood = appendLaneMessage(flood, &laneMessage{hasVoice: true, number: uint16(i)})
		}
		_, _ = s.Write(flood)
		if got := x.code(s, 3*time.Second); got != codeMalformed {
			t.Errorf("a flood: 0x%x", got)
		}
		if n := len(a.voices(x.h.ID())); n > 600 {
			t.Errorf("%d packets of a flood were delivered", n)
		}
		if !a.hasPath(b) {
			t.Error("another peer was disturbed")
		}
	})
}

func TestBadControlFramesCostTheStream(t *testing.T) {
	cases := map[string][]byte{
		"gap":                     appendFrame(nil, frame{kind: frameData, value: 2, data: []byte("x")}),
		"message too long":        appendFrame(nil, frame{kind: frameData, data: make([]byte, link.MaxMessage+1)}),
		"acknowledges the unsent": appendFrame(nil, frame{kind: frameAck, value: 1}),
		"body too long":           {200, 0xff, 0xff, 3},
		"trailing bytes":          {framePing, 2, 1, 1},
	}
	for name, bytes := range cases {
		t.Run(name, func(t *testing.T) {
			inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, _ *end, x stranger) {
				s, _, _ := x.announced(a)
				good := appendFrame(nil, frame{kind: 99, data: []byte("from the future")})
				good = appendFrame(good, frame{kind: frameData, data: []byte("hi")})
				if _, err := s.Write(append(good, bytes...)); err != nil {
					t.Fatal(err)
				}
				if got := x.code(s, time.Second); got != codeMalformed {
					t.Errorf("0x%x", got)
				}
				if got := a.controls(x.h.ID()); len(got) != 1 || got[0] != "hi" || a.Stats(x.h.ID()).Malformed != 1 {
					t.Errorf("received %q, %+v", got, a.Stats(x.h.ID()))
				}
			})
		})
	}
}

func TestPeerThatNeverReadsDisturbsNobody(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, b *end, x stranger) {
		x.h.SetStreamHandler(ProtocolID, func(network.Stream) {})
		s, _, _ := x.announced(a)
		stop := make(chan struct{})
		ended := make(chan struct{})
		go func() { // it stays alive, but reads nothing
			defer close(ended)
			for i := uint64(1); ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					_, _ = s.Write(appendFrame(nil, frame{kind: framePong, value: i}))
				}
			}
		}()
		defer func() { close(stop); <-ended }()
		wait := a.talkBeside(b, 500, 20*time.Millisecond)
		congested, refused := 0, 0
		for i := range 500 {
			// It acknowledges nothing, so in the end it counts as away.
			if err := a.SendVoice(x.h.ID(), make([]byte, 200)); errors.Is(err, link.ErrCongested) || errors.Is(err, link.ErrNoPath) {
				congested++
			}
			if err := a.SendControl(x.h.ID(), fmt.Appendf(nil, "%d", i)); errors.Is(err, link.ErrCongested) {
				refused++
			}
			time.Sleep(20 * time.Millisecond)
		}
		wait()
		time.Sleep(time.Second)
		if congested < 400 || refused < 400 {
			t.Errorf("of 500 %d voice and %d control messages were refused", congested, refused)
		}
		if n := b.onTime(t, a, 21*time.Millisecond); n != 500 {
			t.Errorf("%d of 500 packets to another peer were on time", n)
		}
		if err := a.Leave(x.h.ID()); err != nil {
			t.Fatal(err)
		}
	})
}
