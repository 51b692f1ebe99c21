package p2p

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func (e *end) onTime(t *testing.T, o *end, most time.Duration) (n int) {
	t.Helper()
	for _, v := range e.voices(o.id) {
		if v.delay(t) <= most {
			n++
		}
	}
	return n
}

func TestVoiceArrivesInOneWayDelayOnAGoodLink(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		if n := a.talk(b, 500, 20*time.Millisecond); n != 500 {
			t.Errorf("%d of 500 packets accepted", n)
		}
		time.Sleep(time.Second)
		if n := b.onTime(t, a, 41*time.Millisecond); n != 500 {
			t.Errorf("%d of 500 packets arrived in 41 ms", n)
		}
		s, r := a.Stats(b.id), b.Stats(a.id)
		if s.VoiceSent != 500 || s.VoiceDropped != 0 || s.VoiceUnacked != 0 || s.LaneResets != 0 || r.VoiceReceived != 500 || r.VoiceDuplicate != 0 {
			t.Errorf("sender %+v, receiver %+v", s, r)
		}
		if p := a.Path(b.id); p.RTT < 79*time.Millisecond || p.RTT > 90*time.Millisecond || p.Lanes != 8 {
			t.Errorf("path %+v, want an RTT of 80 ms and 8 lanes", p)
		}
	})
}

func TestBlackHoleIsNoticedAndLeftWithoutStaleSpeech(t *testing.T) {
	for _, hole := range []time.Duration{3 * time.Second, 10 * time.Second} {
		t.Run(hole.String(), func(t *testing.T) {
			inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
				a, b := e[0], e[1]
				joined(t, net, a, b)
				defer a.talkBeside(b, int((hole+8*time.Second)/(20*time.Millisecond)), 20*time.Millisecond)()
				time.Sleep(2 * time.Second)
				cut := time.Now()
				net.Cut(0)
				for _, x := range [][2]*end{{a, b}, {b, a}} {
					took := waitFor(t, 3*time.Second, "the loss to be noticed", func() bool { return !x[0].hasPath(x[1]) })
					if p := x[0].Path(x[1].id); p.Reason != "no answer for 2.5 s" {
						t.Errorf("after %v reason is %q", took, p.Reason)
					}
				}
				if err := a.SendVoice(b.id, []byte("x")); err == nil {
					t.Error("voice was accepted without a path")
				}
				time.Sleep(hole - time.Since(cut))
				net.Restore(0)
				back := time.Now()
				took := waitFor(t, 2*time.Second, "the path to return", func() bool { return a.hasPath(b) && b.hasPath(a) })
				time.Sleep(4 * time.Second)
				stale, live := 0, time.Time{}
				for _, v := range b.voices(a.id) {
					if v.at.Before(back) {
						continue
					}
					if v.delay(t) > 500*time.Millisecond {
						stale++
					} else if live.IsZero() {
						live = v.at
					}
				}
				t.Logf("path back after %v, live after %v, %d stale packets, %+v", took, live.Sub(back), stale, a.Stats(b.id))
				if live.IsZero() || live.Sub(back) > 2*time.Second {
					t.Errorf("voice is live %v after the return, want 2 s", live.Sub(back))
				}
				if stale > 5 {
					t.Errorf("%d packets older than 500 ms came after the return", stale)
				}
			})
		})
	}
}

func TestShortStallIsLiveAgainAtOnce(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		defer a.talkBeside(b, 400, 20*time.Millisecond)()
		time.Sleep(2 * time.Second)
		net.Cut(0)
		time.Sleep(1500 * time.Millisecond)
		net.Restore(0)
		back := time.Now()
		time.Sleep(3 * time.Second)
		stale, normal := 0, time.Time{}
		run := 0
		for _, v := range b.voices(a.id) {
			if v.at.Before(back) {
				continue
			}
			if v.delay(t) > 300*time.Millisecond {
				stale++
				run = 0
			} else if run++; run == 5 && normal.IsZero() {
				normal = v.at
			}
		}
		if !a.hasPath(b) || !b.hasPath(a) {
			t.Error("the path was given up")
		}
		t.Logf("five live packets after %v, %d stale, %+v", normal.Sub(back), stale, a.Stats(b.id))
		if normal.IsZero() || normal.Sub(back) > 500*time.Millisecond+100*time.Millisecond {
			t.Errorf("five live packets came %v after the stall, want 600 ms", normal.Sub(back))
		}
		if stale > 5 {
			t.Errorf("%d stale packets", stale)
		}
	})
}

func TestIdlePeerCostsAtMostOneKilobitPerSecond(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		joined(t, net, e[0], e[1])
		time.Sleep(20 * time.Second)
		before := net.Bytes(0)
		const d = 120 * time.Second
		time.Sleep(d)
		after := net.Bytes(0)
		sent := float64(8*(after.IPBytesSent()-before.IPBytesSent())) / d.Seconds()
		received := float64(8*(after.IPBytesReceived()-before.IPBytesReceived())) / d.Seconds()
		t.Logf("idle: %.0f b/s sent, %.0f b/s received", sent, received)
		if sent > 1000 || received > 1000 {
			t.Errorf("an idle peer costs %.0f b/s sent and %.0f received, want 1000", sent, received)
		}
		if sent < 100 || !e[0].hasPath(e[1]) {
			t.Error("nothing keeps the path alive")
		}
	})
}

