package jitter

import (
	"testing"
	"time"
)

// listen asks every 10 ms from one time to another, in ms.
func listen(b *Buffer, from, to int, before func(at int)) {
	queued := 0
	for at := from; at < to; at += 10 {
		before(at)
		for queued < 480 {
			d := b.Pop(ms(at), queued)
			if d.Action == Wait {
				queued = 480
				break
			}
			queued += d.Samples
		}
		queued -= 480
	}
}

// As in W3C webrtc-stats an outage counts in full, if speech went on in it.
func TestOutageCountsInFull(t *testing.T) {
	for _, outage := range []int{100, 500, 2000, 10000} {
		for name, tt := range map[string]struct {
			last func(*Packet) // changes what comes after the outage
			want int           // ms
			less int           // or so much less
		}{
			"the spurt goes on": {func(*Packet) {}, outage, 0},
			"it ends":           {func(p *Packet) { p.Samples, p.Payload, p.End = 0, nil, true }, outage, 0},
			// Nobody knows when it ended. What was guessed counts, for at most 1 s, until the new one begins, which may be at a shorter delay.
			"another one begins": {func(p *Packet) { p.Spurt = 2 }, min(outage, 1000), 50},
		} {
			b := New(Config{})
			after := 5000 + outage
			listen(b, 0, after+1000, func(at int) {
				if at%20 > 0 || at >= 5000 && at < after || at > after && name == "it ends" {
					return
				}
				p := voice(at / 20)
				if at >= after {
					tt.last(&p)
				}
				b.Push(p, ms(at))
			})
			s := b.Stats()
			if got := int(s.ConcealedSamples / millisecond); got > tt.want || got < tt.want-tt.less {
				t.Errorf("%s after %d ms: %d ms concealed, want %d; %+v", name, outage, got, tt.want, s)
			}
			if want := uint64(outage / 20); s.Missing != want {
				t.Errorf("%s after %d ms: %d packets missing, want %d", name, outage, s.Missing, want)
			}
		}
	}
}

func TestResetCountsWhatWasGuessedBefore(t *testing.T) {
	b := New(Config{})
	listen(b, 0, 1500, func(at int) {
		if at%20 == 0 && at < 1000 {
			b.Push(voice(at/20), ms(at))
		}
	})
	if got := b.Stats().ConcealedSamples; got != 0 {
		t.Fatalf("%d samples concealed: nobody knows yet whether speech was missing", got)
	}
	b.Reset()
	if got := int(b.Stats().ConcealedSamples / millisecond); got < 400 || got > 500 {
		t.Errorf("%d ms concealed, want the half second less what was held", got)
	}
}

// The end of a spurt is said three times, in packets of their own number.
func TestLostEndMarksAreNotMissing(t *testing.T) {
	tests := map[string]struct {
		lost []int // of the marks 0 to 2, and the packets after them
		want uint64
	}{
		"none":                                {nil, 0},
		"the first mark":                      {[]int{0}, 0},
		"the second":                          {[]int{1}, 0},
		"both repeats":                        {[]int{1, 2}, 0},
		"the first two":                       {[]int{0, 1}, 0},
		"a packet of the next spurt":          {[]int{3}, 1},
		"two of the next spurt":               {[]int{3, 4}, 2},
		"a repeat, and one of the next spurt": {[]int{2, 3}, 1},
	}
	for name, tt := range tests {
		b := New(Config{})
		var pushes []push
		for n := range 50 { // spurt 1 is packets 0 to 19, spurt 2 is 23 and more
			p, at := voice(n), n*20+20
			switch {
			case n >= 23:
				p = later(p, 500*time.Millisecond, 2)
				at += 500
			case n >= 20:
				p = Packet{Seq: int64(n), Timestamp: 20 * 960, Spurt: 1, End: true}
			}
			lost := false
			for _, i := range tt.lost {
				lost = lost || n == 20+i
			}
			if !lost {
				pushes = append(pushes, push{at, p})
			}
		}
		script(t, b, pushes, 2500)
		s := b.Stats()
		if s.Missing != tt.want || s.Lost != uint64(len(tt.lost)) {
			t.Errorf("%s: %d missing, want %d; the network lost %d", name, s.Missing, tt.want, s.Lost)
		}
	}
}
