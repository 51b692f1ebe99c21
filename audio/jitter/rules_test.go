package jitter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

// voice is packet n of 20 ms, of spurt 1, without pauses.
func voice(n int) Packet {
	return Packet{Seq: int64(n), Timestamp: int64(n * 960), Samples: 960, Spurt: 1, Payload: []byte{byte(n)}}
}

func with(p Packet, f func(*Packet)) Packet { f(&p); return p }

func fec(n int) Packet    { return with(voice(n), func(p *Packet) { p.FEC = true }) }
func copied(n int) Packet { return with(voice(n), func(p *Packet) { p.Copy = true }) }
func end(n int) Packet    { return with(voice(n), func(p *Packet) { p.End = true }) }
func later(p Packet, by time.Duration, spurt int64) Packet {
	p.Timestamp += int64(by * SampleRate / time.Second)
	p.Spurt = spurt
	return p
}

type push struct {
	at     int // ms
	packet Packet
}

// script pushes and pops every 10 ms from 0 to the given time, and writes down
// what comes out: P play, C copy, F recover, x conceal (10 ms each), . wait,
// with the packet's number, and ^ for a start and ! for a skip.
func script(t *testing.T, b *Buffer, pushes []push, until int) string {
	t.Helper()
	var out []string
	queued := 0
	for at := 0; at <= until; at += 10 {
		for len(pushes) > 0 && pushes[0].at <= at {
			b.Push(pushes[0].packet, ms(pushes[0].at))
			pushes = pushes[1:]
		}
		for queued < 480 {
			d := b.Pop(ms(at), queued)
			s := map[Action]string{Play: "P", Recover: "F", Conceal: "x", Wait: "."}[d.Action]
			if d.Copied {
				s = "C"
			}
			if d.Action == Play || d.Action == Recover {
				s += fmt.Sprint(d.Payload[0])
			}
			if d.Start {
				s = "^" + s
			}
			if d.Skipped {
				s = "!" + s
			}
			out = append(out, s)
			if d.Action == Wait {
				queued = 480
				break
			}
			queued += d.Samples
		}
		queued -= 480
	}
	return strings.Join(out, " ")
}

// every returns pushes of packets from first to last, each delay ms after it
// was recorded.
func every(first, last, delay int, packet func(int) Packet) []push {
	var all []push
	for n := first; n <= last; n++ {
		all = append(all, push{(n+1)*20 + delay, packet(n)})
	}
	return all
}

func without(pushes []push, seqs ...int64) []push {
	var left []push
	for _, p := range pushes {
		if !bytes.Contains([]byte(fmt.Sprint(seqs)), []byte(fmt.Sprint(p.packet.Seq))) {
			left = append(left, p)
		}
	}
	return left
}