func TestControlIsReliableAndInOrderUnderLoss(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		net.SetLoss(0, 0.1)
		net.SetLoss(1, 0.1)
		var want []string
		send := func(n int) {
			for range n {
				m := time.Now().String()
				for a.SendControl(b.id, []byte(m)) != nil {
					time.Sleep(10 * time.Millisecond)
				}
				want = append(want, m)
				time.Sleep(7 * time.Millisecond)
			}
		}
		send(150)
		if err := net.Disconnect(0, 1); err != nil {
			t.Fatal(err)
		}
		send(30) // while there is no path
		connect(t, net, 1, 0)
		send(100)
		waitFor(t, 20*time.Second, "control", func() bool { return len(b.controls(a.id)) >= len(want) })
		if !slices.Equal(b.controls(a.id), want) {
			t.Error("control messages differ from what was sent")
		}
		changes, _ := b.changes(a.id)
		for _, c := range changes {
			if c.Epoch != changes[0].Epoch {
				t.Error("the epoch changed with the connection")
			}
		}
	})
}

func TestLeaveDeliversNothingMore(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		defer a.talkBeside(b, 200, 10*time.Millisecond)()
		time.Sleep(500 * time.Millisecond)
		if err := b.SendControl(a.id, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		if err := b.Leave(a.id); err != nil {
			t.Fatal(err)
		}
		before := len(b.voices(a.id))
		changes, _ := b.changes(a.id)
		if s := b.Stats(a.id); s != (link.Stats{}) {
			t.Errorf("stats of a peer that isn't joined: %+v", s)
		}
		time.Sleep(4 * time.Second)
		after, _ := b.changes(a.id)
		if n := len(b.voices(a.id)); n != before || len(after) != len(changes) {
			t.Errorf("%d packets and %d changes came after Leave", n-before, len(after)-len(changes))
		}
		if got := a.controls(b.id); !slices.Equal(got, []string{"bye"}) {
			t.Errorf("control before Leave arrived as %q", got)
		}
		if a.hasPath(b) {
			t.Error("the far end still has a path")
		}
	})
}

func TestALaneIsResetWhenItsOldestPacketIsTooLate(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		a.talk(b, 20, 20*time.Millisecond)
		time.Sleep(time.Second)
		pr := a.pair(b.id)
		pr.mu.Lock()
		lanes := pr.best.lanes
		late := pr.best.rtt.trusted() + lateAfter
		pr.sending.flight.add(time.Now(), 20*time.Millisecond, lanes[3]) // as if lost for good
		pr.mu.Unlock()
		pr.wakeUp()
		time.Sleep(late - 5*time.Millisecond)
		if n := a.Stats(b.id).LaneResets; n != 0 {
			t.Errorf("%d lanes were reset before %v", n, late)
		}
		time.Sleep(10 * time.Millisecond)
		s := a.Stats(b.id)
		if s.LaneResets != 1 || s.VoiceUnacked != 0 {
			t.Errorf("after %v: %+v, want one lane reset", late, s)
		}
		pr.mu.Lock()
		for i, ln := range pr.best.lanes {
			if (ln != lanes[i]) != (i == 3) {
				t.Errorf("lane %d changed: %v", i, ln != lanes[i])
			}
		}
		pr.mu.Unlock()
	})
}

// Several packets are acknowledged at once, but where our own voice carries it anyway
// and nothing waits on the way that the sender had to hear of.
func TestAcknowledgementsRideOnVoiceWhereNothingWaits(t *testing.T) {
	const ms = time.Millisecond
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		spoke time.Duration // ago
		trips []time.Duration
		want  int // packets until one is due
	}{
		"talking, calm":            {20 * ms, slices.Repeat([]time.Duration{50 * ms}, 20), ackTalking},
		"talking, a queue":         {20 * ms, append(slices.Repeat([]time.Duration{50 * ms}, 20), slices.Repeat([]time.Duration{70 * ms}, rttRecent)...), ackPackets},
		"talking, nothing known":   {20 * ms, nil, ackPackets},
		"talking, few round trips": {20 * ms, slices.Repeat([]time.Duration{50 * ms}, rttRecent-1), ackPackets},
		"listening":                {time.Second, slices.Repeat([]time.Duration{50 * ms}, 20), ackPackets},
	} {
		pt := &path{}
		for i, trip := range c.trips {
			pt.rtt.add(trip, now.Add(time.Duration(i)*20*ms))
		}
		p := &pair{state: stateJoined, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
		p.sending.last = now.Add(-c.spoke)
		got := 0
		for ; !p.receiving.due && got < 10; got++ {
			p.receiveLocked(pt, &laneMessage{hasVoice: true, number: uint16(got)}, now)
		}
		if got != c.want {
			t.Errorf("%s: due after %d packets, want %d", name, got, c.want)
		}
	}
}

// Of the first round trips on a link that loses some wait for retransmissions. Where
// most did, it is measured again soon, so that nobody believes them for half a minute.
func TestRoundTripsThatDisagreeAreMeasuredAgainSoon(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		trips []time.Duration
		want  time.Duration
	}{
		"none":            {nil, rttSoon},
		"few":             {[]time.Duration{50 * ms, 50 * ms}, rttSoon},
		"they agree":      {slices.Repeat([]time.Duration{50 * ms}, rttSure), rttMaxAge},
		"two of five":     {[]time.Duration{50 * ms, 110 * ms, 50 * ms, 110 * ms, 50 * ms}, rttMaxAge},
		"three of five":   {[]time.Duration{50 * ms, 110 * ms, 50 * ms, 110 * ms, 110 * ms}, rttSoon},
		"it is like that": {[]time.Duration{50 * ms, 110 * ms, 110 * ms, 110 * ms, 110 * ms, 110 * ms, 110 * ms, 110 * ms, 110 * ms}, rttMaxAge},
	} {
		pt := &path{}
		for i, trip := range c.trips {
			pt.rtt.add(trip, time.Unix(1000, int64(i)))
		}
		if got := pt.rttAge(); got != c.want {
			t.Errorf("%s: measured again after %v, want %v", name, got, c.want)
		}
	}
}
