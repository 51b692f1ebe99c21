package jitter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// trial is a talker, a network and a listener in virtual time. The listener
// asks every 10 ms as a session does, and carries out what it is told on a
// queue of which only the length is real.
type trial struct {
	config   Config
	seed     uint64
	duration time.Duration
	packet   time.Duration // 0 means 20 ms
	copies   []int         // offsets of the copies that each packet carries
	fec      bool
	drift    float64                                                     // how much faster the talker's clock runs, e.g. 300e-6
	spurt    func(at time.Duration) int64                                // 0 means silence; nil means one spurt
	dtx      func(at time.Duration) bool                                 // no packet is made, the spurt goes on
	jump     func(at time.Duration) time.Duration                        // added to the talker's timestamps
	network  func(r *rand.Rand, i int, at time.Duration) []time.Duration // delays at which packet i arrives; none if it never does
	ordered  bool                                                        // no packet arrives before one sent earlier
	stretchy func(r *rand.Rand) int                                      // samples of a pitch period, 0 if there is none; nil means 5 to 10 ms
	handOver func(r *rand.Rand) time.Duration                            // how much later than it arrived a packet is pushed
	pull     func(r *rand.Rand, tick int) time.Duration                  // how much later than every 10 ms the listener asks
	watch    func(at time.Duration, b *Buffer, d Decision)               // sees every decision
}

// outcome is what the listener got.
type outcome struct {
	Stats
	delay     time.Duration // mean buffer delay, as in W3C webrtc-stats
	concealed float64       // % of all samples that concealment, or discarding, took
	stretched float64       // % of what was played
	silence   time.Duration // blocks or parts of them without an answer
	played    []int64       // timestamps of Play
}

type arrival struct {
	at     time.Duration
	pushed time.Duration // at or after it
	packet Packet
}

// run plays the trial.
func (c trial) run(tb testing.TB) outcome {
	tb.Helper()
	r := rand.New(rand.NewPCG(c.seed, 17))
	arrivals := c.send(r)
	b := New(c.config)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	phase := time.Duration(r.Int64N(int64(10 * time.Millisecond)))
	var o outcome
	queued, next := 0, 0
	lastPlayed := int64(math.MinInt64)
	for tick := 0; ; tick++ {
		at := phase + time.Duration(tick)*10*time.Millisecond
		if at >= c.duration+time.Second {
			break
		}
		if c.pull != nil {
			at += c.pull(r, tick)
		}
		for ; next < len(arrivals) && arrivals[next].pushed <= at; next++ {
			b.Push(arrivals[next].packet, start.Add(arrivals[next].at))
		}
		for calls := 0; queued < 480; calls++ {
			if calls > 2*MaxPackets {
				tb.Fatalf("at %v: Pop makes no progress", at)
			}
			d := b.Pop(start.Add(at), queued)
			if c.watch != nil {
				c.watch(at, b, d)
			}
			if d.Action == Wait {
				o.silence += time.Duration(480-queued) * time.Second / SampleRate
				queued = 480
				break
			}
			if d.Action == Play || d.Action == Recover {
				if n := b.Stats().Resyncs; n > o.Resyncs {
					o.Resyncs, lastPlayed = n, math.MinInt64
				}
				if d.Timestamp <= lastPlayed {
					tb.Fatalf("at %v: timestamp %d played after %d", at, d.Timestamp, lastPlayed)
				}
				lastPlayed = d.Timestamp
				o.played = append(o.played, d.Timestamp)
			}
			queued += d.Samples
			queued = c.stretch(b, d, queued, r)
		}
		queued -= 480
	}
	o.Stats = b.Stats()
	o.delay = time.Duration(float64(o.DelaySum) / float64(max(o.PlayedSamples, 1)))
	total := float64(max(o.PlayedSamples+o.ConcealedSamples, 1))
	o.concealed = 100 * float64(max(o.ConcealedSamples, 0)+o.DiscardedSamples) / total
	o.stretched = 100 * float64(o.InsertedSamples+o.RemovedSamples) / total
	return o
}

