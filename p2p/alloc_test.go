package p2p

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestHotPathsAllocateNothing(t *testing.T) {
	message := laneMessage{hasVoice: true, hasAck: true, payload: make([]byte, 80)}
	buf := make([]byte, 0, maxLaneMessage)
	var w window
	var f flight
	ln := &lane{}
	now := time.Unix(0, 0)
	n := uint16(0)
	if got := testing.AllocsPerRun(1000, func() {
		message.number = n
		b := appendLaneMessage(buf, &message)
		m, _, err := parseLaneMessage(b)
		if err != nil || !w.accept(w.unwrap(m.number)) {
			t.Error("lost")
		}
		f.add(now, time.Millisecond, ln)
		f.acked(ackInfo{largest: n, bitmap: w.bitmap()})
		n++
	}); got != 0 {
		t.Errorf("packing, parsing and acknowledging allocate %v times", got)
	}
	inBubble(t, p2ptest.Config{}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		joined(t, net, e[0], e[1])
		b := make([]byte, 80)
		if got := testing.AllocsPerRun(1000, func() { _ = e[0].SendVoice(e[1].id, b) }); got > 1 {
			t.Errorf("SendVoice allocates %v times", got)
		}
	})
}

func BenchmarkSendVoice(b *testing.B) {
	a := p2ptest.Loopback(b, p2ptest.QUIC)
	n, err := New(a, Config{NoDial: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	p := newPair(&Transport{node: n}, a.ID(), newRecorder())
	pt := &path{laneCap: maxLanes}
	pt.cur = newControl(p, nil, true)
	p.best = pt
	packet := make([]byte, 80)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.sendVoice(packet, time.Unix(0, 0)); err != nil && err != link.ErrCongested { //nolint:errorlint // hot loop
			b.Fatal(err)
		}
	}
}

func BenchmarkLaneMessage(b *testing.B) {
	m := laneMessage{hasVoice: true, hasAck: true, payload: make([]byte, 80)}
	buf := make([]byte, 0, maxLaneMessage)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseLaneMessage(appendLaneMessage(buf, &m)); err != nil {
			b.Fatal(err)
		}
	}
}
