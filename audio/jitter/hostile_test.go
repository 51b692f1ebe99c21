package jitter

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestHostilePeer lets a peer misbehave for 5 s in the middle of a clean
// conversation: memory and work stay bounded, it is counted, and 3 s after it
// everything is right again.
func TestHostilePeer(t *testing.T) {
	type hostility func(r *rand.Rand, n int) []Packet // what is sent instead of packet n
	payload := []byte{1, 2, 3}
	tests := map[string]struct {
		send  hostility
		check func(Stats) bool
	}{
		"a million sequence numbers ahead": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Seq += 1_000_000 })}
		}, func(s Stats) bool { return s.Rejected > 40 && s.Resyncs == 2 }},
		"random sequence numbers": {func(r *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Seq = int64(r.Uint64()) })}
		}, func(s Stats) bool { return s.Rejected > 200 }},
		"the ends of the number line": {func(r *rand.Rand, n int) []Packet {
			ends := []int64{math.MinInt64, math.MaxInt64, bound, -bound, 0}
			pick := func() int64 { return ends[r.IntN(len(ends))] }
			return []Packet{{Seq: pick(), Timestamp: pick(), Spurt: pick(), Samples: 960, Payload: payload}}
		}, func(s Stats) bool { return s.Rejected > 200 }},
		"ten times too fast": {func(_ *rand.Rand, n int) []Packet {
			var all []Packet
			for i := range 10 {
				p := voice(n)
				p.Seq, p.Timestamp = int64(500+(n-500)*10+i), int64((500+(n-500)*10+i)*960)
				all = append(all, p)
			}
			return all
		}, func(s Stats) bool { return s.Skips > 10 && s.DiscardedSamples > 10*second }},
		"lying durations": {func(r *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Samples = r.IntN(10000) - 3000 })}
		}, func(s Stats) bool { return s.Rejected > 100 }},
		"tiny durations": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Samples = minSamples })}
		}, nil},
		"timestamps that go backwards": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Timestamp = int64((1000 - n) * 960) })}
		}, func(s Stats) bool { return s.Rejected > 30 }},
		"timestamps far ahead": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Timestamp += 3600 * second })}
		}, func(s Stats) bool { return s.Rejected > 30 && s.Resyncs == 1 }},
		"overlapping packets": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Samples = MaxSamples })}
		}, func(s Stats) bool { return s.Rejected > 100 }},
		"spurts that go back": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Spurt = int64(-n) })}
		}, func(s Stats) bool { return s.Rejected > 30 }},
		"a spurt per packet": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Spurt = int64(n) })}
		}, nil},
		"ends of everything": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.End = true })}
		}, nil},
		"huge payloads": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Payload = make([]byte, MaxPayload+1) })}
		}, func(s Stats) bool { return s.Rejected >= 249 }},
		"empty payloads": {func(_ *rand.Rand, n int) []Packet {
			return []Packet{with(voice(n), func(p *Packet) { p.Payload = nil })}
		}, func(s Stats) bool { return s.Rejected >= 249 }},
		"everything 50 times": {func(_ *rand.Rand, n int) []Packet {
			all := make([]Packet, 50)
			for i := range all {
				all[i] = voice(n)
			}
			return all
		}, func(s Stats) bool { return s.Duplicate >= 49*249 }},
		"copies of nothing": {func(r *rand.Rand, n int) []Packet {
			return []Packet{voice(n), copied(n + r.IntN(4000)), copied(max(n-r.IntN(4000), 0))}
		}, nil},
		"silence": {func(*rand.Rand, int) []Packet { return nil }, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			r := rand.New(rand.NewPCG(4, 2))
			queued, played, concealed, greatest := 0, 0, 0, time.Duration(0)
			const from, to, well = 500, 750, 900 // packets; 2 ticks each
			for tick := range 2 * 1100 {
				now := ms(tick * 10)
				if n := tick / 2; tick%2 == 0 {
					packets := []Packet{voice(n)}
					if n >= from && n < to {
						packets = tt.send(r, n)
					}
					for _, p := range packets {
						b.Push(p, now)
					}
				}
				if held := len(b.order); held > MaxPackets || held+len(b.free) > MaxPackets+1 {
					t.Fatalf("%d packets held, %d free", held, len(b.free))
				}
				for calls := 0; queued < 480; calls++ {
					if calls > 2*MaxPackets {
						t.Fatal("no progress")
					}
					d := b.Pop(now, queued)
					if d.Action == Wait {
						queued = 480
						break
					}
					queued += d.Samples
					if tick < 2*well {
						continue
					}
					if d.Action == Conceal {
						concealed += d.Samples
					} else {
						played += d.Samples
						greatest = max(greatest, b.Stats().Delay)
					}
				}
				queued -= 480
			}
			s := b.Stats()
			if played < (1100-well-3)*960 || concealed > 0 || greatest > 100*time.Millisecond {
				t.Errorf("afterwards %d samples played, %d concealed, delay up to %v; %+v", played, concealed, greatest, s)
			}
			if tt.check != nil && !tt.check(s) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestEachPacketIsAnsweredAtMostOnce pushes in any order, with losses, copies
// and repetitions.
func TestEachPacketIsAnsweredAtMostOnce(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := New(Config{})
		count := 50 + r.IntN(200)
		spread := 1 + r.IntN(40)
		var order []push
		for n := range count {
			for range r.IntN(4) {
				p := fec(n)
				p.Copy = r.IntN(2) == 0
				p.Spurt = int64(n / 50)
				p.End = n%50 == 49
				p.Payload = binary.LittleEndian.AppendUint32(nil, uint32(n))
				order = append(order, push{(n+r.IntN(spread))*20 + r.IntN(20), p})
			}
		}
		order = join(order)
		answered := map[int64]int{}
		last := int64(-1)
		queued := 0
		for at := 0; at < count*20+3000; at += 10 {
			for len(order) > 0 && order[0].at <= at {
				b.Push(order[0].packet, ms(order[0].at))
				order = order[1:]
			}
			for queued < 480 {
				d := b.Pop(ms(at), queued)
				if d.Action == Wait {
					queued = 480
					break
				}
				queued += d.Samples
				if d.Action == Conceal {
					if d.Samples <= 0 || d.Samples > 480 || d.Samples%minSamples != 0 {
						t.Fatalf("seed %d: %d samples to conceal", seed, d.Samples)
					}
					continue
				}
				if d.Timestamp <= last {
					t.Fatalf("seed %d: timestamp %d after %d", seed, d.Timestamp, last)
				}
				last = d.Timestamp
				n := d.Timestamp / 960
				if answered[n]++; answered[n] > 1 {
					t.Fatalf("seed %d: packet %d played twice", seed, n)
				}
				carrier := n
				if d.Action == Recover {
					carrier++
				}
				if got := int64(binary.LittleEndian.Uint32(d.Payload)); got != carrier || d.Samples != 960 {
					t.Fatalf("seed %d: packet %d, %d samples, has the payload of %d", seed, n, d.Samples, got)
				}
			}
			queued -= 480
		}
		s := b.Stats()
		if s.Held != 0 {
			t.Errorf("seed %d: %d packets left", seed, s.Held)
		}
		if got := uint64(len(answered)) * 960; got != s.PlayedSamples {
			t.Errorf("seed %d: %d samples answered, %d counted", seed, got, s.PlayedSamples)
		}
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0, 1, 20, 0, 2, 10, 255}, 40))
	f.Add([]byte("\x01\x01\x00\x00\x01\x01\x01\x00\x02\x02\x02\x02\x80\x81\x82\x83"))
	f.Fuzz(func(t *testing.T, script []byte) {
		b := New(Config{})
		now := epoch
		next := func() int64 {
			if len(script) == 0 {
				return 0
			}
			v := int64(int8(script[0]))
			script = script[1:]
			return v
		}
		p := Packet{Payload: make([]byte, MaxPayload)}
		queued := 0
		for len(script) > 0 {
			switch op := next(); {
			case op == -128:
				b.Reset()
			case op == -127:
				b.PathChanged()
			case op < 0:
				now = now.Add(time.Duration(next()) * 10 * time.Millisecond)
				for calls := 0; queued < 480; calls++ {
					if calls > 2*MaxPackets {
						t.Fatal("no progress")
					}
					d := b.Pop(now, queued)
					if d.Action == Wait {
						queued = 480
						break
					}
					if d.Samples < minSamples || d.Samples > MaxSamples || (d.Action == Conceal) != (d.Payload == nil) {
						t.Fatalf("%+v", d)
					}
					queued += d.Samples
					if d.Stretch != None {
						b.Stretched(int(next()) * 8)
					}
				}
				queued -= 480
			default:
				kind := next()
				p.Seq += op - 20
				p.Timestamp += (op - 20) * 960
				if kind&1 != 0 {
					p.Timestamp += next() * next() * next()
				}
				p.Samples = 960
				if kind&2 != 0 {
					p.Samples = int(next()) * 30
				}
				if kind&4 != 0 {
					p.Seq += next() * next() * next()
				}
				p.Spurt += kind >> 3 & 1
				p.End, p.Copy, p.FEC = kind&16 != 0, kind&32 != 0, kind&64 != 0
				b.Push(p, now)
			}
			s := b.Stats()
			if s.Held > MaxPackets || s.Target < 0 || s.Target > 400*time.Millisecond || s.Delay < 0 || s.Lost > s.Expected {
				t.Fatalf("%+v", s)
			}
			if sum := s.Duplicate + s.Late + s.Rejected; sum > s.Received {
				t.Fatalf("%+v", s)
			}
			for i := 1; i < len(b.order); i++ {
				q, r := b.order[i-1], b.order[i]
				if q.seq >= r.seq || q.ts+int64(q.samples) > r.ts || q.spurt > r.spurt {
					t.Fatalf("held out of order: %+v, %+v", q, r)
				}
			}
		}
	})
}

// One packet with a wrong number silences nobody for long.
func TestStraySequenceNumberCostsASecondAtMost(t *testing.T) {
	for _, ahead := range []int64{1, 5, 50, 200, 255, 256, 300, 1000, aheadLimit - 1, aheadLimit + 1, 1_000_000} {
		b := New(Config{})
		listen(b, 0, 20000, func(at int) {
			if at%20 > 0 {
				return
			}
			p := voice(at / 20)
			if at == 10000 {
				p.Seq += ahead
			}
			b.Push(p, ms(at))
		})
		s := b.Stats()
		if played := int(s.PlayedSamples / millisecond); played < 20000-1200 {
			t.Errorf("%d ahead: %d ms played of 20000; %+v", ahead, played, s)
		}
	}
}

func TestDelayShownIsBounded(t *testing.T) {
	b := New(Config{})
	b.play.delay = 1 << 40 // as after a jump of the talker's timestamps
	if got := b.Stats().Delay; got != 10*time.Second {
		t.Errorf("delay shown is %v, want 10 s at most", got)
	}
}