func join(pushes ...[]push) []push {
	var all []push
	for _, p := range pushes {
		all = append(all, p...)
	}
	for i := range all { // stable insertion sort by time
		for j := i; j > 0 && all[j].at < all[j-1].at; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return all
}

func one(at int, p Packet) []push { return []push{{at, p}} }

func TestRules(t *testing.T) {
	silence := 200 * time.Millisecond
	tests := map[string]struct {
		pushes []push
		until  int
		want   string
		check  func(Stats) bool
	}{
		"speech waits for the start delay and is played in order": {
			every(0, 3, 0, voice), 130, ". . . . . . ^P0 P1 P2 P3", nil,
		},
		"reordered packets are put in order": {
			join(one(20, voice(0)), one(60, voice(2)), one(65, voice(1)), one(80, voice(3))), 130,
			". . . . . . ^P0 P1 P2 P3",
			func(s Stats) bool { return s.Lost == 0 && s.Missing == 0 },
		},
		"a first packet that comes second starts the spurt": {
			join(one(40, voice(1)), one(50, voice(0)), one(60, voice(2))), 110,
			". . . . . . ^P0 P1 P2", nil,
		},
		"a missing packet is concealed and the next one joined": {
			without(every(0, 4, 0, voice), 2), 150, ". . . . . . ^P0 P1 x x P3 P4",
			func(s Stats) bool { return s.Missing == 1 && s.ConcealedSamples == 960 },
		},
		"a copy takes its place": {
			join(without(every(0, 4, 0, voice), 2), one(80, copied(2))), 150,
			". . . . . . ^P0 P1 C2 P3 P4",
			func(s Stats) bool { return s.Missing == 0 && s.RecoveredCopy == 1 },
		},
		"FEC recovers it": {
			without(every(0, 4, 0, fec), 2), 150, ". . . . . . ^P0 P1 F3 P3 P4",
			func(s Stats) bool { return s.Missing == 0 && s.RecoveredFEC == 1 },
		},
		"a copy is better than FEC": {
			join(without(every(0, 4, 0, fec), 2), one(80, copied(2))), 150,
			". . . . . . ^P0 P1 C2 P3 P4", nil,
		},
		"FEC recovers the last of two": {
			without(every(0, 5, 0, fec), 2, 3), 170, ". . . . . . ^P0 P1 x x F4 P4 P5",
			func(s Stats) bool { return s.Missing == 1 && s.RecoveredFEC == 1 },
		},
		"a retransmission in time is played": {
			join(without(every(0, 4, 0, voice), 2), one(100, voice(2))), 150,
			". . . . . . ^P0 P1 P2 P3 P4",
			func(s Stats) bool { return s.Missing == 0 && s.Late == 0 },
		},
		"one that is too late isn't": {
			join(without(every(0, 4, 0, voice), 2), one(125, voice(2))), 150,
			". . . . . . ^P0 P1 x x P3 P4",
			func(s Stats) bool { return s.Missing == 1 && s.Late == 1 },
		},
		"an end is followed by silence": {
			join(every(0, 1, 0, voice), one(60, end(2))), 160, ". . . . . . ^P0 P1 P2 . . . . .",
			func(s Stats) bool { return s.ConcealedSamples == 0 && s.Interruptions == 0 },
		},
		"an end mark without audio too": {
			join(every(0, 2, 0, voice), one(61, Packet{Seq: 3, Timestamp: 2880, Spurt: 1, End: true})), 160,
			". . . . . . ^P0 P1 P2 . . . . .",
			func(s Stats) bool { return s.ConcealedSamples == 0 && s.Held == 0 },
		},
		"silence in a spurt is no loss": {
			join(every(0, 1, 0, voice), one(120, later(voice(2), 60*time.Millisecond, 1))), 180,
			". . . . . . ^P0 P1 x x . . . . ^P2 x",
			func(s Stats) bool { return s.Missing == 0 && s.ConcealedSamples == 0 && s.Lost == 0 },
		},
		"a loss before a silence is one packet long": {
			join(without(every(0, 2, 0, voice), 2), one(280, later(voice(3), silence, 1))), 340,
			". . . . . . ^P0 P1" + strings.Repeat(" x", 18) + " . . . . ^P3 x",
			func(s Stats) bool { return s.Missing == 1 && s.ConcealedSamples == 960 },
		},
		"two spurts": {
			join(every(0, 1, 0, voice), one(60, end(2)), one(80+200, later(voice(3), silence, 2))), 330,
			". . . . . . ^P0 P1 P2" + strings.Repeat(" .", 20) + " ^P3",
			nil,
		},
		"a new spurt waits until the old one is played": {
			join(one(20, voice(0)), one(110, voice(1)), one(110, end(2)), one(110, later(voice(3), 0, 2))), 170,
			". . . . . . ^P0 x x x P1 P2 . ^P3",
			func(s Stats) bool { return s.ConcealedSamples == 1440 && s.Missing == 0 },
		},
		"a spurt whose end was lost fades out before the next": {
			join(every(0, 1, 0, voice), one(80+400, later(voice(3), 2*silence, 2))), 530,
			". . . . . . ^P0 P1" + strings.Repeat(" x", 38) + " . . . . ^P3",
			func(s Stats) bool { return s.Missing == 1 && s.ConcealedSamples == 960 },
		},
		"duplicates are counted once": {
			join(every(0, 2, 0, voice), every(0, 2, 5, voice), every(0, 1, 10, copied)), 110,
			". . . . . . ^P0 P1 P2",
			func(s Stats) bool { return s.Duplicate == 5 && s.Received == 8 },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			got := script(t, b, tt.pushes, tt.until)
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if s := b.Stats(); tt.check != nil && !tt.check(s) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestReadyMeansThatTheNextPacketFollowsDirectly(t *testing.T) {
	tests := map[string]struct {
		next Packet
		want bool
	}{
		"the next one":         {voice(3), true},
		"one is missing":       {voice(4), false},
		"silence before it":    {later(voice(3), 40*time.Millisecond, 1), false},
		"another spurt":        {later(voice(3), 0, 2), false},
		"an end without audio": {Packet{Seq: 3, Timestamp: 2880, Spurt: 1, End: true}, false},
	}
	for name, tt := range tests {
		b := New(Config{})
		if b.Ready() {
			t.Errorf("%s: ready with nothing", name)
		}
		script(t, b, every(0, 2, 0, voice), 110)
		if b.Ready() {
			t.Errorf("%s: ready without it", name)
		}
		b.Push(tt.next, ms(111))
		if got := b.Ready(); got != tt.want {
			t.Errorf("%s: ready %t", name, got)
		}
		if d := b.Pop(ms(112), 960); tt.want && (d.Action != Play || d.Start || d.Skipped || d.Concealed > 0) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// Whoever asks ahead has the packets earlier, and is advised as if it had not.
func TestAskingAheadChangesNothing(t *testing.T) {
	var level [2]int64
	for ahead := range 2 {
		b := New(Config{StartDelay: 100 * time.Millisecond})
		queued := 0
		for tick := range 100 {
			if tick%2 == 0 {
				b.Push(voice(tick/2), ms(tick*10))
			}
			for queued < 480 || ahead == 1 && queued < 1440 && b.Ready() {
				d := b.Pop(ms(tick*10), queued)
				if d.Action == Wait {
					queued = 480
					break
				}
				queued += d.Samples
			}
			queued -= 480
		}
		level[ahead] = b.play.level
	}
	if level[0] != level[1] || level[0] < 90*millisecond {
		t.Errorf("the delay seems to be %v, and %v if asked ahead", duration(level[0]), duration(level[1]))
	}
}