func (c trial) stretch(b *Buffer, d Decision, queued int, r *rand.Rand) int {
	if d.Stretch == None {
		return queued
	}
	period := 240 + r.IntN(240)
	if c.stretchy != nil {
		period = c.stretchy(r)
	} else if r.IntN(4) == 0 && d.Stretch != ExpandFast {
		period = 0 // one block in four has no good match
	}
	if period == 0 {
		return queued
	}
	if d.Stretch == Expand || d.Stretch == ExpandFast {
		b.Stretched(-period)
		return queued + period
	}
	if period = min(period, queued); period > d.Most {
		return queued
	}
	b.Stretched(period)
	return queued - period
}

// send makes the arrivals, in order.
func (c trial) send(r *rand.Rand) []arrival {
	if c.packet == 0 {
		c.packet = 20 * time.Millisecond
	}
	samples := int(c.packet * SampleRate / time.Second)
	step := time.Duration(float64(c.packet) / (1 + c.drift))
	var all []arrival
	var sent []Packet
	floor := time.Duration(0)
	spurt := int64(1)
	for k := 0; time.Duration(k)*step < c.duration; k++ {
		at := time.Duration(k) * step
		if c.spurt != nil {
			s := c.spurt(at)
			if s == 0 || c.spurt(at+step) != s && c.spurt(at-step) != s {
				continue
			}
			spurt = s
		}
		if c.dtx != nil && c.dtx(at) {
			continue
		}
		p := Packet{
			Seq: int64(len(sent)), Timestamp: int64(k * samples), Samples: samples, Spurt: spurt,
			FEC: c.fec, Payload: []byte{byte(k), byte(k >> 8), byte(k >> 16)},
			End: c.spurt != nil && c.spurt(at+step) != spurt,
		}
		if c.jump != nil {
			p.Timestamp += int64(c.jump(at)) * 3 / 62500
		}
		sent = append(sent, p)
		for _, d := range c.network(r, len(sent)-1, at) {
			t := at + step + d
			if c.ordered {
				t = max(t, floor)
				floor = t
			}
			all = append(all, arrival{t, t, p})
			for _, offset := range c.copies {
				if i := len(sent) - 1 - offset; i >= 0 {
					q := sent[i]
					q.Copy = true
					all = append(all, arrival{t, t, q})
				}
			}
		}
	}
	for i := range all {
		if all[i].packet.Seq == int64(len(sent)-1) {
			all[i].packet.End = true
		}
	}
	r = rand.New(rand.NewPCG(c.seed, 18)) // the rest of the trial stays what it is without
	for i := range all {
		if c.handOver != nil {
			all[i].pushed += c.handOver(r)
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return int(a.pushed - b.pushed) })
	return all
}

// The networks.

func clean(*rand.Rand, int, time.Duration) []time.Duration {
	return []time.Duration{25 * time.Millisecond}
}

// lossy loses packets at random in bursts; what is lost comes 1.2 to 2 RTT
// later if it is retransmitted.
func lossy(share float64, burst int, rtt time.Duration, retransmit bool) func(*rand.Rand, int, time.Duration) []time.Duration {
	left := 0
	return func(r *rand.Rand, _ int, _ time.Duration) []time.Duration {
		if left == 0 && r.Float64() < share/(float64(burst)-share*float64(burst-1)) {
			left = burst
		}
		d := rtt/2 + time.Duration(r.Int64N(int64(time.Millisecond)))
		if left > 0 {
			left--
			if !retransmit {
				return nil
			}
			d += time.Duration((1.2 + 0.8*r.Float64()) * float64(rtt))
		}
		return []time.Duration{d}
	}
}

func exponential(mean time.Duration) func(*rand.Rand, int, time.Duration) []time.Duration {
	return func(r *rand.Rand, _ int, _ time.Duration) []time.Duration {
		return []time.Duration{25*time.Millisecond + time.Duration(r.ExpFloat64()*float64(mean))}
	}
}

// stalling holds packets back for length at every period.
func stalling(length, period time.Duration) func(*rand.Rand, int, time.Duration) []time.Duration {
	return func(r *rand.Rand, _ int, at time.Duration) []time.Duration {
		d := 25*time.Millisecond + time.Duration(r.Int64N(int64(time.Millisecond)))
		// The stall is in the middle of the period.
		if in := at%period - period/2; in >= 0 && in < length {
			d += length - in
		}
		return []time.Duration{d}
	}
}
