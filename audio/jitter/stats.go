package jitter

import "time"

// Stats counts what a buffer saw since New. Packet counts are of packets,
// sample counts of 48 kHz samples; both only grow, through Reset too.
type Stats struct {
	Received  uint64 // packets pushed, copies included
	Duplicate uint64 // packets that were in hand already
	Late      uint64 // packets whose time had passed
	Rejected  uint64 // absurd packets

	Expected         uint64 // packets sent, by their sequence numbers, as far as they are judged
	Lost             uint64 // of those, not there when the packet two after it arrived: the network's loss before recovery (copies don't count as there)
	LossBursts       uint64 // runs of consecutive Lost packets
	Missing          uint64 // packets with audio that had to be concealed, at least in part: the loss after recovery
	RecoveredCopy    uint64 // packets played from a copy
	RecoveredFEC     uint64 // packets played from the FEC of their successor
	Skips            uint64 // times speech was dropped to come back to live
	Interruptions    uint64 // times nothing came for so long that the spurt was given up
	Resyncs          uint64 // times the stream was taken up anew because it had moved beyond all bounds
	PlayedSamples    uint64 // answered with Play or Recover
	ConcealedSamples uint64 // speech that was missing when it was to be played, as far as that is known, as W3C webrtc-stats' concealedSamples: guessed at, or silent after a second of that if the spurt went on; not where a silence turns out to have begun. Speech that was there and skipped is in DiscardedSamples, and as bad
	DiscardedSamples uint64 // held and never played: skipped to come back to live, or to the target where the sound couldn't be shortened, pushed out, or left over at a Reset
	InsertedSamples  uint64 // by stretching
	RemovedSamples   uint64 // by stretching

	// DelaySum is W3C webrtc-stats' jitterBufferDelay: summed over all played
	// samples, the time from the arrival of their packet to their emission in
	// a block of 10 ms, PCM queue included. Divided by PlayedSamples it is the
	// mean delay.
	DelaySum time.Duration

	// WaitSum is the same for whole packets: the time from a packet's arrival
	// to when its first sample is heard, times its samples. Divided by
	// PlayedSamples it is what the buffer adds to the time from mouth to ear;
	// of packets of 20 ms that is 5 ms less than the mean by DelaySum, since
	// half of their samples leave in a block that is 10 ms later, and each
	// sample of a block is heard 5 ms after it on average.
	WaitSum time.Duration

	Wait   time.Duration // what WaitSum is the sum of, smoothed over 320 ms of speech; kept through silence
	Target time.Duration // present target delay of the fastest packet
	Delay  time.Duration // present delay that the fastest packet would have, at most 10 s; 0 between spurts
	Jitter time.Duration // RFC 3550 section 6.4.1 interarrival jitter, estimated as in its A.8, of packets that no later one overtook
	Burst  float64       // mean length of recent loss bursts in packets; 0 before the first
	Held   int           // packets held
}

// Stats returns the counters as they are now.
func (b *Buffer) Stats() Stats {
	s := b.total
	s.Expected = b.loss.expected
	s.Lost = b.loss.lost
	s.LossBursts = b.loss.bursts
	s.Burst = b.loss.burst
	s.DelaySum = duration(b.delaySum)
	s.WaitSum = duration(b.waitSum)
	s.Wait = duration(b.wait)
	s.Target = duration(b.est.target)
	s.Delay = duration(min(max(b.play.delay, 0), 10*second)) // a hostile peer may jump by hours
	s.Jitter = duration(int64(b.jitter.value))
	s.Held = len(b.order)
	return s
}

// duration converts samples.
func duration(samples int64) time.Duration {
	return time.Duration(samples/3*62500 + samples%3*62500/3)
}
